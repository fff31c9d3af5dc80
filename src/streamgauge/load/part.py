"""One partition of rows in memory: what was received of it, and which range of it is the batch under way."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from streamgauge.config import LoaderSettings
from streamgauge.log.base import Place
from streamgauge.log.row_base import Given, Note, RowPartition, RowRecord

_ROW_BYTES: Final = 200
"""Of memory, beside the row itself."""


class RowRange(msgspec.Struct, frozen=True):
    """The records that are there in `[start, end)`: offsets have gaps."""

    topic: str
    topic_id: str
    start: int
    end: int
    records: tuple[RowRecord, ...]


class Part:
    """All times are of one clock that only goes forward, in seconds."""

    def __init__(self, which: RowPartition, given: Given) -> None:
        self.which = which
        self._topic, self._topic_id = given.topic, given.topic_id
        self.start = given.start
        """All before it is loaded."""
        self.end = given.end
        """Of the batch `[start, end)`; None where none is decided on."""
        self._records: deque[RowRecord] = deque()
        self._next = given.at
        self._reached = given.at
        self._waiting_since_s = 0.0
        self._decided_at_s = 0.0
        self._committed: Place | None = None
        self.committed_at_s = float("-inf")
        self.bytes = 0

    def add(self, records: list[RowRecord], now_s: float) -> None:
        """In order of offset."""
        if not self._records:
            self._waiting_since_s = now_s
        for record in records:
            if record.offset >= self._next:
                self._records.append(record)
                self._next = record.offset + 1
                self.bytes += len(record.value) + _ROW_BYTES

    def reach(self, end: int) -> None:
        """All before `end` was received, or is no row."""
        self._reached = max(self._reached, end)

    def decide(self, settings: LoaderSettings, now_s: float) -> None:
        """On the next batch, where rows wait for one; where none do, pass over what is no row."""
        if self.end is not None:
            return
        if not self._records:
            self.start = max(self.start, self._reached)
        elif self.is_due(settings, now_s):
            self.end, self._decided_at_s = self._cut(settings.batch_bytes_max), now_s

    def is_due(self, settings: LoaderSettings, now_s: float) -> bool:
        return bool(self._records) and (
            len(self._records) >= settings.batch_rows_min
            or self.bytes >= settings.batch_bytes_max
            or now_s - self._waiting_since_s >= settings.batch_s_max
        )

    def place(self) -> Place:
        """What the group has to know."""
        return Place(self.start, Note(self._topic_id, self.end).written())

    @property
    def is_committed(self) -> bool:
        return self._committed == self.place()

    def committed(self, place: Place, now_s: float) -> None:
        self._committed, self.committed_at_s = place, now_s

    @property
    def is_whole(self) -> bool:
        """The batch is decided on, and all of it is here: at its end there is a row."""
        return self.end is not None and self._next >= self.end

    def batch(self) -> RowRange:
        """Where it is whole."""
        end = self.end if self.end is not None else self.start
        records = tuple(record for record in self._records if record.offset < end)
        return RowRange(self._topic, self._topic_id, self.start, end, records)

    def loaded(self, batch: RowRange) -> None:
        """It is in the store. What is left came since it was decided on, or had no room in it."""
        while self._records and self._records[0].offset < batch.end:
            self.bytes -= len(self._records.popleft().value) + _ROW_BYTES
        self.start, self.end = batch.end, None
        self._waiting_since_s = self._decided_at_s

    def _cut(self, bytes_max: int) -> int:
        """The end of a batch of about so many bytes, one row at least."""
        end, size = self._records[0].offset + 1, 0
        for record in self._records:
            size += len(record.value) + _ROW_BYTES
            if size > bytes_max and end != self._records[0].offset + 1:
                break
            end = record.offset + 1
        return end
