"""Up to when a rule may be believed. Pure.

A rule is evaluated at a multiple of the interval that the watermark has passed, so never over a half-filled window.
Which watermark depends on what it reads: that of the events, that of sessions (which ends at the start of the oldest
open one), or, of the program's own self-metrics, the clock.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from streamgauge.model import SESSION_METRICS, Freshness

Watermark = Literal["events", "sessions", "clock"]

SELF_METRICS: Final = "streamgauge_"


class Hold(msgspec.Struct, frozen=True):
    """Rules are held: neither fired nor resolved."""

    since_ms: int
    reason: str


def watermark_of(metrics: AbstractSet[str]) -> Watermark:
    """The slowest one of what a rule reads. What doesn't say a name ("") may be any."""
    if "" in metrics or any(name in SESSION_METRICS for name in metrics):
        return "sessions"
    if metrics and all(name.startswith(SELF_METRICS) for name in metrics):
        return "clock"
    return "events"


def target_ms(watermark: Watermark, fresh: Freshness | None, now_ms: int, interval_ms: int) -> int:
    """The newest time that rules may be evaluated at; without freshness nothing but the clock is known."""
    complete_ms = now_ms
    if watermark != "clock":
        complete_ms = -1 if fresh is None else fresh.complete_up_to_ms
    if watermark == "sessions" and fresh is not None:
        complete_ms = min(complete_ms, fresh.sessions_complete_up_to_ms)
    return min(now_ms, complete_ms) // interval_ms * interval_ms


def hold(
    last_ms: int, fresh: Freshness | None, now_ms: int, *, interval_ms: int, patience_ms: int, trouble: str = ""
) -> Hold | None:
    """Of rules that read events and were last evaluated at `last_ms`: whether the next evaluation is overdue."""
    due_ms = last_ms + interval_ms
    if now_ms - due_ms <= patience_ms:
        return None
    if fresh is not None and fresh.complete_up_to_ms >= due_ms:
        return Hold(due_ms, "no process evaluates rules: start streamgauge alert, or look at why it fails")
    return Hold(due_ms, trouble or _reason(fresh))


def _reason(fresh: Freshness | None) -> str:
    if fresh is None:
        return "it is not known how far the data is complete"
    moment = datetime.fromtimestamp(max(0, fresh.complete_up_to_ms) / 1000, UTC)
    text = f"data is complete only up to {moment:%Y-%m-%dT%H:%M:%SZ}"
    if fresh.lag_events:
        text += f": {fresh.lag_events:,} events wait, the oldest for {fresh.lag_ms / 1000:.0f} s"
    return text
