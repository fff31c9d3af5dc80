"""`/healthz`, `/readyz` and `/-/metrics`: the system about itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from streamgauge.core.lifecycle import StageState
from streamgauge.core.selfmetrics import SelfMetrics


def state_routes(
    stages: Callable[[], Awaitable[Mapping[str, StageState]]], metrics: SelfMetrics
) -> list[HTTPRouteHandler]:
    """`stages` also brings the gauges among the self-metrics up to date."""

    @get("/healthz", summary="The process is alive", tags=["state"])
    async def get_health() -> dict[str, str]:
        return {"status": "alive"}

    @get("/readyz", summary="Every stage works", tags=["state"])
    async def get_readiness() -> Response[Any]:
        found = await stages()
        ready = all(stage.works for stage in found.values())
        body = {"status": "ready" if ready else "not_ready", "stages": found}
        return Response(body, status_code=200 if ready else 503)

    @get("/-/metrics", summary="Self-metrics in Prometheus' text format", tags=["state"])
    async def get_self_metrics() -> Response[bytes]:
        await stages()
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return [get_health, get_readiness, get_self_metrics]
