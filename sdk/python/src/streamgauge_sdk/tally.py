"""What became of events, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Problem:
    """Of `count` events that are not in Streamgauge. `code` is one of the server's (`missing_event` …), or
    `queue_full`, `too_large`, `not_encodable`, `closed`. `event_id`: where it is one event, and known."""

    code: str
    message: str
    count: int = 1
    event_id: str | None = None


@dataclass(frozen=True)
class Stats:
    """Since the client was made, in this process. Every event that was given is in exactly one of these."""

    accepted: int
    """On the server's disk."""
    rejected: int
    """By the server, each for its own reason."""
    dropped: Mapping[str, int]
    """Here, by reason."""
    queued: int
    """Waiting, or under way."""
    retries: int = 0
    """Requests that were sent again; of them no event is lost or counted twice."""


@dataclass
class Tally:
    """The counters themselves; whoever changes them holds the client's lock."""

    accepted: int = 0
    rejected: int = 0
    retries: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    unreported: dict[str, int] = field(default_factory=dict)
    """Dropped, and not told to the server yet."""

    def drop(self, code: str, count: int) -> None:
        self.dropped[code] = self.dropped.get(code, 0) + count
        self.unreported[code] = self.unreported.get(code, 0) + count

    def stats(self, queued: int) -> Stats:
        return Stats(self.accepted, self.rejected, dict(self.dropped), queued, self.retries)
