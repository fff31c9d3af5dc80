"""What the dashboard asks, as a person asks it: values that are completed, exclusions, a week earlier, a file."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from running import RunningSystem
from streamgauge.model import DAY_MS, MINUTE_MS

NOW = [("US", 5), ("UA", 2), ("DE", 3)]
WEEK_EARLIER = [("US", 4)]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """10 page views a few minutes ago, and 4 a week before them."""
    at_ms = time.time_ns() // MINUTE_MS // 1_000_000 * MINUTE_MS - 5 * MINUTE_MS
    with RunningSystem(tmp_path_factory.mktemp("asked") / "data") as system:
        events = [
            {"event": "page_view", "country": country, "timestamp": then_ms}
            for sent, then_ms in ((NOW, at_ms), (WEEK_EARLIER, at_ms - 7 * DAY_MS))
            for country, count in sent
            for _ in range(count)
        ]
        # Of a producer: they may be of any age.
        numbered = {"Streamgauge-Producer": "history", "Streamgauge-Sequence": "0"}
        assert system.post("/events", json=events, headers=numbered).status_code == 202
        system.wait_until_counted(14, "page_views")
        yield system


def total(page: Page, value: int) -> None:
    expect(page.get_by_test_id("headline-total").first).to_have_attribute("data-exact", str(value))


def suggested(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Filters to add").get_by_role("option")


def test_a_value_is_completed_from_the_store_with_its_number_by_keyboard_alone(
    asked: RunningSystem, page: Page
) -> None:
    page.goto(asked.url("/?range=1h"))
    total(page, 10)
    page.keyboard.press("/")
    page.keyboard.type("country:U")
    expect(suggested(page)).to_have_text([re.compile("US.*5"), re.compile("UA.*2")])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("chip")).to_have_attribute("data-value", "UA")
    total(page, 2)


def test_a_filter_excludes_and_has_several_values_and_the_address_keeps_it(asked: RunningSystem, page: Page) -> None:
    page.goto(asked.url("/?range=1h"))
    field = page.get_by_test_id("filter-input")
    field.fill("country!:U*")
    field.press("Enter")
    expect(page.get_by_test_id("chip")).to_have_text(re.compile("not U…"))
    total(page, 3)
    page.reload()
    total(page, 3)
    field.fill("country:DE|UA")
    expect(suggested(page)).to_have_text([re.compile("DE or UA")])
    field.press("Enter")
    total(page, 5)
    expect(page).to_have_url(re.compile(r"filter=country:DE%7CUA"))
    page.go_back()
    total(page, 3)


def test_a_week_earlier_is_drawn_beside_the_line_and_changes_the_headline(asked: RunningSystem, page: Page) -> None:
    page.goto(asked.url("/?range=1h"))
    total(page, 10)
    headline = page.get_by_test_id("key-number").first
    expect(headline).to_contain_text("nothing in the period before")
    page.get_by_test_id("compare-week").click()
    expect(headline).to_contain_text("150")
    expect(page).to_have_url(re.compile("compare=week"))
    page.keyboard.press("c")  # from a week earlier to nothing
    expect(page).not_to_have_url(re.compile("compare"))


def test_the_chart_is_downloaded_with_what_it_is_compared_with(asked: RunningSystem, page: Page) -> None:
    page.goto(asked.url("/?range=1h&compare=week"))
    total(page, 10)
    page.get_by_role("button", name=re.compile("Menu of Page views", re.IGNORECASE)).first.click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Download CSV").click()
    rows = list(csv.DictReader(download.value.path().read_text(encoding="utf-8").splitlines()))
    assert sum(float(row["page_views"]) for row in rows) == 10
    assert sum(float(row["page_views week earlier"]) for row in rows) == 4
