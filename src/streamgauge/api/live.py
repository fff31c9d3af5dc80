"""`GET /live`: what changed, to every listener, as server-sent events. A slow listener misses updates and is told the
state at the next tick; it never holds anything up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.response import ServerSentEvent, ServerSentEventMessage

from streamgauge import __version__
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

    def publish(self, update: LiveUpdate) -> None:
        for waiting in self._listeners:
            self._offer(waiting, update)

    def close(self) -> None:
        """End every stream, so that a shutdown doesn't wait for browsers."""
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

    async def listen(self) -> AsyncIterator[ServerSentEventMessage]:
        waiting: asyncio.Queue[LiveUpdate | None] = asyncio.Queue(_UPDATES_WAITING_MAX)
        self._listeners.add(waiting)
        self._metrics.live_clients.set(len(self._listeners))
        try:
            yield await self._message("hello", version=__version__)
            while True:
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
        body = {"freshness": freshness_json(await self._freshness()), **content}
        return ServerSentEventMessage(event=event, data=msgspec.json.encode(body).decode())


def live_route(hub: LiveHub) -> HTTPRouteHandler:
    @get("/live", summary="Live updates (server-sent events)", tags=["live"])
    async def get_live() -> ServerSentEvent:
        hub.check_room()
        return ServerSentEvent(hub.listen(), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

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
