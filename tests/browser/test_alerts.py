"""The alerts page: traffic falls, a rule fires, two clicks silence it; and what is there before there is a rule."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from played import Played
from running import RunningSystem, eventually

RULES = """
groups:
- name: traffic
  rules:
  - anomaly: traffic_drop
    metric: page_views
    by: [country]
    drop: 20%
    min_volume: 20
    labels: {severity: page}
  - alert: NoErrors
    expr: sum(sum_over_time(page_views[5m])) < 0
"""
LATELY = {"US": 60, "DE": 100}
"""Page views a minute, where there were 100 before."""


@pytest.fixture
def system(tmp_path: Path, webhook: Played) -> Iterator[RunningSystem]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "traffic.yml").write_text(RULES, encoding="utf-8")
    config = f"""
        [alerts]
        rules = "{rules}"
        interval = "1s"
        patience = "30s"

        [notifications]
        group_wait = "1s"
        group_interval = "1s"

        [[receivers]]
        name = "oncall"
        webhook = {{url = "{webhook.url}/hook"}}
    """
    with RunningSystem(tmp_path / "data", config=config) as running:
        running.send(_traffic())
        yield running


def _traffic() -> list[dict[str, Any]]:
    """Of the last 70 minutes; less in the last 5 of them, and in the next 2, in which this test may still run."""
    this_minute_s = int(time.time()) // 60 * 60
    return [
        {
            "event": "page_view",
            "user_id": f"{country}{number}",
            "country": country,
            "timestamp": (this_minute_s + minute * 60) * 1000 + number * 500,
        }
        for minute in range(-70, 3)
        for country, lately in LATELY.items()
        for number in range(lately if minute >= -5 else 100)
    ]


def _states(system: RunningSystem) -> dict[str, bool]:
    """Of each country what fires, and whether it is silenced."""
    found = system.get("/alerts").json()["alerts"]
    return {one["labels"]["country"]: bool(one["silenced_by"]) for one in found if one["state"] == "firing"}


def test_a_rule_that_fires_is_seen_silenced_in_two_clicks_and_its_silence_ended(
    system: RunningSystem, page: Page
) -> None:
    page.goto(system.url("/"))
    expect(page.get_by_test_id("firing-count")).to_have_text("1 firing", timeout=30_000)
    expect(page.get_by_test_id("firings")).to_contain_text("traffic_drop fired", timeout=20_000)
    page.get_by_test_id("page-alerts").click()
    row = page.get_by_test_id("alert")
    expect(row).to_have_attribute("data-state", "firing")
    expect(row).to_contain_text("country=US")
    expect(page.get_by_test_id("receiver")).to_have_attribute("data-health", "working", timeout=20_000)
    expect(page.get_by_test_id("notification").first).to_have_attribute("data-outcome", "sent")
    expect(page.get_by_test_id("quiet-rules")).to_contain_text("The other rule was quiet")

    row.get_by_test_id("silence").click()
    page.get_by_test_id("silence-make").click()
    expect(row).to_have_attribute("data-state", "silenced")
    expect(page.get_by_test_id("firing-count")).to_have_count(0)
    assert _states(system) == {"US": True}
    (silence,) = system.get("/silences").json()["silences"]
    assert (silence["author"], silence["state"]) == ("dashboard", "active")
    assert 'country="US"' in silence["matchers"]

    timeline = page.get_by_test_id("rule-timeline")
    timeline.get_by_role("button").click()
    expect(page.get_by_test_id("change-row").first).to_contain_text("firing")
    page.reload()
    expect(page.get_by_test_id("change-row").first).to_be_visible()

    page.get_by_test_id("silence-end").click()
    expect(row).to_have_attribute("data-state", "firing")
    assert _states(system) == {"US": False}


def test_a_silence_is_made_with_the_keyboard_and_an_error_says_what_to_do(system: RunningSystem, page: Page) -> None:
    page.goto(system.url("/?page=alerts"))
    page.get_by_test_id("silence").focus(timeout=30_000)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("silence-make")).to_be_focused()
    page.get_by_test_id("silence-author").fill("A" * 300)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("silence-dialog").get_by_role("alert")).to_contain_text("longer than 256 characters")
    page.get_by_test_id("silence-author").fill("Ann")
    page.get_by_test_id("silence-comment").fill("moving data centres")
    page.get_by_role("checkbox", name="country=US").uncheck()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("silence-row")).to_contain_text("moving data centres")
    assert eventually(lambda: _states(system), "it fires still") == {"US": True}
    assert all("country" not in one for one in system.get("/silences").json()["silences"][0]["matchers"])


def test_before_there_is_a_rule_or_a_receiver_the_page_says_how_to_make_them(tmp_path: Path, page: Page) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    config = f'[alerts]\nrules = "{folder}"\ninterval = "1s"\n'
    with RunningSystem(tmp_path / "data", config=config) as system:
        page.goto(system.url("/?page=alerts"))
        expect(page.get_by_test_id("receivers")).to_contain_text("[[receivers]]")
        shown = page.get_by_test_id("no-rules").locator("code").last.inner_text()
        (folder / "traffic.yml").write_text(shown, encoding="utf-8")
        expect(page.get_by_test_id("no-rules")).to_have_count(0, timeout=30_000)
        expect(page.get_by_test_id("rule-problems")).to_have_count(0)
        assert [one["name"] for one in system.get("/rules").json()["groups"][0]["rules"]] == [
            "NoPageViews",
            "traffic_drop",
        ]


def test_rules_are_written_seen_tried_over_the_past_saved_and_deleted(system: RunningSystem, page: Page) -> None:
    page.goto(system.url("/?page=alerts&range=1h"))
    page.get_by_test_id("rules-new").click()
    editor = page.get_by_test_id("rule-editor")
    expect(page.get_by_test_id("rule-text")).to_be_focused()
    expect(page.get_by_test_id("rule-preview")).to_contain_text("page_views")

    rule = "{alert: Busy, expr: 'sum by (country) (sum_over_time(page_views[5m])) > 90'}"
    written = f"groups: [{{name: made, rules: [{rule}]}}]"
    page.get_by_test_id("rule-text").fill(written.replace("> 90", "> ) 90"))
    expect(page.get_by_test_id("rule-error")).to_contain_text("Busy")
    expect(page.get_by_test_id("rule-save")).to_be_disabled()
    page.get_by_test_id("rule-text").fill(written)
    preview = page.get_by_test_id("rule-preview")
    expect(preview).to_have_attribute("data-limit", "90")
    expect(preview.locator("svg polyline")).to_have_count(2)
    expect(preview.locator("svg line")).to_have_count(1)
    page.get_by_label("In the last").select_option("24h")
    page.get_by_test_id("backtest").click()
    expect(page.get_by_test_id("backtest-rule")).to_have_attribute("data-firings", "2", timeout=30_000)

    page.get_by_test_id("rule-save").click()
    expect(editor).to_have_count(0)
    group = page.locator("[data-group=made]")
    expect(group).to_contain_text("made here")
    assert [one["source"] for one in system.get("/rules").json()["groups"] if one["name"] == "made"] == ["made"]
    group.get_by_role("button").click()
    expect(page.get_by_test_id("rule-text")).to_have_value(written)
    editor.get_by_role("button", name="Delete").click()
    editor.get_by_role("button", name="Delete for good").click()
    expect(group).to_have_count(0)
    assert all(one["name"] != "made" for one in system.get("/rules").json()["groups"])
