"""What the engine says of other people's SQL, in our terms: where it is wrong, or which limit it is over."""

from __future__ import annotations

import re
from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from streamgauge.config import SqlSettings
from streamgauge.core.errors import InvalidRequest, QueryLimit, StreamgaugeError, Unavailable
from streamgauge.store.sql_gate import TABLES

_CODE: Final = re.compile(r"Code: (\d+)\. DB::Exception: (?:Code: \d+\. DB::Exception: )?")
_WHERE: Final = re.compile(r"failed at position (\d+)")
_END: Final = re.compile(r"(?:: )?In scope .*|\s*\(version [\d.]+\)|(?<=\.) \([A-Z_]+\)\s*$", re.DOTALL)
_MESSAGE_CHARS_MAX: Final = 600
_SHOWN_CHARS: Final = 30

_SYNTAX: Final = 62
_NOT_ALLOWED: Final = frozenset({164, 392, 497})
_BROKEN: Final = frozenset({202, 209, 210, 225, 236, 242, 394, 439, 999})
"""Of the engine, not of the query: too many queries at once, no network, ended by somebody, no thread."""
_HINTS: Final = {
    46: "see the engine's functions: https://clickhouse.com/docs/sql-reference/functions",
    47: "DESCRIBE isn't needed: docs/guide/http-api.md lists the columns",
    60: f"the tables are {', '.join(TABLES)}",
    456: "give each {name:Type} of the query a value in `parameters`",
    457: "the value of a parameter has to be written as its type is",
}
_HINT: Final = "the SQL is ClickHouse's: https://clickhouse.com/docs/sql-reference"


def is_syntax_error(error: ClickHouseError) -> bool:
    found = _CODE.search(str(error))
    return found is not None and int(found[1]) == _SYNTAX


def typed_error(error: ClickHouseError, sql: str, limits: SqlSettings) -> StreamgaugeError:
    text = str(error)
    found = _CODE.search(text)
    if found is None:
        return Unavailable(f"the store did not answer: {text[:_MESSAGE_CHARS_MAX]}")
    code = int(found[1])
    message = _END.sub("", text[found.end() :]).strip()[:_MESSAGE_CHARS_MAX]
    limit = _limit(code, message, limits)
    if limit is not None:
        return limit
    if code in _NOT_ALLOWED:
        return InvalidRequest(
            f"that is not allowed here: {message}",
            code="sql_not_allowed",
            hint=f"SELECT from {', '.join(TABLES)}; nothing else can be done",
        )
    if code in _BROKEN:
        return Unavailable(f"the store can't answer now: {message}")
    if code == _SYNTAX:
        return _syntax_error(message, sql)
    return InvalidRequest(message, code="invalid_sql", hint=_HINTS.get(code, _HINT))


def _limit(code: int, message: str, limits: SqlSettings) -> QueryLimit | None:
    """Each says which setting it is, and how to stay below it."""
    narrower = "narrow it: WHERE timestamp >= now() - INTERVAL 1 DAY, or one metric_name"
    match code:
        case 159 | 160:
            return QueryLimit("execution time", f"{limits.execution_s_max} s (sql.execution_s_max)", hint=narrower)
        case 158 | 307:
            return QueryLimit("rows to read", f"{limits.rows_read_max:,} (sql.rows_read_max)", hint=narrower)
        case 241:
            hint = "group by fewer values, or sort and join fewer rows"
            return QueryLimit("memory", f"{limits.memory_bytes_max:,} bytes (sql.memory_bytes_max)", hint=hint)
        case 396 if "bytes" in message:
            hint = "select fewer columns, or add LIMIT"
            return QueryLimit(
                "the result's size", f"{limits.result_bytes_max:,} bytes (sql.result_bytes_max)", hint=hint
            )
        case 396:
            hint = f"add LIMIT {limits.result_rows_max}, or count instead of listing"
            return QueryLimit("rows of the result", f"{limits.result_rows_max:,} (sql.result_rows_max)", hint=hint)
    return None


def _syntax_error(message: str, sql: str) -> InvalidRequest:
    """With line and column in the text as it was sent."""
    where = _WHERE.search(message)
    expected = message.partition("Expected ")[2].split(" (")[0].strip(". ")
    if where is None:
        return InvalidRequest(f"the SQL can't be read: {message}", code="invalid_sql", hint=_HINT)
    # The engine counts bytes, from 1.
    before = sql.encode()[: int(where[1]) - 1].decode(errors="ignore")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    rest = sql[len(before) :]
    near = f"near {rest[:_SHOWN_CHARS]!r}" if rest.strip() else "at its end"
    if "Multi-statements" in message:
        expected = "one statement alone"
    said = f"the SQL can't be read at line {line}, column {column}, {near}"
    return InvalidRequest(said, code="invalid_sql", hint=f"expected {expected[:200]}" if expected else _HINT)
