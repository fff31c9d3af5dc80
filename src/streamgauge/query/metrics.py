"""The query service: questions about metrics, answered from the store."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from streamgauge.config import QuerySettings
from streamgauge.core.clock import Clock
from streamgauge.model import OTHER, Rollup
from streamgauge.query.plan import NEWEST_PANES, Planner
from streamgauge.query.question import Question, QuestionLimits, parse_question, step_starts
from streamgauge.store.base import StoreReader


class Point(msgspec.Struct, frozen=True):
    """One step of a time series. `value` is None where a measure that doesn't add has nothing."""

    start_ms: int
    value: float | None


class Group(msgspec.Struct, frozen=True):
    """One row of a breakdown."""

    name: str
    value: float


class Answer(msgspec.Struct, frozen=True):
    """`rows` are points without `group_by` in the question, and groups with it. `is_limited`: there are more values of
    the dimension than are told apart in a day."""

    question: Question
    rows: Sequence[Point] | Sequence[Group]
    store_s: float
    is_limited: bool = False


class MetricsService:
    def __init__(
        self,
        reader: StoreReader,
        rollups: Collection[Rollup],
        promoted_dimensions: Collection[str],
        limits: QuerySettings,
        clock: Clock,
    ) -> None:
        self._reader = reader
        self._rollups = {rollup.name: rollup for rollup in rollups}
        self._planner = Planner(promoted_dimensions)
        self._limits = QuestionLimits(limits.points_max, limits.groups_max)
        self._clock = clock

    async def answer(self, parameters: Sequence[tuple[str, str]]) -> Answer:
        """Raises InvalidRequest for what can't be asked, and what the reader raises."""
        question = parse_question(parameters, self._rollups, self._clock.now_ms(), self._limits)
        started_s = time.perf_counter()
        if question.group_by is None:
            return Answer(question, await self._series(question), time.perf_counter() - started_s)
        rows, is_limited = await self._groups(question, question.group_by)
        return Answer(question, rows, time.perf_counter() - started_s, is_limited)

    async def newest_panes_ms(self) -> Mapping[str, int]:
        """Start of the newest pane of each metric that has any."""
        newest: dict[str, int] = {}
        for table in ("metrics", "metrics_extremes"):
            rows = await self._reader.query(NEWEST_PANES.sql, {"table": table})
            newest |= {metric: start_s * 1000 for metric, start_s in rows}
        return newest

    @property
    def rollups(self) -> Collection[Rollup]:
        return self._rollups.values()

    async def _series(self, question: Question) -> Sequence[Point]:
        plan = self._planner.series(question)
        found: dict[int, Any] = {
            start_s * 1000: value for start_s, value in await self._reader.query(plan.sql, plan.parameters)
        }
        # Sums and counts of nothing are 0; there is no least or greatest of nothing.
        empty = 0.0 if question.metric.measured.kind in ("count", "sum") else None
        starts = step_starts(question.from_ms, question.to_ms, question.step_ms)
        return [Point(start, found.get(start, empty)) for start in starts]

    async def _groups(self, question: Question, dimension: str) -> tuple[Sequence[Group], bool]:
        plan = self._planner.breakdown(question, dimension)
        rows = await self._reader.query(plan.sql, plan.parameters)
        groups = [Group(name, value) for name, value, *_ in rows]
        if not rows:
            return groups, False
        _, _, total, count, is_limited = rows[0]
        if count > len(rows) and question.metric.measured.kind in ("count", "sum"):
            told_apart = [group for group in groups if group.name != OTHER]
            groups = [*told_apart, Group(OTHER, total - sum(group.value for group in told_apart))]
        return groups, bool(is_limited)
