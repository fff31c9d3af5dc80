"""Errors to gRPC's statuses: one table, one shape. What `streamgauge.api.errors` is for HTTP."""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from streamgauge.core.errors import (
    BodyTooLarge,
    Forbidden,
    InvalidRequest,
    Overloaded,
    RateLimited,
    StreamgaugeError,
    StreamOver,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)

CODES: Final[dict[type[StreamgaugeError], grpc.StatusCode]] = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    UnsupportedMediaType: grpc.StatusCode.INVALID_ARGUMENT,
    BodyTooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,  # as gRPC itself answers a message over its limit
    Unauthorized: grpc.StatusCode.UNAUTHENTICATED,
    Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    RateLimited: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    StreamOver: grpc.StatusCode.UNAVAILABLE,
}
_DOMAIN: Final = "streamgauge"

_logger = logging.getLogger(__name__)


class Refusal(NamedTuple):
    """What a call ends with. `metadata` has the details in the two forms that clients know."""

    code: grpc.StatusCode
    message: str
    metadata: tuple[tuple[str, str | bytes], ...]


def refusal_of(error: Exception, method: str) -> Refusal:
    """Only an error that goes away has a RetryInfo, by which clients tell (as OpenTelemetry's do): RESOURCE_EXHAUSTED
    alone may be either."""
    if not isinstance(error, StreamgaugeError):
        _logger.error("%s failed", method, exc_info=error)
        error = StreamgaugeError("this is a bug in streamgauge", hint="the server's log has the details")
    code = CODES.get(type(error), grpc.StatusCode.INTERNAL)
    details: list[Message] = [ErrorInfo(reason=error.code, domain=_DOMAIN, metadata={"hint": error.hint})]
    pushback: tuple[tuple[str, str | bytes], ...] = ()
    if isinstance(error, Overloaded):
        details.append(RetryInfo(retry_delay=Duration(seconds=error.retry_after_s)))
        pushback = (("grpc-retry-pushback-ms", str(error.retry_after_s * 1_000)),)
    text = f"{error.message}: {error.hint}" if error.hint else error.message
    status = Status(code=code.value[0], message=text, details=[_packed(detail) for detail in details])
    return Refusal(code, text, (*pushback, ("grpc-status-details-bin", status.SerializeToString())))


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
