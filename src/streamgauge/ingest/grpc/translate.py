"""Messages of `proto/ingest.proto` to the JSON that REST would have taken, and results to messages. Pure.

A request is read in two steps (`proto/batch.proto`), since a message of 10 MiB can have five million events in it:
they are counted before one of them becomes an object, and one that is damaged spoils no other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from streamgauge.config import IngestSettings
from streamgauge.core.errors import InvalidRequest
from streamgauge.ingest.accept import Accepted, too_many_items
from streamgauge.ingest.grpc.batch_pb2 import Batch
from streamgauge.ingest.grpc.ingest_pb2 import Event, RejectedEvent, SendResponse, Value
from streamgauge.ingest.validate import ItemError, too_deep

_REJECTIONS_LISTED_MAX: Final = 100

_BYTES_OF_A_BYTE_OF_JSON_MAX: Final = 8
"""A list of -1 takes 13 bytes of protobuf and 3 of JSON for each, and nothing takes more. So an event over so many
times `event_bytes_max` is over the limit as JSON, and is not read: empty values would take twenty times the memory."""

_MS_MAX: Final = 2**62

_DAMAGED: Final = ItemError(
    "malformed", "this is no streamgauge.v1.Event: it is damaged, or has text that is not UTF-8"
)
_NOT_FINITE: Final = {"nan": msgspec.Raw(b"NaN"), "inf": msgspec.Raw(b"Infinity"), "-inf": msgspec.Raw(b"-Infinity")}
"""As most languages write them, and no JSON: refused for the reason that REST refuses them for."""


class Items(msgspec.Struct, frozen=True):
    """Events as `Ingest.accept_items` takes them."""

    lines: list[bytes]
    damaged: dict[int, ItemError]


class Request(msgspec.Struct, frozen=True):
    """What a SendRequest holds: `items`, or a body of JSON."""

    items: Items | None
    json: bytes
    batch_id: int


def request_of(message: bytes, limits: IngestSettings) -> Request:
    """Raises InvalidRequest, BodyTooLarge."""
    try:
        batch = Batch.FromString(message)
    except DecodeError:
        raise InvalidRequest(
            "this is no streamgauge.v1.SendRequest", code="malformed_body", hint="see proto/ingest.proto"
        ) from None
    if batch.events and batch.json:
        raise InvalidRequest("the request has both events and json", hint="send one of them")
    if not batch.events:
        return Request(None, batch.json, batch.batch_id)
    if len(batch.events) > limits.batch_events_max:
        raise too_many_items(limits.batch_events_max)
    return Request(_items_of(batch, limits), b"", batch.batch_id)


def _items_of(batch: Batch, limits: IngestSettings) -> Items:
    lines: list[bytes] = []
    damaged: dict[int, ItemError] = {}
    encode = msgspec.json.Encoder().encode
    for index, raw in enumerate(batch.events):
        try:
            lines.append(encode(item_of(_event_of(raw, limits))))
        except ItemError as error:
            damaged[index] = error
            lines.append(raw)
    return Items(lines, damaged)


def _event_of(raw: bytes, limits: IngestSettings) -> Event:
    """Raises ItemError."""
    if len(raw) > limits.event_bytes_max * _BYTES_OF_A_BYTE_OF_JSON_MAX:
        raise ItemError("too_large", f"the event is over {limits.event_bytes_max:,} bytes")
    try:
        return Event.FromString(raw)
    except DecodeError as error:
        # protobuf reads a hundred messages in each other, 32 levels of maps; that it was too many, only its text says.
        raise (too_deep(limits.nesting_depth_max) if "MaxDepth" in str(error) else _DAMAGED) from None


def item_of(event: Event) -> dict[str, Any]:
    """The item as JSON would have it. Its own fields go over properties of the same name, where they are set."""
    item: dict[str, Any] = _map_of(event.properties)
    if event.event:
        item["event"] = event.event
    if event.HasField("timestamp"):
        item["timestamp"] = _time_of(event.timestamp)
    if event.user_id:
        item["user_id"] = event.user_id
    if event.anonymous_id:
        item["anonymous_id"] = event.anonymous_id
    if event.event_id:
        item["event_id"] = event.event_id
    return item


def _time_of(timestamp: Timestamp) -> int | str:
    """Milliseconds, rounded down, of what JSON has as an integer; the validator says of others what is wrong."""
    seconds, nanos = timestamp.seconds, timestamp.nanos
    if not 0 <= nanos < 10**9:
        return f"{seconds} s and {nanos} ns"
    return max(-_MS_MAX, min(seconds * 1_000 + nanos // 1_000_000, _MS_MAX))


def _map_of(values: Mapping[str, Value]) -> dict[str, Any]:
    # Without `items`, which is slower here than to look each up.
    return {name: _value_of(values[name]) for name in values}


def _value_of(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":  # as most are: this runs for every property
        return value.string_value
    return None if kind is None else _KINDS[kind](value)


def _number_of(number: float) -> Any:
    return number if math.isfinite(number) else _NOT_FINITE[str(number)]


_KINDS: Final[Mapping[str, Callable[[Value], Any]]] = {
    "int_value": lambda value: value.int_value,
    "double_value": lambda value: _number_of(value.double_value),
    "bool_value": lambda value: value.bool_value,
    "list_value": lambda value: [_value_of(part) for part in value.list_value.values],
    "map_value": lambda value: _map_of(value.map_value.fields),
}


def response_of(accepted: Accepted, batch_id: int) -> bytes:
    """A SendResponse."""
    listed = accepted.rejected[:_REJECTIONS_LISTED_MAX]
    return SendResponse(
        count=accepted.count,
        rejected_count=len(accepted.rejected),
        rejected=[RejectedEvent(index=item.index, code=item.code, message=item.message) for item in listed],
        without_event_id_count=accepted.without_id_count,
        batch_id=batch_id,
    ).SerializeToString()
