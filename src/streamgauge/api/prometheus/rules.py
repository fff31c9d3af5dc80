"""`/api/v1/rules` and `/api/v1/alerts`, as Grafana reads them. Prometheus shows what is active: neither what is
resolved, nor that a rule is held."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from streamgauge.alert.manager import AlertManager, RuleStatus
from streamgauge.alert.state import Instance
from streamgauge.api.prometheus.answers import success
from streamgauge.api.times import rfc3339
from streamgauge.query.promql.written import written_number

_NEVER: Final = "0001-01-01T00:00:00Z"


def prometheus_rule_routes(manager: AlertManager) -> list[HTTPRouteHandler]:
    @get("/api/v1/rules", summary="Prometheus' rules", tags=["prometheus"], name="prometheus/rules")
    async def get_rules(request: Request[Any, Any, Any]) -> Response[bytes]:
        kinds = {"alert": ("alerting",), "record": ("recording",)}.get(
            request.query_params.get("type", ""), ("alerting", "recording")
        )
        by_group: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for status in manager.status():
            group, shown = status.prepared.named.group, _rule(status)
            rules = by_group.setdefault((group.file or group.source, group.name), [])
            rules += [shown] if shown["type"] in kinds else []
        groups = [
            {
                "name": name,
                "file": file,
                "rules": rules,
                "interval": manager.interval_ms / 1000,
                "limit": 0,
                "evaluationTime": 0,
                "lastEvaluation": _time(manager.evaluated_at_ms),
            }
            for (file, name), rules in by_group.items()
            if rules
        ]
        return Response(success({"groups": groups}), media_type="application/json")

    @get("/api/v1/alerts", summary="Prometheus' alerts", tags=["prometheus"], name="prometheus/alerts")
    async def get_alerts() -> Response[bytes]:
        alerts = [alert for status in manager.status() for alert in _active(status)]
        return Response(success({"alerts": alerts}), media_type="application/json")

    return [get_rules, get_alerts]


def _rule(status: RuleStatus) -> dict[str, Any]:
    rule = status.prepared.rule
    shown: dict[str, Any] = {
        "name": rule.name,
        "query": rule.expr,
        "labels": rule.labels,
        "health": "err" if status.problem else "unknown" if status.state.evaluated_at_ms is None else "ok",
        "evaluationTime": 0,
        "lastEvaluation": _time(status.state.evaluated_at_ms),
    }
    if status.problem:
        shown["lastError"] = status.problem
    if rule.kind == "record":
        return {**shown, "type": "recording", "health": "ok"}
    alerts = _active(status)
    states = {alert["state"] for alert in alerts}
    return {
        **shown,
        "type": "alerting",
        "state": next((state for state in ("firing", "pending") if state in states), "inactive"),
        "duration": rule.for_ms / 1000,
        "keepFiringFor": rule.keep_firing_for_ms / 1000,
        "annotations": rule.annotations,
        "alerts": alerts,
    }


def _active(status: RuleStatus) -> list[dict[str, Any]]:
    return [_alert(one) for one in status.state.instances.values() if one.phase != "resolved"]


def _alert(one: Instance) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "labels": one.labels,
        "annotations": one.annotations,
        "state": one.phase,
        "activeAt": rfc3339(one.active_at_ms),
        "value": written_number(one.value),
    }
    if one.absent_since_ms is not None:
        shown["keepFiringSince"] = rfc3339(one.absent_since_ms)
    return shown


def _time(time_ms: int | None) -> str:
    return _NEVER if time_ms is None else rfc3339(time_ms)
