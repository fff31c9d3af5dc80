"""The seam of the log. Every adapter passes `tests/contract/test_event_log.py` unchanged."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

import msgspec

Offsets = Mapping[int, int]
"""Partition → the offset of the next record to read (one past the last one that was handled)."""


class Place(msgspec.Struct, frozen=True):
    """How far a group is in a partition, with what it noted down there."""

    offset: int
    note: str


class OffsetRange(msgspec.Struct, frozen=True, order=True):
    """Records `[start, end)` of one partition."""

    partition: int
    start: int
    end: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """What is appended. `key` chooses the partition; `value` is one line: no line feed in it, not empty."""

    key: bytes
    value: bytes


class LogSlice(msgspec.Struct, frozen=True):
    """Consecutive records of one partition. `lines` joins their values with a line feed, in order of offset."""

    partition: int
    start: int
    count: int
    lines: bytes

    @property
    def end(self) -> int:
        return self.start + self.count


class LogBatch(msgspec.Struct, frozen=True):
    """A read: at most one slice a partition, in order of partition. Empty when there was nothing to read."""

    slices: tuple[LogSlice, ...]

    @property
    def count(self) -> int:
        return sum(part.count for part in self.slices)

    @property
    def ranges(self) -> tuple[OffsetRange, ...]:
        return tuple(OffsetRange(part.partition, part.start, part.end) for part in self.slices)

    @property
    def next_offsets(self) -> dict[int, int]:
        return {part.partition: part.end for part in self.slices}


class LogStats(msgspec.Struct, frozen=True):
    """What an open log has done, for self-metrics. `lines_bytes` is before compression; `group_commits` counts what was
    written together, or acknowledged together where the medium groups by itself."""

    appended_records: int = 0
    lines_bytes: int = 0
    compressed_bytes: int = 0
    group_commits: int = 0
    failed_group_commits: int = 0
    problem: str = ""
    """Why the last group commit failed; empty after one that did not."""
    problem_at_s: float = 0.0
    """When, by `time.monotonic`."""
    last_commit_s: float = 0.0
    queue_bytes: int = 0


def check_value(value: bytes) -> None:
    """Raises ValueError where it isn't one line: readers join values with line feeds."""
    if not value or b"\n" in value:
        raise ValueError("a record's value must be one line: not empty, no line feed in it")


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: CRC-32 modulo the number of partitions, as librdkafka's `consistent` partitioner does,
    so that a user stays in the same partition whichever log is used."""
    return zlib.crc32(key) % partitions


class EventLog(Protocol):
    """Durable, partitioned, ordered per partition. Offsets are dense per partition and start at 0.

    All methods may raise `Unavailable` when the medium can't be read or written (disk full, broker down).
    """

    @property
    def partitions(self) -> int:
        """How many partitions there are: numbered `0 … partitions - 1`, fixed for the life of the log."""
        ...

    async def append(self, records: Sequence[Record]) -> None:
        """Return once all records are durable (fsync, acks=all). All or nothing on one machine's log.

        Records of one call with the same key keep their order. Raises `Overloaded` when the queue of records that
        wait to be written is full, `Unavailable` when the medium refuses; in both cases the caller may try again,
        and after `Unavailable` the records may nevertheless be in the log (at-least-once: retries need an event id).
        """
        ...

    def read(self, group: str, start: Offsets | None = None) -> AsyncIterator[LogBatch]:
        """Batches of new records, for ever; waits where there is none. Resumes at the committed offset of `group`,
        or at `start` where a partition is given there. Records that retention has removed are skipped. A batch has
        at least one record and at most about `batch_bytes_max` (a setting) of lines. Ends when the log is closed.
        """
        ...

    async def fetch(self, ranges: Sequence[OffsetRange]) -> LogBatch:
        """Exactly these records: the same bytes at every call. Raises `NotFound` when some are not there."""
        ...

    async def commit(self, group: str, offsets: Offsets) -> None:
        """Remember durably where `group` goes on. Partitions that are not named keep their offset."""
        ...

    async def committed(self, group: str) -> dict[int, int]:
        """The committed offset of each partition; 0 where nothing was committed."""
        ...

    async def start_offsets(self) -> dict[int, int]:
        """The first offset that is still kept, of each partition; equal to the end where none is."""
        ...

    async def end_offsets(self) -> dict[int, int]:
        """One past the last durable record of each partition."""
        ...

    async def remove_expired(self) -> int:
        """Where the log doesn't forget by itself what is older than the retention: do it now. How many files."""
        ...

    def size_bytes(self) -> int | None:
        """What the log takes on this machine's disk; None where it isn't there."""
        ...

    def stats(self) -> LogStats: ...

    async def close(self) -> None:
        """Write what was queued, stop readers, release files. Later calls raise `Unavailable`."""
        ...
