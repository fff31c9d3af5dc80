"""SQL that people write, as a request has it."""

from __future__ import annotations

from typing import Any

import msgspec

from streamgauge.core.errors import InvalidRequest, StreamgaugeError
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.store.base import SqlEngine, SqlForm


class SqlQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`parameters` are the values of `{name:Type}` in `sql`."""

    sql: str
    parameters: dict[str, str | int | float | bool] = {}
    format: SqlForm = "json"


class Column(msgspec.Struct, frozen=True):
    name: str
    type: str


class SqlRows(msgspec.Struct, frozen=True):
    """`rows` is JSON: a list of lists. `elapsed_ms` is the engine's time."""

    columns: list[Column]
    rows: msgspec.Raw
    row_count: int
    rows_read: int
    bytes_read: int
    elapsed_ms: float


class _Statistics(msgspec.Struct):
    elapsed: float
    rows_read: int
    bytes_read: int


class _EnginesRows(msgspec.Struct):
    meta: list[Column]
    data: msgspec.Raw
    rows: int
    statistics: _Statistics


class SqlService:
    def __init__(self, engine: SqlEngine, metrics: SelfMetrics) -> None:
        self._engine, self._metrics = engine, metrics

    async def answer(self, question: SqlQuestion) -> bytes | SqlRows:
        """Rows where the format is JSON, bytes otherwise. Raises what `SqlEngine` does."""
        try:
            found = await self._engine.ask(question.sql, _texts(question.parameters), question.format)
        except StreamgaugeError as error:
            self._metrics.sql_refused.labels(error.code).inc()
            raise
        return _rows(found) if question.format == "json" else found


def read_question(body: bytes) -> SqlQuestion:
    """Raises InvalidRequest."""
    try:
        question = msgspec.json.decode(body, type=SqlQuestion)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(
            f"this is not a question in SQL: {error}",
            code="malformed_body",
            hint='send {"sql": "SELECT count() FROM events"}, and "parameters", "format" where wanted',
        ) from error
    if not question.sql.strip() or "\0" in question.sql:
        raise InvalidRequest("there is no SQL in `sql`", code="invalid_sql", hint="SELECT count() FROM events")
    return question


def _texts(parameters: dict[str, Any]) -> dict[str, str]:
    for name in parameters:
        if not name.isidentifier() or not name.isascii():
            raise InvalidRequest(
                f"the name of a parameter, {name[:64]!r}, can't stand in SQL",
                code="invalid_sql",
                hint="write {name:Type} in the query, with letters, digits and _",
            )
    return {name: _text(value) for name, value in parameters.items()}


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rows(found: bytes) -> SqlRows:
    rows = msgspec.json.decode(found, type=_EnginesRows)
    read, data = rows.statistics, msgspec.Raw(msgspec.json.format(bytes(rows.data), indent=-1))
    return SqlRows(rows.meta, data, rows.rows, read.rows_read, read.bytes_read, round(read.elapsed * 1000, 3))
