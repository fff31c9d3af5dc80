from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.log.base import partition_of
from streamgauge.model import DAY_MS, MINUTE_MS, Envelope, Rollup
from streamgauge.stream.embedded import GROUP, EmbeddedRunner
from streamgauge.stream.state import RunnerState
from unit.stream.crashing import Crash, Fuse, Trouble, World, key_of
from unit.stream.making import NOON_MS, event, naive_panes, rejected
from unit.stream.naive import expected_sums, naive_sessions

NewWorld = Callable[..., Awaitable[World]]
PATIENCE_S = 20.0
COUNT = Rollup("count")
ROLLUPS = (
    COUNT,
    Rollup("by_x", dimensions=("x", "event"), event="a", window="5m"),
    Rollup("sum_y", dimensions=("x",), measure={"sum": "y"}, window="1h"),
    Rollup("min_y", dimensions=("event",), measure={"min": "y"}, where={"x": ["p", 1]}),
    Rollup("max_y", measure={"max": "y"}, window="1d"),
)


@contextlib.asynccontextmanager
async def running(world: World, runner: EmbeddedRunner) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(runner.run(world.spec))
    try:
        yield task
    finally:
        world.store.gate.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def soon(awaitable: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(awaitable, PATIENCE_S)


async def written(world: World) -> None:
    """Wait until the store was asked to write."""
    assert await asyncio.to_thread(world.store.entered.wait, PATIENCE_S)
    world.store.entered.clear()


class Expected:
    """What must be in the store at the end: the log read one record at a time, by someone who never crashes."""

    def __init__(self, partitions: int) -> None:
        self.counted: list[Envelope] = []
        self.events: list[tuple[Any, ...]] = []
        self.letters: list[tuple[Any, ...]] = []
        self._ends = dict.fromkeys(range(partitions), 0)
        self._highest: dict[tuple[str, int], int] = {}
        self._ids: set[tuple[str, str | None, str | None]] = set()
        self.duplicates: list[tuple[Any, ...]] = []

    def add(self, envelopes: Sequence[Envelope]) -> None:
        for one in envelopes:
            partition = partition_of(key_of(one), len(self._ends))
            offset = self._ends[partition]
            self._ends[partition] += 1
            if self._repeated(one, partition):
                continue
            if one.rejection is not None:
                self.letters.append((one.rejection.code, one.original, partition, offset))
                continue
            late_ms = one.received_at - one.timestamp
            if late_ms < -5 * MINUTE_MS or (late_ms > DAY_MS and one.producer is None):
                self.letters.append(("too_late" if late_ms > 0 else "too_far_ahead", None, partition, offset))
                continue
            if one.producer is not None or not one.event_id.startswith("sg-"):
                whose = (one.event_id, one.user_id, one.anonymous_id)
                if whose in self._ids:
                    self.duplicates.append((one.event_id, partition, offset))
                    continue
                self._ids.add(whose)
            self.counted.append(one)
            properties = msgspec.json.encode(one.properties).decode()
            self.events.append(
                (one.event_id, one.event, one.timestamp, one.user_id or "", properties, partition, offset)
            )

    def _repeated(self, one: Envelope, partition: int) -> bool:
        if one.producer is None or one.sequence is None:
            return False
        key = (one.producer, partition)
        if one.sequence <= self._highest.get(key, -1):
            return True
        self._highest[key] = one.sequence
        return False


def events_in(world: World) -> list[tuple[Any, ...]]:
    return [
        (
            row["event_id"],
            row["event"],
            round(row["timestamp"].timestamp() * 1000),
            row["user_id"],
            row["properties"],
            row["log_partition"],
            row["log_offset"],
        )
        for row in world.store.rows("events")
    ]


def letters_in(world: World) -> list[tuple[Any, ...]]:
    return [
        (row["reason"], None if row["reason"].startswith("too_") else row["original"], *place_of(row))
        for row in world.store.rows("dead_letter")
    ]


def place_of(row: Mapping[str, Any]) -> tuple[int, int]:
    return row["log_partition"], row["log_offset"]


async def check(world: World, expected: Expected) -> None:
    assert world.store.panes(world.spec.rollups) == naive_panes(expected.counted, world.spec.rollups)
    assert sorted(events_in(world)) == sorted(expected.events)
    assert sorted(letters_in(world), key=repr) == sorted(expected.letters, key=repr)
    duplicates = [(row["event_id"], *place_of(row)) for row in world.store.rows("duplicates")]
    assert sorted(duplicates) == sorted(expected.duplicates)
    sessions = world.store.sessions()
    with contextlib.closing(RunnerState(world.state_file)) as state:
        naive = naive_sessions(expected.counted, world.spec.session_gap_ms, state.session_watermark_ms())
        assert sessions == naive
        assert world.store.session_sums() == expected_sums(naive)
        ends = await world.log.end_offsets()
        assert state.pending() is None
        assert dict.fromkeys(ends, 0) | state.offsets() == ends
        assert await world.log.committed(GROUP) == ends


def item(  # noqa: PLR0917 - hypothesis names them
    name: str, user: str, at_ms: int, numbered: tuple[str, int] | None, event_id: str, properties: dict[str, Any]
) -> Envelope:
    producer, sequence = numbered or (None, None)
    fields = {"user_id": user, "producer": producer, "sequence": sequence, "received_at": NOON_MS, "event_id": event_id}
    if name == "bad":
        return rejected(str(properties), event_id=user, producer=producer, sequence=sequence)
    return msgspec.structs.replace(event(name, at_ms, **fields), properties=properties)


ITEMS = st.builds(
    item,
    name=st.sampled_from(["a", "b", "bad"]),
    user=st.sampled_from(["u0", "u1", "u2", "u3", "u4"]),
    at_ms=st.sampled_from(
        [NOON_MS + minutes * MINUTE_MS for minutes in (0, 1, 10, -30, -50, -24 * 60, -24 * 60 - 1, -3 * 24 * 60)]
    ),
    numbered=st.none() | st.tuples(st.sampled_from(["p", "q"]), st.integers(0, 5)),
    event_id=st.sampled_from(["sg-1", "i1", "i2", "i3", "i4", "i5", "i6", "i7"]),
    properties=st.fixed_dictionaries(
        {},
        optional={
            "page": st.sampled_from(["/a", "/b", ""]),
            "country": st.sampled_from(["DE", "FR"]),
            "x": st.sampled_from(["p", 1, ""]),
            "y": st.sampled_from([1, 2.5, -3, "4", "no"]),
        },
    ),
)
TROUBLES: st.SearchStrategy[Trouble] = st.sampled_from(["fine", "refused", "torn", "answer lost"])
ROUNDS = st.lists(
    st.tuples(
        st.lists(ITEMS, max_size=8),
        st.lists(st.integers(0, 20), max_size=3),  # after how many steps each runner crashes
        st.lists(TROUBLES, max_size=5),
        st.sampled_from([0, 0, MINUTE_MS, 35 * MINUTE_MS, -5 * MINUTE_MS]),  # by how much the clock goes on
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=ROUNDS, batch_bytes_max=st.sampled_from([200, 1024 * 1024]))
async def test_whatever_crashes_and_fails_everything_is_counted_exactly_once(
    new_world: NewWorld, rounds: list[tuple[list[Envelope], list[int], list[Trouble], int]], batch_bytes_max: int
) -> None:
    world, expected = await new_world(*ROLLUPS, batch_bytes_max=batch_bytes_max), Expected(3)
    for envelopes, crashes, troubles, moved_ms in rounds:
        world.clock.advance(moved_ms)
        await world.append(*envelopes)
        expected.add(envelopes)
        world.store.troubles = list(troubles)
        for steps in crashes:
            await world.work_off(Fuse(steps))
    assert await world.work_off()
    await check(world, expected)
    await world.close()


@pytest.mark.parametrize("steps", range(22))
async def test_a_crash_at_any_step_of_a_commit_neither_loses_nor_repeats_anything(
    new_world: NewWorld, steps: int
) -> None:
    world, expected = await new_world(*ROLLUPS), Expected(3)
    first = [event("a", user_id=f"u{n}", producer="p", sequence=n, x="p", y=n, event_id=f"i{n}") for n in range(6)]
    first.append(event("a", user_id="u1", event_id="i1", received_at=NOON_MS + 1))
    first.append(event("a", NOON_MS - 2 * DAY_MS, user_id="u1", received_at=NOON_MS))
    await world.append(*first, rejected("{", event_id="x"))
    expected.add([*first, rejected("{", event_id="x")])
    # Two steps each: telling the log at the start, begin, six tables, finish, telling the log.
    assert await world.work_off(Fuse(steps)) == (steps >= 20)
    later = [*first[3:6], event("a", user_id="u1", x="p", y=100, producer="p", sequence=6)]
    await world.append(*later)
    expected.add(later)
    assert await world.work_off()
    await check(world, expected)


async def test_what_is_in_the_log_is_worked_off_before_a_stop(new_world: NewWorld) -> None:
    world = await new_world(COUNT, batch_bytes_max=100)
    await world.append(*(event(user_id=f"u{n}") for n in range(50)))
    assert await world.work_off()
    assert world.store.panes([COUNT]) == {("count", NOON_MS, ()): 50}


async def test_a_stop_while_a_batch_is_written_works_off_that_one_and_what_came_after_it(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    runner = world.runner()
    world.store.gate.clear()
    async with running(world, runner) as task:
        await world.append(event())
        await written(world)
        await world.append(event(), event())
        runner.stop()
        world.store.gate.set()
        await soon(task)
    assert world.store.panes([COUNT]) == {("count", NOON_MS, ()): 3}


async def test_a_stop_while_nothing_is_to_do_ends_at_once(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    runner = world.runner()
    async with running(world, runner) as task:
        await world.append(event())
        await soon(world.published.get())
        assert runner.state().state == "ready"
        runner.stop()
        await asyncio.wait_for(task, 0.4)  # sooner than a reader looks again by itself
    assert runner.state().state == "stopping"


async def test_a_runner_whose_unread_records_have_expired_has_no_lag_and_stops_at_once(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    await world.append(event(user_id="id"), event(user_id="u"))
    later_ms = NOON_MS + 30 * DAY_MS
    world.clock.advance(30 * DAY_MS)
    await world.append(event(at_ms=later_ms, user_id="u"))
    await world.log.remove_expired()
    assert (await world.log.start_offsets()) == {0: 1, 1: 0, 2: 1}
    runner = world.runner()
    async with running(world, runner) as task:
        await soon(world.published.get())
        fresh = await runner.freshness()
        assert (fresh.lag_events, fresh.lag_ms) == (0, 0)
        runner.stop()
        await asyncio.wait_for(task, 0.4)
    assert world.store.panes([COUNT]) == {("count", later_ms, ()): 1}


@pytest.mark.parametrize("steps", [None, 4], ids=["counted", "pending"])
async def test_a_log_that_ends_before_what_was_read_of_it_is_refused(new_world: NewWorld, steps: int | None) -> None:
    world = await new_world(COUNT)
    await world.append(event(), event(user_id="u"))
    assert await world.work_off(Fuse(steps)) == (steps is None)
    other = await new_world(COUNT)
    other.state_file = world.state_file
    for _ in range(2):
        with pytest.raises(ConfigError, match="not the log that it was"):
            await other.work_off()
    assert await world.work_off()
    assert world.store.panes([COUNT]) == {("count", NOON_MS, ()): 2}


async def test_a_batch_that_expired_while_it_was_pending_is_given_up_and_said_so(
    new_world: NewWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world = await new_world(COUNT)
    await world.append(event(), event(user_id="u"))
    assert not await world.work_off(Fuse(4))
    world.clock.advance(30 * DAY_MS)
    await world.log.remove_expired()
    await world.append(event(at_ms=NOON_MS + 30 * DAY_MS, user_id="v"))
    assert await world.work_off()
    assert world.store.panes([COUNT]) == {("count", NOON_MS + 30 * DAY_MS, ()): 1}
    assert "expired" in caplog.text
    assert world.metrics.registry.get_sample_value("streamgauge_stream_dropped_total", {"reason": "expired"}) == 2


async def test_a_runner_that_is_cancelled_leaves_what_it_was_writing_to_the_next_one(new_world: NewWorld) -> None:
    world = await new_world(*ROLLUPS)
    envelopes = [event("a", user_id=f"u{n}", x="p", y=n) for n in range(9)]
    await world.append(*envelopes)
    world.store.gate.clear()
    async with running(world, world.runner()) as task:
        await written(world)
        task.cancel()
        world.store.gate.set()
        await asyncio.wait({task})
    assert world.store.calls == ["metrics"]
    expected = Expected(3)
    expected.add(envelopes)
    assert await world.work_off()
    await check(world, expected)


async def test_a_write_that_fails_is_tried_again_and_the_state_says_so_meanwhile(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    runner = world.runner()
    world.store.gate.clear()
    world.store.troubles = ["refused", "answer lost"]
    states: list[tuple[str, str]] = []
    write = world.store.write
    world.store.write = lambda batch: (states.append((runner.state().state, runner.state().reason)), write(batch))[1]  # type: ignore[method-assign]
    async with running(world, runner):
        await world.append(event())
        world.store.gate.set()
        await soon(world.published.get())
        assert states == [
            ("ready", ""),
            ("degraded", "rows can't be written: the store is away"),
            ("degraded", "rows can't be written: the store did not answer"),
            ("ready", ""),  # the raw events, after the panes
        ]
        assert runner.state().state == "ready"
    assert world.store.panes([COUNT]) == {("count", NOON_MS, ()): 1}
    assert world.metrics.registry.get_sample_value("streamgauge_stream_retries_total") == 2


async def test_an_error_that_is_a_bug_ends_the_runner(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    runner = world.runner(Fuse(4))
    async with running(world, runner) as task:
        await world.append(event())
        with pytest.raises(Crash):
            await soon(task)


async def test_panes_are_written_before_raw_events_and_dead_letters(new_world: NewWorld) -> None:
    world = await new_world(*ROLLUPS)
    await world.append(event("a", y=1), rejected("{"))
    assert await world.work_off()
    assert world.store.calls == ["metrics", "metrics_extremes", "events", "dead_letter"]


async def test_listeners_are_told_what_a_batch_changed(new_world: NewWorld) -> None:
    world = await new_world(*ROLLUPS)
    await world.append(
        event("a", NOON_MS + 5, user_id="u", x="p", y=2),
        event("b", NOON_MS + MINUTE_MS, user_id="u", y=3),
        rejected("{", event_id="u"),
    )
    assert await world.work_off()
    update = world.published.get_nowait()
    assert update.events_count == 2
    assert update.metrics == {"count": 2, "by_x": 1, "sum_y": 5, "min_y": 1, "max_y": 1}
    assert (update.from_ms, update.to_ms) == (NOON_MS, NOON_MS + 2 * MINUTE_MS)
    assert [(one.event, one.user_id, one.properties) for one in update.sample] == [
        ("a", "u", {"x": "p", "y": 2}),
        ("b", "u", {"y": 3}),
    ]


async def test_listeners_are_not_told_of_a_batch_that_counted_nothing(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    await world.append(rejected("{"))
    assert await world.work_off()
    assert world.published.empty()
    assert len(letters_in(world)) == 1


async def test_the_next_sequence_of_a_producer_is_known_after_a_restart(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    await world.append(*(event(producer="p", sequence=n, user_id=f"u{n}") for n in range(5)))
    assert world.runner().next_sequence("p") == 0
    assert await world.work_off()
    assert world.runner().next_sequence("p") == 5


async def test_without_lag_the_answers_are_complete_up_to_the_clock_less_the_delay(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    runner = world.runner()
    async with running(world, runner):
        await world.append(event())
        await soon(world.published.get())
        world.clock.advance(3_600_000)
        fresh = await runner.freshness()
        assert (fresh.lag_ms, fresh.lag_events) == (0, 0)
        assert fresh.complete_up_to_ms == NOON_MS + 3_600_000 - 10_000


async def test_the_watermark_does_not_go_backwards_over_a_restart(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    await world.append(event())
    assert await world.work_off()
    world.clock.advance(60_000)
    runner = world.runner()
    world.store.gate.clear()
    async with running(world, runner):
        await world.append(event(at_ms=NOON_MS + 60_000))
        await written(world)
        assert (await runner.freshness()).complete_up_to_ms == NOON_MS - 10_000
        world.store.gate.set()


async def test_a_backfill_does_not_move_the_watermark(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    runner = world.runner()
    async with running(world, runner):
        await world.append(event(at_ms=NOON_MS - 30 * DAY_MS, producer="p", sequence=0))
        await soon(world.published.get())
        assert (await runner.freshness()).complete_up_to_ms == NOON_MS - 10_000


async def test_an_event_that_waits_holds_the_watermark_of_its_partition(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    runner = world.runner()
    async with running(world, runner):
        await world.append(event(user_id="u"))
        await soon(world.published.get())
        world.store.entered.clear()
        world.store.gate.clear()
        world.clock.advance(60_000)
        await world.append(event(user_id="u", at_ms=NOON_MS + 60_000))
        await written(world)
        world.clock.advance(3_600_000)
        assert (await runner.freshness()).complete_up_to_ms == NOON_MS - 10_000
        world.store.gate.set()
        await soon(world.published.get())
        assert (await runner.freshness()).complete_up_to_ms == NOON_MS + 60_000 - 10_000


async def test_the_lag_is_how_long_the_oldest_event_that_is_not_counted_has_waited(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    runner = world.runner()
    world.store.gate.clear()
    world.clock.advance(5_000)
    await world.append(event(received_at=NOON_MS, user_id="u"), event(received_at=NOON_MS + 5_000, user_id="u"))
    async with running(world, runner):
        await written(world)
        world.clock.advance(30_000)
        fresh = await runner.freshness()
        assert (fresh.lag_events, fresh.lag_ms) == (2, 35_000)
        world.store.gate.set()
        await soon(world.published.get())
        fresh = await runner.freshness()
        assert (fresh.lag_events, fresh.lag_ms) == (0, 0)


async def test_an_event_after_a_long_silence_that_nobody_asked_in_has_waited_only_since_it_came(
    new_world: NewWorld,
) -> None:
    world = await new_world(COUNT)
    runner = world.runner()
    async with running(world, runner):
        await world.append(event())
        await soon(world.published.get())
        world.store.entered.clear()
        world.store.gate.clear()
        world.clock.advance(3_600_000)
        await world.append(event(at_ms=NOON_MS + 3_600_000))
        at_once = await runner.freshness()
        await written(world)
        world.clock.advance(700)
        later = await runner.freshness()
        world.store.gate.set()
    assert at_once.lag_ms == 0
    assert (later.lag_events, later.lag_ms) == (1, 700)


async def test_after_a_restart_the_lag_counts_the_time_that_events_waited_for_it(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    await world.append(event(received_at=NOON_MS))
    world.clock.advance(3_600_000)
    runner = world.runner()
    world.store.gate.clear()
    async with running(world, runner):
        await written(world)
        assert (await runner.freshness()).lag_ms == 3_600_000
        world.store.gate.set()


@pytest.mark.parametrize("hangs", [False, True])
async def test_while_the_log_does_not_say_where_it_ends_nothing_more_is_called_complete(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    async def away() -> dict[int, int]:
        if hangs:
            await asyncio.Event().wait()
        raise Unavailable("the brokers are away")

    world = await new_world(COUNT)
    runner = world.runner()
    async with running(world, runner):
        await world.append(event())
        await soon(world.published.get())
        before = await runner.freshness()
        with monkeypatch.context() as patched:
            patched.setattr(world.log, "end_offsets", away)
            world.clock.advance(60_000)
            for _ in range(3):  # the second question doesn't wait for the answer to the first
                known = await soon(runner.freshness())
                assert known.complete_up_to_ms == before.complete_up_to_ms
                assert known.lag_ms == 60_000
        if not hangs:
            after = await runner.freshness()
            assert (after.lag_ms, after.complete_up_to_ms) == (0, NOON_MS + 60_000 - 10_000)


async def test_nobody_gets_between_two_batches_before_the_one_that_a_crash_left_is_finished(
    new_world: NewWorld,
) -> None:
    """A replay would take away what the store has of that batch, and the batch's tokens would not let it in again."""
    world = await new_world(COUNT)
    await world.append(event())
    assert not await world.work_off(Fuse(4))
    runner = world.runner()

    async def read_between() -> dict[int, int]:
        async with runner.paused():
            return dict(runner.next_offsets)

    asked = asyncio.ensure_future(read_between())
    assert not (await asyncio.wait([asked], timeout=0.05))[0]
    async with running(world, runner):
        assert await soon(asked) == await world.log.end_offsets()


async def test_the_watermark_of_sessions_is_after_a_restart_that_of_the_last_batch(new_world: NewWorld) -> None:
    world = await new_world(COUNT)
    await world.append(event(at_ms=NOON_MS + 3_600_000, received_at=NOON_MS + 3_600_000))
    assert await world.work_off()
    last = world.runner()
    assert last.session_watermark_ms < NOON_MS + 3_600_000 - 10_000
