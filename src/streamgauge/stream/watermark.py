"""How far the answers are complete: event time, per partition, backwards only where the clock was set back."""

from __future__ import annotations

from collections.abc import Collection, Mapping


class Watermarks:
    """The watermark of each partition is its greatest event time less a delay; the whole is the least of them.

    A partition that had nothing to read for `idle_ms` doesn't hold the whole back. Where all are idle, everything
    that was accepted has been counted, and the watermark follows the clock, less the delay.
    Event times ahead of the clock count as now: one client's wrong clock must not declare the present complete. Nor
    must our own, once it was set back: what was said of the time to come is not said again.
    """

    def __init__(self, delay_ms: int, idle_ms: int, resume_at_ms: int = 0) -> None:
        self._delay_ms = delay_ms
        self._idle_ms = idle_ms
        self._greatest_ms: dict[int, int] = {}
        self._read_at_ms: dict[int, int] = {}
        self._watermark_ms = resume_at_ms

    def observe(self, greatest_ms: Mapping[int, int], now_ms: int) -> None:
        """Take in the greatest event time that was read of each partition."""
        for partition, event_ms in greatest_ms.items():
            self._greatest_ms[partition] = max(self._greatest_ms.get(partition, 0), min(event_ms, now_ms))
            self._read_at_ms[partition] = now_ms

    def observed(self) -> tuple[int, int]:
        """The greatest event time of all partitions, and when something was read last; 0 before that."""
        return max(self._greatest_ms.values(), default=0), max(self._read_at_ms.values(), default=0)

    def current_ms(self, now_ms: int, lagging: Collection[int]) -> int:
        """The watermark now. `lagging` are the partitions of which something is accepted and not yet counted: they
        are not idle, however long nothing was read of them."""
        active = {
            partition for partition, read_at_ms in self._read_at_ms.items() if now_ms - read_at_ms < self._idle_ms
        }.union(lagging)
        least_ms = min((self._greatest_ms.get(partition, 0) for partition in active), default=now_ms)
        watermark_ms = max(self._watermark_ms, min(least_ms, now_ms) - self._delay_ms)
        self._watermark_ms = max(0, min(watermark_ms, now_ms - self._delay_ms))
        return self._watermark_ms
