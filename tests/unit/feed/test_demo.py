from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.core.clock import ManualClock
from streamgauge.feed.demo import HOUR_NUMBERS, Backlog, DemoProgress, numbered_events, run_demo
from streamgauge.feed.demo_model import DemoModel
from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS
from unit.feed.fake_server import FakeServer, Trouble

NOON_MS = 1_767_268_800_000


def expected(start_ms: int, end_ms: int) -> list[dict[str, Any]]:
    model = DemoModel()
    minutes = range(start_ms // MINUTE_MS, -(-end_ms // MINUTE_MS))
    events = [event for minute in minutes for event in model.events_of_minute(minute)]
    return [event for event in events if start_ms <= event["timestamp"] < end_ms]


async def demo(
    server: FakeServer, clock: ManualClock, *, until: Callable[[DemoProgress], bool], days: int = 1
) -> list[DemoProgress]:
    """Run the demo until something is reached; all that it told."""
    stop = asyncio.Event()
    told: list[DemoProgress] = []

    def on_progress(progress: DemoProgress) -> None:
        told.append(progress)
        if until(progress):
            stop.set()

    async with asyncio.timeout(20):
        await run_demo(server.url, clock, stop=stop, days=days, on_progress=on_progress)
    return told


def is_live(progress: DemoProgress) -> bool:
    return progress.is_live


async def test_history_is_every_event_of_the_last_days(server: FakeServer) -> None:
    told = await demo(server, ManualClock(NOON_MS + 1_234), until=is_live)
    assert server.events == expected(NOON_MS + 1_234 - DAY_MS, NOON_MS + 1_234)
    assert told[-1].sent == len(server.events)
    assert [progress.reached_ms for progress in told] == sorted(progress.reached_ms for progress in told)


async def test_live_events_are_sent_when_their_moment_has_come(server: FakeServer) -> None:
    clock = ManualClock(NOON_MS)
    moved = False

    def until(progress: DemoProgress) -> bool:
        nonlocal moved
        if progress.is_live and not moved:
            moved = True
            assert all(event["timestamp"] < NOON_MS for event in server.events)
            clock.advance(90_000)
        return progress.reached_ms == NOON_MS + 90_000

    await demo(server, clock, until=until)
    assert server.events == expected(NOON_MS - DAY_MS, NOON_MS + 90_000)


async def test_a_second_run_sends_only_what_is_missing(server: FakeServer) -> None:
    clock = ManualClock(NOON_MS)
    await demo(server, clock, until=is_live)
    sent = len(server.events)
    clock.advance(2 * HOUR_MS + 5_000)
    told = await demo(server, clock, until=is_live)
    assert server.events == expected(NOON_MS - DAY_MS, NOON_MS + 2 * HOUR_MS + 5_000)
    assert told[-1].sent == len(server.events) - sent


async def test_a_gap_longer_than_the_days_is_not_filled(server: FakeServer) -> None:
    clock = ManualClock(NOON_MS)
    await demo(server, clock, until=is_live)
    sent = len(server.events)
    clock.advance(3 * DAY_MS)
    await demo(server, clock, until=is_live)
    assert server.events[sent:] == expected(NOON_MS + 2 * DAY_MS, NOON_MS + 3 * DAY_MS)


async def test_a_server_that_restarts_gets_everything_once(server: FakeServer) -> None:
    server.troubles.extend([Trouble(503, "0"), Trouble(), Trouble(keeps=True), Trouble(503, "0")])
    told = await demo(server, ManualClock(NOON_MS), until=is_live)
    assert server.events == expected(NOON_MS - DAY_MS, NOON_MS)
    assert "the queue is full (503)" in {progress.waiting for progress in told}
    assert told[-1].waiting == ""


async def test_a_demo_can_be_stopped_while_it_waits_for_a_server() -> None:
    stop = asyncio.Event()
    told: list[DemoProgress] = []

    def on_progress(progress: DemoProgress) -> None:
        told.append(progress)
        stop.set()

    async with asyncio.timeout(5):
        await run_demo("http://127.0.0.1:9", ManualClock(), stop=stop, on_progress=on_progress)
    assert "no connection" in told[-1].waiting


async def test_requests_hold_consecutive_numbers_of_one_hour(server: FakeServer) -> None:
    await demo(server, ManualClock(NOON_MS), until=is_live)
    assert all(
        sent.sequence // HOUR_NUMBERS == (sent.sequence + sent.items - 1) // HOUR_NUMBERS for sent in server.sent
    )
    assert len(server.sent) < 100


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10 * HOUR_MS), st.integers(0, 3 * HOUR_MS))
def test_an_event_has_the_same_number_wherever_the_demo_begins(start_ms: int, length_ms: int) -> None:
    start_ms += NOON_MS
    in_one_go = numbers(Backlog(0, NOON_MS), start_ms + length_ms)
    assert numbers(Backlog(0, start_ms), start_ms + length_ms) == {
        number: item for number, item in in_one_go.items() if item["timestamp"] >= start_ms
    }


def numbers(backlog: Backlog, until_ms: int) -> dict[int, Any]:
    found: dict[int, Any] = {}
    while (batch := backlog.take(until_ms)).items:
        found.update(enumerate(map(msgspec.json.decode, batch.items), batch.sequence))
    return found


@pytest.mark.parametrize("skipped", [0, 1, 500])
def test_numbering_goes_on_from_any_number(skipped: int) -> None:
    first = NOON_MS // HOUR_MS * HOUR_NUMBERS
    all_events = list(itertools.islice(numbered_events(DemoModel(), first), 1_000))
    assert [number for number, _ in all_events] == list(range(first, first + 1_000))
    some = list(itertools.islice(numbered_events(DemoModel(), first + skipped), 1_000 - skipped))
    assert some == all_events[skipped:]
