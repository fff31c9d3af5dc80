"""Answers are kept as long as they may be, and asked for once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.config import CacheSettings
from streamgauge.core.errors import Unavailable
from streamgauge.core.lifecycle import StageState
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import MINUTE_MS
from streamgauge.query.cache.answers import (
    KNOWN_EDGE_MS_MAX,
    SETTLED_AFTER_MS,
    AnswerCache,
    Answered,
    Computed,
    Scope,
)
from streamgauge.query.cache.base import Cache, CacheSize, Found
from streamgauge.query.cache.changes import Changes
from streamgauge.query.cache.memory import MemoryCache

NOW_MS = 10_000 * MINUTE_MS
EDGE = Scope("views", NOW_MS - 60 * MINUTE_MS, NOW_MS + MINUTE_MS)
HISTORY = Scope("views", 0, NOW_MS - SETTLED_AFTER_MS)


class World:
    """A store of one number, and processes with a cache in front of it. `now_ms` is the time of the cache."""

    def __init__(self, **limits: int) -> None:
        self.now_ms = 0
        self.value = 0
        self.asked = 0
        self.held = asyncio.Event()
        self.held.set()
        self.changes = Changes()
        self.metrics = SelfMetrics()
        self.memory = MemoryCache(1_000_000, 1_000, lambda: self.now_ms)
        self.settings = CacheSettings(**limits)
        self.cache = self.process()

    def process(self, cache: Cache | None = None, *, is_only_writer: bool = True) -> AnswerCache:
        changes = self.changes if is_only_writer else Changes()
        return AnswerCache(
            cache or self.memory, "t", self.settings, self.metrics, changes, is_only_writer=is_only_writer
        )

    def write(self, metric: str = "views", at_ms: int = NOW_MS) -> None:
        self.value += 1
        self.changes.note(metric, at_ms, at_ms + 1)

    async def compute(self) -> Computed:
        self.asked += 1
        value = self.value
        await self.held.wait()
        return Computed(b"%d" % value, {"Value": str(value)}, NOW_MS)

    async def ask(
        self, scope: Scope = EDGE, key: str = "k", cache: AnswerCache | None = None, **more: bool
    ) -> Answered:
        return await (cache or self.cache).answer(key, scope, self.compute, **more)

    async def outcome(self, scope: Scope = EDGE, cache: AnswerCache | None = None, **more: bool) -> tuple[str, int]:
        found = await self.ask(scope, cache=cache, **more)
        assert found.headers == {"Value": found.body.decode()}
        return found.outcome, int(found.body)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.cache.close()


async def test_a_question_that_was_answered_is_not_asked_again(world: World) -> None:
    assert await world.outcome() == ("miss", 0)
    world.now_ms = 2_500
    found = await world.ask()
    assert (found.outcome, found.body, found.store_s) == ("hit", b"0", 0.0)
    assert 2_500 <= found.age_ms < 3_500
    assert (await world.ask(key="other")).outcome == "miss"
    assert world.asked == 2


async def test_a_write_is_never_hidden_and_one_elsewhere_changes_nothing(world: World) -> None:
    await world.outcome(HISTORY)
    world.write("other", 5)
    world.write(at_ms=HISTORY.to_ms)
    assert await world.outcome(HISTORY) == ("hit", 0)
    world.write(at_ms=HISTORY.to_ms - 1)
    assert await world.outcome(HISTORY) == ("miss", 3)


async def test_without_a_write_an_edge_is_kept_for_some_seconds_and_history_for_the_whole_time(world: World) -> None:
    await world.outcome(EDGE)
    world.now_ms = KNOWN_EDGE_MS_MAX - 1_000
    assert (await world.outcome(EDGE))[0] == "hit"
    world.now_ms = KNOWN_EDGE_MS_MAX
    assert (await world.outcome(EDGE))[0] == "miss"
    await world.ask(HISTORY, "h")
    world.now_ms += 59_000
    assert (await world.ask(HISTORY, "h")).outcome == "hit"
    world.now_ms += 1_000
    assert (await world.ask(HISTORY, "h")).outcome == "miss"


async def test_where_others_write_an_event_shows_at_the_edge_after_a_second_and_a_late_one_after_a_minute() -> None:
    for scope, first_ms in ((EDGE, 1_000), (HISTORY, 60_000)):
        world = World()
        one, other = (world.process(is_only_writer=False) for _ in range(2))
        assert await world.outcome(scope, one) == ("miss", 0)
        world.write(at_ms=scope.to_ms - 1)
        world.now_ms = first_ms - 100
        assert await world.outcome(scope, other) == ("hit", 0), "two processes share a cache"
        world.now_ms = first_ms
        assert await world.outcome(scope, other) == ("miss", 1)
        await one.close()
        await other.close()


async def test_a_restarted_writer_believes_its_earlier_self_no_longer_than_others(world: World) -> None:
    await world.outcome(EDGE)
    world.write()  # by the earlier self, which the new one doesn't know of
    restarted = AnswerCache(world.memory, "t", world.settings, world.metrics, Changes(), is_only_writer=True)
    world.now_ms = 900
    assert await world.outcome(EDGE, restarted) == ("hit", 0)
    world.now_ms = 1_000
    assert await world.outcome(EDGE, restarted) == ("miss", 1)
    await restarted.close()


async def test_concurrent_equal_questions_ask_the_store_once(world: World) -> None:
    world.held.clear()
    asking = [asyncio.create_task(world.ask()) for _ in range(50)]
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    world.held.set()
    found = await asyncio.gather(*asking)
    assert world.asked == 1
    assert sorted(one.outcome for one in found) == ["hit"] * 49 + ["miss"]
    assert {one.body for one in found} == {b"0"}


async def test_the_store_is_asked_once_though_the_first_who_asked_goes_away(world: World) -> None:
    world.held.clear()
    first = asyncio.create_task(world.ask())
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(world.ask()) for _ in range(3)]
    await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    world.held.set()
    assert [one.body for one in await asyncio.gather(*others)] == [b"0"] * 3
    assert world.asked == 1


async def test_the_store_is_no_longer_asked_when_the_last_who_waits_goes_away(world: World) -> None:
    world.held.clear()
    asking = [asyncio.create_task(world.ask()) for _ in range(3)]
    await asyncio.sleep(0.01)
    for one in asking:
        one.cancel()
    after = asyncio.create_task(world.ask())  # before the question has noticed that it is given up
    await asyncio.sleep(0.01)
    world.held.set()
    assert (await after).body == b"0"
    assert world.asked == 2
    assert all(isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*asking, return_exceptions=True))


async def test_who_asks_after_a_write_does_not_get_an_answer_from_before_it_and_waits_with_the_others(
    world: World,
) -> None:
    world.held.clear()
    before = asyncio.create_task(world.ask())
    await asyncio.sleep(0.01)
    world.write()
    after = [asyncio.create_task(world.ask()) for _ in range(20)]
    await asyncio.sleep(0.01)
    assert world.asked == 1, "a store that is slow is not asked more often for that"
    world.held.set()
    assert (await before).body == b"0"
    assert {one.body for one in await asyncio.gather(*after)} == {b"1"}
    assert world.asked == 2


async def test_bypassing_asks_the_store_and_refreshes_for_all(world: World) -> None:
    await world.outcome(HISTORY)
    world.value = 7  # as no write that is known
    assert await world.outcome(HISTORY) == ("hit", 0)
    assert await world.outcome(HISTORY, bypass=True) == ("bypass", 7)
    assert await world.outcome(HISTORY) == ("hit", 7)
    world.held.clear()
    asking = asyncio.create_task(world.ask(HISTORY))
    bypassing = [asyncio.create_task(world.ask(HISTORY, bypass=True)) for _ in range(2)]
    await asyncio.sleep(0.01)
    world.held.set()
    await asyncio.gather(asking, *bypassing)
    assert world.asked == 4


async def test_an_error_is_told_to_all_who_wait_and_not_kept(world: World) -> None:
    fails = True

    async def compute() -> Computed:
        await asyncio.sleep(0.01)
        if fails:
            raise Unavailable("the store is away")
        return Computed(b"there", {}, 0)

    asking = [world.cache.answer("k", EDGE, compute) for _ in range(3)]
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in told] == [Unavailable] * 3
    fails = False
    assert (await world.cache.answer("k", EDGE, compute)).outcome == "miss"


async def test_an_answer_that_took_longer_than_it_may_be_old_is_not_kept() -> None:
    world = World(edge_ttl_ms=20)
    one = world.process(is_only_writer=False)
    world.held.clear()
    asking = asyncio.create_task(world.ask(cache=one))
    await asyncio.sleep(0.05)
    world.held.set()
    await asking
    assert (await world.ask(cache=one)).outcome == "miss"
    await one.close()


async def test_a_great_answer_is_not_kept() -> None:
    world = World(value_bytes_max=10)
    assert [(await world.outcome())[0] for _ in range(2)] == ["miss", "miss"]
    assert world.memory.size().entries == 0


@pytest.mark.parametrize("garbage", [b"", b"\x00", b"not ours", b"\x93\x01\xa1a\x02"])
async def test_what_is_no_answer_in_the_cache_is_replaced(world: World, garbage: bytes) -> None:
    await world.memory.put("t:k", garbage, 60_000)
    assert [(await world.outcome())[0] for _ in range(2)] == ["miss", "hit"]
    assert world.metrics.registry.get_sample_value("streamgauge_cache_errors_total", {"operation": "decode"}) == 1


class Away:
    """A cache that is down."""

    async def get(self, key: str) -> Found | None:
        raise Unavailable("away")

    async def put(self, key: str, value: bytes, ttl_ms: int) -> None:
        raise Unavailable("away")

    async def state(self) -> StageState:
        return StageState("degraded", "away", needed=False)

    def size(self) -> CacheSize:
        return CacheSize()

    async def close(self) -> None: ...


async def test_without_the_cache_answers_come_from_the_store_and_self_metrics_say_so(world: World) -> None:
    cache = world.process(Away())
    assert [(await world.outcome(cache=cache))[0] for _ in range(2)] == ["miss", "miss"]
    state = await cache.state()
    assert (state.state, state.holds_up) == ("degraded", False)
    value = world.metrics.registry.get_sample_value
    assert value("streamgauge_cache_errors_total", {"operation": "get"}) == 2
    assert value("streamgauge_cache_errors_total", {"operation": "put"}) == 2
    assert value("streamgauge_cache_up") == 0


async def test_self_metrics_count_what_came_of_each_question(world: World) -> None:
    for more in ({}, {}, {"bypass": True}):
        await world.outcome(**more)
    await world.cache.state()
    value = world.metrics.registry.get_sample_value
    found = [value("streamgauge_cache_answers_total", {"outcome": one}) for one in ("hit", "miss", "bypass")]
    assert found == [1, 1, 1]
    assert value("streamgauge_cache_entries") == 1
    assert value("streamgauge_cache_bytes") == world.memory.size().bytes > 0
    assert value("streamgauge_cache_up") == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from("ab"), st.integers(0, 20)),
        st.tuples(st.just("ask"), st.sampled_from("ab"), st.integers(0, 20)),
        st.tuples(st.just("pass"), st.just(""), st.integers(0, 20_000)),
    ),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, bytes_max=st.sampled_from([0, 700, 1_000_000]))
async def test_an_answer_is_at_any_moment_what_the_store_would_say(
    steps: list[tuple[str, str, int]], bytes_max: int
) -> None:
    """Events at minutes of two metrics, questions about ranges of minutes, and a naive count."""
    events: list[tuple[str, int]] = []
    now_ms = 0
    changes, metrics = Changes(), SelfMetrics()
    memory = MemoryCache(bytes_max, 5, lambda: now_ms)
    cache = AnswerCache(memory, "t", CacheSettings(), metrics, changes, is_only_writer=True)

    def counter(metric: str, from_: int, to: int) -> Callable[[], Any]:
        async def compute() -> Computed:
            return Computed(b"%d" % sum(1 for name, at in events if name == metric and from_ <= at < to), {}, 12)

        return compute

    for kind, metric, number in steps:
        if kind == "write":
            events.append((metric, number))
            changes.note(metric, number, number + 1)
        elif kind == "pass":
            now_ms += number
        else:
            span = (number, number + 5)
            compute = counter(metric, *span)
            found = await cache.answer(f"{metric}{number}", Scope(metric, *span), compute)
            assert found.body == (await compute()).body
    await cache.close()
