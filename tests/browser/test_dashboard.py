"""The dashboard as a person uses it: a real server, a real browser, real events."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from running import RunningSystem, eventually

_TRAFFIC = [
    *[{"event": "page_view", "page": "/", "country": "US", "device": "mobile"}] * 5,
    *[{"event": "page_view", "page": "/pricing", "country": "US", "device": "desktop"}] * 2,
    *[{"event": "page_view", "page": "/", "country": "DE", "device": "desktop"}] * 3,
    {"event": "page_view", "page": "/docs"},
]


@pytest.fixture
def empty_system(tmp_path: Path) -> Iterator[RunningSystem]:
    with RunningSystem(tmp_path / "data") as system:
        yield system


@pytest.fixture
def system(empty_system: RunningSystem) -> RunningSystem:
    empty_system.send(_TRAFFIC)
    empty_system.wait_until_counted(len(_TRAFFIC), "page_views")
    return empty_system


def _total(page: Page, value: int) -> None:
    expect(page.get_by_test_id("headline-total").first).to_have_attribute("data-exact", str(value))


def test_an_event_that_is_sent_changes_the_chart_within_a_second(system: RunningSystem, page: Page) -> None:
    page.goto(system.url("/?range=15m"))
    _total(page, 11)
    expect(page.get_by_test_id("live-status")).to_have_attribute("data-state", "live")
    system.send([{"event": "page_view", "page": "/", "country": "FR"}])
    sent_s = time.monotonic()
    page.wait_for_function(
        """() => [...document.querySelectorAll('[data-testid=time-series-table] [data-exact]')]
            .reduce((sum, row) => sum + Number(row.dataset.exact), 0) === 12""",
        polling="raf",
    )
    assert time.monotonic() - sent_s < 1
    _total(page, 12)
    expect(page.locator("[data-testid=donut-legend][data-value=FR]")).to_have_attribute("data-exact", "1")


def test_a_click_on_a_country_drills_down_and_back_undoes_it(system: RunningSystem, page: Page) -> None:
    page.goto(system.url("/?range=15m"))
    _total(page, 11)
    page.locator("[data-testid=donut-slice][data-value=US]").dispatch_event("click")
    chip = page.get_by_test_id("chip")
    expect(chip).to_have_attribute("data-value", "US")
    expect(page).to_have_url(re.compile("US"))
    _total(page, 7)
    expect(page.locator("[data-testid=top-row][data-value='/']")).to_have_attribute("data-exact", "5")
    expect(page.locator("[data-testid=top-row][data-value='/docs']")).to_have_count(0)
    page.go_back()
    expect(chip).to_have_count(0)
    _total(page, 11)


def test_filters_in_the_url_are_there_again_after_a_reload(system: RunningSystem, page: Page) -> None:
    page.goto(system.url("/?range=15m"))
    page.locator("[data-testid=top-row][data-value='/']").click()
    _total(page, 8)
    page.locator("[data-testid=donut-legend][data-value=DE]").click()
    _total(page, 3)
    page.reload()
    _total(page, 3)
    expect(page.get_by_test_id("chip")).to_have_count(2)
    page.get_by_test_id("chip-remove").first.click()
    expect(page.get_by_test_id("chip")).to_have_count(1)


def test_events_without_a_country_are_shown_as_unknown(system: RunningSystem, page: Page) -> None:
    page.goto(system.url("/?range=15m"))
    expect(page.locator("[data-testid=donut-legend][data-value='(unknown)']")).to_have_attribute("data-exact", "1")


def test_the_empty_page_teaches_a_command_that_brings_the_first_event(empty_system: RunningSystem, page: Page) -> None:
    page.goto(empty_system.url("/"))
    expect(page.get_by_test_id("empty-state")).to_be_visible()
    command = page.get_by_test_id("first-event-curl").inner_text()
    subprocess.run(["bash", "-c", command], check=True, capture_output=True)
    expect(page.get_by_test_id("first-event").or_(page.get_by_test_id("headline-total").first).first).to_be_visible()
    empty_system.wait_until_counted(1)


def test_a_range_can_be_chosen_with_the_keyboard(system: RunningSystem, page: Page) -> None:
    page.goto(system.url("/?range=15m"))
    _total(page, 11)
    page.keyboard.press("4")
    expect(page).to_have_url(re.compile("range=7d"))
    _total(page, 11)


def test_after_the_server_was_killed_the_page_reconnects_and_catches_up(system: RunningSystem, page: Page) -> None:
    page.goto(system.url("/?range=15m"))
    _total(page, 11)
    system.kill9()
    status = page.get_by_test_id("live-status")
    expect(status).not_to_have_attribute("data-state", "live")
    system.start()
    system.send([{"event": "page_view", "page": "/", "country": "US"}])
    expect(status).to_have_attribute("data-state", "live")
    _total(page, 12)


def test_values_that_look_like_markup_are_shown_as_text(system: RunningSystem, page: Page) -> None:
    markup = "<img src=x onerror=document.title='owned'>"
    system.send([{"event": "page_view", "page": markup, "country": markup}])
    page.goto(system.url("/?range=15m"))
    _total(page, 12)
    expect(page.get_by_test_id("top-row").filter(has_text=markup)).to_be_visible()
    assert page.title() != "owned"
    assert page.locator("img[src=x]").count() == 0


def test_the_page_says_what_is_wrong_when_a_metric_is_unknown(system: RunningSystem, page: Page) -> None:
    page.goto(system.url("/?metric=no_such_metric&range=15m"))
    eventually(lambda: "no_such_metric" in page.inner_text("body"), "the page names the unknown metric")
