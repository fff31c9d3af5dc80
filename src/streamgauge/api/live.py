"""`GET /live`: what changed, to every listener, as server-sent events. A slow listener misses updates and is told the
state at the next tick; it never holds anything up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import ServerSentEvent, ServerSentEventMessage

from streamgauge import __version__
from streamgauge.api.door import visit_of
from streamgauge.api.times import rfc3339
from streamgauge.core.errors import Overloaded
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import Freshness, LiveUpdate

_TICK_S: Final = 1.0
_UPDATES_WAITING_MAX: Final = 16
_LISTENERS_MAX: Final = 200


class LiveHub:
    """Hands each update to every listener's bounded queue. Used on the event loop only."""

    def __init__(self, freshness: Callable[[], Awaitable[Freshness]], metrics: SelfMetrics) -> None:
        self._freshness = freshness
        self._metrics = metrics
        self._listeners: set[asyncio.Queue[LiveUpdate | None]] = set()
        self._is_closed = False
        self._asking: asyncio.Future[Freshness] | None = None

    def publish(self, update: LiveUpdate) -> None:
        for waiting in self._listeners:
            self._offer(waiting, update)

    def close(self) -> None:
        """End every stream, so that a shutdown doesn't wait for browsers. One that begins now ends at once, for which
        browsers try again; an error they would take for good."""
        self._is_closed = True
        for waiting in self._listeners:
            self._offer(waiting, None)

    def _offer(self, waiting: asyncio.Queue[LiveUpdate | None], update: LiveUpdate | None) -> None:
        if waiting.full():
            waiting.get_nowait()
            self._metrics.live_skipped.inc()
        waiting.put_nowait(update)

    def check_room(self) -> None:
        """Raises Overloaded where there are too many listeners; `listen` can't, its answer has begun by then."""
        if len(self._listeners) >= _LISTENERS_MAX:
            raise Overloaded(f"there are {_LISTENERS_MAX} live connections already", retry_after_s=5)

    async def listen(self, may_listen: Callable[[], Awaitable[bool]]) -> AsyncIterator[ServerSentEventMessage]:
        """Ends within a second or so of when they may no longer."""
        waiting: asyncio.Queue[LiveUpdate | None] = asyncio.Queue(_UPDATES_WAITING_MAX)
        self._listeners.add(waiting)
        self._metrics.live_clients.set(len(self._listeners))
        try:
            yield await self._message("hello", version=__version__)
            while not self._is_closed and await may_listen():
                try:
                    update = await asyncio.wait_for(waiting.get(), _TICK_S)
                except TimeoutError:
                    yield await self._message("tick")
                    continue
                if update is None:
                    return
                yield await self._message("update", **_update_json(update))
        finally:
            self._listeners.discard(waiting)
            self._metrics.live_clients.set(len(self._listeners))

    async def _message(self, event: str, **content: Any) -> ServerSentEventMessage:
        body = {"freshness": freshness_json(await self._fresh()), **content}
        return ServerSentEventMessage(event=event, data=msgspec.json.encode(body).decode())

    async def _fresh(self) -> Freshness:
        """Asked once for all listeners that are told the same: it may have to be asked of another machine."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._freshness())
        return await asyncio.shield(self._asking)


def live_route(hub: LiveHub) -> HTTPRouteHandler:
    @get("/live", summary="Live updates (server-sent events)", tags=["live"])
    async def get_live(request: Request[Any, Any, Any]) -> ServerSentEvent:
        hub.check_room()
        visit = visit_of(request.scope)
        return ServerSentEvent(
            hub.listen(lambda: visit.door.still_may(visit, "read")),
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return get_live


def freshness_json(freshness: Freshness) -> dict[str, Any]:
    return {
        "complete_up_to": rfc3339(freshness.complete_up_to_ms),
        "lag_ms": freshness.lag_ms,
        "lag_events": freshness.lag_events,
    }


def _update_json(update: LiveUpdate) -> dict[str, Any]:
    return {
        "events_count": update.events_count,
        "metrics": update.metrics,
        "from": rfc3339(update.from_ms),
        "to": rfc3339(update.to_ms),
        "sample": [
            {
                "event": event.event,
                "timestamp": rfc3339(event.timestamp_ms),
                "user_id": event.user_id,
                "properties": event.properties,
            }
            for event in update.sample
        ],
    }
