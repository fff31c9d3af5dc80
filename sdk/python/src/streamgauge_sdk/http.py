"""One request to `POST /events`: what went out, and what that means. No retries, no state but a connection."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union
from urllib.parse import urlsplit

_GZIP_BYTES_MIN = 1_024
_ANSWER_BYTES_MAX = 1024 * 1024
_FOR_EVER = frozenset((400, 413, 415))
"""All else may be put right while the program runs: a key that is not made yet, a proxy that is set up wrong."""


@dataclass(frozen=True)
class Taken:
    """The server has an answer for each event: `rejected` are index, code and message of those that it doesn't want, as
    far as it lists them."""

    rejected_count: int
    rejected: Sequence[tuple[int, str, str]]


@dataclass(frozen=True)
class Refused:
    """It wants none of this, ever. `is_too_large`: less at once may do."""

    code: str
    message: str
    is_too_large: bool


@dataclass(frozen=True)
class Failed:
    """Nothing is known: try again, not before `retry_after_s` where it says so."""

    message: str
    retry_after_s: float | None = None


Outcome = Union[Taken, Refused, Failed]


class Transport:
    """For one thread."""

    def __init__(self, url: str, write_key: str | None, timeout_s: float, agent: str) -> None:
        place = urlsplit(url)
        self._is_tls = place.scheme == "https"
        self._host, self._port = place.hostname or "", place.port
        self._path = f"{place.path.rstrip('/')}/events"
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": "application/x-ndjson", "User-Agent": agent}
        if write_key:
            self._headers["Authorization"] = f"Bearer {write_key}"
        self._connection: http.client.HTTPConnection | None = None

    def send(self, lines: Sequence[bytes]) -> Outcome:
        body, headers = b"\n".join(lines), self._headers
        if len(body) >= _GZIP_BYTES_MIN:
            body, headers = gzip.compress(body, 5), {**headers, "Content-Encoding": "gzip"}
        was_open = self._connection is not None
        outcome = self._try(body, headers)
        # A connection that was kept may have been closed by the server meanwhile, which tells nothing of the server.
        return (
            self._try(body, headers) if was_open and isinstance(outcome, Failed) and self._is_cut(outcome) else outcome
        )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _is_cut(self, outcome: Failed) -> bool:
        return self._connection is None and outcome.retry_after_s is None

    def _try(self, body: bytes, headers: dict[str, str]) -> Outcome:
        try:
            if self._connection is None:
                kind = http.client.HTTPSConnection if self._is_tls else http.client.HTTPConnection
                self._connection = kind(self._host, self._port, timeout=self._timeout_s)
            self._connection.request("POST", self._path, body, headers)
            answer = self._connection.getresponse()
            text = answer.read(_ANSWER_BYTES_MAX)
            retry_after = answer.getheader("Retry-After")
            if answer.will_close or not answer.isclosed():
                self.close()
        except Exception as error:  # a key or an answer that http.client stumbles over is not the program's trouble
            self.close()
            return Failed(f"{type(error).__name__}: {error}")
        return outcome_of(answer.status, text, retry_after)


def outcome_of(status: int, text: bytes, retry_after: str | None) -> Outcome:
    """Of any answer, also one that no Streamgauge gives."""
    if status != 202 and status not in _FOR_EVER:
        return Failed(f"HTTP {status}", _seconds(retry_after))
    body = _object(text)
    if status == 202 or (status == 400 and "rejected" in body):
        found = body.get("rejected")
        listed = [_rejection(one) for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        return Taken(max(0, _integer(body.get("rejected_count"), len(listed))), listed)
    error = body.get("error")
    said = error if isinstance(error, dict) else {}
    code, message = said.get("code", f"http_{status}"), said.get("message", f"HTTP {status}")
    return Refused(str(code), str(message), status == 413)


def _rejection(one: dict[str, Any]) -> tuple[int, str, str]:
    return _integer(one.get("index"), -1), str(one.get("code", "")), str(one.get("message", ""))


def _integer(found: object, otherwise: int) -> int:
    return found if isinstance(found, int) else otherwise


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(retry_after: str | None) -> float | None:
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:  # a date: the usual pauses do
        return None
