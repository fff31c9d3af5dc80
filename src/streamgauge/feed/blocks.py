"""Records in blocks, numbered so that every run of an import gives every event the same number.

A request holds events with consecutive numbers, but records that are not events leave gaps. So a file is cut into
blocks by its bytes alone, and an event's number is the number of its block's first record plus its rank among the
events of the block. There are never more events than records in a block: numbers neither repeat nor run into the next
block, and a block of ten thousand bad lines still is sent in one request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from streamgauge.feed.source import Line

BLOCK_RECORDS_MAX: Final = 2_000
BLOCK_BYTES_MAX: Final = 1024 * 1024
"""Of the file, not of what is sent: where blocks end must not depend on what is made of the lines."""


class Block(NamedTuple):
    """`start` is the number of the first record, counted from 0."""

    start: int
    records: list[Line]

    @property
    def end(self) -> int:
        return self.start + len(self.records)


def blocks(records: Iterable[Line]) -> Iterator[Block]:
    start, size_bytes = 0, 0
    pending: list[Line] = []
    for record in records:
        pending.append(record)
        size_bytes += len(record.data)
        if len(pending) >= BLOCK_RECORDS_MAX or size_bytes >= BLOCK_BYTES_MAX:
            yield Block(start, pending)
            start, size_bytes, pending = start + len(pending), 0, []
    if pending:
        yield Block(start, pending)
