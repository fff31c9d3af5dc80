from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from running import eventually
from streamgauge.config import LogSettings
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import Unavailable
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.log.base import Record
from streamgauge.log.sqlite import SqliteLog
from streamgauge.model import Envelope
from streamgauge.profiles.identify import Traits
from streamgauge.profiles.keeper import GROUP, TraitsKeeper
from streamgauge.profiles.traits import TraitsWriter

PATIENCE_S = 20.0


class Refusing(TraitsWriter):
    """Can't write so many times."""

    def __init__(self, file: Path, refusals: int) -> None:
        super().__init__(file, ManualClock(), 1_000)
        self.refusals = refusals
        self.written = 0

    def upsert(self, traits: Sequence[Traits]) -> Counter[str]:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("the disk is full")
        found = super().upsert(traits)
        self.written += len(traits)
        return found


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    opened = await SqliteLog.open(tmp_path / "log", LogSettings(partitions=2), 7, ManualClock())
    yield opened
    await opened.close()


async def identify(log: SqliteLog, user: str, plan: str, at_ms: int = 5) -> None:
    said = Envelope(f"{user}{plan}", "identify", at_ms, 10, user, properties={"traits": {"plan": plan}})
    await log.append([Record(user.encode(), said.to_line())])


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(eventually, condition, "so far")


def plans(file: Path) -> dict[str, str]:
    with closing(sqlite3.connect(file)) as database:
        return dict(database.execute("SELECT user_id, plan FROM profiles"))


async def test_traits_that_could_not_be_written_are_written_later(tmp_path: Path, log: SqliteLog) -> None:
    metrics = SelfMetrics()
    writer = Refusing(tmp_path / "profiles.db", 1)
    keeper = TraitsKeeper(log, writer, metrics)
    running = asyncio.create_task(keeper.run())
    await identify(log, "u", "pro")
    await until(lambda: keeper.state().state == "degraded")
    assert not keeper.state().holds_up, "all others do their work"
    await until(lambda: writer.written == 1)
    await until(lambda: keeper.state().state == "ready")
    running.cancel()
    assert plans(tmp_path / "profiles.db") == {"u": "pro"}
    assert metrics.registry.get_sample_value("streamgauge_profile_traits_total", {"outcome": "kept"}) == 1


async def test_what_was_read_before_a_crash_is_not_lost_and_changes_nothing_when_it_is_read_again(
    tmp_path: Path, log: SqliteLog
) -> None:
    file = tmp_path / "profiles.db"
    await identify(log, "u", "free", 5)
    await identify(log, "u", "pro", 6)
    await identify(log, "v", "team")
    for _ in range(2):
        writer = Refusing(file, 0)
        running = asyncio.create_task(TraitsKeeper(log, writer, SelfMetrics()).run())
        await until(lambda writer=writer: writer.written == 3)
        running.cancel()
        await asyncio.wait({running})
        assert plans(file) == {"u": "pro", "v": "team"}
        await log.commit(GROUP, {0: 0, 1: 0})  # as if it had ended before the log was told


async def test_it_ends_with_the_log(tmp_path: Path, log: SqliteLog) -> None:
    running = asyncio.create_task(TraitsKeeper(log, Refusing(tmp_path / "p.db", 0), SelfMetrics()).run())
    await asyncio.sleep(0)
    await log.close()
    async with asyncio.timeout(PATIENCE_S):
        await running
