from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import polars as pl
import pytest

from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import Unavailable
from streamgauge.profiles.base import Chunk, Marker
from streamgauge.profiles.copy import ProfileCopy
from streamgauge.profiles.refresh import ProfileRefresher
from streamgauge.profiles.table import ProfileTable

PATIENCE_S = 20.0


class FakeSource:
    """Profiles in a dict, all of them at each reading, each in a chunk of its own; or a problem."""

    def __init__(self, **plans: str) -> None:
        self.plans = plans
        self.problem = ""
        self.problem_after = 0
        self.asked: list[Marker | None] = []
        self.closed = False
        self.threads: set[str] = set()

    def read(self, since: Marker | None = None) -> Iterator[Chunk]:
        self.asked.append(since)
        self.threads.add(threading.current_thread().name)
        for number, (user_id, plan) in enumerate(list(self.plans.items())):
            if self.problem and number >= self.problem_after:
                break
            yield Chunk(pl.DataFrame({"user_id": [user_id], "plan": [plan]}), None)
        if self.problem:
            raise Unavailable(self.problem)
        empty = pl.DataFrame(schema={"user_id": pl.String, "plan": pl.String})
        yield Chunk(empty, Marker(len(self.asked), 0, 0))

    def close(self) -> None:
        self.closed = True


class Steps:
    """Sleeps that end one by one, when the test says so."""

    def __init__(self) -> None:
        self.asleep: asyncio.Queue[float] = asyncio.Queue()
        self._wake = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        self.asleep.put_nowait(seconds)
        await self._wake.acquire()

    async def wait(self) -> float:
        """Until a reading is done; for how long it would sleep now."""
        return await asyncio.wait_for(self.asleep.get(), PATIENCE_S)

    async def again(self) -> float:
        self._wake.release()
        return await self.wait()


@pytest.fixture
def source() -> FakeSource:
    return FakeSource(ann="pro", bob="free")


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def copy(tmp_path: Path) -> ProfileCopy:
    return ProfileCopy(tmp_path / "copy.parquet", "a database")


def refresher_of(
    source: FakeSource, clock: ManualClock, steps: Steps, copy: ProfileCopy | None = None
) -> ProfileRefresher:
    return ProfileRefresher(source, ProfileTable(("plan",)), clock, interval_s=10, copy=copy, sleep=steps.sleep)


@contextlib.asynccontextmanager
async def running(refresher: ProfileRefresher) -> AsyncIterator[None]:
    task = asyncio.create_task(refresher.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def plans(refresher: ProfileRefresher) -> list[str | None]:
    return refresher._table.lookup(pl.Series(["ann", "bob", "eve"]))["plan"].to_list()


async def test_all_profiles_are_there_after_the_first_load(
    source: FakeSource, clock: ManualClock, steps: Steps
) -> None:
    refresher = refresher_of(source, clock, steps)
    assert refresher.state().state == "starting"
    async with running(refresher):
        await asyncio.wait_for(refresher.first_load.wait(), PATIENCE_S)
        assert await steps.wait() == 10
    assert plans(refresher) == ["pro", "free", None]
    assert refresher.state().state == "ready"
    assert refresher.state().details["profiles"] == 2


async def test_polls_go_on_from_the_marker_of_the_reading_before(
    source: FakeSource, clock: ManualClock, steps: Steps
) -> None:
    refresher = refresher_of(source, clock, steps)
    async with running(refresher):
        await steps.wait()
        source.plans["eve"] = "trial"
        await steps.again()
        assert plans(refresher) == ["pro", "free", "trial"]
        await steps.again()
    assert source.asked == [None, Marker(1, 0, 0), Marker(2, 0, 0)]


async def test_everything_is_read_again_now_and_then_so_that_deleted_profiles_go(
    source: FakeSource, clock: ManualClock, steps: Steps
) -> None:
    refresher = refresher_of(source, clock, steps)
    async with running(refresher):
        await steps.wait()
        del source.plans["ann"]
        await steps.again()
        assert plans(refresher) == ["pro", "free", None]
        clock.advance(3_600_000)
        await steps.again()
    assert source.asked[-1] is None
    assert plans(refresher) == [None, "free", None]


async def test_what_was_known_stays_while_the_database_is_down(
    source: FakeSource, clock: ManualClock, steps: Steps
) -> None:
    refresher = refresher_of(source, clock, steps)
    async with running(refresher):
        await steps.wait()
        source.problem = "the database is away"
        waits_s = [await steps.again() for _ in range(8)]
        assert waits_s == [1, 2, 4, 8, 16, 32, 60, 60]
        assert refresher.state().state == "stale"
        assert refresher.state().reason == "the database is away"
        assert plans(refresher) == ["pro", "free", None]
        source.problem = ""
        assert await steps.again() == 10
        assert refresher.state().state == "ready"
        source.problem = "away again"
        assert await steps.again() == 1


async def test_a_first_load_that_fails_half_way_is_done_again_from_its_start(
    source: FakeSource, clock: ManualClock, steps: Steps
) -> None:
    source.problem, source.problem_after = "cut off", 1
    refresher = refresher_of(source, clock, steps)
    async with running(refresher):
        await steps.wait()
        assert not refresher.first_load.is_set()
        del source.plans["ann"]
        source.problem = ""
        await steps.again()
        assert refresher.first_load.is_set()
    assert source.asked == [None, None]
    assert plans(refresher) == [None, "free", None]


async def test_a_start_while_the_database_is_down_goes_on_with_the_copy(
    source: FakeSource, clock: ManualClock, steps: Steps, copy: ProfileCopy
) -> None:
    async with running(refresher_of(source, clock, steps, copy)):
        await steps.wait()
    source.problem = "the database is away"
    steps = Steps()
    refresher = refresher_of(source, clock, steps, copy)
    async with running(refresher):
        await steps.wait()
        assert refresher.first_load.is_set()
        assert refresher.state().state == "stale"
        assert plans(refresher) == ["pro", "free", None]
        source.problem = ""
        del source.plans["bob"]
        clock.advance(10_000)
        await steps.again()
        assert plans(refresher) == ["pro", None, None]


async def test_a_start_with_a_copy_reads_what_changed_since_and_all_one_interval_later(
    source: FakeSource, clock: ManualClock, steps: Steps, copy: ProfileCopy
) -> None:
    async with running(refresher_of(source, clock, steps, copy)):
        await steps.wait()
    del source.plans["bob"]
    source.plans["eve"] = "trial"
    source.asked.clear()
    steps = Steps()
    refresher = refresher_of(source, clock, steps, copy)
    async with running(refresher):
        await steps.wait()
        assert refresher.first_load.is_set()
        assert source.asked == [Marker(1, 0, 0)]
        assert plans(refresher) == ["pro", "free", "trial"]
        clock.advance(10_000)
        await steps.again()
        assert source.asked[1:] == [None]
        assert plans(refresher) == ["pro", None, "trial"]


async def test_the_copy_is_written_when_something_changed_but_for_a_twentieth_of_the_time_and_at_the_end(
    source: FakeSource, clock: ManualClock, steps: Steps, tmp_path: Path
) -> None:
    class Counted(ProfileCopy):
        saved = 0
        at_the_end = threading.Semaphore(0)

        def save(self, table: ProfileTable, marker: Marker) -> bool:
            self.saved += 1
            if self.saved == 4:
                self.at_the_end.release()
            clock.advance(1_000)
            return True

    copy = Counted(tmp_path / "copy.parquet", "a database")
    async with running(refresher_of(source, clock, steps, copy)):
        await steps.wait()
        assert copy.saved == 1
        source.plans["eve"] = "trial"
        clock.advance(10_000)
        await steps.again()
        assert copy.saved == 1
        clock.advance(10_000)
        await steps.again()
        assert copy.saved == 2
        clock.advance(60_000)
        await steps.again()
        assert copy.saved == 2
        source.plans["eve"] = "pro"
        await steps.again()
        assert copy.saved == 3
        source.plans["eve"] = "trial"
        await steps.again()
        assert copy.saved == 3
    await asyncio.wait_for(asyncio.to_thread(copy.at_the_end.acquire), PATIENCE_S)


async def test_readings_are_in_one_thread_of_their_own_and_end_with_the_run(
    source: FakeSource, clock: ManualClock, steps: Steps
) -> None:
    async with running(refresher_of(source, clock, steps)):
        await steps.wait()
        await steps.again()
    assert len(source.threads) == 1
    assert threading.current_thread().name not in source.threads
    assert source.closed


async def test_a_bug_is_not_kept_quiet(source: FakeSource, clock: ManualClock, steps: Steps) -> None:
    def on_load(changed: int) -> None:
        raise ZeroDivisionError

    refresher = ProfileRefresher(source, ProfileTable(("plan",)), clock, on_load=on_load, sleep=steps.sleep)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(refresher.run(), PATIENCE_S)
