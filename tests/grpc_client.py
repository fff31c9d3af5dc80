"""A client of `proto/ingest.proto` by the real grpcio, and JSON events as its messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import grpc
import msgspec
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_status import rpc_status

from streamgauge.ingest.grpc.ingest_pb2 import Event, ListValue, MapValue, SendRequest, SendResponse, Value

_SERVICE = "/streamgauge.v1.Ingest"


class Told(msgspec.Struct, frozen=True):
    """What an error says, to people and to programs."""

    status: grpc.StatusCode
    code: str
    hint: str
    retry_s: int | None


def told_by(error: grpc.RpcError) -> Told:
    status = rpc_status.from_call(error)
    info, retry = ErrorInfo(), RetryInfo()
    retry_s = None
    for detail in status.details if status is not None else ():
        if detail.Unpack(retry):
            retry_s = retry.retry_delay.seconds
        else:
            assert detail.Unpack(info)
    return Told(error.code(), info.reason, info.metadata["hint"], retry_s)


class Client:
    """As generated stubs are, but `raw` sends any bytes."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.send = channel.unary_unary(f"{_SERVICE}/Send", SendRequest.SerializeToString, SendResponse.FromString)
        self.raw = channel.unary_unary(f"{_SERVICE}/Send", None, SendResponse.FromString)
        self.stream = channel.stream_stream(
            f"{_SERVICE}/Stream", SendRequest.SerializeToString, SendResponse.FromString
        )


def event_of(item: Mapping[str, Any]) -> Event:
    """As a program would write it: its own fields where they can be, all else as properties."""
    rest = dict(item)
    event = Event()
    for name in ("event", "user_id", "anonymous_id", "event_id"):
        if type(rest.get(name)) is str and rest[name]:
            setattr(event, name, rest.pop(name))
    if type(rest.get("timestamp")) is int and 0 <= rest["timestamp"] < 2**40:
        event.timestamp.FromMilliseconds(rest.pop("timestamp"))
    for name, value in rest.items():
        event.properties[name].CopyFrom(value_of(value))
    return event


def value_of(value: Any) -> Value:
    return Value() if value is None else _KINDS[type(value)](value)


_KINDS: Mapping[type, Callable[[Any], Value]] = {
    bool: lambda value: Value(bool_value=value),
    int: lambda value: Value(int_value=value),
    float: lambda value: Value(double_value=value),
    str: lambda value: Value(string_value=value),
    list: lambda value: Value(list_value=ListValue(values=[value_of(part) for part in value])),
    dict: lambda value: Value(map_value=MapValue(fields={name: value_of(part) for name, part in value.items()})),
}


def request_with(events: Iterable[Mapping[str, Any]], batch_id: int = 0) -> SendRequest:
    return SendRequest(events=[event_of(event) for event in events], batch_id=batch_id)


async def each(requests: Iterable[SendRequest], then: Callable[[], Any] = lambda: None) -> AsyncIterator[SendRequest]:
    """An asynchronous iterator; awaits what `then` gives before it ends, where that is not None."""
    for request in requests:
        yield request
    last = then()
    if last is not None:
        await last
