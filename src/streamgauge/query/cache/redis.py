"""The cache in Redis, which several processes share.

A Redis that doesn't answer must not make questions slow: every call has a short time, and after one that failed nobody
asks for a second. Then one asks, and the others when that went well.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.core.lifecycle import StageState
from streamgauge.query.cache.base import CacheSize, Found

PAUSE_S: Final = 1.0
_CONNECTIONS_MAX: Final = 8
_TTL_BYTES: Final = 8
_PROBE_KEY: Final = "streamgauge:probe"

_logger = logging.getLogger(__name__)

T = TypeVar("T")


class RedisCache:
    """`Cache` in a Redis. A value is kept behind the time that it was given, from which, and from the time that it has
    left, comes its age: by the clock of Redis alone."""

    def __init__(self, url: str, timeout_ms: int) -> None:
        """`redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. Connects when it is first used.
        Raises ConfigError, which never shows the address: there may be a password in it."""
        self._timeout_s = timeout_ms / 1000
        self._redis = Redis.from_pool(_pool(url, self._timeout_s))
        self._paused_until_s = 0.0
        self._problem = ""

    async def get(self, key: str) -> Found | None:
        async def ask() -> list[Any]:
            async with self._redis.pipeline(transaction=False) as both:
                both.get(key)
                both.pttl(key)
                return list(await both.execute())

        kept, left_ms = await self._ask(ask)
        if not isinstance(kept, bytes) or len(kept) < _TTL_BYTES or left_ms < 0:
            return None
        ttl_ms = int.from_bytes(kept[:_TTL_BYTES], "big")
        return Found(kept[_TTL_BYTES:], max(0, ttl_ms - left_ms))

    async def put(self, key: str, value: bytes, ttl_ms: int) -> None:
        await self._ask(lambda: self._redis.set(key, ttl_ms.to_bytes(_TTL_BYTES, "big") + value, px=ttl_ms))

    async def state(self) -> StageState:
        """Writes something small: one that is full or only a replica answers a ping."""
        try:
            await self._ask(lambda: self._redis.set(_PROBE_KEY, b"", px=1_000))
        except Unavailable as error:
            return StageState("degraded", error.message, needed=False)
        return StageState("ready", needed=False)

    def size(self) -> CacheSize:
        return CacheSize()

    async def close(self) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        now_s = time.monotonic()
        if now_s < self._paused_until_s:
            raise Unavailable(self._problem)
        if self._problem:  # this one finds out, the others needn't wait for it
            self._paused_until_s = now_s + self._timeout_s + PAUSE_S
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await call()
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:  # TimeoutError is an OSError
            await self._pause(error)
            raise Unavailable(self._problem) from None
        except RedisError as error:  # it is there, and refuses this
            self._paused_until_s = 0.0
            raise Unavailable(f"Redis refuses: {error}") from None
        if self._problem:
            _logger.info("Redis answers again")
            self._problem, self._paused_until_s = "", 0.0
        return answer

    async def _pause(self, error: Exception) -> None:
        reason = str(error) or f"no answer within {self._timeout_s:g} s"
        if not self._problem:
            _logger.warning("Redis can't be used as the cache, answers come from the store: %s", reason)
        self._problem = f"Redis does not answer: {reason}"
        self._paused_until_s = time.monotonic() + PAUSE_S
        # Those of a server that went away would each fail once more.
        await self._redis.connection_pool.disconnect(inuse_connections=False)


def _pool(url: str, timeout_s: float) -> BlockingConnectionPool:
    try:
        parts = urlsplit(url)
        database, _ = int(parts.path.strip("/") or 0), parts.port
        if parts.scheme not in ("redis", "rediss") or not parts.hostname or database < 0 or parts.fragment:
            raise ValueError
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS_MAX,
            timeout=timeout_s,
            # Before the whole call is cut off: then it closes its connection itself.
            socket_timeout=timeout_s / 2,
            socket_connect_timeout=timeout_s / 2,
            retry=Retry(NoBackoff(), 0),
        )
        pool.make_connection()  # type: ignore[no-untyped-call]  # says so where an option is none
    except (ValueError, TypeError):
        raise ConfigError(
            "the setting cache is not the address of a Redis",
            hint="write redis://user:password@host:6379/0, special characters percent-encoded; rediss:// for TLS",
        ) from None
    return pool
