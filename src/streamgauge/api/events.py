"""`POST /events` and `POST /imports`: the REST transport of ingest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, Parameter, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from streamgauge.api.errors import error_body
from streamgauge.ingest.accept import Accepted, Ingest, numbering_of
from streamgauge.ingest.imports import Import, ImportRegistry

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


def ingest_routes(ingest: Ingest, imports: ImportRegistry, body_bytes_max: int) -> list[HTTPRouteHandler]:
    @post(
        "/events",
        status_code=202,
        request_max_body_size=body_bytes_max,
        operation_class=_EventsOperation,
        summary="Send events",
        tags=["ingest"],
    )
    async def post_events(request: Request[Any, Any, Any]) -> Response[Any]:
        headers = request.headers
        accepted = await ingest.accept(
            await request.body(),
            headers.get("content-type"),
            headers.get("content-encoding"),
            numbering_of(headers.get("streamgauge-producer"), headers.get("streamgauge-sequence")),
        )
        return _answer(accepted)

    @post("/imports", status_code=200, summary="Register or find an import", tags=["ingest"])
    async def post_imports(data: ImportRequest) -> ImportAnswer:
        numbering_of(data.producer, "0")
        found: Import = await imports.register(data.producer, data.source, data.shift_ms)
        return ImportAnswer(found.producer, found.source, found.shift_ms, found.next_sequence, found.created)

    return [post_events, post_imports]


def _answer(accepted: Accepted) -> Response[Any]:
    if not accepted.rejected:
        return Response({"status": "accepted", "count": accepted.count}, status_code=202)
    body = {
        "status": "partial" if accepted.count else "rejected",
        "count": accepted.count,
        "rejected_count": len(accepted.rejected),
        "rejected": accepted.rejected[:_REJECTIONS_LISTED_MAX],
    }
    if accepted.count:
        return Response(body, status_code=202)
    first = accepted.rejected[0]
    hint = "each item of `rejected` says what is wrong with it"
    return Response({**body, **error_body(first.code, first.message, hint)}, status_code=400)


@dataclass
class _EventsOperation(Operation):
    """Describes what the handler reads by itself."""

    def __post_init__(self) -> None:
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
