"""Errors to HTTP: one table, one shape. A bug is a 500 that tells the caller nothing and the log everything."""

from __future__ import annotations

import logging
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap, HTTPScope, Send

from streamgauge.api.connected import ClientGone
from streamgauge.core.errors import (
    BodyTimeout,
    BodyTooLarge,
    Conflict,
    Forbidden,
    InvalidRequest,
    MisdirectedRequest,
    NotFound,
    OriginNotAllowed,
    Overloaded,
    QueryLimit,
    RateLimited,
    ReceiverFailed,
    StreamgaugeError,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.query.promql_service import QueryTimeout

STATUS: Final[dict[type[StreamgaugeError], int]] = {
    InvalidRequest: 400,
    QueryLimit: 400,
    Unauthorized: 401,
    Forbidden: 403,
    OriginNotAllowed: 403,
    NotFound: 404,
    BodyTimeout: 408,
    Conflict: 409,
    BodyTooLarge: 413,
    UnsupportedMediaType: 415,
    MisdirectedRequest: 421,
    ClientGone: 499,
    ReceiverFailed: 502,
    RateLimited: 429,
    Overloaded: 503,
    QueryTimeout: 503,
    Unavailable: 503,
}
_FRAMEWORK_CODES: Final = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}

_logger = logging.getLogger(__name__)


def error_body(code: str, message: str, hint: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "hint": hint}}


class ErrorAnswer(NamedTuple):
    status: int
    body: dict[str, Any]
    headers: dict[str, str]


class ErrorAnswers:
    """What errors become, for the framework (`handlers`) and where it has no part (`send`). Counts them."""

    def __init__(self, metrics: SelfMetrics) -> None:
        self._metrics = metrics
        self.handlers: ExceptionHandlersMap = {HTTPException: self._respond, Exception: self._respond}

    def answer(self, error: Exception, method: str, path: str) -> ErrorAnswer:
        match error:
            case StreamgaugeError():
                status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
                return self._counted(status, error.code, error.message, error.hint, headers_of(error))
            case HTTPException():
                return self._framework_error(error, method, path)
        _logger.error("%s %s failed", method, path, exc_info=error)
        return self._counted(500, "internal", "this is a bug in streamgauge", "the server's log has the details", {})

    async def send(self, error: Exception, scope: HTTPScope, send: Send) -> None:
        """Answer a request that the framework has no part in."""
        status, body, extra = self.answer(error, scope["method"], scope["path"])
        headers = [(name.lower().encode(), value.encode()) for name, value in extra.items()]
        headers.append((b"content-type", b"application/json"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": msgspec.json.encode(body), "more_body": False})

    def _respond(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        status, body, headers = self.answer(error, request.method, request.url.path)
        return Response(body, status_code=status, headers=headers)

    def _framework_error(self, error: HTTPException, method: str, path: str) -> ErrorAnswer:
        status = error.status_code
        code = _FRAMEWORK_CODES.get(status, "internal" if status >= 500 else "invalid_request")
        message = {
            404: f"there is nothing at {path[:200]}",
            405: f"{method} is not possible at {path[:200]}",
        }.get(status, error.detail)
        hint = str(getattr(error, "extra", None) or "see /openapi.json for what there is")
        return self._counted(status, code, message, hint, dict(error.headers or {}))

    def _counted(self, status: int, code: str, message: str, hint: str, headers: dict[str, str]) -> ErrorAnswer:
        self._metrics.http_errors.labels(code).inc()
        return ErrorAnswer(status, error_body(code, message, hint), headers)


def headers_of(error: StreamgaugeError) -> dict[str, str]:
    """What is said beside the error itself."""
    if isinstance(error, Overloaded):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, Unauthorized):
        # Not Basic: browsers would ask for a name and a password.
        return {"WWW-Authenticate": 'Bearer realm="streamgauge"'}
    # The rest of such a body is not read, so that the connection can't be used again: who isn't told would try.
    close = {"Connection": "close"}
    match error:
        case BodyTooLarge():
            return close
        case BodyTimeout():
            return {**close, "Retry-After": "1"}
    return {}
