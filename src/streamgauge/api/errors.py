"""Errors to HTTP: one table, one shape. A bug is a 500 that tells the caller nothing and the log everything."""

from __future__ import annotations

import logging
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from streamgauge.core.errors import (
    BodyTooLarge,
    InvalidRequest,
    NotFound,
    Overloaded,
    StreamgaugeError,
    Unavailable,
    UnsupportedMediaType,
)
from streamgauge.core.selfmetrics import SelfMetrics

STATUS: Final[dict[type[StreamgaugeError], int]] = {
    InvalidRequest: 400,
    NotFound: 404,
    BodyTooLarge: 413,
    UnsupportedMediaType: 415,
    Overloaded: 503,
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


class ErrorResponses:
    """Exception handlers for Litestar that count what they answer."""

    def __init__(self, metrics: SelfMetrics) -> None:
        self._metrics = metrics
        self.handlers: ExceptionHandlersMap = {
            StreamgaugeError: self._operating_error,
            HTTPException: self._framework_error,
            Exception: self._bug,
        }

    def _operating_error(self, _: Request[Any, Any, Any], error: StreamgaugeError) -> Response[Any]:
        headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, Overloaded) else {}
        return self._answer(STATUS.get(type(error), 500), error.code, error.message, error.hint, headers)

    def _framework_error(self, request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
        code = _FRAMEWORK_CODES.get(error.status_code, "internal" if error.status_code >= 500 else "invalid_request")
        message = {
            404: f"there is nothing at {request.url.path[:200]}",
            405: f"{request.method} is not possible at {request.url.path[:200]}",
        }.get(error.status_code, error.detail)
        extra = getattr(error, "extra", None)
        hint = f"{extra}" if extra else "see /docs for what there is"
        return self._answer(error.status_code, code, message, hint, dict(error.headers or {}))

    def _bug(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        _logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return self._answer(500, "internal", "this is a bug in streamgauge", "the server's log has the details", {})

    def _answer(self, status: int, code: str, message: str, hint: str, headers: dict[str, str]) -> Response[Any]:
        self._metrics.http_errors.labels(code).inc()
        return Response(error_body(code, message, hint), status_code=status, headers=headers)
