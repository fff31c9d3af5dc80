"""`GET /metrics` and `GET /metrics/names`: questions and answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Operation, Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIType

from streamgauge.api.times import freshness_headers, rfc3339
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import SESSION_METRICS, Freshness, Rollup
from streamgauge.query.metrics import Answer, Group, MetricsService

_PARAMETERS = {
    "name": "a metric",
    "range": "the last …: 15m, 24h, 7d (default 24h)",
    "from": "instead of range: RFC 3339 or milliseconds",
    "to": "RFC 3339 or milliseconds; half-open",
    "step": "the width of a point: 1m, 1h",
    "group_by": "a dimension: a breakdown instead of a time series",
    "filter": "dimension:value, repeatable",
    "limit": "rows of a breakdown",
}


def metrics_routes(
    service: MetricsService, freshness: Callable[[], Awaitable[Freshness]], metrics: SelfMetrics
) -> list[HTTPRouteHandler]:
    @get("/metrics", operation_class=_MetricsOperation, summary="Ask a metric", tags=["query"])
    async def get_metrics(request: Request[Any, Any, Any]) -> Response[Any]:
        with metrics.query_seconds.labels("metrics").time():
            # Before the query: what is queryable may by then be more than is said, never less.
            fresh = await freshness()
            answer = await service.answer(list(request.query_params.items()))
        return Response(_rows(answer), headers=_headers(answer, fresh))

    @get("/metrics/names", summary="What can be asked", tags=["query"])
    async def get_names() -> list[dict[str, Any]]:
        with metrics.query_seconds.labels("names").time():
            newest_ms = await service.newest_panes_ms()
        return [_name(rollup, newest_ms.get(rollup.name)) for rollup in service.rollups]

    return [get_metrics, get_names]


def _rows(answer: Answer) -> list[dict[str, Any]]:
    dimension = answer.question.group_by or ""
    return [
        {dimension: row.name, "value": row.value}
        if isinstance(row, Group)
        else {"timestamp": rfc3339(row.start_ms), "value": row.value}
        for row in answer.rows
    ]


def _headers(answer: Answer, fresh: Freshness) -> dict[str, str]:
    question = answer.question
    step = {"Streamgauge-Step-Ms": str(question.step_ms)} if question.group_by is None else {}
    limited = {"Streamgauge-Limited": question.group_by} if question.group_by and answer.is_limited else {}
    if question.metric.name in SESSION_METRICS:  # a session is counted when it is closed, at the minute of its start
        fresh = msgspec.structs.replace(fresh, complete_up_to_ms=fresh.sessions_complete_up_to_ms)
    return {
        **freshness_headers(fresh),
        **limited,
        "Streamgauge-From": rfc3339(question.from_ms),
        "Streamgauge-To": rfc3339(question.to_ms),
        "Server-Timing": f"store;dur={answer.store_s * 1000:.1f}",
        **step,
    }


def _name(rollup: Rollup, newest_ms: int | None) -> dict[str, Any]:
    measure = rollup.measured
    return {
        "name": rollup.name,
        "event": rollup.event,
        "measure": "count" if measure.kind == "count" else {measure.kind: measure.field},
        "dimensions": rollup.dimensions,
        "window_ms": rollup.window_ms,
        "last_seen": None if newest_ms is None else rfc3339(newest_ms),
    }


@dataclass
class _MetricsOperation(Operation):
    """Describes the parameters that the handler reads by itself: any dimension can be one."""

    def __post_init__(self) -> None:
        self.parameters = [
            Parameter(
                name=name,
                param_in="query",
                required=name == "name",
                description=description,
                schema=Schema(type=OpenAPIType.STRING),
            )
            for name, description in _PARAMETERS.items()
        ]
