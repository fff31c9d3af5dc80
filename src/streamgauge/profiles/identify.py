"""What is known of users by their own events: the traits of `identify`, as they stand in the log."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from streamgauge.log.base import LogBatch
from streamgauge.model import LINE_COLUMNS, Envelope
from streamgauge.profiles.base import is_column
from streamgauge.profiles.rows import json_text

IDENTIFY: Final = "identify"
"""The event whose property `traits` is about its user."""

_SIGN: Final = f"\t{IDENTIFY}\t".encode()
_EVENT_AT: Final = LINE_COLUMNS.index("event")


class Traits(NamedTuple):
    """`values` by the name of a column, null where a value is taken away; `unnamed_count` more have names that no
    column can have. `time_ms` is when they were said, not later than they were received."""

    user_id: str
    time_ms: int
    values: dict[str, str | None]
    unnamed_count: int = 0


def traits_in(batch: LogBatch) -> list[Traits]:
    """Of all events `identify` that have a user and traits, in order. What is no envelope is passed over: the stream
    says so. Nearly all of a log is something else, and is not looked at twice."""
    lines = (line for part in batch.slices if _SIGN in part.lines for line in part.lines.split(b"\n"))
    return [found for line in lines if _SIGN in line and (found := _traits_of(line)) is not None]


def _traits_of(line: bytes) -> Traits | None:
    if line.split(b"\t", _EVENT_AT + 1)[_EVENT_AT : _EVENT_AT + 1] != [IDENTIFY.encode()]:
        return None
    try:
        envelope = Envelope.from_line(line)
    except (ValueError, RecursionError):
        return None
    traits = envelope.properties.get("traits")
    if envelope.user_id is None or not isinstance(traits, dict) or not traits:
        return None
    values = {name: _text(value) for name, value in traits.items() if is_column(name)}
    time_ms = min(envelope.timestamp, envelope.received_at)
    return Traits(envelope.user_id, time_ms, values, len(traits) - len(values))


def _text(value: Any) -> str | None:
    try:
        return json_text(value)
    except (msgspec.MsgspecError, RecursionError):  # of what others wrote to a log that they share
        return None
