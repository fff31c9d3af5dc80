"""What every cache promises, and what the one in Redis promises when Redis is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable

import pytest

from local_cluster.redis import RedisServer
from redis_server import PASSWORD
from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.core.lifecycle import StageState
from streamgauge.query.cache.base import Cache, CacheSize, Found
from streamgauge.query.cache.memory import MemoryCache
from streamgauge.query.cache.redis import PAUSE_S, RedisCache

NewCache = Callable[[], Cache]
TIMEOUT_MS = 500
UNHURRIED_MS = 5_000
"""Where nothing is broken, a machine that does much else may be slow."""

LONG_MS = 60_000


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    cache: Cache
    if request.param == "memory":
        cache = MemoryCache(1_000_000, 1_000)
    else:
        server: RedisServer = request.getfixturevalue("redis")
        server.ask("FLUSHALL")
        cache = RedisCache(server.url, UNHURRIED_MS)
    yield cache
    await cache.close()


async def value(cache: Cache, key: str) -> bytes | None:
    found = await cache.get(key)
    return None if found is None else found.value


async def test_what_was_put_is_found_and_what_was_not_is_not(cache: Cache) -> None:
    assert await cache.get("a") is None
    for content in (b"", b"\x00\xff\r\n", b"x" * 100_000):
        await cache.put("a", content, LONG_MS)
        assert await value(cache, "a") == content
    assert await cache.get("b") is None


async def test_what_is_put_again_replaces_what_was_there_and_its_time(cache: Cache) -> None:
    await cache.put("a", b"old", 1)
    await cache.put("a", b"new", LONG_MS)
    await asyncio.sleep(0.01)
    assert await value(cache, "a") == b"new"


async def test_keys_are_told_apart_whatever_is_in_them(cache: Cache) -> None:
    keys = ["a", "A", "a ", "a:b", "ü", "a\r\nb", "*", "a" * 500]
    for key in keys:
        await cache.put(key, key.encode(), LONG_MS)
    assert [await value(cache, key) for key in keys] == [key.encode() for key in keys]


async def test_after_its_time_it_is_gone(cache: Cache) -> None:
    await cache.put("short", b"1", 50)
    await cache.put("long", b"2", LONG_MS)
    began_s = time.monotonic()
    while await cache.get("short") is not None:
        assert time.monotonic() - began_s < 5
        await asyncio.sleep(0.005)
    assert time.monotonic() - began_s >= 0.04
    assert await value(cache, "long") == b"2"


async def test_its_age_is_the_time_since_it_was_put(cache: Cache) -> None:
    began_s = time.monotonic()
    await cache.put("a", b"1", LONG_MS)
    ages = []
    for _ in range(3):
        await asyncio.sleep(0.03)
        found = await cache.get("a")
        assert isinstance(found, Found)
        ages.append(found.age_ms)
        assert found.age_ms <= (time.monotonic() - began_s) * 1000 + 2
    assert ages[0] >= 20
    assert ages == sorted(ages)
    await cache.put("a", b"2", LONG_MS)
    renewed = await cache.get("a")
    assert renewed is not None
    assert renewed.age_ms < ages[-1]


async def test_many_may_use_it_at_once(cache: Cache) -> None:
    await asyncio.gather(*(cache.put(f"k{number}", b"%d" % number, LONG_MS) for number in range(300)))
    found = await asyncio.gather(*(value(cache, f"k{number}") for number in range(300)))
    assert found == [b"%d" % number for number in range(300)]


async def test_it_can_be_used_and_nothing_waits_for_it(cache: Cache) -> None:
    assert await cache.state() == StageState("ready", needed=False)


async def test_memory_makes_room_with_what_was_not_used_for_longest() -> None:
    cache = MemoryCache(1_000_000, 3)
    for key in "abc":
        await cache.put(key, b"1", LONG_MS)
    await cache.get("a")
    await cache.put("d", b"1", LONG_MS)
    assert [await value(cache, key) for key in "abcd"] == [b"1", None, b"1", b"1"]
    assert (cache.size().entries, cache.size().evictions) == (3, 1)


async def test_memory_is_bounded_in_bytes() -> None:
    cache = MemoryCache(10_000, 1_000)
    for number in range(50):
        await cache.put(f"k{number}", b"x" * 900, LONG_MS)
        assert cache.size().bytes <= 10_000
    assert await value(cache, "k49") == b"x" * 900
    await cache.put("k49", b"x" * 10_000, LONG_MS)
    assert await cache.get("k49") is None
    await cache.close()
    assert cache.size() == CacheSize(0, 0, cache.size().evictions)


async def test_what_is_gone_by_time_takes_no_memory_once_it_was_asked_for() -> None:
    now_ms = 0
    cache = MemoryCache(10_000, 10, lambda: now_ms)
    await cache.put("a", b"x", 100)
    now_ms = 99
    assert await cache.get("a") == Found(b"x", 99)
    now_ms = 100
    assert await cache.get("a") is None
    assert cache.size() == CacheSize()


async def test_a_redis_that_is_killed_is_said_to_be_away_and_used_again_when_it_is_back(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "streamgauge")
    cache = RedisCache(own_redis.url, TIMEOUT_MS)
    await asyncio.gather(*(cache.put(f"k{number}", b"1", LONG_MS) for number in range(20)))  # many connections
    own_redis.kill()
    with pytest.raises(Unavailable):
        await cache.get("a")
    state = await cache.state()
    assert (state.state, state.holds_up) == ("degraded", False)
    assert "Redis does not answer" in state.reason
    own_redis.start()
    await asyncio.sleep(PAUSE_S)
    await cache.put("a", b"2", LONG_MS)
    assert await value(cache, "a") == b"2"
    assert await cache.state() == StageState("ready", needed=False)
    told = [record.getMessage() for record in caplog.records if record.name.startswith("streamgauge")]
    assert len(told) == 2, told
    await cache.close()


async def test_while_redis_says_nothing_one_question_a_second_waits_for_it(own_redis: RedisServer) -> None:
    cache = RedisCache(own_redis.url, 200)
    await cache.put("a", b"1", LONG_MS)
    own_redis.freeze()
    try:
        waited_s = []
        end_s = time.monotonic() + 2.5
        while time.monotonic() < end_s:
            began_s = time.monotonic()
            with pytest.raises(Unavailable):
                await cache.get("a")
            waited_s.append(time.monotonic() - began_s)
            await asyncio.sleep(0.01)
    finally:
        own_redis.thaw()
    assert len(waited_s) > 20
    assert max(waited_s) < 1
    assert sum(1 for waited in waited_s if waited > 0.1) <= 3
    await asyncio.sleep(PAUSE_S)
    assert await value(cache, "a") == b"1"
    await cache.close()


async def test_one_that_refuses_to_write_is_degraded_and_still_read(own_redis: RedisServer) -> None:
    cache = RedisCache(own_redis.url, TIMEOUT_MS)
    await cache.put("a", b"1", LONG_MS)
    own_redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1")
    with pytest.raises(Unavailable, match="maxmemory"):
        await cache.put("b", b"1", LONG_MS)
    assert await value(cache, "a") == b"1"
    assert (await cache.state()).state == "degraded"
    own_redis.ask("CONFIG", "SET", "maxmemory", "0")
    assert (await cache.state()).state == "ready"
    await cache.close()


async def test_what_others_wrote_under_a_key_is_nothing(redis: RedisServer) -> None:
    cache = RedisCache(redis.url, TIMEOUT_MS)
    redis.ask("SET", "foreign", "short")
    redis.ask("SET", "forever", "for ever and longer than eight bytes")
    assert await cache.get("foreign") is None
    assert await cache.get("forever") is None
    await cache.close()


async def test_a_password_is_never_shown(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    good = RedisCache(redis.url, TIMEOUT_MS)
    await good.put("a", b"1", LONG_MS)
    wrong = RedisCache(f"redis://ada:wr0ng-s3cret@127.0.0.1:{redis.port}/0", TIMEOUT_MS)
    state = await wrong.state()
    assert state.state == "degraded"
    texts = [state.reason, caplog.text, repr(good), repr(wrong)]
    for place in ("redis://:{}@", "redis://:{}@host:port/0", "redis://:{}@host/zero", "rediss://u:{}@host/0?no=option"):
        with pytest.raises(ConfigError) as refused:
            RedisCache(place.format("wr0ng-s3cret"), TIMEOUT_MS)
        texts.append(f"{refused.value!r} {refused.value.message} {refused.value.hint} {refused.value.__cause__}")
    assert not any(secret in text for text in texts for secret in ("wr0ng-s3cret", PASSWORD))
    await good.close()
    await wrong.close()
