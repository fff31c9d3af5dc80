from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.feed import demo_shop as shop
from streamgauge.feed.demo_model import DemoModel
from streamgauge.model import MINUTE_MS

MONDAY = 20_451 * 1_440
"""2025-12-29 00:00 UTC, in minutes since 1970."""


@pytest.fixture(scope="module")
def week() -> list[list[dict[str, Any]]]:
    model = DemoModel()
    return [model.events_of_minute(MONDAY + minute) for minute in range(7 * 1_440)]


minutes = st.integers(0, 100_000_000)


@settings(max_examples=20, deadline=None)
@given(minutes)
def test_a_minute_has_the_same_events_whatever_was_asked_before(minute: int) -> None:
    in_order = DemoModel()
    several = [in_order.events_of_minute(minute + later) for later in range(3)]
    assert DemoModel().events_of_minute(minute + 2) == several[2]
    assert in_order.events_of_minute(minute) == several[0]


@settings(max_examples=20, deadline=None)
@given(minutes)
def test_the_events_of_a_minute_are_in_it_and_in_order(minute: int) -> None:
    times_ms = [event["timestamp"] for event in DemoModel().events_of_minute(minute)]
    assert times_ms == sorted(times_ms)
    assert all(time_ms // MINUTE_MS == minute for time_ms in times_ms)


def test_the_first_event_of_a_minute_is_the_one_it_always_was() -> None:
    event = DemoModel().events_of_minute(MONDAY)[0]
    assert event == {
        "event": "page_view",
        "timestamp": 1_766_966_400_376,
        "anonymous_id": "v-1c15ce0-7",
        "country": "DE",
        "device": "desktop",
        "page": "/",
        "load_ms": 397,
    }


def test_a_week_has_a_volume_that_is_sent_in_seconds(week: list[list[dict[str, Any]]]) -> None:
    assert 500_000 < sum(map(len, week)) < 700_000
    assert max(map(len, week)) < 500


def test_visitors_move_through_the_shop_to_the_till(week: list[list[dict[str, Any]]]) -> None:
    counts = Counter(event["event"] for events in week for event in events)
    assert counts["page_view"] > counts["click"] > counts["add_to_cart"] > counts["checkout"] > counts["purchase"] > 0
    pages = {event["page"] for events in week for event in events}
    assert 20 <= len(pages) <= 30


def test_purchases_have_a_price_in_one_currency_so_that_they_add_up(week: list[list[dict[str, Any]]]) -> None:
    purchases = [event for events in week for event in events if event["event"] == "purchase"]
    assert all(event["price"] > 0 for event in purchases)
    assert {event["currency"] for event in purchases} == {"USD"}


def test_people_come_again_with_their_country_and_device(week: list[list[dict[str, Any]]]) -> None:
    known: dict[str, set[tuple[str, str]]] = {}
    for event in (event for events in week for event in events if "user_id" in event):
        known.setdefault(event["user_id"], set()).add((event["country"], event["device"]))
    assert len(known) > 5_000
    assert all(len(kinds) == 1 for kinds in known.values())


def test_nights_and_weekends_are_quieter(week: list[list[dict[str, Any]]]) -> None:
    def germans(day: int, hour: int) -> int:
        start = day * 1_440 + hour * 60
        return sum(event["country"] == "DE" for events in week[start : start + 60] for event in events)

    assert germans(day=1, hour=19) > 3 * germans(day=1, hour=2)
    assert sum(map(len, week[5 * 1_440 : 6 * 1_440])) < 0.85 * sum(map(len, week[1_440 : 2 * 1_440]))


def test_the_newsletter_is_a_spike(week: list[list[dict[str, Any]]]) -> None:
    start = shop.NEWSLETTER.start_min
    before, after = week[start - 60 : start], week[start : start + 60]
    assert sum(map(len, after)) > 1.5 * sum(map(len, before))
    assert any(event.get("referrer") == "newsletter" for events in after for event in events)
    assert not any(event.get("referrer") == "newsletter" for events in before for event in events)


def test_the_slow_checkout_costs_purchases(week: list[list[dict[str, Any]]]) -> None:
    start, minutes_long = shop.SLOW_CHECKOUT

    def purchases(day: int) -> int:
        window = week[day * 1_440 + start : day * 1_440 + start + minutes_long]
        return sum(event["event"] == "purchase" for events in window for event in events)

    assert purchases(0) < 0.5 * purchases(1)
