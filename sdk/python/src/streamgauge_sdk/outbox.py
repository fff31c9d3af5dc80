"""Events that wait, oldest first, bounded by their bytes. Knows no threads: its owner locks."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple


class Waiting(NamedTuple):
    line: bytes
    since_s: float
    is_report: bool = False
    """Of drops: made here, not by the program."""


class Outbox:
    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._waiting: deque[Waiting] = deque()
        self.bytes = 0
        self.added = 0
        """Events since the beginning; the same number of which `settled` are gone."""
        self.settled = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, one: Waiting) -> bool:
        """Whether there is room for it. There always is for a report, which is small, and of which there are few."""
        if not one.is_report and self.bytes + len(one.line) > self._bytes_max:
            return False
        self._waiting.append(one)
        self.bytes += len(one.line)
        self.added += 1
        return True

    def since_s(self) -> float | None:
        """Since when the oldest one waits; None where none does."""
        return self._waiting[0].since_s if self._waiting else None

    def first(self, count_max: int, bytes_max: int) -> Sequence[Waiting]:
        """The oldest ones, at least one where one waits. They stay until they are settled."""
        found: list[Waiting] = []
        size = 0
        for one in self._waiting:
            size += len(one.line) + 1
            if len(found) == count_max or (found and size > bytes_max):
                break
            found.append(one)
        return found

    def settle(self, count: int) -> None:
        """The oldest ones are done with."""
        for _ in range(count):
            self.bytes -= len(self._waiting.popleft().line)
        self.settled += count
