"""The client for asyncio: the same queue and the same thread, so that a slow server never holds up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from streamgauge_sdk.client import Client
from streamgauge_sdk.encode import Id, Time
from streamgauge_sdk.tally import Stats


class AsyncClient:
    """`track`, `page` and `identify` put an event into the queue and return; only `flush` and `close` are awaited."""

    def __init__(self, url: str = "http://localhost:8080", write_key: str | None = None, **options: Any) -> None:
        """As Client. May be made before there is an event loop."""
        self._client = Client(url, write_key, **options)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def track(
        self,
        event: str,
        properties: Mapping[str, Any] | None = None,
        *,
        user_id: Id = None,
        anonymous_id: Id = None,
        timestamp: Time = None,
        event_id: str | None = None,
    ) -> None:
        self._client.track(
            event,
            properties,
            user_id=user_id,
            anonymous_id=anonymous_id,
            timestamp=timestamp,
            event_id=event_id,
        )

    def page(
        self,
        page: str,
        properties: Mapping[str, Any] | None = None,
        *,
        user_id: Id = None,
        anonymous_id: Id = None,
        timestamp: Time = None,
    ) -> None:
        self._client.page(page, properties, user_id=user_id, anonymous_id=anonymous_id, timestamp=timestamp)

    def identify(
        self,
        user_id: Id,
        traits: Mapping[str, Any] | None = None,
        *,
        anonymous_id: Id = None,
        timestamp: Time = None,
    ) -> None:
        self._client.identify(user_id, traits, anonymous_id=anonymous_id, timestamp=timestamp)

    async def flush(self, timeout_s: float = 10.0) -> bool:
        return await asyncio.to_thread(self._client.flush, timeout_s)

    async def close(self, timeout_s: float | None = None) -> bool:
        return await asyncio.to_thread(self._client.close, timeout_s)

    def stats(self) -> Stats:
        return self._client.stats()
