"""Rows of an answer as JSON, CSV or NDJSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from streamgauge.core.errors import InvalidRequest
from streamgauge.query.parameters import Parameters, single

_MEDIA_TYPES: Final = {
    "json": "application/json",
    "csv": "text/csv; header=present",
    "ndjson": "application/x-ndjson",
}


def format_of(parameters: Parameters) -> str:
    """Raises InvalidRequest."""
    found = single(parameters, "format")
    if found is not None and found not in _MEDIA_TYPES:
        raise InvalidRequest(
            f"there is no format {found[:64]!r}", code="invalid_format", hint=f"one of {', '.join(_MEDIA_TYPES)}"
        )
    return found or "json"


def formatted(body: bytes, columns: Sequence[str], format_: str) -> tuple[bytes, str]:
    """(rows, media type) of an encoded JSON array of objects with these keys."""
    if format_ == "csv":
        body = _csv(msgspec.json.decode(body), columns)
    elif format_ == "ndjson":
        body = msgspec.json.Encoder().encode_lines(msgspec.json.decode(body))
    return body, _MEDIA_TYPES[format_]


def _csv(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> bytes:
    """As RFC 4180 has it; nothing for null."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
