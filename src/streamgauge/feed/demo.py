"""The demo: a made-up shop's last days, then its traffic as it happens.

An event's number is the hour it is in times `HOUR_NUMBERS`, plus its rank in that hour. So the numbers of an hour are
consecutive, as a request needs them, and known without looking at any other hour: the demo can begin anywhere, and
running it again sends what is missing since the last time, nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import httpx
import msgspec

from streamgauge.core.clock import Clock
from streamgauge.feed.demo_model import DemoModel, Event
from streamgauge.feed.producer import Producer, connect
from streamgauge.model import DAY_MS, HOUR_MS, Rollup

PRODUCER: Final = "demo"
HOUR_NUMBERS: Final = 1_000_000
BATCH_EVENTS_MAX: Final = 2_000
_POLL_S: Final = 0.25
_HOUR_MINUTES: Final = 60


DEMO_ROLLUPS: Final = (
    Rollup(name="purchases", event="purchase", dimensions=("country", "device")),
    Rollup(name="revenue", event="purchase", dimensions=("country", "device"), measure={"sum": "price"}),
)
"""What a shop wants to see beside the default rollups."""


class DemoProgress(NamedTuple):
    """`sent` events by this run; all events of `[start_ms, reached_ms)` are on the server. Where `reached_ms` comes up
    to `until_ms`, the time when the run began, history ends and live traffic begins."""

    sent: int
    start_ms: int
    reached_ms: int
    until_ms: int
    waiting: str = ""
    """Why the server can't be reached now; empty where it can."""

    @property
    def is_live(self) -> bool:
        return self.reached_ms >= self.until_ms


class Batch(NamedTuple):
    """Events numbered from `sequence` up. All events before `reached_ms` are in this batch or an earlier one."""

    sequence: int
    items: list[bytes]
    reached_ms: int


async def run_demo(
    url: str,
    clock: Clock,
    *,
    stop: asyncio.Event,
    days: int = 7,
    on_progress: Callable[[DemoProgress], None] = lambda progress: None,
) -> None:
    """Send the last `days`, then each event when its moment comes, until `stop` is set.

    A server that can't be reached or takes no more is waited for, however long. Raises FeedError when it refuses.
    """
    async with connect(url) as client:
        running = asyncio.create_task(_send(client, clock, days, on_progress))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            running.cancel()
            await asyncio.gather(running, stopping, return_exceptions=True)
        if not running.cancelled():
            running.result()


async def _send(
    client: httpx.AsyncClient, clock: Clock, days: int, on_progress: Callable[[DemoProgress], None]
) -> None:
    until_ms = clock.now_ms()
    progress = DemoProgress(0, until_ms - days * DAY_MS, until_ms - days * DAY_MS, until_ms)
    producer = Producer(
        client, PRODUCER, patience_s=None, on_wait=lambda why: on_progress(progress._replace(waiting=why))
    )
    registration = await producer.register("demo", 0)
    backlog = Backlog(registration.next_sequence, progress.start_ms)
    progress = progress._replace(start_ms=backlog.start_ms, reached_ms=backlog.start_ms)
    batch = await asyncio.to_thread(backlog.take, until_ms)
    while True:
        sent = 0
        if batch.items:
            # The next batch is made up while this one is on its way, in a thread: the server may share this loop.
            refused, following = await asyncio.gather(
                producer.send(batch.sequence, batch.items), asyncio.to_thread(backlog.take, clock.now_ms())
            )
            sent = len(batch.items) - len(refused)
        else:
            await asyncio.sleep(_POLL_S)
            following = await asyncio.to_thread(backlog.take, clock.now_ms())
        progress = progress._replace(sent=progress.sent + sent, reached_ms=batch.reached_ms)
        on_progress(progress)
        batch = following


class Backlog:
    """The events that have happened and were not taken yet: from number `next_sequence`, but none before `start_ms`."""

    def __init__(self, next_sequence: int, start_ms: int) -> None:
        first_hour = start_ms // HOUR_MS
        self._numbered = numbered_events(DemoModel(), max(next_sequence, first_hour * HOUR_NUMBERS))
        self._sequence, self._event = next(self._numbered)
        while self._event["timestamp"] < start_ms:
            self._sequence, self._event = next(self._numbered)
        self.start_ms: int = self._event["timestamp"]

    def take(self, until_ms: int) -> Batch:
        """Events before `until_ms`, oldest first; at most `BATCH_EVENTS_MAX`, and of one hour only."""
        encode = msgspec.json.Encoder().encode
        first = self._sequence
        items: list[bytes] = []
        while self._event["timestamp"] < until_ms:
            if len(items) == BATCH_EVENTS_MAX or self._sequence != first + len(items):
                return Batch(first, items, self._event["timestamp"])
            items.append(encode(self._event))
            self._sequence, self._event = next(self._numbered)
        return Batch(first, items, until_ms)


def numbered_events(model: DemoModel, next_sequence: int) -> Iterator[tuple[int, Event]]:
    """All events from a number on, oldest first, without end."""
    hour, skipped = divmod(next_sequence, HOUR_NUMBERS)
    while True:
        events = (
            event
            for minute in range(hour * _HOUR_MINUTES, (hour + 1) * _HOUR_MINUTES)
            for event in model.events_of_minute(minute)
        )
        for number, event in enumerate(events, hour * HOUR_NUMBERS):
            if number >= hour * HOUR_NUMBERS + skipped:
                yield number, event
        hour, skipped = hour + 1, 0
