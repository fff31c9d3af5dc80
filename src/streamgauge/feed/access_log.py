"""The access logs of Apache and nginx, in the common and the combined format, to events `request`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

import msgspec

from streamgauge.core.device import device_of
from streamgauge.feed.errors import LineError
from streamgauge.feed.format import Parsed, text_of
from streamgauge.feed.source import Line

_QUOTED: Final = r'"([^"\\]*(?:\\.[^"\\]*)*)'
# The closing quote of the last field may be missing: servers cut long lines off. The time is bounded so that a line
# of nothing but brackets can't make the search quadratic.
_LINE: Final = re.compile(
    rf'(\S+) \S+ \S.*? \[([^\[\]]{{1,64}})\] {_QUOTED}" (\d{{3}}|-) (\d+|-)(?: {_QUOTED}" {_QUOTED}(?:"|$))?', re.DOTALL
)
_REQUEST: Final = re.compile(r"([A-Z][A-Z_-]{0,31}) (\S.*?)(?: HTTP/\d(?:\.\d)?)?", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "b": "\b"}
_TIME: Final = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_MONTHS: Final = dict(
    zip(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), range(1, 13), strict=True)
)
_TEXT_CHARS_MAX: Final = 2_048
"""Of one field; addresses and user agents of attackers are longer."""


class Request(msgspec.Struct, omit_defaults=True, gc=False):
    """One line of the log. A field is absent where the log has `-`."""

    event: str
    timestamp: int
    user_id: str
    body_bytes: int = msgspec.field(name="bytes")
    status: int | None = None
    method: str | None = None
    page: str | None = None
    """The path without the query."""
    request: str | None = None
    """The request line as it is, where it isn't HTTP: port scans, TLS sent to a plain port."""
    referrer: str | None = None
    device: str | None = None
    """Absent in the common format, which has no user agent."""


class AccessLog:
    kind = "access-log"
    identity = ""
    metric = "requests"
    preamble = b""

    def records(self, lines: Iterator[Line]) -> Iterator[Line]:
        return lines

    def parse(self, data: bytes, shift_ms: int) -> Parsed:
        found = _LINE.match(text_of(data.rstrip(b"\r\n")))
        if found is None:
            raise LineError("not_a_log_line", "it is in neither the common nor the combined log format")
        client, time, request, status, size, referrer, agent = found.groups()
        time_ms = log_time_ms(time) + shift_ms
        method, page = method_and_page(request[:_TEXT_CHARS_MAX])
        return Parsed(
            time_ms,
            Request(
                event="request",
                timestamp=time_ms,
                user_id=client,
                body_bytes=0 if size == "-" else int(size),
                status=None if status == "-" else int(status),
                method=method,
                page=page,
                request=None if page is not None or request in ("", "-") else plain(request),
                referrer=None if referrer in (None, "", "-") else plain(referrer),
                device=None if agent is None else device_of(plain(agent)),
            ),
        )


@lru_cache(maxsize=4_096)
def log_time_ms(text: str) -> int:
    """`17/May/2015:10:05:03 +0000` → milliseconds since 1970. Raises LineError. A leap second is the one after it."""
    found = _TIME.fullmatch(text)
    if found is None or found[2] not in _MONTHS:
        raise LineError("invalid_time", f"the time [{text}] is not like 17/May/2015:10:05:03 +0000")
    day, month, year, hour, minute, second, sign, zone_hour, zone_minute = found.groups()
    zone = timedelta(hours=int(zone_hour), minutes=int(zone_minute))
    try:
        moment = datetime(
            int(year),
            _MONTHS[month],
            int(day),
            int(hour),
            int(minute),
            min(int(second), 59) if second == "60" else int(second),
            tzinfo=timezone(zone if sign == "+" else -zone) if zone else UTC,
        )
        return int(moment.timestamp() + (second == "60")) * 1_000
    except (ValueError, OverflowError) as error:
        raise LineError("invalid_time", f"the time [{text}] doesn't exist: {error}") from error


@lru_cache(maxsize=4_096)
def method_and_page(request: str) -> tuple[str | None, str | None]:
    """`GET /a?b HTTP/1.1` → GET and /a; neither where it isn't HTTP."""
    found = _REQUEST.fullmatch(request)
    if found is None:
        return None, None
    target = found[2].partition("?")[0].partition("#")[0]
    if not target.startswith("/") and "://" in target:  # a proxy's request, of the form http://host/path
        target = "/" + target.partition("://")[2].partition("/")[2]
    return found[1], plain(target) or "/"


def plain(field: str) -> str:
    r"""A field as it was sent: Apache writes `\"`, `\\` and `\xhh`, the bytes of UTF-8 one by one."""
    if "\\" not in field:
        return field[:_TEXT_CHARS_MAX]
    as_bytes = _ESCAPE.sub(_unescape, field[: 4 * _TEXT_CHARS_MAX]).encode("utf-8", "surrogateescape")
    return text_of(as_bytes)[:_TEXT_CHARS_MAX]


def _unescape(found: re.Match[str]) -> str:
    if found[1] is None:
        return _ESCAPED.get(found[2], found[2])
    byte = int(found[1], 16)
    # A surrogate stands for the byte until all of them are decoded together.
    return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)
