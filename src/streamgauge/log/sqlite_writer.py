"""The one thread that writes the embedded log: group commit."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import zstandard

from streamgauge.core.clock import Clock
from streamgauge.core.errors import Overloaded
from streamgauge.log.base import LogStats, Record
from streamgauge.log.sqlite_blob import Blob, Part, pack, split
from streamgauge.log.sqlite_day import DayWriter, create_day, day_of, newest_day, remove_expired_days
from streamgauge.log.sqlite_medium import refusals

COMPRESSION_LEVEL = 1
"""Of zstd. Level 3 takes twice the time for a few percent."""


class _Append(msgspec.Struct, frozen=True):
    """One call that waits for the disk."""

    done: asyncio.Future[None]
    parts: list[Part]
    lines_bytes: int


class GroupCommitWriter:
    """Appends of one event loop, written by a thread of its own; one transaction for all that wait at a time."""

    def __init__(
        self,
        folder: Path,
        *,
        partitions: int,
        queue_bytes_max: int,
        retention_days: int,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        on_commit: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._partitions = partitions
        self._queue_bytes_max = queue_bytes_max
        self._retention_days = retention_days
        self._clock = clock
        self._loop = loop
        self._on_commit = on_commit
        self._compress = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True).compress
        self._day: DayWriter | None = None
        self._changed = threading.Condition()
        self._queue: list[_Append] = []
        self._queue_bytes = 0
        self._closing = False
        self._stats = LogStats()
        # A daemon: a program that ends without closing the log must not hang; what it lost it was never promised.
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def submit(self, records: Sequence[Record]) -> asyncio.Future[None]:
        """Queue records; the future is done once they are durable. Called in the event loop.

        Raises Overloaded when they don't fit in the queue. An empty queue takes any one append: to refuse it for its
        size alone would be to refuse it for ever.
        """
        parts = split(records, self._partitions)
        lines_bytes = sum([len(part.lines) for part in parts])
        append = _Append(self._loop.create_future(), parts, lines_bytes)
        with self._changed:
            if self._queue_bytes and self._queue_bytes + lines_bytes > self._queue_bytes_max:
                raise Overloaded(
                    f"{self._queue_bytes} bytes of events wait for the disk already",
                    hint="send again later; if it lasts, the disk is too slow for the load",
                )
            self._queue_bytes += lines_bytes
            self._queue.append(append)
            self._changed.notify()
        return append.done

    def stats(self) -> LogStats:
        with self._changed:
            return msgspec.structs.replace(self._stats, queue_bytes=self._queue_bytes)

    def stop(self) -> None:
        """Let the thread end once it has written what is queued. `join` waits for it."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        """Group commit, in this order:

        1. Take every append that is queued. They stay in `queue_bytes` until step 6: what is being written is in
           memory too.
        2. Open the newest file, or make the file of today when a new day has begun. Its base offsets are where the
           file before it ends.
        3. Join and compress the lines of each partition, with offsets from the end of the log on.
        4. Insert and COMMIT in one transaction; COMMIT returns after the fsync. From here on the records are durable.
        5. Only now the end of the log moves, in memory.
        6. Take the group's bytes off the queue, then tell the event loop, in one call: readers are woken, appends
           return.

        When 2, 3 or 4 fails, the transaction is rolled back and the file closed: the next group opens it again and
        reads from the file itself where it ends. No offset is lost or given twice, whatever the disk did.
        """
        while group := self._take():
            began_s = time.perf_counter()
            blobs: list[Blob] = []
            error: Exception | None = None
            try:
                with refusals(self._folder):
                    day = self._writable_day()
                    blobs = pack((part for append in group for part in append.parts), day.ends, self._compress)
                    day.append(blobs)
            except Exception as failure:  # the thread must outlive a full disk, and a bug: who waits is told of both
                self._close_day()
                error = failure
            self._count(group, blobs, error, time.perf_counter() - began_s)
            with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._tell, group, error)
        self._close_day()

    def _take(self) -> list[_Append]:
        """Everything queued; waits for something. Empty when the log is being closed and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            group, self._queue = self._queue, []
            return group

    def _writable_day(self) -> DayWriter:
        if self._day is None:
            self._day = DayWriter(self._folder, newest_day(self._folder))
        today = day_of(self._clock.now_ms())
        if today > self._day.day:
            create_day(self._folder, today, self._day.ends)
            self._close_day()
            self._day = DayWriter(self._folder, today)
            with contextlib.suppress(OSError):  # what can't be removed now is removed tomorrow or at the next start
                remove_expired_days(self._folder, self._retention_days, today)
        return self._day

    def _close_day(self) -> None:
        if self._day is not None:
            self._day.close()
            self._day = None

    def _count(self, group: list[_Append], blobs: list[Blob], error: Exception | None, took_s: float) -> None:
        with self._changed:
            self._queue_bytes -= sum([append.lines_bytes for append in group])
            old = self._stats
            if error is not None:
                self._stats = msgspec.structs.replace(
                    old,
                    failed_group_commits=old.failed_group_commits + 1,
                    problem=str(error),
                    problem_at_s=time.monotonic(),
                )
                return
            self._stats = LogStats(
                appended_records=old.appended_records + sum([blob.count for blob in blobs]),
                lines_bytes=old.lines_bytes + sum([blob.lines_bytes for blob in blobs]),
                compressed_bytes=old.compressed_bytes + sum([len(blob.compressed) for blob in blobs]),
                group_commits=old.group_commits + 1,
                failed_group_commits=old.failed_group_commits,
                last_commit_s=took_s,
            )

    def _tell(self, group: list[_Append], error: Exception | None) -> None:
        """Runs in the event loop."""
        if error is None:
            self._on_commit()
        for append in group:
            if append.done.done():  # cancelled: its records are in the log all the same
                continue
            if error is None:
                append.done.set_result(None)
            else:
                append.done.set_exception(error)
