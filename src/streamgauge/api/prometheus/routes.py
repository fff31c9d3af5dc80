"""The endpoints. What takes a question can be asked by GET and by form POST."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from litestar import Request, Response, get, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from streamgauge import __version__
from streamgauge.api.connected import while_connected
from streamgauge.api.door import NEEDS
from streamgauge.api.prometheus.answers import answered, error_answer, limited, success
from streamgauge.api.prometheus.described import operation
from streamgauge.api.prometheus.metadata import metadata
from streamgauge.api.prometheus.parameters import Parameters, bad_data
from streamgauge.api.times import freshness_headers
from streamgauge.core.clock import Clock
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import DAY_MS, Freshness
from streamgauge.query.promql.engine import LOOKBACK_MS, Engine
from streamgauge.query.promql.labels import NAME, is_label_name
from streamgauge.query.promql.parse import parse
from streamgauge.query.promql_service import PromqlService, Sources

PROMETHEUS_VERSION: Final = "3.5.0"
"""Whose behaviour this API has: clients choose by it what they ask for."""
SPAN_MS: Final = 7 * DAY_MS
"""Of series and labels that are asked for without a start."""

_METHODS: Final = [HttpMethod.GET, HttpMethod.POST]
_JSON: Final = "application/json"

T = TypeVar("T")
Handled = Callable[["Asked"], Awaitable[bytes]]


class Asked(NamedTuple):
    parameters: Parameters
    fresh: Freshness
    now_ms: int
    path: dict[str, Any]


class _Api:
    """What the endpoints share: reading requests, freshness, the clock."""

    def __init__(
        self,
        service: PromqlService,
        freshness: Callable[[], Awaitable[Freshness]],
        metrics: SelfMetrics,
        clock: Clock,
    ) -> None:
        self.service = service
        self.metrics = metrics
        self._freshness = freshness
        self._clock = clock

    async def answer(self, request: Request[Any, Any, Any], endpoint: str, handle: Handled) -> Response[bytes]:
        """Gives the question up when the client goes away."""
        with self.metrics.query_seconds.labels(endpoint).time():
            body = await request.body()
            asked_for = Parameters.of(request.scope["query_string"], request.headers.get("content-type", ""), body)
            # Before the question: what is queryable may by then be more than is said, never less.
            fresh = await self._freshness()
            asked = Asked(asked_for, fresh, self._clock.now_ms(), request.path_params)
            content = await while_connected(request, handle(asked))
        return Response(content, media_type=_JSON, headers=freshness_headers(fresh))

    def failed(self, _: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        status, body, headers = error_answer(error)
        self.metrics.http_errors.labels(body["errorType"]).inc()
        return Response(msgspec.json.encode(body), status_code=status, media_type=_JSON, headers=headers)

    async def ask(self, asked: Asked, work: Callable[[Sources], T]) -> T:
        return await self.service.answer(work, asked.fresh, asked.parameters.timeout_s())


def prometheus_routes(
    service: PromqlService, freshness: Callable[[], Awaitable[Freshness]], metrics: SelfMetrics, clock: Clock
) -> list[HTTPRouteHandler]:

    api = _Api(service, freshness, metrics, clock)
    questions = [
        _endpoint(api, "/query", _query, "Ask PromQL at one moment", _METHODS),
        _endpoint(api, "/query_range", _query_range, "Ask PromQL over a range of time", _METHODS),
        _endpoint(api, "/series", _series, "Series that match", _METHODS),
        _endpoint(api, "/labels", _labels, "Names of labels", _METHODS),
        _endpoint(api, "/label/{name:str}/values", _label_values, "Values of a label", [HttpMethod.GET]),
        _endpoint(api, "/metadata", _metadata, "What the metrics are", [HttpMethod.GET]),
        _endpoint(api, "/query_exemplars", _exemplars, "Exemplars: there are none", _METHODS),
        _endpoint(api, "/format_query", _format, "A question, well laid out", _METHODS),
    ]
    return [*questions, _fixed("/status/buildinfo", _BUILD)]


_BUILD: Final = {
    "version": PROMETHEUS_VERSION,
    "revision": __version__,
    "branch": "",
    "buildUser": "",
    "buildDate": "",
    "goVersion": "",
    "application": "Streamgauge",
}


def _endpoint(
    api: _Api,
    path: str,
    handle: Callable[[_Api, Asked], Awaitable[bytes]],
    summary: str,
    methods: list[HttpMethod],
) -> HTTPRouteHandler:
    endpoint = handle.__name__.removeprefix("_")

    @route(
        f"/api/v1{path}",
        http_method=methods,
        status_code=200,
        operation_class=operation(endpoint),
        summary=summary,
        tags=["prometheus"],
        exception_handlers={Exception: api.failed},
        opt={NEEDS: "read"},
        name=f"prometheus_{endpoint}",
    )
    async def answer(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await api.answer(request, f"prometheus_{endpoint}", lambda asked: handle(api, asked))

    return answer


def _fixed(path: str, data: Any) -> HTTPRouteHandler:
    content = success(data)

    @get(f"/api/v1{path}", summary=f"Prometheus' {path}", tags=["prometheus"], name=f"prometheus{path}")
    async def answer() -> Response[bytes]:
        return Response(content, media_type=_JSON)

    return answer


async def _query(api: _Api, asked: Asked) -> bytes:
    query, at_ms = asked.parameters.query(), asked.parameters.time_ms("time", asked.now_ms)
    limit, lookback_ms = asked.parameters.limit(), _lookback_ms(asked.parameters)

    def work(sources: Sources) -> bytes:
        engine = Engine(sources, lookback_ms=lookback_ms, check=sources.check)
        return answered(engine.instant(query, at_ms), is_range=False, limit=limit)

    return await api.ask(asked, work)


async def _query_range(api: _Api, asked: Asked) -> bytes:
    parameters = asked.parameters
    query, step_ms = parameters.query(), parameters.step_ms()
    start_ms, end_ms = parameters.time_ms("start"), parameters.time_ms("end")
    limit, lookback_ms = parameters.limit(), _lookback_ms(parameters)

    def work(sources: Sources) -> bytes:
        engine = Engine(sources, lookback_ms=lookback_ms, check=sources.check)
        return answered(engine.range(query, start_ms, end_ms, step_ms), is_range=True, limit=limit)

    return await api.ask(asked, work)


async def _series(api: _Api, asked: Asked) -> bytes:
    matchers, span_ms = asked.parameters.matchers(needed=True), asked.parameters.span_ms(asked.now_ms, SPAN_MS)
    limit = asked.parameters.limit()

    def work(sources: Sources) -> bytes:
        found = {labels for one in matchers for labels in sources.label_sets(one, *span_ms)}
        return limited([dict(labels) for labels in sorted(found)], limit)

    return await api.ask(asked, work)


async def _labels(api: _Api, asked: Asked) -> bytes:
    matchers, span_ms = asked.parameters.matchers() or [()], asked.parameters.span_ms(asked.now_ms, SPAN_MS)
    limit = asked.parameters.limit()

    def work(sources: Sources) -> bytes:
        sets = [labels for one in matchers for labels in sources.label_sets(one, *span_ms)]
        return limited(sorted({name for labels in sets for name, _ in labels}), limit)

    return await api.ask(asked, work)


async def _label_values(api: _Api, asked: Asked) -> bytes:
    name, limit = str(asked.path["name"]), asked.parameters.limit()
    if not is_label_name(name):
        raise bad_data(f"invalid label name: {name[:64]!r}")
    matchers, span_ms = asked.parameters.matchers(), asked.parameters.span_ms(asked.now_ms, SPAN_MS)

    def work(sources: Sources) -> bytes:
        if name == NAME and not matchers:
            return limited(sorted(sources.metric_names(*span_ms)), limit)
        sets = [sources.label_values(name, one, *span_ms) for one in matchers or [()]]
        return limited(sorted(set[str]().union(*sets)), limit)

    return await api.ask(asked, work)


async def _metadata(api: _Api, asked: Asked) -> bytes:
    found, limit = metadata(api.service.rollups, api.metrics.registry), asked.parameters.limit()
    wanted = asked.parameters.text("metric")
    chosen = [(name, one) for name, one in found.items() if wanted in ("", name)]
    return success(dict(chosen[:limit] if limit else chosen))


async def _exemplars(_: _Api, asked: Asked) -> bytes:
    parse(asked.parameters.query())
    asked.parameters.span_ms(asked.now_ms, SPAN_MS)
    return success([])


async def _format(_: _Api, asked: Asked) -> bytes:
    return success(parse(asked.parameters.query()).prettify())


def _lookback_ms(parameters: Parameters) -> int:
    lookback_ms = parameters.duration_ms("lookback_delta")
    if lookback_ms is not None and lookback_ms <= 0:
        raise bad_data("lookback_delta must be longer than 0", hint="write lookback_delta=5m")
    return LOOKBACK_MS if lookback_ms is None else lookback_ms
