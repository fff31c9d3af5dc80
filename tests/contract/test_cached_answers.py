"""With the cache in between, answers are still what counting the events one by one gives."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.store_places import StorePlace
from contract.test_questions import NOW_MS, PROMOTED, ROLLUPS, Asked, _asked, _events, write
from local_cluster.redis import RedisServer
from streamgauge.config import CacheSettings, QuerySettings
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import InvalidRequest
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import DAY_MS, Envelope
from streamgauge.query.cache.answers import AnswerCache, Computed
from streamgauge.query.cache.base import Cache
from streamgauge.query.cache.changes import Changes
from streamgauge.query.cache.keys import question_key, question_scope
from streamgauge.query.cache.memory import MemoryCache
from streamgauge.query.cache.redis import RedisCache
from streamgauge.query.metrics import MetricsService
from streamgauge.query.question import Question
from streamgauge.store.base import StoreReader, StoreWriter
from streamgauge.store.noted import NotedWriter


class Cached:
    """The query service behind a cache, as the API puts it together."""

    def __init__(self, service: MetricsService, cache: AnswerCache) -> None:
        self.service = service
        self.cache = cache
        self.misses = 0

    async def ask(self, question: Question) -> bytes:
        async def compute() -> Computed:
            self.misses += 1
            answer = await self.service.answer(question)
            return Computed(msgspec.json.encode(answer.rows), {}, NOW_MS)

        return (await self.cache.answer(question_key(question), question_scope(question), compute)).body


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def noted(writer: StoreWriter, changes: Changes) -> StoreWriter:
    return NotedWriter(writer, changes.note)


_prefixes = itertools.count()


@pytest.fixture(params=["memory", "redis"])
async def cached(request: pytest.FixtureRequest, reader: StoreReader, changes: Changes) -> AsyncIterator[Cached]:
    cache: Cache = MemoryCache(10_000_000, 1_000)
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        cache = RedisCache(server.url, 2_000)
    prefix = f"cached-{next(_prefixes)}"
    answers = AnswerCache(cache, prefix, CacheSettings(), SelfMetrics(), changes, is_only_writer=True)
    yield Cached(MetricsService(reader, ROLLUPS, PROMOTED, QuerySettings(), ManualClock(NOW_MS)), answers)
    await answers.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.lists(_asked(), min_size=1, max_size=3),
    steps=st.lists(st.lists(_events(), min_size=1, max_size=5) | st.integers(0, 2), max_size=12),
)
async def test_a_cached_answer_is_what_counting_one_event_at_a_time_gives_now(
    store: StorePlace,
    noted: StoreWriter,
    cached: Cached,
    *,
    changes: Changes,
    asked: list[Asked],
    steps: list[list[Envelope] | int],
) -> None:
    store.truncate("metrics", "metrics_extremes")
    for rollup in ROLLUPS:  # that was no write of the service
        changes.note(rollup.name, 0, 4_102_444_800_000)
    envelopes: list[Envelope] = []
    for step in steps:
        if isinstance(step, list):
            write(noted, step)
            envelopes += step
            continue
        one = asked[step % len(asked)]
        try:
            question = cached.service.question(one.parameters)
        except InvalidRequest:  # too many points
            continue
        expected = msgspec.json.encode(one.answer(envelopes, question.step_ms))
        assert await cached.ask(question) == expected, one.parameters


async def test_only_what_a_write_touched_is_asked_again(noted: StoreWriter, cached: Cached) -> None:
    from unit.stream.making import NOON_MS, event

    write(noted, [event("view", NOON_MS, country="US")])
    views, least, before = (
        cached.service.question(parameters)
        for parameters in (
            [("name", "views"), ("range", "24h")],
            [("name", "least"), ("range", "24h")],
            [("name", "views"), ("from", str(NOON_MS - 3_600_000)), ("to", str(NOON_MS))],
        )
    )
    for question in (views, least, before, views, least, before):
        await cached.ask(question)
    assert cached.misses == 3
    write(noted, [event("view", NOON_MS, country="DE")])
    for question in (views, least, before):
        await cached.ask(question)
    assert cached.misses == 4


async def test_a_write_to_the_range_that_is_compared_with_touches_the_answer(
    noted: StoreWriter, cached: Cached
) -> None:
    from unit.stream.making import NOON_MS, event

    for compare, days in (("previous", 1), ("week", 7)):
        question = cached.service.question([("name", "views"), ("range", "24h"), ("compare", compare)])
        before = await cached.ask(question)
        write(noted, [event("view", NOON_MS - days * DAY_MS, country="US")])
        assert await cached.ask(question) != before
