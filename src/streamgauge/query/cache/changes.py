"""What was written to the store since when: by it an answer is known to be what the store would say now."""

from __future__ import annotations

import threading
from typing import Final

SPANS_MAX: Final = 256
"""Remembered of one metric. Older answers count as changed."""

_Span = tuple[int, int]


class Changes:
    """Writes are numbered: noted right after they became visible, each with the metric and the event times
    `[from_ms, to_ms)` that it touched. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        # The newest last; equal spans are one, since who didn't see the newest of them is told no more by the others.
        self._spans: dict[str, dict[_Span, int]] = {}
        self._forgotten: dict[str, int] = {}

    @property
    def number(self) -> int:
        """Of the newest write. A question that begins now sees all writes up to it."""
        return self._number

    def note(self, metric: str, from_ms: int, to_ms: int) -> None:
        with self._lock:
            self._number += 1
            spans = self._spans.setdefault(metric, {})
            spans.pop((from_ms, to_ms), None)
            spans[from_ms, to_ms] = self._number
            if len(spans) > SPANS_MAX:
                self._forgotten[metric] = spans.pop(next(iter(spans)))

    def touched(self, metric: str | None, from_ms: int, to_ms: int, since: int) -> bool:
        """Whether any write after number `since` may have changed what an answer about this metric (None: any of them)
        and range says."""
        if self._number == since:
            return False
        with self._lock:
            metrics = list(self._spans) if metric is None else [metric]
            return any(self._is_touched(one, from_ms, to_ms, since) for one in metrics)

    def _is_touched(self, metric: str, from_ms: int, to_ms: int, since: int) -> bool:
        if self._forgotten.get(metric, 0) > since:
            return True
        for (start_ms, end_ms), number in reversed(self._spans.get(metric, {}).items()):
            if number <= since:
                return False
            if start_ms < to_ms and from_ms < end_ms:
                return True
        return False
