"""`POST /events` and `POST /imports`: the REST transport of ingest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar import Request, post
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import (
    Example,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    PathItem,
    RequestBody,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIType
from litestar.types import HTTPScope, Receive, Send

from streamgauge.api.door import NEEDS, in_time, source_of, visit_of
from streamgauge.api.errors import ErrorAnswers, error_body
from streamgauge.core.errors import InvalidRequest, UnsupportedMediaType
from streamgauge.ingest.accept import Accepted, Ingest, numbering_of
from streamgauge.ingest.decode import body_too_large, format_of
from streamgauge.ingest.imports import Import, Imports
from streamgauge.ingest.visitor import Sender

EVENTS_PATH: Final = "/events"
_JSON_HEADERS: Final = [(b"content-type", b"application/json")]
_REJECTIONS_LISTED_MAX: Final = 100


class ImportRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    producer: str
    source: str
    shift_ms: int = 0


class ImportAnswer(msgspec.Struct, frozen=True):
    producer: str
    source: str
    shift_ms: int
    next_sequence: int
    created: bool


class EventsEndpoint:
    """`POST /events` as bare ASGI: routing, requests and responses as objects would cost more than the events do."""

    def __init__(self, ingest: Ingest, errors: ErrorAnswers, body_bytes_max: int) -> None:
        self._ingest = ingest
        self._errors = errors
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        try:
            accepted = await self._accept(scope, receive)
            status, body = _answer(accepted)
        except Exception as error:
            await self._errors.send(error, scope, send)
            return
        await send({"type": "http.response.start", "status": status, "headers": _headers(accepted)})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _accept(self, scope: HTTPScope, receive: Receive) -> Accepted:
        if scope["method"] != "POST":
            raise MethodNotAllowedException(headers={"Allow": "POST"})
        source = source_of(scope)
        headers = visit_of(scope).headers
        return await self._ingest.accept(
            await read_body(receive, self._body_bytes_max),
            header_text(headers, b"content-type"),
            header_text(headers, b"content-encoding"),
            numbering_of(header_text(headers, b"streamgauge-producer"), header_text(headers, b"streamgauge-sequence")),
            sender_of(scope, headers),
            source=source,
        )


def import_route(imports: Imports) -> BaseRouteHandler:
    @post(
        "/imports",
        status_code=200,
        operation_class=_ImportsOperation,
        summary="Register or find an import",
        tags=["ingest"],
        opt={NEEDS: "write"},
    )
    async def post_imports(request: Request[Any, Any, Any], body: bytes) -> ImportAnswer:
        wanted = _import_request(request.headers.get("content-type"), body)
        numbering_of(wanted.producer, "0")
        found: Import = await imports.register(wanted.producer, wanted.source, wanted.shift_ms)
        return ImportAnswer(found.producer, found.source, found.shift_ms, found.next_sequence, found.created)

    return post_imports


def _import_request(content_type: str | None, body: bytes) -> ImportRequest:
    """The framework would take any content type, also those that a form of another site can send."""
    if format_of(content_type) != "json":
        raise UnsupportedMediaType("an import is one JSON object", hint="send Content-Type: application/json")
    try:
        return msgspec.json.decode(body, type=ImportRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(
            f"this is not an import: {error}", code="malformed_body", hint='send {"producer": "…", "source": "…"}'
        ) from error


async def read_body(receive: Receive, bytes_max: int) -> bytes:
    """The body as it was sent. Raises BodyTooLarge before more than the limit is held in memory, and BodyTimeout."""
    receive = in_time(receive)
    body = b""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise InvalidRequest("the request was cut off", code="malformed_body")
        body = message["body"]
        size += len(body)
        if size > bytes_max:
            raise body_too_large(bytes_max)
        if not message.get("more_body"):
            break
        parts.append(body)
    return b"".join((*parts, body)) if parts else body


def header_text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def sender_of(scope: HTTPScope, headers: dict[bytes, bytes]) -> Sender:
    client = scope["client"]
    # Each proxy may have added a header of its own.
    forwarded = b",".join([value for name, value in scope["headers"] if name == b"x-forwarded-for"])
    return Sender(header_text(headers, b"user-agent") or "", client[0] if client else "", forwarded.decode("latin-1"))


def _headers(accepted: Accepted) -> list[tuple[bytes, bytes]]:
    if not accepted.without_id_count:
        return _JSON_HEADERS
    return [*_JSON_HEADERS, (b"streamgauge-without-event-id", b"%d" % accepted.without_id_count)]


def _answer(accepted: Accepted) -> tuple[int, bytes]:
    """Status and JSON."""
    if not accepted.rejected and not accepted.bots_count:
        return 202, b'{"status":"accepted","count":%d}' % accepted.count
    body: dict[str, Any] = {
        "status": "accepted" if not accepted.rejected else "partial" if accepted.count else "rejected",
        "count": accepted.count,
        "rejected_count": len(accepted.rejected),
        "rejected": accepted.rejected[:_REJECTIONS_LISTED_MAX],
    }
    if accepted.bots_count:
        body["dropped"] = {"bot": accepted.bots_count}
    if not accepted.count and accepted.rejected:
        first = accepted.rejected[0]
        body |= error_body(first.code, first.message, "each item of `rejected` says what is wrong with it")
    return 202 if accepted.count or not accepted.rejected else 400, msgspec.json.encode(body)


@dataclass
class _ImportsOperation(Operation):
    """Describes the body, which the handler decodes by itself."""

    def __post_init__(self) -> None:
        text = Schema(type=OpenAPIType.STRING, min_length=1)
        schema = Schema(
            type=OpenAPIType.OBJECT,
            required=["producer", "source"],
            properties={"producer": text, "source": text, "shift_ms": Schema(type=OpenAPIType.INTEGER, default=0)},
            additional_properties=False,
        )
        self.request_body = RequestBody(required=True, content={"application/json": OpenAPIMediaType(schema=schema)})


def events_path_item() -> PathItem:
    """The description of `POST /events`, which a bare ASGI route doesn't have by itself."""
    return PathItem(post=_EventsOperation(summary="Send events", tags=["ingest"], operation_id="PostEvents"))


@dataclass
class _EventsOperation(Operation):
    """Describes what the handler reads by itself."""

    def __post_init__(self) -> None:
        self.security = [{"key": ["write"]}]
        event = Schema(
            type=OpenAPIType.OBJECT,
            required=["event"],
            properties={
                "event": Schema(type=OpenAPIType.STRING, min_length=1),
                "timestamp": Schema(one_of=[Schema(type=OpenAPIType.STRING), Schema(type=OpenAPIType.INTEGER)]),
                "user_id": Schema(one_of=[Schema(type=OpenAPIType.STRING), Schema(type=OpenAPIType.INTEGER)]),
                "anonymous_id": Schema(one_of=[Schema(type=OpenAPIType.STRING), Schema(type=OpenAPIType.INTEGER)]),
                "event_id": Schema(type=OpenAPIType.STRING),
            },
            additional_properties=True,
        )
        example = {"event": "page_view", "user_id": 123, "page": "/product", "country": "US", "device": "mobile"}
        self.responses = {
            "202": OpenAPIResponse(
                description="The events are durable; bad items are listed.",
                headers={
                    "Streamgauge-Without-Event-Id": OpenAPIHeader(
                        schema=Schema(type=OpenAPIType.INTEGER, minimum=1),
                        description="How many of them came with neither an id nor a number.",
                    )
                },
            ),
            "400": OpenAPIResponse(description="Nothing was accepted: malformed, or no item was good."),
            "403": OpenAPIResponse(description="A page of another origin may not send events."),
            "413": OpenAPIResponse(description="The body is too large."),
            "415": OpenAPIResponse(description="The content type or encoding is not accepted."),
            "503": OpenAPIResponse(description="Nothing was accepted: try again after Retry-After seconds."),
        }
        self.request_body = RequestBody(
            required=True,
            content={
                "application/json": OpenAPIMediaType(
                    schema=Schema(one_of=[event, Schema(type=OpenAPIType.ARRAY, items=event)]),
                    examples={"one event": Example(value=example)},
                ),
                "application/x-ndjson": OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING)),
            },
        )
        self.parameters = [
            Parameter(name=name, param_in="header", required=False, schema=Schema(type=OpenAPIType.STRING))
            for name in ("Streamgauge-Producer", "Streamgauge-Sequence", "Content-Encoding")
        ]
