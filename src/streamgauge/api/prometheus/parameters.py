"""Parameters as Prometheus takes them: of the query string, and of a form in the body."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl

import promql_parser as ast

from streamgauge.core.errors import InvalidRequest
from streamgauge.query.promql.durations import duration_ms
from streamgauge.query.promql.errors import PromqlSyntaxError
from streamgauge.query.promql.parse import alternatives, parse
from streamgauge.query.promql.series import Matchers

TIME_MS_MAX: Final = 10**15
"""Either side of 1970. Prometheus' clients say `the beginning` by a time that is farther away."""

_EARLIEST: Final = "-292273086-05-16T16:47:06Z"
_LATEST: Final = "+292277025-08-18T07:12:54.999999999Z"
_MS: Final = timedelta(milliseconds=1)
_FORM: Final = "application/x-www-form-urlencoded"


class Parameters:
    """Of one request; of a name that is given several times the first counts. Raises InvalidRequest (`bad_data`)."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs

    @classmethod
    def of(cls, query_string: bytes, content_type: str, body: bytes) -> Parameters:
        """The form's come before those of the query string."""
        if body and not content_type.lower().startswith(_FORM):
            raise bad_data(f"the body is {content_type[:64] or 'of no type'!r}", hint=f"send {_FORM}")
        try:
            return cls([*_pairs(body), *_pairs(query_string)])
        except ValueError as error:
            raise bad_data(f"the parameters can't be read: {error}") from None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name]

    def text(self, name: str) -> str:
        """ "" where it is missing."""
        return next(iter(self.all(name)), "")

    def query(self) -> str:
        return self._needed("query")

    def time_ms(self, name: str, default_ms: int | None = None) -> int:
        text = self.text(name)
        if not text and default_ms is not None:
            return default_ms
        return _time_ms(self._needed(name), name)

    def duration_ms(self, name: str) -> int | None:
        text = self.text(name)
        return duration_ms(text) if text else None

    def timeout_s(self) -> float | None:
        timeout_ms = self.duration_ms("timeout")
        if timeout_ms is not None and timeout_ms <= 0:
            raise bad_data("the timeout must be longer than 0", hint="write timeout=10s")
        return None if timeout_ms is None else timeout_ms / 1000

    def step_ms(self) -> int:
        self._needed("step")
        return self.duration_ms("step") or 0

    def limit(self) -> int:
        """0 is no limit."""
        text = self.text("limit") or "0"
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise bad_data(f"invalid parameter 'limit': {text[:64]!r}", hint="a whole number, 0 for none")
        return int(text)

    def span_ms(self, now_ms: int, length_ms: int) -> tuple[int, int]:
        """`start` and `end`, both inclusive; without them the last `length_ms`."""
        end_ms = self.time_ms("end", now_ms)
        start_ms = self.time_ms("start", end_ms - length_ms)
        if end_ms < start_ms:
            raise bad_data("end timestamp must not be before start time", hint="swap start and end")
        return start_ms, end_ms

    def matchers(self, *, needed: bool = False) -> list[Matchers]:
        """Of every `match[]`: series satisfy all the matchers of at least one."""
        selectors = self.all("match[]")
        if needed and not selectors:
            raise bad_data("no match[] parameter provided", hint="write match[]=page_views")
        return [matchers for selector in selectors for matchers in _matchers(selector)]

    def _needed(self, name: str) -> str:
        text = self.text(name)
        if not text:
            raise bad_data(f"invalid parameter {name!r}: it is missing or empty")
        return text


def bad_data(message: str, *, hint: str = "") -> InvalidRequest:
    return InvalidRequest(message, hint=hint, code="bad_data")


def _pairs(text: bytes) -> list[tuple[str, str]]:
    return parse_qsl(text.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=1_000)


def _matchers(selector: str) -> list[Matchers]:
    node = parse(selector)
    if not isinstance(node, ast.VectorSelector) or node.offset is not None or node.at is not None:
        raise PromqlSyntaxError(f"not a selector of series: {selector[:64]!r}", hint='write page_views{country="US"}')
    return alternatives(node)


def _time_ms(text: str, name: str) -> int:
    if text in (_EARLIEST, _LATEST):
        return -TIME_MS_MAX if text == _EARLIEST else TIME_MS_MAX
    try:
        seconds = float(text) if "_" not in text else math.nan
    except ValueError:
        return _moment_ms(text, name)
    if not math.isfinite(seconds):
        raise _no_time(text, name)
    return max(-TIME_MS_MAX, min(TIME_MS_MAX, round(seconds * 1000)))


def _moment_ms(text: str, name: str) -> int:
    try:
        # In a query string that was not escaped, the plus of an offset has become a space.
        moment = datetime.fromisoformat(text.replace(" ", "+")) if "T" in text else None
        if moment is None or moment.tzinfo is None:
            raise _no_time(text, name)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MS
    except (ValueError, OverflowError):
        raise _no_time(text, name) from None


def _no_time(text: str, name: str) -> InvalidRequest:
    return bad_data(
        f"invalid parameter {name!r}: cannot parse {text[:64]!r} to a valid timestamp",
        hint="seconds since 1970, or RFC 3339 with an offset",
    )
