from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streamgauge.core.errors import InvalidRequest
from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS, Envelope, Rollup
from streamgauge.stream.replay import Replays
from streamgauge.stream.state import RunnerState
from unit.stream.crashing import MemoryRebuild, World
from unit.stream.making import NOON_MS, event


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await World.open(tmp_path, (Rollup("count"),))
    yield world
    await world.close()


def no_store() -> Any:
    raise AssertionError("nothing is replayed here")


async def test_of_two_requests_at_a_time_one_begins_and_the_other_is_refused(world: World, tmp_path: Path) -> None:
    state = RunnerState(tmp_path / "replays.db")
    replays = Replays(world.log, world.runner(), state, world.spec, profiles=world.profiles, open_store=no_store)
    outcomes = await asyncio.gather(
        replays.request(0, None, "count"), replays.request(0, None, None), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, InvalidRequest)]
    assert [error.code for error in refused] == ["replay_running"]
    requested = state.requested_replay()
    assert requested is not None
    assert replays.newest is not None
    assert requested.metrics == replays.newest.metrics
    replays.close()
    state.close()


ROLLUPS = (
    Rollup("all", dimensions=("event", "x")),
    Rollup("hours", event="a", window="1h"),
    Rollup("income", measure={"sum": "y"}),
    Rollup("most", dimensions=("x",), measure={"max": "y"}),
)
EVENTS = st.builds(
    event,
    name=st.sampled_from(["a", "b"]),
    at_ms=st.sampled_from([NOON_MS + minutes * MINUTE_MS for minutes in (0, 1, 10, -25, -30, -50, -23 * 60, -30 * 60)]),
    user_id=st.sampled_from(["u0", "u1", "u2"]),
    event_id=st.sampled_from(["sg-1", "i1", "i2", "i3", "i4"]),
    x=st.sampled_from(["p", "q", None]),
    y=st.sampled_from([1, 2.5, -3]),
)
ROUNDS = st.lists(
    st.tuples(
        st.lists(EVENTS, max_size=8),
        st.sampled_from([0, 0, MINUTE_MS, 35 * MINUTE_MS]),  # by how much the clock goes on
        st.sampled_from([DAY_MS, DAY_MS, 2 * DAY_MS, HOUR_MS]),  # the lateness that is allowed from then on
    ),
    min_size=1,
    max_size=4,
)


DAMAGE = st.tuples(st.integers(2, 5), st.integers(2, 5))
"""Every so manieth row is doubled, and every so manieth lost."""


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=ROUNDS, meanwhile=st.lists(EVENTS, max_size=8), damage=DAMAGE, quiet_ms=st.sampled_from([0, HOUR_MS]))
@example(rounds=[([event("a", user_id="u0")], 0, DAY_MS)], meanwhile=[], damage=(5, 5), quiet_ms=HOUR_MS)
async def test_after_a_replay_the_rollups_are_those_of_a_run_that_nothing_happened_to(
    tmp_path: Path,
    rounds: list[tuple[list[Envelope], int, int]],
    meanwhile: list[Envelope],
    damage: tuple[int, int],
    quiet_ms: int,
) -> None:
    damaged, whole = [await World.open(tmp_path / uuid.uuid4().hex, ROLLUPS) for _ in range(2)]
    for envelopes, moved_ms, lateness_ms in rounds:
        for world in (damaged, whole):
            world.clock.advance(moved_ms)
            world.spec = msgspec.structs.replace(world.spec, allowed_lateness_ms=lateness_ms)
            await arrive(world, envelopes)
            assert await world.work_off()
    for table in ("metrics", "metrics_extremes"):
        rows = damaged.store.rows(table)
        damaged.store.add(table, rows[:: damage[0]])
        gone = {id(row) for row in rows[:: damage[1]]}
        damaged.store.remove(table, lambda row, gone=gone: id(row) in gone)  # type: ignore[misc]
    for world in (damaged, whole):
        world.clock.advance(quiet_ms)
    await replayed(damaged, meanwhile)
    await arrive(whole, meanwhile)
    for _ in range(2):  # what may still be open is closed
        for world in (damaged, whole):
            world.clock.advance(2 * HOUR_MS)
            now_ms = world.clock.now_ms()
            await arrive(world, [event("end", now_ms, user_id=f"e{n}") for n in range(9)])
            assert await world.work_off()
    assert damaged.store.panes(ROLLUPS) == pytest.approx(whole.store.panes(ROLLUPS))
    assert damaged.store.session_sums() == whole.store.session_sums()
    for world in (damaged, whole):
        await world.close()


async def arrive(world: World, envelopes: Sequence[Envelope]) -> None:
    now_ms = world.clock.now_ms()
    await world.append(*(msgspec.structs.replace(one, received_at=now_ms) for one in envelopes))


async def replayed(world: World, meanwhile: Sequence[Envelope]) -> None:
    """Everything, while a runner works and these come."""
    runner = world.runner()
    state = RunnerState(world.state_file)
    replays = Replays(
        world.log,
        runner,
        state,
        world.spec,
        profiles=world.profiles,
        open_store=lambda: (world.store, MemoryRebuild(world.store)),
    )
    tasks = [asyncio.create_task(runner.run(world.spec)), asyncio.create_task(replays.run())]
    async with asyncio.timeout(20):
        async with runner.paused():
            pass  # it has begun
        if world.clock.now_ms() > NOON_MS + HOUR_MS - 1:
            while runner.pipeline().sessions.open_count:  # noqa: ASYNC110 - they are closed by time alone
                await asyncio.sleep(0.01)
        await replays.request(0, None, None)
        assert replays.newest is not None
        await arrive(world, meanwhile)
        while replays.newest.phase not in ("done", "failed"):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        assert replays.newest.phase == "done", replays.newest
        runner.stop()
        await tasks[0]
    tasks[1].cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await tasks[1]
    replays.close()
    state.close()
