"""Reading the embedded log's files: batches that are fair over partitions, exact ranges, first and last offsets."""

from __future__ import annotations

import contextlib
import heapq
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import zstandard

from streamgauge.core.errors import NotFound
from streamgauge.log.base import LogBatch, LogSlice, OffsetRange, Offsets
from streamgauge.log.sqlite_blob import Blob, trim
from streamgauge.log.sqlite_day import DayReader, day_path, list_days, newest_day


class LogReader:
    """Opened and used by one thread. Keeps open only the files that the last call needed.

    Another process may write meanwhile, and retention may remove files: a file that is gone is passed over.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[date, DayReader] = {}
        self._needed: set[date] = set()
        self._bases: dict[date, list[int]] = {}
        self._turn = 0
        self._decompress = zstandard.ZstdDecompressor().decompress

    def read(self, positions: Offsets, batch_bytes_max: int) -> LogBatch:
        """What follows `positions`: about `batch_bytes_max` of lines, but one blob at least; empty at the end."""
        self._turn += 1
        with self._days() as days:
            blobs = {partition: self._blobs(days, partition, start) for partition, start in positions.items()}
            try:
                taken = take_fairly(blobs, batch_bytes_max, first=self._turn)
            finally:
                for source in blobs.values():
                    source.close()
        return LogBatch(
            tuple(
                self._slice(OffsetRange(partition, max(positions[partition], some[0].start), some[-1].end), some)
                for partition, some in sorted(taken.items())
            )
        )

    def fetch(self, ranges: Sequence[OffsetRange]) -> LogBatch:
        """Exactly these records. Raises NotFound when some have been removed or are not there yet."""
        with self._days() as days:
            return LogBatch(tuple(self._fetch(days, wanted) for wanted in sorted(ranges) if wanted.start != wanted.end))

    def start_offsets(self) -> list[int]:
        with self._days() as days:
            for day in days:
                oldest = self._day(day)
                if oldest is not None:
                    return oldest.bases
        raise FileNotFoundError(f"the files of the log are gone from {self._folder}")

    def end_offsets(self) -> list[int]:
        with self._days():
            newest = self._day(newest_day(self._folder))
            if newest is None:
                raise FileNotFoundError(f"the files of the log are gone from {self._folder}")
            return newest.ends()

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def _fetch(self, days: list[date], wanted: OffsetRange) -> LogSlice:
        taken: list[Blob] = []
        with contextlib.closing(self._blobs(days, wanted.partition, wanted.start)) as blobs:
            for blob in blobs:
                taken.append(blob)
                if blob.end >= wanted.end:
                    break
        if not taken or taken[0].start > wanted.start or taken[-1].end < wanted.end:
            raise NotFound(
                f"the records [{wanted.start}, {wanted.end}) of partition {wanted.partition} are not all in the log",
                hint="retention has removed them, or they have not been appended yet",
            )
        return self._slice(wanted, taken)

    def _slice(self, wanted: OffsetRange, blobs: list[Blob]) -> LogSlice:
        pieces = [self._decompress(blob.compressed) for blob in blobs]
        first, last = blobs[0], blobs[-1]
        if last.end > wanted.end:  # the end first: when first and last are one blob, its offsets count from its start
            pieces[-1] = trim(pieces[-1], 0, wanted.end - last.start)
        if first.start < wanted.start:
            pieces[0] = trim(pieces[0], wanted.start - first.start, first.end - wanted.start)
        return LogSlice(wanted.partition, wanted.start, wanted.end - wanted.start, b"\n".join(pieces))

    def _blobs(self, days: list[date], partition: int, start: int) -> Generator[Blob]:
        """Blobs of consecutive records over the files of `days`: from the one that holds `start`, or the next kept."""
        expected = None
        for day in days[self._first_day(days, partition, start) :]:
            reader = self._day(day)
            if reader is None:
                continue
            for blob in reader.blobs(partition, start):
                if expected not in (None, blob.start):
                    return  # a file in between was removed just now: what follows is for the next batch
                expected = blob.end
                yield blob

    def _first_day(self, days: list[date], partition: int, start: int) -> int:
        """The index of the day to begin with. From the newest on back, because readers are mostly there."""
        for index in reversed(range(len(days))):
            day = days[index]
            if day not in self._bases:
                reader = self._day(day)
                if reader is None:
                    continue
                self._bases[day] = reader.bases
            if self._bases[day][partition] <= start:
                return index
        return 0

    def _day(self, day: date) -> DayReader | None:
        """The file of a day; None when retention has removed it."""
        self._needed.add(day)
        if day not in self._open:
            try:
                self._open[day] = DayReader(self._folder, day)
            except sqlite3.OperationalError:
                if day_path(self._folder, day).exists():
                    raise
                return None
        return self._open[day]

    @contextlib.contextmanager
    def _days(self) -> Iterator[list[date]]:
        """The days there are, listed before any is read: so each but the last is complete when it is read."""
        self._needed.clear()
        days = list_days(self._folder)
        try:
            yield days
        except sqlite3.Error:
            self.close()  # what the connections hold may be stale after an I/O error
            raise
        for day in [day for day in self._open if day not in self._needed or day not in days]:
            self._open.pop(day).close()


def take_fairly(sources: Mapping[int, Iterator[Blob]], bytes_max: int, first: int) -> dict[int, list[Blob]]:
    """Blobs of about `bytes_max` of lines in all, but one at least; no partition gets more than another wants in vain.

    The next blob is always of the partition that has got the least. `first` shifts whose turn it is among equals, so
    that blobs larger than `bytes_max` don't starve the other partitions either.
    """
    taken: dict[int, list[Blob]] = {}
    taken_bytes = 0
    queue = [(0, (partition - first) % len(sources), partition) for partition in sources]
    heapq.heapify(queue)
    while queue:
        got_bytes, rank, partition = queue[0]
        blob = next(sources[partition], None)
        if blob is None:
            heapq.heappop(queue)
            continue
        if taken and taken_bytes + blob.lines_bytes > bytes_max:
            break
        taken.setdefault(partition, []).append(blob)
        taken_bytes += blob.lines_bytes
        heapq.heapreplace(queue, (got_bytes + blob.lines_bytes, rank, partition))
    return taken
