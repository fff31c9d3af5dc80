"""What is special to the embedded log: files of days, retention, a disk that refuses, a queue that is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from streamgauge.config import LogSettings
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import ConfigError, Overloaded, Unavailable
from streamgauge.log import sqlite
from streamgauge.log.base import LogBatch, OffsetRange, Offsets, Record
from streamgauge.log.sqlite import SqliteLog
from streamgauge.model import DAY_MS

PATIENCE_S = 20.0
KEEP_DAYS = 7
CHANCE = random.Random(1)

Open = Callable[..., Awaitable[SqliteLog]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(20_000 * DAY_MS)  # 2024-10-04


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "log"


@pytest.fixture
async def open_log(folder: Path, clock: ManualClock) -> AsyncIterator[Open]:
    """Opens the log of `folder`, again if need be; keyword arguments are settings. One partition unless told."""
    opened: list[SqliteLog] = []

    async def open_(**settings: int) -> SqliteLog:
        opened.append(await SqliteLog.open(folder, LogSettings(**{"partitions": 1, **settings}), KEEP_DAYS, clock))
        return opened[-1]

    yield open_
    for log in opened:
        await log.close()


async def append(log: SqliteLog, *values: bytes) -> None:
    await log.append([Record(b"user", value) for value in values])


async def read(log: SqliteLog, count: int, start: Offsets | None = None) -> list[LogBatch]:
    taken: list[LogBatch] = []
    async with asyncio.timeout(PATIENCE_S), contextlib.aclosing(log.read("group", start)) as batches:  # type: ignore[type-var]
        while sum(batch.count for batch in taken) < count:
            taken.append(await anext(batches))
    return taken


async def lines(log: SqliteLog, count: int, start: int = 0) -> bytes:
    return b"\n".join(batch.slices[0].lines for batch in await read(log, count, {0: start}))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def days(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*-*.db"))


@contextlib.contextmanager
def stalled(folder: Path) -> Iterator[None]:
    """Nothing can be committed: the writer waits for a lock."""
    with contextlib.closing(sqlite3.connect(folder / f"{days(folder)[-1]}.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextlib.contextmanager
def full_disk(file_bytes_max: int) -> Iterator[None]:
    """No file of this process grows over a size: writing more fails as it does on a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def noise(count: int) -> list[bytes]:
    """Values of 10 kB that can't be compressed, other ones at each call."""
    return [CHANCE.randbytes(10_000).replace(b"\n", b"_") for _ in range(count)]


async def test_another_number_of_partitions_is_a_config_error_that_says_both(open_log: Open) -> None:
    await (await open_log(partitions=4)).close()
    with pytest.raises(ConfigError, match="has 4 partitions, the settings say 3") as caught:
        await open_log(partitions=3)
    assert "partitions = 4" in caught.value.hint
    await open_log(partitions=4)


async def test_files_of_another_format_are_a_config_error(open_log: Open, folder: Path) -> None:
    await (await open_log()).close()
    with contextlib.closing(sqlite3.connect(folder / "groups.db")) as groups, groups:
        groups.execute("UPDATE facts SET value = 99 WHERE name = 'format'")
    with pytest.raises(ConfigError, match="format 99"):
        await open_log()


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path, clock: ManualClock) -> None:
    with tempfile.NamedTemporaryFile(dir=tmp_path) as in_the_way, pytest.raises(Unavailable):
        await SqliteLog.open(Path(in_the_way.name), LogSettings(), KEEP_DAYS, clock)


async def test_each_day_gets_a_file_and_offsets_go_on(open_log: Open, folder: Path, clock: ManualClock) -> None:
    log = await open_log()
    await append(log, b"a", b"b")
    clock.advance(DAY_MS)
    await append(log, b"c")
    clock.advance(2 * DAY_MS)
    await append(log, b"d", b"e")
    assert days(folder) == ["2024-10-04", "2024-10-05", "2024-10-07"]
    assert await log.end_offsets() == {0: 5}
    assert await lines(log, 5) == b"a\nb\nc\nd\ne"
    assert await lines(log, 4, start=1) == b"b\nc\nd\ne"


async def test_when_the_clock_goes_back_over_midnight_the_newest_file_is_written_on(
    open_log: Open, folder: Path, clock: ManualClock
) -> None:
    log = await open_log()
    await append(log, b"a")
    clock.advance(-2 * DAY_MS)
    await append(log, b"b")
    await log.close()
    log = await open_log()
    await append(log, b"c")
    assert days(folder) == ["2024-10-04"]
    clock.advance(3 * DAY_MS)
    await append(log, b"d")
    assert days(folder) == ["2024-10-04", "2024-10-05"]
    assert await lines(log, 4) == b"a\nb\nc\nd"


async def test_expired_days_are_removed_as_a_day_begins(open_log: Open, folder: Path, clock: ManualClock) -> None:
    log = await open_log()
    await append(log, b"a")
    clock.advance(DAY_MS)
    await append(log, b"b")
    clock.advance(KEEP_DAYS * DAY_MS)
    await append(log, b"c")
    assert days(folder) == ["2024-10-05", "2024-10-12"]
    assert await log.start_offsets() == {0: 1}
    assert await log.end_offsets() == {0: 3}
    assert await lines(log, 2) == b"b\nc"


async def test_expired_days_are_removed_on_opening_and_when_asked(
    open_log: Open, folder: Path, clock: ManualClock
) -> None:
    log = await open_log()
    for value in (b"a", b"b", b"c"):
        await append(log, value)
        clock.advance(DAY_MS)
    clock.advance((KEEP_DAYS - 2) * DAY_MS)
    assert await log.remove_expired() == 1
    assert days(folder) == ["2024-10-05", "2024-10-06"]
    await log.close()
    clock.advance(DAY_MS)
    await open_log()
    assert days(folder) == ["2024-10-06"]


async def test_offsets_go_on_when_everything_has_expired(open_log: Open, folder: Path, clock: ManualClock) -> None:
    log = await open_log()
    await append(log, b"a", b"b", b"c")
    await log.close()
    clock.advance(100 * DAY_MS)
    log = await open_log()
    assert await log.end_offsets() == {0: 3}
    await append(log, b"d")
    assert len(days(folder)) == 1
    assert (await log.start_offsets(), await log.end_offsets()) == ({0: 3}, {0: 4})
    assert (await read(log, 1))[0].slices[0].start == 3


async def test_offsets_stay_behind_what_was_committed_when_the_files_were_deleted_by_hand(
    open_log: Open, folder: Path
) -> None:
    log = await open_log()
    await append(log, b"a", b"b", b"c")
    await log.commit("group", {0: 2})
    await log.commit("another", {0: 1})
    await log.close()
    (folder / "2024-10-04.db").unlink()
    log = await open_log()
    await append(log, b"d")
    assert (await read(log, 1))[0].slices[0].start == 2


async def test_a_reader_in_the_middle_of_a_day_that_expires_goes_on_with_what_is_kept(
    open_log: Open, clock: ManualClock
) -> None:
    log = await open_log(batch_bytes_max=1)
    for value in (b"a", b"b", b"c"):
        await append(log, value)
    batches = log.read("group")
    assert (await anext(batches)).slices[0].lines == b"a"
    clock.advance(10 * DAY_MS)
    await append(log, b"d")
    assert (await anext(batches)).slices[0].lines == b"d"


async def test_a_reader_of_the_same_process_is_woken_and_does_not_wait_for_the_next_poll(
    open_log: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "POLL_S", 10 * PATIENCE_S)
    log = await open_log()
    waiting = asyncio.ensure_future(anext(log.read("group")))
    assert not (await asyncio.wait([waiting], timeout=0.05))[0]
    await append(log, b"a")
    assert (await asyncio.wait_for(waiting, PATIENCE_S)).count == 1


async def test_a_reader_of_another_process_finds_what_is_appended(open_log: Open) -> None:
    writing, reading = await open_log(), await open_log()
    waiting = asyncio.ensure_future(anext(reading.read("group")))
    assert not (await asyncio.wait([waiting], timeout=0.05))[0]
    await append(writing, b"a")
    assert (await asyncio.wait_for(waiting, PATIENCE_S)).count == 1


async def test_a_full_queue_is_overloaded_at_once_and_nothing_of_it_is_written(open_log: Open, folder: Path) -> None:
    log = await open_log(queue_bytes_max=1000)
    with stalled(folder):
        first = asyncio.ensure_future(append(log, b"x" * 600))
        second = asyncio.ensure_future(append(log, b"y" * 400))
        await asyncio.sleep(0)  # lets them begin
        assert log.stats().queue_bytes == 1000
        with pytest.raises(Overloaded) as caught:
            await append(log, b"z")
        assert not isinstance(caught.value, Unavailable)
        assert caught.value.retry_after_s == 1
    await asyncio.wait_for(asyncio.gather(first, second), PATIENCE_S)
    assert log.stats().queue_bytes == 0
    assert await log.end_offsets() == {0: 2}
    await append(log, b"z")


async def test_an_append_larger_than_the_queue_is_written_when_the_queue_is_empty(open_log: Open) -> None:
    log = await open_log(queue_bytes_max=10)
    await append(log, b"x" * 1000)
    assert await log.end_offsets() == {0: 1}


async def test_a_cancelled_append_does_not_break_its_group(open_log: Open, folder: Path) -> None:
    log = await open_log()
    with stalled(folder):
        appends = [asyncio.ensure_future(append(log, value)) for value in (b"a", b"b", b"c")]
        await asyncio.sleep(0)  # lets them begin
        appends[1].cancel()
    await asyncio.wait_for(asyncio.gather(appends[0], appends[2]), PATIENCE_S)
    assert appends[1].cancelled()
    assert await lines(log, 3) == b"a\nb\nc"


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
async def test_a_full_disk_is_unavailable_and_the_log_works_again_when_there_is_space(open_log: Open) -> None:
    log = await open_log()
    await append(log, b"before")
    with full_disk(file_bytes_max=200_000):
        for _ in range(2):
            appends = await asyncio.gather(*(append(log, *noise(10)) for _ in range(5)), return_exceptions=True)
            assert any(isinstance(result, Unavailable) for result in appends)
        with pytest.raises(Unavailable) as caught:
            await append(log, *noise(100))
        assert caught.value.retry_after_s == 1
    assert log.stats().failed_group_commits >= 2
    kept = (await log.end_offsets())[0]
    await append(log, b"after")
    assert await log.end_offsets() == {0: kept + 1}
    everything = (await lines(log, kept + 1)).split(b"\n")
    assert (everything[0], everything[-1]) == (b"before", b"after")
    assert len(everything) == kept + 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
async def test_a_full_disk_as_a_day_begins_loses_no_offset(open_log: Open, folder: Path, clock: ManualClock) -> None:
    log = await open_log()
    await append(log, b"a", b"b")
    clock.advance(DAY_MS)
    with full_disk(file_bytes_max=0), pytest.raises(Unavailable):
        await append(log, b"lost")
    assert days(folder) == ["2024-10-04"]
    await append(log, b"c")
    assert days(folder) == ["2024-10-04", "2024-10-05"]
    assert await lines(log, 3) == b"a\nb\nc"


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
async def test_a_commit_that_the_disk_refuses_is_unavailable_and_forgotten(open_log: Open) -> None:
    log = await open_log()
    await log.commit("group", {0: 1})
    with full_disk(file_bytes_max=0), pytest.raises(Unavailable):
        await log.commit("group", {0: 2})
    assert await log.committed("group") == {0: 1}
    await log.commit("group", {0: 3})
    assert await log.committed("group") == {0: 3}


async def test_a_file_that_is_damaged_is_unavailable(open_log: Open, folder: Path) -> None:
    log = await open_log()
    await append(log, b"a")
    with contextlib.closing(sqlite3.connect(folder / "2024-10-04.db")) as day, day:
        day.execute("UPDATE blobs SET compressed = zeroblob(20)")
    with pytest.raises(Unavailable, match="can't be used"):
        await read(log, 1)


async def test_a_value_that_is_not_one_line_is_refused_alone(open_log: Open) -> None:
    log = await open_log()
    good = asyncio.ensure_future(append(log, b"good"))
    with pytest.raises(ValueError, match="one line"):
        await append(log, b"also good", b"two\nlines")
    await good
    assert await lines(log, 1) == b"good"


async def test_fetch_takes_one_range_a_partition(open_log: Open) -> None:
    log = await open_log()
    await append(log, b"a", b"b")
    for ranges in ([OffsetRange(0, 0, 1), OffsetRange(0, 1, 2)], [OffsetRange(0, 2, 1)], [OffsetRange(0, -1, 1)]):
        with pytest.raises(ValueError, match="one range a partition"):
            await log.fetch(ranges)


async def test_stats_count_what_was_appended(open_log: Open) -> None:
    log = await open_log()
    before = log.stats()
    assert (before.appended_records, before.group_commits, before.queue_bytes) == (0, 0, 0)
    await append(log, b"x" * 5000, b"y" * 4999)
    await append(log, b"z")
    stats = log.stats()
    assert (stats.appended_records, stats.group_commits, stats.failed_group_commits) == (3, 2, 0)
    assert stats.lines_bytes == 10_001
    assert 0 < stats.compressed_bytes < 1000
    assert 0 < stats.last_commit_s < PATIENCE_S


async def test_size_bytes_is_what_the_files_take(open_log: Open, folder: Path) -> None:
    log = await open_log()
    await append(log, *noise(100))
    assert log.size_bytes() == sum((folder / name).stat().st_size for name in names(folder)) > 1_000_000


async def test_close_folds_the_wal_into_the_files_and_can_be_repeated(open_log: Open, folder: Path) -> None:
    log = await open_log()
    await append(log, b"a")
    await read(log, 1)
    await log.close()
    await log.close()
    assert names(folder) == ["2024-10-04.db", "groups.db"]


async def test_a_reader_that_nobody_closed_is_ended_by_the_log(open_log: Open, folder: Path) -> None:
    log = await open_log()
    await append(log, b"a")
    batches = log.read("group")
    await anext(batches)
    await log.close()
    assert names(folder) == ["2024-10-04.db", "groups.db"]
    assert [batch async for batch in batches] == []


async def test_a_log_with_strange_characters_in_its_path_opens(clock: ManualClock) -> None:
    with tempfile.TemporaryDirectory(prefix="50% of #1? ü ") as folder:
        log = await SqliteLog.open(Path(folder), LogSettings(), KEEP_DAYS, clock)
        await append(log, b"a")
        await log.close()
        assert (Path(folder) / "2024-10-04.db").exists()
