"""`streamgauge sql`: asks a running server what `POST /sql` answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx
import msgspec

from streamgauge.feed.errors import FeedError
from streamgauge.feed.producer import connect, request_failed
from streamgauge.feed.question import Fresh, fresh_of

_ANSWER_S_MAX: Final = 600.0
"""The server's own limit is shorter, and says so."""
_TOTAL: Final = re.compile(r"total;dur=([\d.]+)")


class SqlColumn(msgspec.Struct, frozen=True):
    name: str
    type: str


class SqlTable(msgspec.Struct, frozen=True):
    columns: list[SqlColumn]
    rows: list[list[Any]]
    row_count: int
    rows_read: int
    bytes_read: int
    elapsed_ms: float


class SqlAnswer(msgspec.Struct, frozen=True):
    """`content` is in the format that was asked for; `took_ms` the server's time."""

    content: bytes
    took_ms: float
    fresh: Fresh

    def table(self) -> SqlTable:
        """Of an answer in JSON. Raises FeedError."""
        try:
            return msgspec.json.decode(self.content, type=SqlTable)
        except msgspec.DecodeError as error:
            raise FeedError("the answer is not Streamgauge's", hint="check --url") from error


async def ask_sql(url: str, sql: str, parameters: Mapping[str, str], form: str) -> SqlAnswer:
    """Raises FeedError, in the server's words where it refuses."""
    async with connect(url) as client:
        try:
            response = await client.post(
                "/sql", json={"sql": sql, "parameters": dict(parameters), "format": form}, timeout=_ANSWER_S_MAX
            )
        except httpx.TransportError as error:
            raise FeedError(
                f"no answer from {client.base_url}: {str(error) or type(error).__name__}",
                hint="is it running? start it with: streamgauge up",
            ) from error
        if response.is_error:
            raise request_failed(response)
        found = _TOTAL.search(response.headers.get("server-timing", ""))
        return SqlAnswer(response.content, float(found[1]) if found else 0.0, fresh_of(response.headers))


def parameters_of(pairs: Sequence[str]) -> dict[str, str]:
    """Of `name=value`. Raises FeedError."""
    found = dict(pair.partition("=")[::2] for pair in pairs)
    if bad := [pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair]:
        raise FeedError(f"--param {bad[0]!r} is not NAME=VALUE", hint="write it like --param country=US")
    return found
