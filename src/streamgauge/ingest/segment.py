"""Messages of Segment's tracking API to events as `POST /events` takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, cast

import msgspec

from streamgauge.ingest.validate import ItemError, describe, timestamp_ms

Kind = Literal["track", "page", "screen", "identify", "group", "alias"]

KINDS: Final[tuple[Kind, ...]] = ("track", "page", "screen", "identify", "group", "alias")

IDENTIFY: Final = "identify"
"""The event by which traits of a user come."""

_NAMES: Final[dict[Kind, str]] = {"page": "page_view", "screen": "screen_view"}
"""Of events; the others are called as their kind, but for `track`, which names its event itself."""

_TAKEN: Final = frozenset({"event", "timestamp", "user_id", "anonymous_id", "event_id", "context"})
"""A property by one of these names would be taken for something else: it is `property_…` instead."""

_ALONE: Final = {
    "locale": "locale",
    "timezone": "timezone",
    "ip": "ip",
    "userAgent": "user_agent",
    "groupId": "group_id",
}
"""What a part of `context` is called as a property."""

_WITHIN: Final = {
    "page": {"path": "page", "referrer": "referrer", "url": "url", "title": "title", "search": "search"},
    "os": {"name": "os", "version": "os_version"},
    "userAgentData": {"platform": "os"},
    "app": {"name": "app", "version": "app_version", "build": "app_build"},
    "device": {"manufacturer": "device_manufacturer", "model": "device_model"},
    "campaign": {
        "name": "campaign",
        "source": "campaign_source",
        "medium": "campaign_medium",
        "term": "campaign_term",
        "content": "campaign_content",
    },
    "library": {"name": "library", "version": "library_version"},
}
"""The same of what is in its objects. Of two places of a property, the first that has something."""

_HAND_HELD: Final = frozenset({"ios", "ipados", "android"})
_CLASSES: Final = frozenset({"desktop", "mobile", "tablet", "tv"})
"""As `core.device` calls them."""


class Shared(msgspec.Struct, frozen=True):
    """What holds for all messages of a request. `kind`: as the path says; None where each message has its own `type`.
    `sent_at`: when the client sent it, by the client's clock."""

    kind: Kind | None = None
    context: Mapping[str, Any] = {}
    sent_at: object = None


def event_of(message: dict[str, Any], shared: Shared, received_at_ms: int) -> dict[str, Any]:
    """The event that a message is. Raises ItemError."""
    kind = shared.kind or _kind_of(message)
    item = {f"property_{name}" if name in _TAKEN else name: value for name, value in _own(message, kind).items()}
    if kind == "page" and "page" not in item and item.get("path"):
        item["page"] = item.pop("path")
    if kind == "screen" and (name := message.get("name") or item.get("name")):
        item.setdefault("screen", name)
    _add_context(item, _merged(shared.context, _object(message, "context")))
    for name, value in (
        ("event", message.get("event") if kind == "track" else _NAMES.get(kind, kind)),
        ("timestamp", _event_time(message, shared.sent_at, received_at_ms)),
        ("user_id", message.get("userId")),
        ("anonymous_id", message.get("anonymousId")),
        ("event_id", message.get("messageId")),
    ):
        if value is not None:
            item[name] = value
    return item


def _kind_of(message: Mapping[str, Any]) -> Kind:
    kind = message.get("type")
    if kind not in KINDS:
        what = repr(kind[:64]) if type(kind) is str else describe(kind)
        raise ItemError("invalid_type", f"`type` must be one of {', '.join(KINDS)}, not {what}")
    return cast("Kind", kind)


def _own(message: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """The properties that the kind of message gives its event."""
    match kind:
        case "track":
            return _object(message, "properties")
        case "page" | "screen":
            names = {name: message[name] for name in ("name", "category") if message.get(name)}
            return names | _object(message, "properties")
        case "identify":
            return {"traits": _object(message, "traits")}
        case "group":
            return {"group_id": message.get("groupId"), "traits": _object(message, "traits")}
        case "alias":
            return {"previous_id": message.get("previousId")}


def _object(message: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = message.get(name)
    if value is None:
        return {}
    if type(value) is not dict:
        raise ItemError(f"invalid_{name}", f"`{name}` must be an object, not {describe(value)}")
    return value


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A message's own goes before what all messages share, in objects within objects too."""
    merged = dict(shared)
    for name, value in own.items():
        below = merged.get(name)
        merged[name] = _merged(below, value) if type(below) is dict and type(value) is dict else value
    return merged


def _add_context(item: dict[str, Any], context: dict[str, Any]) -> None:
    """What the event says itself goes before its context; what has no place of its own stays in `context`."""
    device = _device_of(context)
    _move(item, context, _ALONE)
    for name, places in _WITHIN.items():
        within = context.get(name)
        if type(within) is dict:
            context[name] = within = dict(within)  # what others share stays as it is
            _move(item, within, places)
    if device:
        item.setdefault("device", device)
    rest = {name: value for name, value in context.items() if value not in (None, "", {})}
    if rest:
        item["context"] = rest


def _move(item: dict[str, Any], part: dict[str, Any], places: Mapping[str, str]) -> None:
    for name, place in places.items():
        value = part.get(name)
        if name in part and type(value) not in (dict, list):
            del part[name]
            if value not in (None, ""):
                item.setdefault(place, value)


def _device_of(context: Mapping[str, Any]) -> str | None:
    """The class of the device where a mobile SDK says on what it runs; a browser's is told by its user agent."""
    device = context.get("device")
    if type(device) is not dict or type(device.get("type")) is not str:
        return None
    kind = str(device["type"]).lower()
    if kind in _CLASSES:
        return kind
    if kind not in _HAND_HELD:
        return None
    model = f"{device.get('model')} {device.get('name')}".lower()
    return "tablet" if kind == "ipados" or "ipad" in model or "tablet" in model else "mobile"


def _event_time(message: Mapping[str, Any], sent_at: object, received_at_ms: int) -> int | None:
    """By this server's clock: as long before its receipt as the client says that it was before its sending. None where
    the message has no time."""
    stated = message.get("timestamp")
    if stated is None:
        stated = message.get("originalTimestamp")
    if stated is None:
        return None
    original_ms = _time_ms(stated)
    own = message.get("sentAt")
    try:
        return original_ms + received_at_ms - _time_ms(sent_at if own is None else own)
    except ItemError:  # Segment takes such a message too, as it is
        return original_ms


def _time_ms(value: object) -> int:
    """A time without an offset is UTC: some SDKs write none. Raises ItemError."""
    if type(value) is str and _lacks_offset(value):
        value += "Z"
    return timestamp_ms(value)


def _lacks_offset(text: str) -> bool:
    return len(text) >= len("2026-01-01T12:00:00") and text[-1:].isdigit() and not set("+-") & set(text[19:])
