"""Records as the embedded log's files hold them: values joined with line feeds, compressed. Pure: no files, no time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from streamgauge.log.base import Record, partition_of

BLOB_BYTES_MAX = 1024 * 1024
"""Of uncompressed lines in one blob, unless one record is larger: what a reader has to decompress to trim."""


class Part(msgspec.Struct, frozen=True, gc=False):
    """Values of one partition, in order, joined with a line feed, before they have offsets."""

    partition: int
    count: int
    lines: bytes


class Blob(msgspec.Struct, frozen=True, gc=False):
    """Records `[start, end)` of one partition, compressed. `lines_bytes` is their size before that."""

    partition: int
    start: int
    count: int
    lines_bytes: int
    compressed: bytes

    @property
    def end(self) -> int:
        return self.start + self.count


def split(records: Sequence[Record], partitions: int) -> list[Part]:
    """The parts of one append, at most about `BLOB_BYTES_MAX` each; order is kept within a partition.

    Raises ValueError where a value is empty or has a line feed in it: offsets would no longer count lines.
    """
    values: list[list[bytes]] = [[] for _ in range(partitions)]
    for record in records:
        values[partition_of(record.key, partitions)].append(record.value)
    return [part for partition, some in enumerate(values) if some for part in _join(partition, some)]


def _join(partition: int, values: list[bytes]) -> Iterator[Part]:
    lines = b"\n".join(values)
    if lines.count(b"\n") != len(values) - 1 or not all(values):
        raise ValueError("a record's value must be one line: not empty, no line feed in it")
    if len(lines) <= BLOB_BYTES_MAX or len(values) == 1:
        yield Part(partition, len(values), lines)
        return
    middle = len(values) // 2
    yield from _join(partition, values[:middle])
    yield from _join(partition, values[middle:])


def pack(parts: Iterable[Part], ends: Sequence[int], compress: Callable[[bytes], bytes]) -> list[Blob]:
    """Join the parts of a group to as few blobs as `BLOB_BYTES_MAX` allows and give them offsets from `ends` on."""
    waiting: list[list[Part]] = [[] for _ in ends]
    for part in parts:
        waiting[part.partition].append(part)
    blobs = []
    for partition, some in enumerate(waiting):
        start = ends[partition]
        for run in _runs(some):
            lines = b"\n".join([part.lines for part in run])
            count = sum([part.count for part in run])
            blobs.append(Blob(partition, start, count, len(lines), compress(lines)))
            start += count
    return blobs


def _runs(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Consecutive parts that fit in one blob."""
    run: list[Part] = []
    run_bytes = 0
    for part in parts:
        if run and run_bytes + len(part.lines) > BLOB_BYTES_MAX:
            yield run
            run, run_bytes = [], 0
        run.append(part)
        run_bytes += len(part.lines)
    if run:
        yield run


def trim(lines: bytes, skip: int, keep: int) -> bytes:
    """The lines `[skip, skip + keep)`, as many of them as there are."""
    return b"\n".join(lines.split(b"\n", skip + keep)[skip : skip + keep])
