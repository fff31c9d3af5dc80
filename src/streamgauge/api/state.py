"""`/healthz`, `/readyz` and `/-/metrics`: the system about itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from streamgauge.api.door import NEEDS, NOTHING, visit_of
from streamgauge.core.lifecycle import StageState
from streamgauge.core.selfmetrics import SelfMetrics


def state_routes(
    stages: Callable[[], Awaitable[Mapping[str, StageState]]], metrics: SelfMetrics
) -> list[HTTPRouteHandler]:
    """`stages` also brings the gauges among the self-metrics up to date."""

    @get("/healthz", summary="The process is alive", tags=["state"], opt={NEEDS: NOTHING})
    async def get_health() -> dict[str, str]:
        return {"status": "alive"}

    @get(
        "/readyz",
        summary="Every stage works",
        description="The state of each stage is for those who may read.",
        tags=["state"],
        opt={NEEDS: NOTHING},
    )
    async def get_readiness(request: Request[Any, Any, Any]) -> Response[Any]:
        found = await stages()
        ready = not any(stage.holds_up for stage in found.values())
        body: dict[str, Any] = {"status": "ready" if ready else "not_ready"}
        visit = visit_of(request.scope)
        if visit.door.may(visit, "read"):
            body["stages"] = found
        return Response(body, status_code=200 if ready else 503)

    @get("/-/metrics", summary="Self-metrics in Prometheus' text format", tags=["state"])
    async def get_self_metrics() -> Response[bytes]:
        await stages()
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return [get_health, get_readiness, get_self_metrics]
