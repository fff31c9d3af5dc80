"""Items to events: what an event is, and the bounds of every part of it.

Two ways lead to the same envelopes. The quick way lets msgspec check whole batches against types that carry the
bounds; the careful way checks one item at a time and knows why it is wrong. A body goes the quick way first; where
anything in it is wrong, it goes the careful way from the start. A property test holds both to the same result.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec

from streamgauge.config import IngestSettings
from streamgauge.ingest.decode import why_not_json
from streamgauge.ingest.identity import BodyIds
from streamgauge.model import DAY_MS, MADE_ID_PREFIX, TIME_MS_END, Envelope

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1

_NUMBERS: Final = "integers are from -2^63 to 2^63-1 (64 bits, signed), others finite doubles"

_AFTER_SERVER_IDS: Final = MADE_ID_PREFIX[:-1] + chr(ord(MADE_ID_PREFIX[-1]) + 1)
"""The first text after all that begin with the prefix: two comparisons cost less than a slice."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:?\d\d)", re.ASCII
).fullmatch
"""fromisoformat by itself reads much more: weeks, hours alone, any character before the offset. An offset without its
colon is not RFC 3339 either, but what many languages write."""

_JSON_TYPES: Final = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
}


class ItemError(Exception):
    """Why one item is not an event: a stable code and a message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class EventValidator:
    """Makes envelopes of items."""

    def __init__(self, limits: IngestSettings) -> None:
        self._limits = limits
        self._name_chars_max = limits.name_chars_max
        self._properties_max = limits.properties_max
        text = Annotated[str, msgspec.Meta(max_length=limits.string_chars_max)]
        integer = Annotated[int, msgspec.Meta(ge=_INT_MIN, le=_INT_MAX)]
        # No bound on names of properties here: it would cost half as much again as all else, and the bound of the
        # whole event holds for them too.
        item: Any = dict[str, text | integer | float | bool | None]
        self._items = msgspec.json.Decoder(list[item])
        self._item = msgspec.json.Decoder(item)

    def decode_quickly(self, body: bytes, *, as_lines: bool) -> list[dict[str, Any]] | None:
        """All items of a body, of which every string and number is within bounds; None where that is not so, or can't
        be told this way: where a value is itself an array or an object."""
        items: list[dict[str, Any]]
        try:
            if as_lines:
                items = self._item.decode_lines(body)
                if not _is_one_a_line(body, len(items)):
                    return None
            elif body.lstrip()[:1] == b"[":
                items = self._items.decode(body)
            else:
                items = [self._item.decode(body)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return items

    def decode_carefully(self, raw: bytes) -> dict[str, Any]:
        """One item, checked in every part. Raises ItemError."""
        limits = self._limits
        try:
            item = msgspec.json.decode(raw)
        except RecursionError:
            raise too_deep(limits.nesting_depth_max) from None
        except msgspec.ValidationError as error:
            raise ItemError("number_out_of_range", f"a number is too large ({error}): {_NUMBERS}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ItemError("malformed", f"this is not valid JSON: {why_not_json(raw, error)}") from None
        if type(item) is not dict:
            raise ItemError("not_an_object", f"an event is a JSON object, not {describe(item)}")
        self._check(item, limits.nesting_depth_max)
        return item

    def _check(self, value: Any, depth_left: int) -> None:
        """Raises ItemError where any part of the value is out of bounds."""
        limits = self._limits
        match value:
            case str() if len(value) > limits.string_chars_max:
                raise ItemError("string_too_long", f"a string is over {limits.string_chars_max:,} characters")
            case int() if not _INT_MIN <= value <= _INT_MAX:
                raise ItemError("number_out_of_range", f"an integer is too large: {_NUMBERS}")
            case dict() | list() if depth_left <= 0:
                raise too_deep(limits.nesting_depth_max)
            case dict():
                for part in value.values():
                    self._check(part, depth_left - 1)
            case list():
                for part in value:
                    self._check(part, depth_left - 1)

    def envelope(
        self,
        item: dict[str, Any],
        received_at_ms: int,
        ids: BodyIds,
        producer: str | None = None,
        sequence: int | None = None,
    ) -> Envelope:
        """The event that a decoded item is; takes the item's own fields out of it. Raises ItemError."""
        pop = item.pop
        event = pop("event", None)
        if type(event) is not str or not event:
            raise _bad_event(event)
        if len(event) > self._name_chars_max:
            raise ItemError("name_too_long", f"`event` is over {self._name_chars_max:,} characters")
        timestamp = pop("timestamp", None)
        user_id = pop("user_id", None)
        anonymous_id = pop("anonymous_id", None)
        event_id = pop("event_id", None)
        if len(item) > self._properties_max:
            raise ItemError("too_many_properties", f"there are over {self._properties_max:,} properties")
        # Calls only where an id needs one, and positions instead of names: this runs for every event.
        if type(user_id) is int:
            user_id = str(user_id)
        elif user_id is not None:
            user_id = self._identifier("user_id", user_id)
        if event_id is not None and not (type(event_id) is str and 0 < len(event_id) <= self._name_chars_max):
            event_id = self._identifier("event_id", event_id)
        if not event_id:
            event_id = ids.new() if producer is None else event_id_of(ids, producer, sequence)
        elif producer is None and MADE_ID_PREFIX <= event_id < _AFTER_SERVER_IDS:
            raise _reserved_id()
        return Envelope(
            event_id,
            event,
            received_at_ms if timestamp is None else timestamp_ms(timestamp),
            received_at_ms,
            user_id,
            None if anonymous_id is None else self._identifier("anonymous_id", anonymous_id),
            producer,
            sequence,
            None,
            None,
            item,
        )

    def _identifier(self, name: str, value: Any) -> str | None:
        """The canonical text of an id: 123 and "123" are the same; "" is none. Raises ItemError."""
        if type(value) is str and 0 < len(value) <= self._name_chars_max:
            return value
        if type(value) is int:
            return str(value)
        if type(value) is not str:
            raise ItemError(f"invalid_{name}", f"`{name}` must be a string or an integer, not {describe(value)}")
        if value:
            raise ItemError(f"invalid_{name}", f"`{name}` is over {self._name_chars_max:,} characters")
        return None


def event_id_of(ids: BodyIds, producer: str | None, sequence: int | None) -> str:
    """For an item that came without one. That of a numbered item is made of its number, so that when it is sent again
    it has the same id, key and partition, by which it is recognised."""
    return ids.new() if producer is None else f"{producer}:{sequence}"


def _is_one_a_line(body: bytes, items_count: int) -> bool:
    """Whether these objects, of which none has another in it, stand on one line each. msgspec's `decode_lines` takes
    line feeds for blanks, so that it reads `{} {}` as well; the index of an item is the number of its line."""
    body = body.strip()
    return body.count(b"\n") == items_count - 1 == body.count(b"\n{")


_SECONDS: Final[dict[str, int]] = {}
"""`2026-01-01T12:00:00` (UTC) → ms since 1970: events come close together, parsing each again costs twice as much."""

_SECONDS_MAX: Final = 4_096

_FRACTIONS: Final = {"Z": 0} | {f".{milliseconds:03d}Z": milliseconds for milliseconds in range(1_000)}
"""What may follow a second that is known."""


def timestamp_ms(value: Any) -> int:
    """RFC 3339 text or milliseconds since 1970 → milliseconds, fractions of one cut off. Raises ItemError.

    A leap second (`23:59:60Z`, RFC 3339 section 5.7) is the second after it, as in Unix time.
    """
    if type(value) is str:
        second_ms, fraction_ms = _SECONDS.get(value[:19]), _FRACTIONS.get(value[19:])
        if second_ms is not None and fraction_ms is not None:
            return second_ms + fraction_ms
        milliseconds = _parse_rfc3339(value)
        _remember_second(value, milliseconds)
    elif type(value) is int or (type(value) is float and value == value // 1):
        milliseconds = int(value)
    else:
        raise ItemError("invalid_timestamp", f"`timestamp` must be RFC 3339 or milliseconds, not {describe(value)}")
    if not 0 <= milliseconds < TIME_MS_END:
        raise ItemError("timestamp_out_of_range", "`timestamp` must be from 1970-01-01 to 2099-12-31")
    return milliseconds


def _remember_second(text: str, milliseconds: int) -> None:
    """Of a valid time in UTC within bounds."""
    if text[-1] == "Z" and text[17:19] != "60" and 0 <= milliseconds < TIME_MS_END:
        if len(_SECONDS) >= _SECONDS_MAX:
            _SECONDS.clear()
        _SECONDS[text[:19]] = milliseconds - milliseconds % 1_000


def _parse_rfc3339(text: str) -> int:
    try:
        if _RFC_3339(text) is None:
            raise ValueError("no date and time with an offset")
        if text[17:19] == "60":
            return _parse_leap_second(text)
        moment = datetime.fromisoformat(text.upper() if text[-1] == "z" else text)
        return (moment - _EPOCH) // _MS
    except (ValueError, OverflowError):
        raise ItemError(
            "invalid_timestamp",
            f"`timestamp` {text[:64]!r} is not RFC 3339 with an offset, like 2026-01-01T12:00:00Z",
        ) from None


def _parse_leap_second(text: str) -> int:
    milliseconds = _parse_rfc3339(f"{text[:17]}59{text[19:]}") + 1_000
    if milliseconds % DAY_MS >= 1_000:
        raise ValueError("a leap second is the last one of a day in UTC")
    return milliseconds


def describe(value: Any) -> str:
    return "null" if value is None else _JSON_TYPES.get(type(value), "something else")


def _bad_event(event: Any) -> ItemError:
    if event is None:
        return ItemError("missing_event", 'the event has no name: add "event", like {"event": "page_view"}')
    if event == "":
        return ItemError("invalid_event", '`event` is empty: give it a name, like {"event": "page_view"}')
    return ItemError("invalid_event", f"`event` must be a string that is not empty, not {describe(event)}")


def _reserved_id() -> ItemError:
    return ItemError(
        "reserved_event_id",
        f"`event_id` begins with {MADE_ID_PREFIX!r}, as ids do that the server makes: take another, or none",
    )


def too_deep(depth_max: int) -> ItemError:
    return ItemError("too_deep", f"the event is nested over {depth_max} levels deep")


def original_text(raw: bytes, bytes_max: int) -> str:
    """What was sent, for the dead letter table: at most `bytes_max` bytes of it, undecodable ones replaced."""
    return raw[:bytes_max].decode("utf-8", errors="replace")
