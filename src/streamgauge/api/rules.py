"""`/rules`: what is watched for. Rules of files are shown; those made here are kept in the state database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from streamgauge.alert.evaluate import Prepared
from streamgauge.alert.manager import AlertManager, RuleStatus
from streamgauge.alert.rules import Group, Rule, named_rules
from streamgauge.alert.service import RuleService
from streamgauge.api.door import NEEDS
from streamgauge.api.times import rfc3339
from streamgauge.core.clock import Clock
from streamgauge.core.errors import InvalidRequest, UnsupportedMediaType
from streamgauge.ingest.decode import format_of
from streamgauge.model import parse_duration_ms
from streamgauge.query.parameters import moment_ms

_HINT = 'send {"text": "groups: …"} with Content-Type: application/json'


class RuleText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str


class BacktestWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """`range`: so long up to now, instead of `from` and `to`."""

    text: str
    from_: str | None = None
    to: str | None = None
    range: str | None = None


def rule_routes(rules: RuleService, manager: AlertManager, clock: Clock) -> list[BaseRouteHandler]:
    @get("/rules", summary="All rules, and how they are", tags=["alerts"])
    async def get_rules() -> Response[Any]:
        status = {one.prepared.named.key: one for one in manager.status()}
        groups = [_group(group, rules, status) for group in rules.book.groups]
        problems = [{"of": name, "problem": problem} for name, problem in sorted(rules.book.problems.items())]
        body = {"groups": groups, "problems": problems, "interval_ms": manager.interval_ms}
        return Response(body, headers={"Cache-Control": "no-store"})

    @put("/rules/{group:str}", operation_class=_TextOperation, summary="Make or replace a group", tags=["alerts"])
    async def put_group(request: Request[Any, Any, Any], group: str, body: bytes) -> dict[str, Any]:
        made = await rules.put(group, _decoded(request, body, RuleText).text)
        return _group(made, rules, {})

    @delete("/rules/{group:str}", status_code=204, summary="Delete a group that was made here", tags=["alerts"])
    async def delete_group(group: str) -> None:
        await rules.delete(group)

    @post(
        "/rules/check",
        status_code=200,
        operation_class=_TextOperation,
        summary="Check rules",
        tags=["alerts"],
        opt={NEEDS: "read"},
    )
    async def check_rules(request: Request[Any, Any, Any], body: bytes) -> dict[str, Any]:
        groups, notes = rules.check(_decoded(request, body, RuleText).text)
        shown = [{"name": group.name, "rules": [_rule(one) for one in group.rules]} for group in groups]
        return {"groups": shown, "notes": notes}

    @post(
        "/rules/backtest",
        status_code=200,
        operation_class=_BacktestOperation,
        summary="When rules would have fired",
        tags=["alerts"],
        opt={NEEDS: "read"},
    )
    async def backtest_rules(request: Request[Any, Any, Any], body: bytes) -> dict[str, Any]:
        wish = _decoded(request, body, BacktestWish)
        start_ms = None if wish.from_ is None else moment_ms(wish.from_, "from")
        end_ms = None if wish.to is None else moment_ms(wish.to, "to")
        if wish.range is not None:
            start_ms, end_ms = clock.now_ms() - _range_ms(wish.range), None
        found = await rules.backtest(wish.text, start_ms, end_ms)
        return {
            "from": rfc3339(found.start_ms),
            "to": rfc3339(found.end_ms),
            "rules": [_tested(rule, tested) for rule, tested in found.rules],
        }

    return [get_rules, put_group, delete_group, check_rules, backtest_rules]


def _group(group: Group, rules: RuleService, status: dict[str, RuleStatus]) -> dict[str, Any]:
    return {
        "name": group.name,
        "source": group.source,
        "file": group.file,
        "text": rules.book.made_text(group.name) if group.source == "made" else None,
        "interval_ms": group.interval_ms,
        "rules": [_rule(named.rule, status.get(named.key)) for named in named_rules([group])],
    }


def _rule(rule: Rule, status: RuleStatus | None = None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "kind": rule.kind,
        "name": rule.name,
        "expr": rule.expr,
        "lasts": rule.lasts or None,
        "for_ms": rule.for_ms,
        "keep_firing_for_ms": rule.keep_firing_for_ms,
        "labels": rule.labels,
        "annotations": rule.annotations,
        "anomaly": rule.written or None,
    }
    if status is not None and rule.kind == "alert":
        phases = {one.phase for one in status.state.instances.values()}
        state = next((phase for phase in ("firing", "pending") if phase in phases), "inactive")
        shown["state"] = "held" if status.hold is not None and state != "firing" else state
        shown["held_reason"] = status.hold.reason if status.hold is not None else ""
        shown["problem"] = status.problem
        at_ms = status.state.evaluated_at_ms
        shown["evaluated_at"] = None if at_ms is None else rfc3339(at_ms)
    return shown


def _tested(rule: Prepared, tested: Any) -> dict[str, Any]:
    return {
        "group": rule.named.group.name,
        "name": rule.rule.name,
        "expr": rule.rule.expr,
        "firings_count": tested.firings_count,
        "firing_ms": tested.firing_ms,
        "notifications": tested.notifications,
        "over_limit": tested.over_limit,
        "firings": [
            {
                "labels": one.labels,
                "started_at": rfc3339(one.started_at_ms),
                "ended_at": None if one.ended_at_ms is None else rfc3339(one.ended_at_ms),
                "value": one.value if abs(one.value) < float("inf") else None,
            }
            for one in tested.firings
        ],
    }


def _decoded(request: Request[Any, Any, Any], body: bytes, kind: type[Any]) -> Any:
    if format_of(request.headers.get("content-type")) != "json":
        raise UnsupportedMediaType("rules are sent in one JSON object", hint=_HINT)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"this is not what is expected: {error}", code="malformed_body", hint=_HINT) from error


def _range_ms(text: str) -> int:
    try:
        return parse_duration_ms(text)
    except ValueError as error:
        raise InvalidRequest(str(error), code="invalid_range", hint='write "range": "7d"') from error


_TEXT = Schema(type=OpenAPIType.STRING)


@dataclass
class _TextOperation(Operation):
    """Describes the body, which the handler decodes by itself."""

    def __post_init__(self) -> None:
        schema = Schema(
            type=OpenAPIType.OBJECT, required=["text"], properties={"text": _TEXT}, additional_properties=False
        )
        self.request_body = RequestBody(required=True, content={"application/json": OpenAPIMediaType(schema=schema)})


@dataclass
class _BacktestOperation(Operation):
    def __post_init__(self) -> None:
        schema = Schema(
            type=OpenAPIType.OBJECT,
            required=["text"],
            properties=dict.fromkeys(("text", "from", "to", "range"), _TEXT),
            additional_properties=False,
        )
        self.request_body = RequestBody(required=True, content={"application/json": OpenAPIMediaType(schema=schema)})
