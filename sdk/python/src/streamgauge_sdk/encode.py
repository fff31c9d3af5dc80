"""Events to JSON, whatever a program puts into them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, timezone
from enum import Enum
from typing import Any, Union

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=lambda value: _plain(value)).encode  # noqa: PLW0108 - is below

Id = Union[str, int, None]
Time = Union[datetime, str, int, None]


def item(  # noqa: PLR0917
    event: str,
    event_id: str,
    timestamp: Time,
    user_id: Id,
    anonymous_id: Id,
    properties: Mapping[str, Any],
) -> dict[str, Any]:
    """The event as the server has it: its own fields go over properties of the same name."""
    found: dict[str, Any] = dict(properties)
    own = {"event": event, "event_id": event_id, "timestamp": _time(timestamp)}
    found.update(own)
    for name, value in (("user_id", user_id), ("anonymous_id", anonymous_id)):
        if value is not None:
            found[name] = value
    return found


def encode(found: Mapping[str, Any]) -> bytes:
    """Raises what a value raises that can't be JSON, ValueError or TypeError as a rule."""
    try:
        return _encode(found).encode("ascii")
    except ValueError:  # not finite, which JSON doesn't have; or a circle, which raises again
        return _encode(_finite(found)).encode("ascii")


def _time(value: Time) -> str | int:
    if isinstance(value, datetime):
        # As Python takes a time without a zone for itself: local.
        return value.astimezone(timezone.utc).isoformat()
    return value  # type: ignore[return-value] # None is replaced by whoever calls


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _finite(value: Any, depth: int = 0) -> Any:
    """Copied, with null for NaN and infinities."""
    if depth > 100:
        raise ValueError("nested too deeply, or in a circle")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(part, depth + 1) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part, depth + 1) for part in value]
    return value


def event_id_of(line: bytes | None) -> str | None:
    """Of an event as it was encoded here."""
    if line is None:
        return None
    found = json.loads(line).get("event_id")
    return found if isinstance(found, str) else None
