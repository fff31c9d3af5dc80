"""Which answers are kept, for how long, and when a kept one may be given. See docs/adr/0014-cache.md.

A question goes this way, and equal questions that come meanwhile go it together:

1. The number of the newest write to the store that this process made (`Changes`) is noted: the answer has to show it.
2. The cache is asked. What it has is given if it is young enough, and no known write has touched it.
3. Else the store is asked, and its answer kept: one about settled history for the whole time, one that reaches what is
   still filling for a short one. An error is not kept.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal, NamedTuple

import msgspec

from streamgauge.config import CacheSettings
from streamgauge.core.errors import Unavailable
from streamgauge.core.lifecycle import StageState
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import MINUTE_MS
from streamgauge.query.cache.base import Cache
from streamgauge.query.cache.changes import Changes

SETTLED_AFTER_MS: Final = 5 * MINUTE_MS
"""What ends so long before the watermark is history: only late events change it."""

KNOWN_EDGE_MS_MAX: Final = 10_000
"""An answer that no write has touched is right however old it is; but how far it is complete is older by as much."""

_FORMAT: Final = 1
"""Of a kept answer. One of another is none."""

Outcome = Literal["hit", "miss", "bypass"]


class Scope(NamedTuple):
    """What an answer depends on: a metric (None: all of them), and event times `[from_ms, to_ms)`."""

    metric: str | None
    from_ms: int
    to_ms: int


class Computed(NamedTuple):
    """An answer of the store, encoded. `complete_up_to_ms`: asked before the store was."""

    body: bytes
    headers: dict[str, str]
    complete_up_to_ms: int


class Answered(NamedTuple):
    """`age_ms`: since the store was asked; 0 where it was asked for this. `cache_s`, `store_s`: time spent on each."""

    body: bytes
    headers: dict[str, str]
    outcome: Outcome
    age_ms: int
    cache_s: float
    store_s: float


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """How an answer lies in the cache. `origin`: the process that asked, whose writes `number` counts. `age_ms`: when
    it was put there."""

    format: int
    origin: str
    number: int
    age_ms: int
    settled: bool
    headers: dict[str, str]
    body: bytes


class _Flight:
    """A question on its way. Its answer shows all writes up to `number`; `waiting` is how many want it."""

    def __init__(self, task: asyncio.Task[Answered], number: int) -> None:
        self.task, self.number = task, number
        self.waiting = 0


class AnswerCache:
    """Used on the event loop."""

    def __init__(
        self,
        cache: Cache,
        prefix: str,
        settings: CacheSettings,
        metrics: SelfMetrics,
        changes: Changes,
        *,
        is_only_writer: bool,
    ) -> None:
        """`prefix`: of all keys, the same for those that have the same store and settings. `changes`: the writes of
        this process; `is_only_writer`: whether there can be no others."""
        self._cache = cache
        self._prefix = prefix
        self._settings = settings
        self._metrics = metrics
        self._changes = changes
        self._is_only_writer = is_only_writer
        self._origin = secrets.token_hex(8)
        self._flights: dict[str, _Flight] = {}

    async def answer(
        self, key: str, scope: Scope, compute: Callable[[], Awaitable[Computed]], *, bypass: bool = False
    ) -> Answered:
        """With `bypass` always the store's answer of now, which is kept for others. Raises what `compute` raises."""
        number = self._changes.number
        found = None if bypass else await self._joined(key, scope, number)
        if found is None:
            flight = self._begin(key, scope, compute, bypass)
            found = await self._landing(key, flight)
        self._metrics.cache_answers.labels(found.outcome).inc()
        return found

    async def state(self) -> StageState:
        """Also brings the gauges among the self-metrics up to date."""
        state, size = await self._cache.state(), self._cache.size()
        self._metrics.cache_up.set(state.state == "ready")
        self._metrics.cache_entries.set(size.entries)
        self._metrics.cache_bytes.set(size.bytes)
        self._metrics.cache_evictions.set(size.evictions)
        return state

    async def close(self) -> None:
        flights = [flight.task for flight in self._flights.values()]
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._cache.close()

    async def _joined(self, key: str, scope: Scope, number: int) -> Answered | None:
        """The answer of an equal question that is on its way; None where this one has to go itself. One that began
        before the newest write is not good enough, but is waited for: a store that is slow is not asked more often."""
        while (flight := self._flights.get(key)) is not None:
            if not self._is_touched(scope, flight.number, number):
                began_s = time.perf_counter()
                found = await self._landing(key, flight)
                return found._replace(outcome="hit", cache_s=time.perf_counter() - began_s, store_s=0.0)
            await asyncio.wait({flight.task})
        return None

    async def _landing(self, key: str, flight: _Flight) -> Answered:
        """When the last one who waits goes away, the store is no longer asked."""
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                if self._flights.get(key) is flight:
                    del self._flights[key]  # who comes now begins anew
                flight.task.cancel()

    def _begin(self, key: str, scope: Scope, compute: Callable[[], Awaitable[Computed]], bypass: bool) -> _Flight:
        """A task of its own: it goes on when the one who asked first goes away."""
        number = self._changes.number
        task = asyncio.create_task(self._fly(f"{self._prefix}:{key}", scope, compute, number, bypass))
        flight = self._flights[key] = _Flight(task, number)

        def landed(_: asyncio.Task[Answered]) -> None:
            if self._flights.get(key) is flight:
                del self._flights[key]
            if not task.cancelled():
                task.exception()  # seen, even if nobody waits any more

        task.add_done_callback(landed)
        return flight

    async def _fly(
        self, key: str, scope: Scope, compute: Callable[[], Awaitable[Computed]], number: int, bypass: bool
    ) -> Answered:
        began_s = time.perf_counter()
        if not bypass and (found := await self._look_up(key, scope, number)) is not None:
            kept, age_ms = found
            return Answered(kept.body, kept.headers, "hit", age_ms, time.perf_counter() - began_s, 0.0)
        asked_s = time.perf_counter()
        body, headers, complete_up_to_ms = await compute()
        answered_s = time.perf_counter()
        age_ms = round((answered_s - asked_s) * 1000)
        settled = scope.to_ms + SETTLED_AFTER_MS <= complete_up_to_ms
        await self._keep(key, _Kept(_FORMAT, self._origin, number, age_ms, settled, headers, body))
        cache_s = asked_s - began_s + time.perf_counter() - answered_s
        return Answered(body, headers, "bypass" if bypass else "miss", 0, cache_s, answered_s - asked_s)

    async def _look_up(self, key: str, scope: Scope, number: int) -> tuple[_Kept, int] | None:
        """What is kept, and its age in ms; None where there is nothing that may be given."""
        try:
            found = await self._cache.get(key)
        except Unavailable:
            self._metrics.cache_errors.labels("get").inc()
            return None
        if found is None:
            return None
        try:
            kept = msgspec.msgpack.decode(found.value, type=_Kept)
        except msgspec.MsgspecError:  # of another version, or none of ours at all
            self._metrics.cache_errors.labels("decode").inc()
            return None
        age_ms = kept.age_ms + found.age_ms
        is_good = kept.format == _FORMAT and age_ms < self._ttl_ms(kept) and not self._is_outdated(kept, scope, number)
        return (kept, age_ms) if is_good else None

    async def _keep(self, key: str, kept: _Kept) -> None:
        left_ms = self._ttl_ms(kept) - kept.age_ms
        value = msgspec.msgpack.encode(kept)
        if left_ms < 1 or len(value) > self._settings.value_bytes_max:
            return
        try:
            await self._cache.put(key, value, left_ms)
        except Unavailable:
            self._metrics.cache_errors.labels("put").inc()

    def _ttl_ms(self, kept: _Kept) -> int:
        ttl_ms = self._settings.ttl_s * 1000
        if kept.settled:
            return ttl_ms
        edge_ms = self._settings.edge_ttl_ms
        all_known = self._is_only_writer and kept.origin == self._origin
        return min(ttl_ms, max(edge_ms, KNOWN_EDGE_MS_MAX) if all_known else edge_ms)

    def _is_outdated(self, kept: _Kept, scope: Scope, number: int) -> bool:
        return kept.origin == self._origin and self._is_touched(scope, kept.number, number)

    def _is_touched(self, scope: Scope, since: int, number: int) -> bool:
        """By a write after `since`; those after `number` came later than the question."""
        return since < number and self._changes.touched(*scope, since)
