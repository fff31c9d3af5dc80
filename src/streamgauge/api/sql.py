"""`POST /sql`: read-only SQL."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from streamgauge.api.connected import while_connected
from streamgauge.api.door import NEEDS
from streamgauge.api.times import freshness_headers
from streamgauge.core.errors import UnsupportedMediaType
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.ingest.decode import format_of
from streamgauge.model import Freshness
from streamgauge.query.sql import SqlService, read_question

_MEDIA_TYPES: Final = {
    "json": "application/json",
    "csv": "text/csv; header=present",
    "ndjson": "application/x-ndjson",
    "arrow": "application/vnd.apache.arrow.stream",
}


def sql_route(
    service: SqlService, freshness: Callable[[], Awaitable[Freshness]], metrics: SelfMetrics
) -> HTTPRouteHandler:
    @post(
        "/sql",
        status_code=200,
        operation_class=_SqlOperation,
        summary="Ask SQL",
        description="One SELECT of the tables metrics, sessions, events and dead_letter, in ClickHouse's SQL. Nothing "
        "can be written, and no other table, file or address be read. Limits: see `[sql]` of the configuration.",
        tags=["query"],
        opt={NEEDS: "read"},
    )
    async def post_sql(request: Request[Any, Any, Any], body: bytes) -> Response[Any]:
        # The framework would take any content type, also those that a form of another site can send.
        if format_of(request.headers.get("content-type")) != "json":
            raise UnsupportedMediaType(
                "a question in SQL is one JSON object", hint="send Content-Type: application/json"
            )
        question = read_question(body)
        began_s = time.perf_counter()
        with metrics.query_seconds.labels("sql").time():
            # Before the query: what is queryable may by then be more than is said, never less.
            fresh = await freshness()
            answer = await while_connected(request, service.answer(question))
        content = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
        total_ms = (time.perf_counter() - began_s) * 1000
        headers = {**freshness_headers(fresh), "Server-Timing": f"total;dur={total_ms:.1f}"}
        return Response(content, headers=headers, media_type=_MEDIA_TYPES[question.format])

    return post_sql


@dataclass
class _SqlOperation(Operation):
    """Describes the body, which the handler decodes by itself."""

    def __post_init__(self) -> None:
        schema = Schema(
            type=OpenAPIType.OBJECT,
            required=["sql"],
            properties={
                "sql": Schema(type=OpenAPIType.STRING, min_length=1),
                "parameters": Schema(
                    type=OpenAPIType.OBJECT,
                    description="values of {name:Type} in the query",
                    additional_properties=Schema(
                        one_of=[
                            Schema(type=kind) for kind in (OpenAPIType.STRING, OpenAPIType.NUMBER, OpenAPIType.BOOLEAN)
                        ]
                    ),
                ),
                "format": Schema(type=OpenAPIType.STRING, enum=list(_MEDIA_TYPES), default="json"),
            },
            additional_properties=False,
        )
        self.request_body = RequestBody(required=True, content={"application/json": OpenAPIMediaType(schema=schema)})
