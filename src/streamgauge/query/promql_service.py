"""PromQL over everything there is: rollups from the store, and self-metrics. Evaluated in threads, each question with
a deadline, and given up when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from streamgauge.config import QuerySettings
from streamgauge.core.errors import Overloaded, StreamgaugeError, Unavailable
from streamgauge.model import Freshness, Rollup
from streamgauge.query.promql.labels import NAME, Labels, value_of
from streamgauge.query.promql.series import Hints, Matcher, SeriesBatch
from streamgauge.query.selfseries import SelfSeries
from streamgauge.query.series import RollupsAsOf, RollupSeries

QUESTIONS_MAX: Final = 200
"""Being answered or waiting for a thread."""

T = TypeVar("T")


class QueryTimeout(StreamgaugeError):
    """The question took longer than it may."""

    code = "timeout"


class QueryCanceled(StreamgaugeError):
    """Nobody waits for the answer any more."""

    code = "canceled"


class Beside(Protocol):
    """Who has further series, made of those that there are."""

    def select(self, sources: Sources, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> SeriesBatch:
        """See `Queryable`."""
        ...

    def names(self) -> set[str]:
        """Of all its metrics."""
        ...


class Sources:
    """The `Queryable` of one question: the series of rollups, of self-metrics and what is beside them. `check` raises
    when it's over."""

    def __init__(
        self,
        rollups: RollupsAsOf,
        self_series: SelfSeries,
        check: Callable[[], None],
        *,
        beside: Beside | None = None,
        complete_up_to_ms: int = 0,
    ) -> None:
        self._rollups = rollups
        self._self_series = self_series
        self._beside = beside
        self.check = check
        self.complete_up_to_ms = complete_up_to_ms

    def beside(self, other: Beside) -> Sources:
        """The same, with other series beside them."""
        return Sources(
            self._rollups, self._self_series, self.check, beside=other, complete_up_to_ms=self.complete_up_to_ms
        )

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> SeriesBatch:
        found = self._rollups.select(matchers, start_ms, end_ms, hints)
        own = self._self_series.select(matchers, start_ms, end_ms, hints)
        made = self._made(matchers, start_ms, end_ms)
        if not own.labels and not made.labels:
            return found
        return SeriesBatch.of([*found.rows(), *own.rows(), *made.rows()])

    def label_sets(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        return [
            *self._rollups.label_sets(matchers, start_ms, end_ms),
            *self._self_series.label_sets(matchers, start_ms, end_ms),
            *self._made(matchers, start_ms, end_ms).labels,
        ]

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> set[str]:
        own = self._self_series.label_sets(matchers, start_ms, end_ms)
        own += self._made(matchers, start_ms, end_ms).labels
        found = {value_of(labels, name) for labels in own} - {""}
        return found | self._rollups.label_values(name, matchers, start_ms, end_ms)

    def metric_names(self, start_ms: int, end_ms: int) -> set[str]:
        """All rollups and what is beside them, whether they have panes or not, and the self-metrics of that time."""
        own = self._self_series.label_sets((), start_ms, end_ms)
        names = {value_of(labels, NAME) for labels in own} | {rollup.name for rollup in self._rollups.rollups}
        return names | (self._beside.names() if self._beside is not None else set())

    def _made(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> SeriesBatch:
        return SeriesBatch.of([]) if self._beside is None else self._beside.select(self, matchers, start_ms, end_ms)


class PromqlService:
    """Used on the event loop."""

    def __init__(
        self, rollups: RollupSeries, self_series: SelfSeries, limits: QuerySettings, beside: Beside | None = None
    ) -> None:
        self._rollups = rollups
        self._beside = beside
        self._self_series = self_series
        self._seconds_max = limits.execution_s_max
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="promql")
        self._waiting = 0

    @property
    def rollups(self) -> Sequence[Rollup]:
        return self._rollups.rollups

    async def answer(self, work: Callable[[Sources], T], fresh: Freshness, timeout_s: float | None = None) -> T:
        """What `work` makes of the sources, in a thread. A cancelled task gives the question up.

        Raises QueryTimeout after `timeout_s` or the setting `execution_s_max`, whichever is less, Overloaded, and what
        `work` raises."""
        if self._waiting >= QUESTIONS_MAX:
            raise Overloaded(f"{QUESTIONS_MAX} questions are being answered already", hint="ask again in a second")
        seconds = self._seconds_max if timeout_s is None else min(timeout_s, self._seconds_max)
        question = _Question(seconds)
        sources = Sources(
            self._rollups.as_of(fresh, question.seconds_left),
            self._self_series,
            question.check,
            beside=self._beside,
            complete_up_to_ms=fresh.complete_up_to_ms,
        )
        self._waiting += 1
        try:
            running = asyncio.get_running_loop().run_in_executor(self._threads, work, sources)
            return await asyncio.wait_for(running, seconds)
        except TimeoutError:
            raise question.timeout() from None
        except RuntimeError as error:
            if "shutdown" in str(error):
                raise Unavailable("the query service is shutting down") from error
            raise
        finally:
            self._waiting -= 1
            question.give_up()

    def close(self) -> None:
        """Questions under way end at their next check."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class _Question:
    """How long one question may still take, and whether anybody waits."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end_s = time.monotonic() + seconds
        self._given_up = threading.Event()

    def give_up(self) -> None:
        self._given_up.set()

    def seconds_left(self) -> float:
        return self._end_s - time.monotonic()

    def check(self) -> None:
        if self.seconds_left() <= 0:
            raise self.timeout()
        if self._given_up.is_set():
            raise QueryCanceled("nobody waits for the answer any more")

    def timeout(self) -> QueryTimeout:
        return QueryTimeout(
            f"the query took longer than {self._seconds:g} s", hint="ask for a shorter range or a longer step"
        )
