"""`GET /dead-letter` and `GET /dead-letter/counts`: what was not counted, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Operation, Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIType

from streamgauge.api.times import rfc3339
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.query.dead_letter import LETTERS_DEFAULT, LETTERS_MAX, DeadLetterService, Letter, ReasonCount

_FILTERS: Final = {
    "reason": "only letters with this reason",
    "event_id": "only letters with this event id",
    "from": "received since: RFC 3339 or milliseconds",
    "to": "received before: RFC 3339 or milliseconds; half-open",
}
_PAGING: Final = {
    "limit": f"letters of one answer, 1 to {LETTERS_MAX} (default {LETTERS_DEFAULT})",
    "after": "the cursor that the page before says",
    "counted": "true: say of each letter whether its event has been counted meanwhile",
}
_HEADERS: Final = {"Cache-Control": "no-store"}


def dead_letter_routes(service: DeadLetterService, metrics: SelfMetrics) -> list[HTTPRouteHandler]:
    @get(
        "/dead-letter",
        operation_class=_ListOperation,
        summary="List dead letters",
        description="Events that were rejected, too late or too far ahead of their time, newest first.",
        tags=["query"],
    )
    async def get_letters(request: Request[Any, Any, Any]) -> Response[Any]:
        with metrics.query_seconds.labels("dead_letter").time():
            page = await service.page(list(request.query_params.multi_items()))
        return Response({"letters": [_letter(one) for one in page.letters], "after": page.after}, headers=_HEADERS)

    @get(
        "/dead-letter/counts",
        operation_class=_CountsOperation,
        summary="Count dead letters",
        description="How many there are of each reason, the most frequent first.",
        tags=["query"],
    )
    async def get_counts(request: Request[Any, Any, Any]) -> Response[Any]:
        with metrics.query_seconds.labels("dead_letter_counts").time():
            counts = await service.counts(list(request.query_params.multi_items()))
        return Response([_count(one) for one in counts], headers=_HEADERS)

    return [get_letters, get_counts]


def _letter(one: Letter) -> dict[str, Any]:
    return {
        "received_at": rfc3339(one.received_ms),
        "reason": one.reason,
        "message": one.message,
        "event_id": one.event_id,
        "original": one.original,
        "partition": one.partition,
        "offset": one.offset,
        "replay_as": one.replay_as,
        "user_id": one.user_id,
        "anonymous_id": one.anonymous_id,
        "counted": one.counted,
    }


def _count(one: ReasonCount) -> dict[str, Any]:
    return {"reason": one.reason, "count": one.count, "newest_at": rfc3339(one.newest_ms)}


def _described(parameters: dict[str, str]) -> list[Parameter]:
    return [
        Parameter(
            name=name,
            param_in="query",
            required=False,
            description=description,
            schema=Schema(type=OpenAPIType.INTEGER if name == "limit" else OpenAPIType.STRING),
        )
        for name, description in parameters.items()
    ]


@dataclass
class _ListOperation(Operation):
    def __post_init__(self) -> None:
        self.parameters = [*_described(_FILTERS), *_described(_PAGING)]


@dataclass
class _CountsOperation(Operation):
    def __post_init__(self) -> None:
        self.parameters = [*_described(_FILTERS)]
