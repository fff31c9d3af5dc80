"""What the tests of the stream are made from: envelopes, log batches, and the plainest reading of what they mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from streamgauge.log.base import LogBatch, LogSlice
from streamgauge.model import UNKNOWN, Envelope, Rejection, Rollup
from streamgauge.stream.batch import Batch, decode
from streamgauge.stream.spec import PipelineSpec

NOON_MS: Final = 1_767_268_800_000
"""2026-01-01T12:00:00Z."""

Key = tuple[str, int, tuple[tuple[str, str], ...]]
"""(metric, start of the window in ms, dimensions in the order of the rollup)."""


def event(name: str = "page_view", at_ms: int = NOON_MS, **fields: Any) -> Envelope:
    """An envelope; fields that an envelope doesn't have are properties. Its id is one that the server made."""
    own = {key: fields.pop(key) for key in list(fields) if key in Envelope.__struct_fields__ and key != "properties"}
    own = {"event_id": "sg-test", "timestamp": at_ms, "received_at": at_ms, **own}
    return Envelope(event=name, properties=fields, **own)


def rejected(original: str, code: str = "malformed", **fields: Any) -> Envelope:
    return event("", rejection=Rejection(code, f"it is {code}"), original=original, **fields)


def log_batch(partitions: Mapping[int, Iterable[Envelope]], starts: Mapping[int, int] | None = None) -> LogBatch:
    """One slice a partition, from `starts` (default 0)."""
    lines = {partition: [one.to_line() for one in found] for partition, found in partitions.items()}
    return LogBatch(
        tuple(
            LogSlice(partition, (starts or {}).get(partition, 0), len(found), b"\n".join(found))
            for partition, found in sorted(lines.items())
            if found
        )
    )


def decoded(*envelopes: Envelope, fields: Iterable[str] = ()) -> Batch:
    """A batch of one partition."""
    return decode(log_batch({0: envelopes}), set(fields))


SPEC: Final = PipelineSpec((), watermark_delay_ms=10_000, idle_partition_ms=5_000, dimension_chars_max=512)


def text_of(value: Any) -> str | None:
    """A scalar as a dimension shows it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return f"{Decimal(repr(value)).normalize():f}" if isinstance(value, float) else str(value)


def naive_panes(envelopes: Iterable[Envelope], rollups: Sequence[Rollup], chars_max: int = 512) -> dict[Key, float]:
    """The panes of good events that were counted once, one event at a time."""
    measured: dict[Key, list[float]] = {}
    kinds = {rollup.name: rollup.measured.kind for rollup in rollups}
    for one in envelopes:
        for rollup in rollups:
            found = _measured(one, rollup)
            if found is not None:
                key = (rollup.name, window_start_ms(one.timestamp, rollup), _dimensions(one, rollup, chars_max))
                measured.setdefault(key, []).append(found)
    combine = {"count": sum, "sum": sum, "min": min, "max": max}
    return {key: float(combine[kinds[key[0]]](values)) for key, values in measured.items()}


def window_start_ms(time_ms: int, rollup: Rollup) -> int:
    return time_ms // rollup.window_ms * rollup.window_ms


def field_of(one: Envelope, name: str) -> str | None:
    if name in ("event", "user_id", "anonymous_id", "event_id"):
        return text_of(getattr(one, name))
    return text_of(one.properties.get(name))


def _measured(one: Envelope, rollup: Rollup) -> float | None:
    """What the event adds to the rollup; None where it isn't counted."""
    if rollup.event not in (None, one.event):
        return None
    for name, wanted in rollup.where.items():
        values = wanted if isinstance(wanted, list) else [wanted]
        if field_of(one, name) not in [text_of(value) for value in values]:
            return None
    if rollup.measured.kind == "count":
        return 1.0
    text = field_of(one, rollup.measured.field)
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _dimensions(one: Envelope, rollup: Rollup, chars_max: int) -> tuple[tuple[str, str], ...]:
    return tuple((name, _cut(field_of(one, name) or "", chars_max) or UNKNOWN) for name in rollup.dimensions)


def _cut(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"
