"""The seam of the cache: bytes under a key, for a while."""

from __future__ import annotations

from typing import Protocol

import msgspec

from streamgauge.core.lifecycle import StageState


class Found(msgspec.Struct, frozen=True):
    """`age_ms`: since it was put there, by the cache's own clock."""

    value: bytes
    age_ms: int


class CacheSize(msgspec.Struct, frozen=True):
    """`evictions`: entries that made room for others since the start. All 0 where the cache is elsewhere and has its
    own accounts."""

    entries: int = 0
    bytes: int = 0
    evictions: int = 0


class Cache(Protocol):
    """Used on the event loop. What is put may be gone at any time, and is gone after its time; what is found is whole
    and what was put last. Whatever is wrong with the cache is `Unavailable`, within a bounded time: who asks goes on
    without it."""

    async def get(self, key: str) -> Found | None:
        """None where there is nothing. Raises Unavailable."""
        ...

    async def put(self, key: str, value: bytes, ttl_ms: int) -> None:
        """Replaces what is there, for `ttl_ms` (at least 1). Raises Unavailable, and then it may be there or not."""
        ...

    async def state(self) -> StageState:
        """Whether it can be used now: asks it."""
        ...

    def size(self) -> CacheSize: ...

    async def close(self) -> None: ...
