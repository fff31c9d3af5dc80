"""`GET /events/{event_id}`: what became of an event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIResponse, Operation, Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIType

from streamgauge.api.times import freshness_headers, rfc3339
from streamgauge.core.errors import NotFound
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import Freshness, Pane
from streamgauge.query.explain import Counted, Duplicate, ExplainService, Occurrence, Place, Session, SetAside

_PREFIX: Final = "/events/"
_ID_CHARS_SHOWN_MAX: Final = 256


def explain_route(
    service: ExplainService, freshness: Callable[[], Awaitable[Freshness]], metrics: SelfMetrics
) -> HTTPRouteHandler:
    @get(
        "/events/{event_id:path}",
        operation_class=_ExplainOperation,
        summary="Explain an event",
        description="What became of an event: accepted, logged at a partition and offset, counted in which windows; "
        "or recognised as a duplicate, or set aside, with the reason. An id may have several occurrences.",
        tags=["query"],
    )
    async def get_event(request: Request[Any, Any, Any]) -> Response[Any]:
        event_id = _event_id(request)
        with metrics.query_seconds.labels("explain").time():
            # Before the query: what isn't found then is what is said to be waiting, never less.
            fresh = await freshness()
            found = await service.occurrences(event_id)
        if not found:
            raise _unknown(event_id, fresh)
        body = {"event_id": event_id, "occurrences": [_occurrence(one) for one in found]}
        return Response(body, headers=freshness_headers(fresh))

    return get_event


def _event_id(request: Request[Any, Any, Any]) -> str:
    """Of the path as it was sent: the framework makes one slash of two, and takes one away at the end."""
    raw = request.scope.get("raw_path") or request.scope["path"].encode()
    return unquote(raw.partition(b"?")[0].decode("latin-1").removeprefix(_PREFIX))


def _unknown(event_id: str, fresh: Freshness) -> NotFound:
    shown = repr(event_id[:_ID_CHARS_SHOWN_MAX])
    message = f"no event with the id {shown} is known: it was never received, or is older than retention"
    if fresh.lag_events:
        waiting = "1 accepted event is" if fresh.lag_events == 1 else f"{fresh.lag_events:,} accepted events are"
        return NotFound(f"{message}; {waiting} not processed yet", hint="ask again in a moment")
    return NotFound(message, hint="ids are case-sensitive; in a URL they are percent-encoded")


def _occurrence(one: Occurrence) -> dict[str, Any]:
    match one:
        case Counted():
            return {"status": "counted", **_place(one.place), "stored": True, **_counted(one)}
        case Duplicate():
            first = one.duplicate_of
            return {
                "status": "duplicate",
                **_place(one.place),
                "duplicate_of": None if first is None else _place(first),
            }
        case SetAside():
            status = one.reason if one.reason in ("too_late", "too_far_ahead") else "rejected"
            return {
                "status": status,
                **_place(one.place),
                "reason": one.reason,
                "message": one.message,
                "event_id": one.event_id,
                "original": one.original,
            }


def _place(place: Place) -> dict[str, Any]:
    return {"received_at": rfc3339(place.received_ms), "partition": place.partition, "offset": place.offset}


def _counted(one: Counted) -> dict[str, Any]:
    event = one.event
    return {
        "event": event.event,
        "timestamp": rfc3339(event.timestamp),
        "user_id": event.user_id,
        "anonymous_id": event.anonymous_id,
        "properties": event.properties,
        "enriched": one.enriched,
        "counted_in": [_pane(pane) for pane in one.counted_in],
        "session": None if one.session is None else _session(one.session),
    }


def _pane(pane: Pane) -> dict[str, Any]:
    return {
        "metric": pane.metric,
        "start": rfc3339(pane.start_ms),
        "end": rfc3339(pane.end_ms),
        "dimensions": pane.dimensions,
        "value": pane.value,
    }


def _session(session: Session) -> dict[str, Any]:
    return {
        "opened_at": rfc3339(session.opened_ms),
        "started_at": rfc3339(session.started_ms),
        "ended_at": rfc3339(session.ended_ms),
        "events": session.events,
        "page_views": session.page_views,
        "bounced": session.bounced,
        "open": session.is_open,
    }


@dataclass
class _ExplainOperation(Operation):
    def __post_init__(self) -> None:
        self.parameters = [
            Parameter(
                name="event_id",
                param_in="path",
                required=True,
                description="percent-encoded; slashes may stand as they are",
                schema=Schema(type=OpenAPIType.STRING),
            )
        ]
        self.responses = {
            "200": OpenAPIResponse(
                description="`occurrences` in the order of receipt, each with a `status`: counted, duplicate, "
                "rejected, too_late or too_far_ahead."
            ),
            "404": OpenAPIResponse(description="No event with this id is known, or it is not processed yet."),
        }
