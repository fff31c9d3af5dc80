"""What rules find, and the seam to whoever tells people of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec


class Alert(msgspec.Struct, frozen=True):
    """One series of one rule that fires, or fired and no longer does."""

    labels: Mapping[str, str]
    """With `alertname`."""
    annotations: Mapping[str, str]
    """Templates expanded."""
    value: float
    starts_at_ms: int
    """When it began to fire."""
    ends_at_ms: int | None
    """When it was resolved; None: it fires."""
    source_url: str
    """The dashboard at that range, or ""."""
    points: tuple[tuple[int, float], ...] = ()
    """Of the metric that the rule reads, lately (time in ms, value), for a sparkline; may be empty."""

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.labels)


class Notifier(Protocol):
    async def notify(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Told after every evaluation of all alerts that fire, and for 15 minutes of those that were resolved. Repeats
        are harmless. Returns once it is durable."""
        ...


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """The same for the same labels in any order, of different ones different: 16 hexadecimal digits."""
    parts = (f"{len(text)}:{text}" for pair in sorted(labels.items()) for text in pair)
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]
