from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import Unavailable
from streamgauge.load.freshness import LoadedFreshness
from streamgauge.log.base import Place
from streamgauge.log.row_base import Loaded, RowPartition
from streamgauge.model import Freshness

DELAY_MS, SETTLE_MS = 10_000, 2_000
EVENTS, METRICS = RowPartition("events", 0), RowPartition("metrics", 0)


class Elsewhere:
    """A log of one partition, Flink, the loaders and the store, as they are seen from a process that answers."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.end = 0
        self.committed = 0
        self.complete_up_to_ms = 0
        self.rows: dict[RowPartition, int] = {EVENTS: 0, METRICS: 0}
        self.loaded: dict[RowPartition, int] = {}
        self.oldest_open_ms: int | None = None
        self.store_asked = 0
        self.is_down = False
        self.fresh = LoadedFreshness(
            self,  # type: ignore[arg-type]
            self._counted,
            self._loaded,
            self,  # type: ignore[arg-type]
            self.clock,
            delay_ms=DELAY_MS,
            settle_ms=SETTLE_MS,
        )

    async def ask(self) -> Freshness:
        return await self.fresh.freshness()

    def pass_by(self, ms: int, *, is_loading: bool = True) -> None:
        """Flink has nothing to read, so its word follows the clock; a loader notes it."""
        self.clock.advance(ms)
        if is_loading:
            self.loaded = dict(self.rows)
            self.complete_up_to_ms = self.clock.now_ms() - DELAY_MS

    async def quiet(self, events: int = 0) -> None:
        """All that was accepted is in the store, and is known to be."""
        self.end = self.committed = events
        self.rows = {EVENTS: events, METRICS: events}
        await self.ask()
        self.pass_by(SETTLE_MS)
        assert (await self.ask()).lag_events == 0

    async def end_offsets(self) -> dict[int, int]:
        if self.is_down:
            raise Unavailable("no broker")
        return {0: self.end}

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        assert "sessions FINAL" in sql
        assert not parameters
        self.store_asked += 1
        return [(0, 0) if self.oldest_open_ms is None else (1, self.oldest_open_ms)]

    async def _counted(self) -> Mapping[int, Place]:
        if self.is_down:
            raise Unavailable("no broker")
        return {0: Place(self.committed, "")}

    async def _loaded(self) -> Loaded:
        if self.is_down:
            raise Unavailable("no broker")
        return Loaded(self.complete_up_to_ms, dict(self.rows), dict(self.loaded))


async def test_complete_is_what_a_loader_noted_and_never_what_the_clock_says() -> None:
    elsewhere = Elsewhere()
    await elsewhere.quiet(events=5)
    said_ms = elsewhere.complete_up_to_ms
    elsewhere.pass_by(60_000, is_loading=False)
    assert (await elsewhere.ask()).complete_up_to_ms == said_ms
    elsewhere.pass_by(0)
    assert (await elsewhere.ask()).complete_up_to_ms == said_ms + 60_000


async def test_it_does_not_say_complete_while_rows_wait_for_a_loader() -> None:
    elsewhere = Elsewhere()
    await elsewhere.quiet(events=5)
    said_ms, settled_ms = elsewhere.complete_up_to_ms, elsewhere.clock.now_ms()
    elsewhere.end = elsewhere.committed = 8  # Flink has them, and their rows are in the topics
    elsewhere.rows = {EVENTS: 8, METRICS: 6}
    elsewhere.pass_by(20_000, is_loading=False)
    fresh = await elsewhere.ask()
    assert (fresh.complete_up_to_ms, fresh.lag_events) == (said_ms, 3)
    assert 20_000 <= fresh.lag_ms <= elsewhere.clock.now_ms() - settled_ms + SETTLE_MS
    assert elsewhere.fresh.waiting_rows()["events"] == 3
    elsewhere.pass_by(SETTLE_MS)
    fresh = await elsewhere.ask()
    assert (fresh.lag_events, fresh.lag_ms) == (0, 0)


async def test_events_in_panes_that_flink_still_adds_up_are_waiting_though_their_offsets_are_committed() -> None:
    elsewhere = Elsewhere()
    await elsewhere.quiet(events=5)
    elsewhere.end = elsewhere.committed = 6
    elsewhere.pass_by(1_000)  # no row waits anywhere
    assert (await elsewhere.ask()).lag_events == 1
    elsewhere.pass_by(SETTLE_MS - 1)
    assert (await elsewhere.ask()).lag_events == 1
    elsewhere.pass_by(1)
    assert (await elsewhere.ask()).lag_events == 0


async def test_events_that_flink_has_not_committed_are_waiting_though_its_word_follows_the_clock() -> None:
    elsewhere = Elsewhere()
    await elsewhere.quiet(events=5)
    elsewhere.end = 9
    for _ in range(40):
        elsewhere.pass_by(1_000)
        assert (await elsewhere.ask()).lag_events == 4
    fresh = await elsewhere.ask()
    assert fresh.lag_ms >= 40_000
    states = elsewhere.fresh.states()
    assert (states["flink"].state, states["loader"].state) == ("stale", "ready")
    assert states["flink"].works


async def test_a_process_that_begins_while_rows_wait_counts_those_of_events() -> None:
    elsewhere = Elsewhere()
    elsewhere.end, elsewhere.committed = 100, 90
    elsewhere.rows = {EVENTS: 80, METRICS: 500}
    elsewhere.loaded = {EVENTS: 30}
    elsewhere.complete_up_to_ms = elsewhere.clock.now_ms() - 60_000
    fresh = await elsewhere.ask()
    assert fresh.lag_events == 10 + 50
    assert fresh.lag_ms == 60_000 - DELAY_MS + SETTLE_MS


async def test_a_process_that_begins_says_that_something_waits_until_it_knows_better() -> None:
    elsewhere = Elsewhere()
    elsewhere.end = elsewhere.committed = 100
    elsewhere.pass_by(0)
    fresh = await elsewhere.ask()
    assert fresh.lag_events > 0
    assert fresh.lag_ms > 0


async def test_an_empty_log_is_not_behind() -> None:
    elsewhere = Elsewhere()
    fresh = await elsewhere.ask()
    assert (fresh.lag_events, fresh.lag_ms) == (0, 0)
    elsewhere.clock.advance(100_000)
    assert {state.state for state in elsewhere.fresh.states().values()} == {"ready"}


async def test_in_a_steady_stream_what_waits_is_what_came_in_the_last_seconds() -> None:
    elsewhere = Elsewhere()
    await elsewhere.quiet(events=5)
    for _ in range(200):
        elsewhere.end += 10
        elsewhere.committed = elsewhere.end - 5
        elsewhere.pass_by(500)
        fresh = await elsewhere.ask()
        assert 0 < fresh.lag_ms <= SETTLE_MS + 2_000
        assert 0 < fresh.lag_events <= 100


async def test_a_word_of_flink_that_runs_ahead_of_a_backlog_is_not_believed() -> None:
    elsewhere = Elsewhere()
    await elsewhere.quiet(100)
    before = await elsewhere.ask()
    elsewhere.clock.advance(5_000)
    elsewhere.end = 5_000
    for _ in range(20):  # a partition that isn't read counts as idle: the word follows the clock without it
        elsewhere.pass_by(1_000)
        now = await elsewhere.ask()
        assert now.complete_up_to_ms <= before.complete_up_to_ms + 5_000
        assert now.lag_events == 4_900
    elsewhere.committed = 5_000
    await elsewhere.ask()
    elsewhere.pass_by(2 * SETTLE_MS)
    caught_up = await elsewhere.ask()
    assert (caught_up.lag_events, caught_up.complete_up_to_ms) == (0, elsewhere.clock.now_ms() - DELAY_MS)


async def test_complete_does_not_go_back_when_the_note_does() -> None:
    elsewhere = Elsewhere()
    await elsewhere.quiet(events=5)
    said_ms = elsewhere.complete_up_to_ms
    elsewhere.complete_up_to_ms -= 5_000
    assert (await elsewhere.ask()).complete_up_to_ms == said_ms


async def test_while_kafka_does_not_answer_it_is_as_last_known_and_the_lag_grows() -> None:
    elsewhere = Elsewhere()
    await elsewhere.quiet(events=5)
    before = await elsewhere.ask()
    elsewhere.is_down = True
    elsewhere.pass_by(7_000)
    fresh = await elsewhere.ask()
    assert fresh.complete_up_to_ms == before.complete_up_to_ms
    assert fresh.lag_ms == 7_000
    elsewhere.is_down = False
    assert (await elsewhere.ask()).complete_up_to_ms == before.complete_up_to_ms + 7_000


async def test_rows_that_wait_for_long_make_the_loader_stale_which_still_works() -> None:
    elsewhere = Elsewhere()
    await elsewhere.quiet(events=5)
    elsewhere.rows = {EVENTS: 5, METRICS: 9}
    await elsewhere.ask()
    assert elsewhere.fresh.states()["loader"].state == "ready"
    elsewhere.pass_by(31_000, is_loading=False)
    await elsewhere.ask()
    states = elsewhere.fresh.states()
    assert (states["loader"].state, states["flink"].state) == ("stale", "ready")
    assert states["loader"].works
    assert states["loader"].details == {"waiting_rows": 4}
    elsewhere.pass_by(0)
    await elsewhere.ask()
    assert elsewhere.fresh.states()["loader"].state == "ready"


async def test_a_loader_that_keeps_up_is_not_behind_though_some_row_always_waits() -> None:
    elsewhere = Elsewhere()
    await elsewhere.quiet(events=5)
    for _ in range(100):
        elsewhere.pass_by(1_000)
        elsewhere.rows = {EVENTS: elsewhere.rows[EVENTS] + 1, METRICS: elsewhere.rows[METRICS] + 1}
        await elsewhere.ask()
    assert elsewhere.fresh.states()["loader"].state == "ready"


async def test_a_flink_that_says_nothing_while_nothing_waits_is_stale() -> None:
    elsewhere = Elsewhere()
    await elsewhere.quiet(events=5)
    elsewhere.pass_by(31_000, is_loading=False)
    await elsewhere.ask()
    assert elsewhere.fresh.states()["flink"].state == "stale"


async def test_sessions_are_complete_up_to_the_oldest_open_one() -> None:
    elsewhere = Elsewhere()
    elsewhere.pass_by(0)
    elsewhere.oldest_open_ms = elsewhere.complete_up_to_ms - 90_000
    assert (await elsewhere.ask()).sessions_complete_up_to_ms == elsewhere.oldest_open_ms


async def test_the_store_is_asked_for_sessions_now_and_then_and_what_it_said_is_not_taken_for_later() -> None:
    elsewhere = Elsewhere()
    elsewhere.pass_by(0)
    first_ms = elsewhere.complete_up_to_ms
    await elsewhere.ask()
    for _ in range(5):
        elsewhere.pass_by(1_000)
        assert (await elsewhere.ask()).sessions_complete_up_to_ms == first_ms  # one may have begun since
    assert elsewhere.store_asked == 1


async def test_many_who_ask_at_once_ask_kafka_once() -> None:
    elsewhere = Elsewhere()
    await elsewhere.quiet(events=5)
    asked = 0
    ends = elsewhere.end_offsets

    async def counted_ends() -> dict[int, int]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return await ends()

    elsewhere.end_offsets = counted_ends  # type: ignore[method-assign]
    await asyncio.gather(*(elsewhere.ask() for _ in range(50)))
    assert asked == 1
