"""`GET /alerts` and `GET /alerts/history`: what is wrong now, and what was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from litestar import Response, get
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter

from streamgauge.alert.base import fingerprint_of
from streamgauge.alert.manager import AlertManager, RuleStatus
from streamgauge.alert.state import Instance
from streamgauge.api.times import rfc3339
from streamgauge.core.clock import Clock
from streamgauge.core.errors import InvalidRequest
from streamgauge.model import DAY_MS
from streamgauge.query.parameters import moment_ms

SilencedBy = Callable[[Sequence[Mapping[str, str]], int], Awaitable[list[list[str]]]]
"""For each of these labels of an alert what mutes it at that time, in ms."""

_ORDER: Final = ("firing", "pending", "held", "resolved")


def alert_routes(manager: AlertManager, history: Any, clock: Clock, silenced_by: SilencedBy) -> list[BaseRouteHandler]:
    @get("/alerts", summary="What fires, waits, is held, or was resolved lately", tags=["alerts"])
    async def get_alerts() -> Response[Any]:
        found = [alert for status in manager.status() for alert in _alerts(status)]
        for alert, silences in zip(
            found, await silenced_by([one["labels"] for one in found], clock.now_ms()), strict=True
        ):
            alert["silenced_by"] = silences
        found.sort(key=lambda alert: (_ORDER.index(alert["state"]), alert["rule"]))
        at_ms = manager.evaluated_at_ms
        body = {"alerts": found, "evaluated_at": None if at_ms is None else rfc3339(at_ms)}
        return Response(body, headers={"Cache-Control": "no-store"})

    @get("/alerts/history", summary="What alerts were, the newest first", tags=["alerts"])
    async def get_history(
        rule: str | None = None,
        from_: str | None = Parameter(query="from", default=None),
        to: str | None = None,
    ) -> Response[Any]:
        to_ms = clock.now_ms() + 1 if to is None else moment_ms(to, "to")
        from_ms = to_ms - 7 * DAY_MS if from_ is None else moment_ms(from_, "from")
        if from_ms >= to_ms:
            raise InvalidRequest("`to` is not after `from`", code="invalid_range", hint="the range is half-open")
        changes = [
            {
                "at": rfc3339(one.transition.at_ms),
                "rule": one.rule,
                "group": one.group,
                "fingerprint": one.transition.fingerprint,
                "labels": one.transition.labels,
                "from": one.transition.was,
                "to": one.transition.now,
                "value": _finite(one.transition.value),
            }
            for one in await history(from_ms, to_ms, rule)
        ]
        return Response({"changes": changes}, headers={"Cache-Control": "no-store"})

    return [get_alerts, get_history]


def _alerts(status: RuleStatus) -> Iterator[dict[str, Any]]:
    """A rule that is held and has no alert is one by itself: something may be wrong, and nobody knows."""
    rule, reason = status.prepared.rule, status.hold.reason if status.hold is not None else ""
    base = {"rule": rule.name, "group": status.prepared.named.group.name}
    for fingerprint, one in status.state.instances.items():
        state = "held" if reason and one.phase == "pending" else one.phase
        yield (
            base
            | _instance(fingerprint, one)
            | {
                "state": state,
                "held_reason": "" if one.phase == "resolved" else reason,
            }
        )
    if reason and rule.kind == "alert" and not status.state.instances and status.hold is not None:
        labels = {"alertname": rule.name}
        yield base | {
            "fingerprint": fingerprint_of(labels),
            "state": "held",
            "labels": labels,
            "annotations": {},
            "value": None,
            "active_at": rfc3339(status.hold.since_ms),
            "fired_at": None,
            "resolved_at": None,
            "held_reason": reason,
        }


def _instance(fingerprint: str, one: Instance) -> dict[str, Any]:
    return {
        "fingerprint": fingerprint,
        "labels": one.labels,
        "annotations": one.annotations,
        "value": _finite(one.value),
        "active_at": rfc3339(one.active_at_ms),
        "fired_at": None if one.fired_at_ms is None else rfc3339(one.fired_at_ms),
        "resolved_at": None if one.resolved_at_ms is None else rfc3339(one.resolved_at_ms),
    }


def _finite(value: float) -> float | None:
    """JSON has no other numbers."""
    return value if abs(value) < float("inf") else None
