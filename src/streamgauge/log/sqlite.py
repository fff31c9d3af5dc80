"""The embedded log: SQLite in WAL mode, one file per day of receipt. One process appends; several may read.

Who does what: `sqlite_writer` is the thread that writes, `sqlite_reader` reads, `sqlite_day` knows the files of days,
`sqlite_groups` the committed offsets, `sqlite_blob` how records lie in a row. This module makes them one `EventLog`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from streamgauge.config import LogSettings
from streamgauge.core.clock import Clock
from streamgauge.core.errors import NotFound, Unavailable
from streamgauge.log.base import LogBatch, LogStats, OffsetRange, Offsets, Record
from streamgauge.log.sqlite_day import create_day, day_of, list_days, remove_expired_days
from streamgauge.log.sqlite_groups import Groups
from streamgauge.log.sqlite_medium import refusals, sync_folder
from streamgauge.log.sqlite_reader import LogReader
from streamgauge.log.sqlite_writer import GroupCommitWriter

POLL_S = 0.5
"""How soon a reader finds what another process has appended. What this process appends wakes it at once."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class SqliteLog:
    """`EventLog` in a folder. Opened in an event loop, and used in that loop only."""

    @classmethod
    async def open(cls, folder: Path, settings: LogSettings, retention_days: int, clock: Clock) -> SqliteLog:
        """Make the folder where there is none, and remove what has expired.

        Raises ConfigError when the log was made with another number of partitions, Unavailable when the disk refuses.
        """
        log = cls(folder, settings, retention_days, clock)
        try:
            log._groups = await log._desk.run(log._found)
        except BaseException:
            log._desk.release()
            raise
        log._writer = GroupCommitWriter(
            folder,
            partitions=settings.partitions,
            queue_bytes_max=settings.queue_bytes_max,
            retention_days=retention_days,
            clock=clock,
            loop=asyncio.get_running_loop(),
            on_commit=log._wake_readers,
        )
        return log

    def __init__(self, folder: Path, settings: LogSettings, retention_days: int, clock: Clock) -> None:
        """Only for `open`."""
        self._folder = folder
        self._settings = settings
        self._retention_days = retention_days
        self._clock = clock
        self._closed = False
        self._news = asyncio.Event()
        self._desk = _Desk("log-desk", folder)
        self._reading: set[_Desk] = set()
        self._groups: Groups
        self._writer: GroupCommitWriter

    @property
    def partitions(self) -> int:
        return self._settings.partitions

    async def append(self, records: Sequence[Record]) -> None:
        self._check_open()
        if records:
            await self._writer.submit(records)

    def read(self, group: str, start: Offsets | None = None) -> AsyncIterator[LogBatch]:
        self._check_open()
        return self._read(group, start or {})

    async def _read(self, group: str, start: Offsets) -> AsyncIterator[LogBatch]:
        if self._closed:
            return
        positions = {**await self.committed(group), **start}
        desk = _Desk("log-reader", self._folder)
        self._reading.add(desk)
        try:
            while not self._closed:
                news = self._news
                batch = await desk.run(desk.reader.read, positions, self._settings.batch_bytes_max)
                if batch.slices:
                    positions.update(batch.next_offsets)
                    yield batch
                else:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(POLL_S):
                            await news.wait()
        finally:
            self._reading.discard(desk)
            desk.release()

    async def fetch(self, ranges: Sequence[OffsetRange]) -> LogBatch:
        self._check_open()
        if len({wanted.partition for wanted in ranges}) != len(ranges) or any(
            not 0 <= wanted.start <= wanted.end for wanted in ranges
        ):
            raise ValueError(f"fetch takes one range a partition, each with 0 <= start <= end: {ranges!r}")
        if any(wanted.partition not in range(self.partitions) for wanted in ranges):
            raise NotFound(f"the log has the partitions 0 to {self.partitions - 1} only")
        return await self._desk.run(self._desk.reader.fetch, ranges)

    async def commit(self, group: str, offsets: Offsets) -> None:
        self._check_open()
        await self._desk.run(self._groups.commit, group, dict(offsets))

    async def committed(self, group: str) -> dict[int, int]:
        self._check_open()
        return {**dict.fromkeys(range(self.partitions), 0), **await self._desk.run(self._groups.committed, group)}

    async def start_offsets(self) -> dict[int, int]:
        self._check_open()
        return dict(enumerate(await self._desk.run(self._desk.reader.start_offsets)))

    async def end_offsets(self) -> dict[int, int]:
        self._check_open()
        return dict(enumerate(await self._desk.run(self._desk.reader.end_offsets)))

    async def remove_expired(self) -> int:
        """Remove the files of days older than the retention; how many. Also done on opening and as a day begins."""
        self._check_open()
        return await self._desk.run(
            remove_expired_days, self._folder, self._retention_days, day_of(self._clock.now_ms())
        )

    def size_bytes(self) -> int:
        """What the log takes on the disk."""
        size_bytes = 0
        with refusals(self._folder), os.scandir(self._folder) as files:
            for file in files:
                with contextlib.suppress(FileNotFoundError):  # removed just now
                    size_bytes += file.stat().st_size
        return size_bytes

    def stats(self) -> LogStats:
        return self._writer.stats()

    async def close(self) -> None:
        """As the contract says. Closing a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        self._wake_readers()
        desks = (*self._reading, self._desk)
        await self._desk.run(self._groups.close)
        for desk in desks:
            desk.release()
        await asyncio.to_thread(self._join, desks)

    def _join(self, desks: Sequence[_Desk]) -> None:
        """Readers first: the last connection to a file folds the WAL into it, which only the writer's can."""
        for desk in desks:
            desk.join()
        self._writer.stop()
        self._writer.join()

    def _found(self) -> Groups:
        """Make what isn't there yet. In the desk's thread."""
        self._folder.mkdir(parents=True, exist_ok=True)
        sync_folder(self._folder.parent)
        groups = Groups(self._folder)
        try:
            with groups.founding(self.partitions):
                today = day_of(self._clock.now_ms())
                if not list_days(self._folder):
                    # Also where someone deleted them by hand: no offset that a consumer has passed is given again.
                    create_day(self._folder, today, groups.highest(self.partitions))
                remove_expired_days(self._folder, self._retention_days, today)
        except BaseException:
            groups.close()
            raise
        return groups

    def _wake_readers(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the log is closed", hint="the server is shutting down; send again later")


class _Desk:
    """One thread and a `LogReader` that only it uses: what runs here never overlaps, so SQLite needs no lock."""

    def __init__(self, name: str, folder: Path) -> None:
        self._folder = folder
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self.reader = LogReader(folder)

    async def run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Raises Unavailable when the disk refuses."""

        def guarded() -> _T:
            with refusals(self._folder):
                return function(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._executor, guarded)

    def release(self) -> None:
        """Close the files after what runs now, without waiting: also where nothing may be awaited. Can be repeated."""
        with contextlib.suppress(RuntimeError):  # released before
            self._executor.submit(self.reader.close)
        self._executor.shutdown(wait=False)

    def join(self) -> None:
        """Wait until the files are closed. After `release`."""
        self._executor.shutdown(wait=True)
