"""`GET /receivers`, `POST /receivers/{name}/test`, `GET /notifications`: who is told, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, get_args

from litestar import Request, Response, get, post
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import Operation, Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIType

from streamgauge.alert.notify.outbox import Logged, Outcome
from streamgauge.alert.notify.service import Notifications, ReceiverState
from streamgauge.api.times import rfc3339
from streamgauge.core.errors import InvalidRequest
from streamgauge.query.parameters import Parameters, limit_of, listed, single

_LIMIT_DEFAULT: Final = 100
_LIMIT_MAX: Final = 1_000
_ID_END: Final = 2**63
_NO_STORE: Final = {"Cache-Control": "no-store"}
_OUTCOMES: Final = get_args(Outcome)
_PARAMETERS: Final = {
    "receiver": "only notifications to this receiver",
    "outcome": f"only notifications that are: {', '.join(_OUTCOMES)}",
    "limit": f"notifications of one answer, 1 to {_LIMIT_MAX} (default {_LIMIT_DEFAULT})",
    "after": "the cursor that the page before says",
}


def notification_routes(notifications: Notifications) -> list[BaseRouteHandler]:
    @get(
        "/receivers",
        summary="Receivers",
        description="Who is told of which alerts, how many notifications wait for each, and what was tried last. "
        "Without secrets.",
        tags=["alerts"],
    )
    async def get_receivers() -> Response[Any]:
        found = await notifications.receivers()
        return Response({"receivers": [_receiver(one) for one in found]}, headers=_NO_STORE)

    @post(
        "/receivers/{name:str}/test",
        status_code=200,
        summary="Send a test notification",
        description="Marked as a test. It is sent at once, past the outbox; the answer is what the receiver said.",
        tags=["alerts"],
    )
    async def post_test(name: str) -> dict[str, str]:
        return {"receiver": name, "status": "sent", "answer": await notifications.test(name)}

    @get(
        "/notifications",
        operation_class=_LogOperation,
        summary="Notifications",
        description="What was sent, what waits to be, and what was not delivered and why, newest first.",
        tags=["alerts"],
    )
    async def get_notifications(request: Request[Any, Any, Any]) -> Response[Any]:
        parameters = list(request.query_params.multi_items())
        _check_names(parameters)
        limit = limit_of(parameters, "limit", _LIMIT_DEFAULT, _LIMIT_MAX)
        found = await notifications.log(
            receiver=single(parameters, "receiver"),
            outcome=_outcome(single(parameters, "outcome")),
            before_id=_cursor(single(parameters, "after")),
            limit=limit + 1,
        )
        page = found[:limit]
        after = str(page[-1].id) if len(found) > limit else None
        return Response({"notifications": [_logged(one) for one in page], "after": after}, headers=_NO_STORE)

    return [get_receivers, post_test, get_notifications]


def _check_names(parameters: Parameters) -> None:
    if unknown := {name for name, _ in parameters} - set(_PARAMETERS):
        raise InvalidRequest(
            f"there is no parameter {sorted(unknown)[0][:64]!r}",
            code="unknown_parameter",
            hint=f"there are: {listed(_PARAMETERS)}",
        )


def _outcome(text: str | None) -> str | None:
    if text is not None and text not in _OUTCOMES:
        raise InvalidRequest(f"the outcome {text[:64]!r} is not known", hint=f"there are: {listed(_OUTCOMES)}")
    return text


def _cursor(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < _ID_END):
        raise InvalidRequest(f"the cursor {text[:64]!r} is not one", hint="take `after` of the page before")
    return int(text)


def _receiver(one: ReceiverState) -> dict[str, Any]:
    settings, oldest_at_ms = one.settings, one.backlog.oldest_at_ms
    return {
        "name": settings.name,
        "kind": settings.kind,
        "address": one.address,
        "matchers": [str(matcher) for matcher in settings.matched],
        "continue": settings.continue_,
        "waiting": one.backlog.waiting,
        "oldest_waiting_at": None if oldest_at_ms is None else rfc3339(oldest_at_ms),
        "last": None if one.last is None else _logged(one.last),
    }


def _logged(one: Logged) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "receiver": one.receiver,
        "group": one.group_key,
        "status": one.status,
        "outcome": one.outcome,
        "made_at": rfc3339(one.made_at_ms),
        "ended_at": None if one.ended_at_ms is None else rfc3339(one.ended_at_ms),
        "next_try_at": rfc3339(one.try_at_ms) if one.outcome == "waiting" else None,
        "tries": one.tries,
        "answer": one.answer,
        "alerts_firing": one.alerts_firing,
        "alerts_resolved": one.alerts_resolved,
    }


@dataclass
class _LogOperation(Operation):
    def __post_init__(self) -> None:
        self.parameters = [
            Parameter(
                name=name,
                param_in="query",
                required=False,
                description=description,
                schema=Schema(type=OpenAPIType.INTEGER if name == "limit" else OpenAPIType.STRING),
            )
            for name, description in _PARAMETERS.items()
        ]
