"""`/api/v1/rules` and `/api/v1/alerts`, as Grafana reads them. Prometheus shows what is active: neither what is
resolved, nor that a rule is held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from litestar import Request, Response, get
from litestar.datastructures import MultiDict
from litestar.handlers import HTTPRouteHandler

from streamgauge.alert.manager import AlertManager, RuleStatus
from streamgauge.alert.rules import Group, Named, effective_interval_ms
from streamgauge.alert.state import Instance
from streamgauge.api.prometheus.answers import success
from streamgauge.api.times import rfc3339
from streamgauge.core.errors import InvalidRequest
from streamgauge.query.promql.written import written_number

_TRUE: Final = ("1", "t", "true")
_FALSE: Final = ("0", "f", "false")
_NEVER: Final = "0001-01-01T00:00:00Z"


def prometheus_rule_routes(manager: AlertManager) -> list[HTTPRouteHandler]:
    @get("/api/v1/rules", summary="Prometheus' rules", tags=["prometheus"], name="prometheus/rules")
    async def get_rules(request: Request[Any, Any, Any]) -> Response[bytes]:
        wanted = _wanted(request.query_params)
        by_group: dict[tuple[str, str], list[RuleStatus]] = {}
        for status in manager.status():
            group = status.prepared.named.group
            if wanted.has(status.prepared.named):
                by_group.setdefault((_file(group), group.name), []).append(status)
        groups = [_group(found, manager, wanted) for found in by_group.values()]
        return Response(success({"groups": groups}), media_type="application/json")

    @get("/api/v1/alerts", summary="Prometheus' alerts", tags=["prometheus"], name="prometheus/alerts")
    async def get_alerts() -> Response[bytes]:
        alerts = [alert for status in manager.status() for alert in _active(status)]
        return Response(success({"alerts": alerts}), media_type="application/json")

    return [get_rules, get_alerts]


class _Wanted(NamedTuple):
    """Empty: all of them."""

    kind: str
    rules: frozenset[str]
    groups: frozenset[str]
    files: frozenset[str]
    without_alerts: bool

    def has(self, one: Named) -> bool:
        return (
            (not self.kind or one.rule.kind == self.kind)
            and (not self.rules or one.rule.name in self.rules)
            and (not self.groups or one.group.name in self.groups)
            and (not self.files or _file(one.group) in self.files)
        )


def _wanted(asked: MultiDict[Any]) -> _Wanted:
    """Raises InvalidRequest."""
    kind, without = asked.get("type", "").lower(), asked.get("exclude_alerts", "").lower()
    if kind not in ("", "alert", "record"):
        raise InvalidRequest(f"type {kind!r} is neither alert nor record", hint="leave it out for both")
    if without not in ("", *_TRUE, *_FALSE):
        raise InvalidRequest(f"exclude_alerts {without!r} is neither true nor false", hint="write exclude_alerts=true")
    names = [frozenset(asked.getall(name, [])) for name in ("rule_name[]", "rule_group[]", "file[]")]
    return _Wanted(kind, names[0], names[1], names[2], without in _TRUE)


def _file(group: Group) -> str:
    return group.file or group.source


def _group(found: Sequence[RuleStatus], manager: AlertManager, wanted: _Wanted) -> dict[str, Any]:
    group = found[0].prepared.named.group
    evaluated = [one.state.evaluated_at_ms for one in found if one.state.evaluated_at_ms is not None]
    return {
        "name": group.name,
        "file": _file(group),
        "rules": [_rule(one, wanted) for one in found],
        "interval": effective_interval_ms(group, manager.interval_ms) / 1000,
        "limit": group.limit_alerts,
        "evaluationTime": 0,
        "lastEvaluation": _time(max(evaluated, default=manager.evaluated_at_ms)),
    }


def _rule(status: RuleStatus, wanted: _Wanted) -> dict[str, Any]:
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
        "alerts": [] if wanted.without_alerts else alerts,
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
