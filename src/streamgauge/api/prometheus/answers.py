"""Answers and errors in Prometheus' shapes."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from litestar.exceptions import HTTPException

from streamgauge.api.connected import ClientGone
from streamgauge.api.errors import headers_of
from streamgauge.core.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    OriginNotAllowed,
    Overloaded,
    QueryLimit,
    RateLimited,
    StreamgaugeError,
    Unauthorized,
)
from streamgauge.query.promql.engine import Answer
from streamgauge.query.promql.errors import PromqlExecutionError
from streamgauge.query.promql.series import Series
from streamgauge.query.promql.values import Scalar, Text, Vector
from streamgauge.query.promql.written import written_number
from streamgauge.query.promql_service import QueryCanceled, QueryTimeout

TRUNCATED: Final = "results truncated due to limit"
_CLIENT_CLOSED_REQUEST: Final = 499
_ERRORS: Final[tuple[tuple[type[StreamgaugeError], str, int], ...]] = (
    (QueryTimeout, "timeout", 503),
    (QueryCanceled, "canceled", _CLIENT_CLOSED_REQUEST),
    (ClientGone, "canceled", _CLIENT_CLOSED_REQUEST),
    (PromqlExecutionError, "execution", 422),
    (QueryLimit, "execution", 422),
    (InvalidRequest, "bad_data", 400),
    (NotFound, "not_found", 404),
    (Unauthorized, "unauthorized", 401),
    (OriginNotAllowed, "forbidden", 403),
    (Forbidden, "forbidden", 403),
    (RateLimited, "unavailable", 429),
    (Overloaded, "unavailable", 503),
)
"""The first class that the error is of decides."""
_BUG: Final = ("internal", 500)

_logger = logging.getLogger(__name__)


class ErrorAnswer(NamedTuple):
    status: int
    body: dict[str, Any]
    headers: dict[str, str]


def success(data: Any, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> bytes:
    body = {"status": "success", "data": data}
    if warnings:
        body["warnings"] = warnings
    if infos:
        body["infos"] = infos
    return msgspec.json.encode(body)


def answered(answer: Answer, *, is_range: bool, limit: int) -> bytes:
    """A question's answer; at most `limit` series where that isn't 0."""
    kind, result = _result(answer, is_range=is_range)
    warnings = answer.warnings
    if limit and kind in ("vector", "matrix") and len(result) > limit:
        result, warnings = result[:limit], [*warnings, TRUNCATED]
    return success({"resultType": kind, "result": result}, warnings, answer.infos)


def limited(found: list[Any], limit: int) -> bytes:
    """A list; at most `limit` of it where that isn't 0."""
    return success(found[:limit], [TRUNCATED]) if limit and len(found) > limit else success(found)


def error_answer(error: Exception) -> ErrorAnswer:
    """A bug tells the caller nothing and the log everything."""
    if isinstance(error, HTTPException):
        return ErrorAnswer(error.status_code, _error("bad_data", error.detail), {})
    if isinstance(error, QueryLimit) and error.limit == "execution time":
        return error_answer(QueryTimeout(error.message, hint=error.hint))
    if isinstance(error, StreamgaugeError):
        name, status = next(((name, status) for kind, name, status in _ERRORS if isinstance(error, kind)), _BUG)
        text = f"{error.message}: {error.hint}" if error.hint else error.message
        return ErrorAnswer(status, _error(name, text), headers_of(error))
    _logger.error("a question in PromQL failed", exc_info=error)
    return ErrorAnswer(500, _error("internal", "this is a bug in streamgauge: the server's log has the details"), {})


def _error(kind: str, text: str) -> dict[str, Any]:
    return {"status": "error", "errorType": kind, "error": text}


def _result(answer: Answer, *, is_range: bool) -> tuple[str, Any]:
    times, value = list(map(_seconds, answer.times_ms.tolist())), answer.value
    match value:
        case None:
            return "matrix", [_series(one) for one in answer.matrix]
        case Text():
            return "string", [times[0], value.value]
        case Scalar():
            numbers = list(map(_number, value.values.tolist()))
            if is_range:
                return "matrix", [{"metric": {}, "values": list(zip(times, numbers, strict=True))}]
            return "scalar", [times[0], numbers[0]]
    if is_range:
        return "matrix", [_row(value, row, times) for row in range(len(value.labels))]
    samples = zip(value.labels, value.values[:, 0].tolist(), strict=True)
    return "vector", [{"metric": dict(labels), "value": [times[0], _number(number)]} for labels, number in samples]


def _row(vector: Vector, row: int, times: Sequence[float]) -> dict[str, Any]:
    cells = zip(times, vector.values[row].tolist(), vector.present[row].tolist(), strict=True)
    return {
        "metric": dict(vector.labels[row]),
        "values": [(time, _number(value)) for time, value, here in cells if here],
    }


def _series(series: Series) -> dict[str, Any]:
    samples = zip(series.times_ms.tolist(), series.values.tolist(), strict=True)
    return {"metric": dict(series.labels), "values": [(_seconds(at_ms), _number(value)) for at_ms, value in samples]}


def _seconds(time_ms: int) -> float:
    return time_ms // 1000 if time_ms % 1000 == 0 else time_ms / 1000


def _number(value: float) -> str:
    """As Go writes it in JSON: with an exponent only below a millionth and from 1e21 on."""
    if value.is_integer() and abs(value) < 1e15 and (value or math.copysign(1, value) > 0):
        return str(int(value))
    if math.isfinite(value) and value and not 1e-6 <= abs(value) < 1e21:
        mantissa, _, exponent = f"{value!r}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0')}"
    return written_number(value)
