"""What the dashboard says of single events: late, rejected, repeated, counted, and of sessions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from running import RunningSystem


@pytest.fixture
def system(tmp_path: Path) -> Iterator[RunningSystem]:
    hour_ago_ms = int(time.time() * 1000) - 3_600_000
    with RunningSystem(tmp_path / "data") as running:
        running.send(
            [
                {"event": "page_view", "event_id": "one/of it", "user_id": "u", "page": "/", "country": "DE"},
                {"event": "page_view", "event_id": "late", "timestamp": hour_ago_ms - 86_400_000},
                {"event": "page_view", "user_id": "v", "timestamp": hour_ago_ms, "page": "/in"},
                {"event": "page_view", "user_id": "v", "timestamp": hour_ago_ms + 60_000, "page": "/out"},
                {"event": "page_view", "user_id": "w", "timestamp": hour_ago_ms, "page": "/in"},
            ]
        )
        running.send([{"event": "page_view", "event_id": "one/of it", "user_id": "u"}])
        running.post("/events", json={"page": "/no-name"})
        running.wait_until_counted(4, "page_views")
        running.wait_until_counted(2, "sessions")
        running.wait_until_idle()
        yield running


def test_late_and_rejected_events_are_listed_with_their_reason(system: RunningSystem, page: Page) -> None:
    page.goto(system.url("/?range=24h"))
    panel = page.get_by_test_id("dead-letter")
    expect(panel).to_contain_text("Too late")
    expect(panel).to_contain_text("Missing event")
    page.get_by_test_id("letters-toggle").click()
    panel.get_by_text("Show the original").first.click()
    expect(panel).to_contain_text("/no-name")
    expect(panel).to_contain_text("86,400 s are allowed")


def test_an_event_is_explained_by_its_id_and_the_address_keeps_the_question(system: RunningSystem, page: Page) -> None:
    page.goto(system.url("/?range=24h"))
    page.get_by_test_id("explain-open").click()
    page.get_by_test_id("explain-input").fill("one/of it")
    page.keyboard.press("Enter")
    first = page.get_by_test_id("occurrence").first
    expect(first).to_have_attribute("data-status", "counted")
    expect(first).to_contain_text("Counted in 2 windows")
    expect(page.get_by_test_id("occurrence").nth(1)).to_have_attribute("data-status", "duplicate")
    page.reload()
    expect(page.get_by_test_id("occurrence")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("explain")).to_have_count(0)


def test_an_id_that_nobody_knows_is_said_to_be_unknown(system: RunningSystem, page: Page) -> None:
    page.goto(system.url("/?range=24h"))
    page.get_by_test_id("explain-open").click()
    page.get_by_test_id("explain-input").fill("nothing")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("explain")).to_contain_text("never received")


def test_closed_sessions_are_among_the_key_numbers(system: RunningSystem, page: Page) -> None:
    page.goto(system.url("/?range=24h"))
    sessions = page.locator("[data-metric=sessions]")
    expect(sessions.first).to_contain_text("2")
