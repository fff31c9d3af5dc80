"""`GET /metrics`, and what can be asked there: `GET /metrics/names` and `GET /metrics/values`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Operation, Parameter, Reference, Schema
from litestar.openapi.spec.enums import OpenAPIType

from streamgauge.api.connected import while_connected
from streamgauge.api.formats import format_of, formatted
from streamgauge.api.kept import asks_for_now, kept_response
from streamgauge.api.times import freshness_headers, local_time, rfc3339
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import SESSION_METRICS, TIME_MS_END, Freshness, Rollup
from streamgauge.query.cache.answers import AnswerCache, Computed, Scope
from streamgauge.query.cache.keys import question_key, question_scope, several_key, several_scope
from streamgauge.query.metrics import MetricsService
from streamgauge.query.parameters import is_set
from streamgauge.query.plan import Plan
from streamgauge.query.question import Question, zone_of
from streamgauge.query.several import Several, Table, answer, explained, parse_several

_SCOPE_PARAMETERS = {
    "name": "a metric",
    "range": "the last …: 15m, 24h, 7d (default 24h)",
    "from": "instead of range: RFC 3339 or milliseconds",
    "to": "RFC 3339 or milliseconds; half-open",
    "filter": "dimension:value, dimension!:value, dimension:a|b, dimension:prefix*; repeatable",
}
_PARAMETERS = {
    **_SCOPE_PARAMETERS,
    "name": "a metric, or a ratio of two: signups/page_views; repeatable, up to 10",
    "step": "the width of a point: 1m, 1h",
    "group_by": "a dimension, repeatable: a breakdown instead of a time series",
    "limit": "rows of a breakdown, the first ones in the order",
    "top": "instead of limit: the largest rows, whatever the order",
    "compare": "previous: with the range before; week: with seven days earlier",
    "format": "json (default), csv or ndjson",
    "tz": "whose clocks steps of hours and days go by: Europe/Berlin (default UTC)",
    "explain": "1: instead of the answer, which tables are read, and the SQL",
    "order": "of the rows: -value (default), value, name, -name",
}
_VALUES_PARAMETERS = {
    **_SCOPE_PARAMETERS,
    "name": "a metric, or a ratio of two: signups/page_views; repeatable, up to 10",
    "dimension": "whose values",
    "prefix": "what they begin with",
    "limit": "how many values (default 100)",
}


def metrics_routes(
    service: MetricsService,
    cache: AnswerCache,
    freshness: Callable[[], Awaitable[Freshness]],
    metrics: SelfMetrics,
) -> list[HTTPRouteHandler]:
    @get("/metrics", operation_class=_MetricsOperation, summary="Ask a metric", tags=["query"])
    async def get_metrics(request: Request[Any, Any, Any]) -> Response[Any]:
        began_s = time.perf_counter()
        parameters = list(request.query_params.items())
        asked, format_ = parse_several(parameters, service), format_of(parameters)
        if is_set(parameters, "explain"):
            return Response([_explained(plan) for plan in explained(asked, service)])

        async def ask() -> Computed:
            # Before the query: what is queryable may by then be more than is said, never less.
            fresh = _of_metrics(asked.questions, await freshness())
            table = await answer(asked, service)
            return Computed(
                msgspec.json.encode(_rows(asked, table)), _headers(asked, table, fresh), fresh.complete_up_to_ms
            )

        with metrics.query_seconds.labels("metrics").time():
            found = await while_connected(
                request, cache.answer(several_key(asked), several_scope(asked), ask, bypass=asks_for_now(request))
            )
        # One answer is kept for all formats.
        body, media_type = formatted(found.body, _columns(asked), format_)
        return kept_response(found._replace(body=body), began_s, media_type)

    @get("/metrics/names", summary="What can be asked", tags=["query"])
    async def get_names(request: Request[Any, Any, Any]) -> Response[list[dict[str, Any]]]:
        began_s = time.perf_counter()

        async def ask() -> Computed:
            newest_ms = await service.newest_panes_ms()
            names = [_name(rollup, newest_ms.get(rollup.name)) for rollup in service.rollups]
            return Computed(msgspec.json.encode(names), {}, 0)

        with metrics.query_seconds.labels("names").time():
            found = await while_connected(
                request, cache.answer("names", Scope(None, 0, TIME_MS_END), ask, bypass=asks_for_now(request))
            )
        return kept_response(found, began_s)

    @get("/metrics/values", operation_class=_ValuesOperation, summary="Values of a dimension", tags=["query"])
    async def get_values(request: Request[Any, Any, Any]) -> Response[Any]:
        began_s = time.perf_counter()
        question = service.values_question(list(request.query_params.items()))

        async def ask() -> Computed:
            fresh = _of_metrics([question], await freshness())
            values = await service.values(question)
            measure = question.metric.measured.kind
            rows = [{"value": group.names[0], measure: group.value} for group in values.groups]
            headers = {**_scope_headers(question, fresh), "Streamgauge-Values": str(values.count)}
            return Computed(msgspec.json.encode(rows), headers, fresh.complete_up_to_ms)

        scope = question_scope(question)
        with metrics.query_seconds.labels("values").time():
            found = await while_connected(
                request, cache.answer(f"values:{question_key(question)}", scope, ask, bypass=asks_for_now(request))
            )
        return kept_response(found, began_s)

    return [get_metrics, get_names, get_values]


def _rows(asked: Several, table: Table) -> list[dict[str, Any]]:
    columns, zone = _columns(asked), zone_of(asked.any.zone)
    return [
        dict(
            zip(  # a row that is compared with none has values for which there are no columns
                columns,
                (
                    *(line.at if isinstance(line.at, tuple) else [local_time(line.at, zone)]),
                    *line.values,
                    *line.compared,
                ),
                strict=False,
            )
        )
        for line in table.lines
    ]


def _explained(plan: Plan) -> dict[str, Any]:
    """Which table is read for which times, and the SQL with the values that are bound to it."""
    reads = [
        {
            "table": table,
            "ranges": [{"from": rfc3339(from_s * 1000), "to": rfc3339(to_s * 1000)} for from_s, to_s in ranges],
        }
        for table, ranges in plan.tables
    ]
    return {"reads": reads, "sql": plan.sql, "parameters": plan.parameters}


def _columns(asked: Several) -> list[str]:
    """The keys of a row."""
    return [*(asked.any.group_by or ["timestamp"]), *asked.value_names, *asked.compared_names]


def _headers(asked: Several, table: Table, fresh: Freshness) -> dict[str, str]:
    question = asked.any
    step = {} if question.group_by else {"Streamgauge-Step-Ms": str(question.step_ms), **_filling(asked, table, fresh)}
    limited = {"Streamgauge-Limited": ", ".join(table.limited)} if table.limited else {}
    earlier = question.earlier
    compared = {
        "Streamgauge-Compared-From": rfc3339(earlier.from_ms),
        "Streamgauge-Compared-To": rfc3339(earlier.to_ms),
    }
    return {**_scope_headers(question, fresh), **limited, **step, **(compared if question.earlier_ms else {})}


def _filling(asked: Several, table: Table, fresh: Freshness) -> dict[str, str]:
    """From which point on events are still coming in time."""
    points = [line.at for line in table.lines if isinstance(line.at, int)]
    ends = [*points[1:], asked.any.to_ms]
    for start_ms, end_ms in zip(points, ends, strict=False):
        if end_ms > fresh.complete_up_to_ms:
            return {"Streamgauge-Filling-From": local_time(start_ms, zone_of(asked.any.zone))}
    return {}


def _scope_headers(question: Question, fresh: Freshness) -> dict[str, str]:
    return {
        **freshness_headers(fresh),
        "Streamgauge-From": rfc3339(question.from_ms),
        "Streamgauge-To": rfc3339(question.to_ms),
    }


def _of_metrics(questions: Sequence[Question], fresh: Freshness) -> Freshness:
    if any(
        one.metric.name in SESSION_METRICS for one in questions
    ):  # a session is counted when it is closed, at the minute of its start
        return msgspec.structs.replace(fresh, complete_up_to_ms=fresh.sessions_complete_up_to_ms)
    return fresh


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
        self.parameters = _described(_PARAMETERS, required={"name"})


@dataclass
class _ValuesOperation(Operation):
    """Likewise."""

    def __post_init__(self) -> None:
        self.parameters = _described(_VALUES_PARAMETERS, required={"name", "dimension"})


def _described(parameters: Mapping[str, str], required: Collection[str]) -> list[Parameter | Reference]:
    return [
        Parameter(
            name=name,
            param_in="query",
            required=name in required,
            description=description,
            schema=Schema(type=OpenAPIType.STRING),
        )
        for name, description in parameters.items()
    ]
