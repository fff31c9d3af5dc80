"""The cache in this process: bounded in bytes and entries; what was not used for longest makes room."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from streamgauge.core.lifecycle import StageState
from streamgauge.query.cache.base import CacheSize, Found

_OVERHEAD_BYTES: Final = 300
"""Of an entry beside its key and value, about."""


class _Entry(NamedTuple):
    value: bytes
    put_ms: int
    until_ms: int


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class MemoryCache:
    """`Cache` as a dictionary."""

    def __init__(self, bytes_max: int, entries_max: int, now_ms: Callable[[], int] = _monotonic_ms) -> None:
        """`now_ms`: any clock that never goes back."""
        self._bytes_max = bytes_max
        self._entries_max = entries_max
        self._now_ms = now_ms
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0
        self._evictions = 0

    async def get(self, key: str) -> Found | None:
        entry, now_ms = self._entries.get(key), self._now_ms()
        if entry is None:
            return None
        if entry.until_ms <= now_ms:
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return Found(entry.value, now_ms - entry.put_ms)

    async def put(self, key: str, value: bytes, ttl_ms: int) -> None:
        self._remove(key)
        if _bytes_of(key, value) > self._bytes_max:
            return
        now_ms = self._now_ms()
        self._entries[key] = _Entry(value, now_ms, now_ms + ttl_ms)
        self._bytes += _bytes_of(key, value)
        while self._bytes > self._bytes_max or len(self._entries) > self._entries_max:
            self._remove(next(iter(self._entries)))
            self._evictions += 1

    async def state(self) -> StageState:
        return StageState("ready", needed=False)

    def size(self) -> CacheSize:
        return CacheSize(len(self._entries), self._bytes, self._evictions)

    async def close(self) -> None:
        self._entries.clear()
        self._bytes = 0

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= _bytes_of(key, entry.value)


def _bytes_of(key: str, value: bytes) -> int:
    return len(key) + len(value) + _OVERHEAD_BYTES
