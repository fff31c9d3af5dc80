"""Parameters of a query string, read strictly: what is wrong is said, and what would have been right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from streamgauge.core.errors import InvalidRequest

Parameters = Sequence[tuple[str, str]]
"""Names and values as they were sent."""

TIME_MS_END: Final = 4_102_444_800_000
_MS: Final = timedelta(milliseconds=1)


def single(parameters: Parameters, name: str) -> str | None:
    values = [value for key, value in parameters if key == name]
    if len(values) > 1:
        raise InvalidRequest(f"the parameter {name!r} is given {len(values)} times", hint="give it once")
    return values[0] if values else None


def is_set(parameters: Parameters, name: str) -> bool:
    """Of one that is 1 or 0."""
    text = single(parameters, name)
    if text not in (None, "0", "1"):
        raise InvalidRequest(f"{name!r} is not {text[:64]!r}", hint=f"{name}=1, or leave it out")
    return text == "1"


def limit_of(parameters: Parameters, name: str, default: int, most: int) -> int:
    text = single(parameters, name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
        raise InvalidRequest(f"the {name} {text[:64]!r} is not possible", hint=f"a whole number from 1 to {most}")
    return int(text)


def moment_ms(text: str, name: str) -> int:
    """RFC 3339 with an offset, or milliseconds since 1970."""
    try:
        if text.isascii() and text.isdecimal():
            found_ms = int(text)
        else:
            # In a query string that was not escaped, the plus of an offset has become a space.
            text = text.strip().upper()
            moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
            if moment.tzinfo is None:
                raise ValueError("no offset")
            found_ms = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MS
        if not 0 <= found_ms < TIME_MS_END:
            raise ValueError("out of range")
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{name!r} is not a time: {text[:64]!r}",
            code="invalid_range",
            hint="RFC 3339 with an offset, like 2026-01-01T12:00:00Z, or milliseconds since 1970, up to 2099",
        ) from None
    return found_ms


def listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"did you mean {close[0]}? " if close else ""
