"""Events in our own format, one JSON object a line: sent as they are, but for what the options add or move."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec

from streamgauge.feed.errors import LineError
from streamgauge.feed.format import Parsed
from streamgauge.feed.source import Line

_NONE: Final = msgspec.Raw(b"null")


class _Head(msgspec.Struct, gc=False):
    """What an importer must know of an event; the rest is checked for its syntax only."""

    event: msgspec.Raw = _NONE
    timestamp: msgspec.Raw = _NONE


class Ndjson:
    """`event_default` is the name of events that have none."""

    kind = "ndjson"
    metric = "events"
    preamble = b""

    def __init__(self, event_default: str | None = None) -> None:
        self._event_default = event_default
        self._head = msgspec.json.Decoder(_Head)
        self._fields = msgspec.json.Decoder(dict[str, Any])

    @property
    def identity(self) -> str:
        return "" if self._event_default is None else f"event={self._event_default}"

    def records(self, lines: Iterator[Line]) -> Iterator[Line]:
        return lines

    def parse(self, data: bytes, shift_ms: int) -> Parsed:
        raw = data.strip()
        try:
            head = self._head.decode(raw)
        except msgspec.ValidationError:
            raise LineError("not_an_object", "an event is a JSON object") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise LineError("malformed", f"this is not valid JSON: {error}") from None
        time_ms = _time_ms(head.timestamp)
        moved = time_ms is not None and shift_ms != 0
        named = self._event_default is not None and bytes(head.event) in (b"null", b'""')
        if time_ms is not None:
            time_ms += shift_ms
        if not moved and not named:
            return Parsed(time_ms, msgspec.Raw(raw))
        return Parsed(time_ms, self._changed(raw, time_ms if moved else None, named))

    def _changed(self, raw: bytes, time_ms: int | None, named: bool) -> dict[str, Any]:
        try:
            fields = self._fields.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise LineError("malformed", f"this can't be read: {error}") from None
        if time_ms is not None:
            fields["timestamp"] = time_ms
        if named:
            fields["event"] = self._event_default
        return fields


def _time_ms(raw: msgspec.Raw) -> int | None:
    """None where there is none, or none that the server would accept: it says why better than we could."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value) if -1e18 < value < 1e18 else None
    return rfc3339_ms(value) if isinstance(value, str) else None


def rfc3339_ms(text: str) -> int | None:
    """Milliseconds since 1970; None where the text is no such time, or doesn't say its offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else round(moment.timestamp() * 1_000)
