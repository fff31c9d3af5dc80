"""Up to when all that Flink has counted is loaded, whichever loader loaded it.

Flink says about once a second up to when it has counted: N, in the transactions of the rows that belong to it, or one
transaction earlier. So N is complete when all rows are loaded that were in the topics when the *next* word was read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec

from streamgauge.log.base import Place
from streamgauge.log.row_base import Given, Note, RowPartition, RowRecord

_WAITING_MAX: Final = 256


class _Word(msgspec.Struct, frozen=True):
    complete_up_to_ms: int


class _Waiting(msgspec.Struct, frozen=True):
    """`complete_up_to_ms` is true when each partition is loaded up to `ends`. `next_offset`: of the word after it."""

    complete_up_to_ms: int
    next_offset: int
    ends: Mapping[RowPartition, int]


class Completeness:
    """Kept by the loader that has the partition of `progress`."""

    def __init__(self, given: Given) -> None:
        self._topic_id = given.topic_id
        self._offset, self._complete_up_to_ms = given.at, given.complete_up_to_ms
        self._last: tuple[int, int] | None = None
        self._said: tuple[int, int] | None = None
        self._waiting: deque[_Waiting] = deque()
        self._committed: Place | None = None

    def read(self, records: list[RowRecord]) -> int:
        """Words of Flink, in order; how many of them are none."""
        bad = 0
        for record in records:
            try:
                word = max(0, msgspec.json.decode(record.value, type=_Word).complete_up_to_ms)
            except (msgspec.DecodeError, UnicodeError):
                bad += 1
                continue
            if self._last is not None:
                self._said = (self._last[0], record.offset)
            self._last = (word, record.offset)
        return bad

    def wait_for(self, ends: Mapping[RowPartition, int]) -> None:
        """Where the topics of rows end now: after the words that were read."""
        if self._said is None:
            return
        self._waiting.append(_Waiting(*self._said, ends))
        self._said = None
        if len(self._waiting) > _WAITING_MAX:  # loading is behind: fewer steps on the way are enough
            self._waiting = deque(list(self._waiting)[::2])

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

    def note_loaded(self, loaded: Mapping[RowPartition, int]) -> None:
        """Up to where each partition is loaded."""
        while self._waiting and all(loaded.get(one, 0) >= end for one, end in self._waiting[0].ends.items()):
            reached = self._waiting.popleft()
            self._complete_up_to_ms = max(self._complete_up_to_ms, reached.complete_up_to_ms)
            self._offset = max(self._offset, reached.next_offset)

    def place(self) -> Place:
        return Place(self._offset, Note(self._topic_id, None, self._complete_up_to_ms).written())

    @property
    def is_committed(self) -> bool:
        return self._committed == self.place()

    def committed(self, place: Place) -> None:
        self._committed = place
