"""The query service: questions about metrics, answered from the store."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from streamgauge.config import QuerySettings
from streamgauge.core.clock import Clock
from streamgauge.core.errors import InvalidRequest
from streamgauge.model import OTHER, Rollup
from streamgauge.query.plan import NEWEST_PANES, Plan, Planner
from streamgauge.query.question import (
    Order,
    Question,
    QuestionLimits,
    parse_question,
    parse_values_question,
)
from streamgauge.store.base import StoreReader


class Point(msgspec.Struct, frozen=True):
    """One step of a time series. A value is None where a measure that doesn't add has nothing; `compared` is the value
    of the range that is compared with."""

    start_ms: int
    value: float | None
    compared: float | None = None


class Group(msgspec.Struct, frozen=True):
    """One row of a breakdown: a value of each dimension, and what is measured. A value is None where a measure that
    doesn't add has nothing: in a comparison, what is in one of the ranges is a row."""

    names: tuple[str, ...]
    value: float | None
    compared: float | None = None


class Answer(msgspec.Struct, frozen=True):
    """`rows` are points without `group_by` in the question, and groups with it. `limited`: dimensions
    that have more values than are told apart in a day."""

    question: Question
    rows: Sequence[Point] | Sequence[Group]
    limited: Sequence[str] = ()


class Values(msgspec.Struct, frozen=True):
    """The largest values of a dimension, and how many it has in all."""

    question: Question
    groups: Sequence[Group]
    count: int


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

    def question(self, parameters: Sequence[tuple[str, str]]) -> Question:
        """Raises InvalidRequest for what can't be asked."""
        return parse_question(parameters, self._rollups, self._clock.now_ms(), self._limits)

    def values_question(self, parameters: Sequence[tuple[str, str]]) -> Question:
        """Likewise, of what `values` answers."""
        return parse_values_question(parameters, self._rollups, self._clock.now_ms(), self._limits)

    async def answer(self, question: Question) -> Answer:
        """Raises what the reader raises."""
        if question.group_by:
            return await (self._compared(question) if question.earlier_ms else self._breakdown(question))
        starts = question.starts
        values = await self._values(question, starts)
        if not question.earlier_ms:
            return Answer(question, list(map(Point, starts, values)))
        compared = await self._values(question.earlier, question.earlier_starts)
        return Answer(question, list(map(Point, starts, values, compared)))

    def explained(self, question: Question) -> Sequence[Plan]:
        """What would be asked of the store."""
        if question.group_by:
            each = [question, *([question.earlier] if question.earlier_ms else [])]
            return [self._planner.breakdown(one) for one in each]
        plans = [self._planner.series(question, question.starts)]
        if question.earlier_ms:
            plans.append(self._planner.series(question.earlier, question.earlier_starts))
        return plans

    async def values(self, question: Question) -> Values:
        """Of a question with a dimension. Raises what the reader raises."""
        found = await self._groups(question)
        return Values(question, found.groups, found.groups_count)

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

    async def _values(self, question: Question, starts: Sequence[int]) -> list[float | None]:
        """Of the steps that begin there."""
        plan = self._planner.series(question, starts)
        found = dict(await self._reader.query(plan.sql, plan.parameters))
        return [found.get(start_ms // 1000, empty(question)) for start_ms in starts]

    async def _breakdown(self, question: Question) -> Answer:
        found = await self._groups(question)
        groups, rest = found.groups, []
        if found.groups_count > len(groups) and adds(question):
            other = (OTHER,) * len(question.group_by)
            groups = [group for group in groups if group.names != other]
            rest = [Group(other, found.total - _sum(group.value for group in groups))]
        if question.order != question.selection:
            groups = in_order(groups, question.order)
        return Answer(question, [*groups, *rest], found.limited)

    async def _compared(self, question: Question) -> Answer:
        """Both ranges whole: a row is where its values are in both, which the first rows of each don't tell."""
        whole = await self.whole(self.every(question))
        nothing, values, compared = empty(question), whole.values, whole.compared
        groups = [
            Group(names, values.get(names, nothing), compared.get(names, nothing)) for names in {**values, **compared}
        ]
        groups = in_order(groups, question.selection)
        groups, beyond = groups[: question.limit], groups[question.limit :]
        rest = []
        if beyond and adds(question):
            other = (OTHER,) * len(question.group_by)
            beyond += [group for group in groups if group.names == other]
            groups = [group for group in groups if group.names != other]
            rest = [Group(other, _sum(one.value for one in beyond), _sum(one.compared for one in beyond))]
        return Answer(question, [*in_order(groups, question.order), *rest], whole.limited)

    def every(self, question: Question) -> Question:
        """The same with as many rows as there can be."""
        return msgspec.structs.replace(question, limit=self._limits.groups_max, selection="-value")

    async def whole(self, every: Question) -> Whole:
        """All groups, of the range that is compared with too. Raises InvalidRequest where there are more."""
        found = [await self._groups(one) for one in ([every, every.earlier] if every.earlier_ms else [every])]
        if max(one.groups_count for one in found) > every.limit:
            raise InvalidRequest(
                f"there are over {every.limit:,} rows to put side by side",
                code="too_many_rows",
                hint="add a filter, choose a shorter range, or group by fewer dimensions",
            )
        values, compared = [{group.names: group.value for group in one.groups} for one in (*found, _NONE)][:2]
        limited = [name for name in every.group_by if any(name in one.limited for one in found)]
        return Whole(values, compared, limited)

    async def _groups(self, question: Question) -> _Selected:
        plan = self._planner.breakdown(question)
        rows = await self._reader.query(plan.sql, plan.parameters)
        if not rows:
            return _NONE
        width = len(question.group_by)
        total, count, *limited = rows[0][width + 1 :]
        groups = [Group(tuple(row[:width]), row[width]) for row in rows]
        return _Selected(groups, total, count, list(itertools.compress(question.group_by, limited)))


class _Selected(NamedTuple):
    """The groups that a question selects; the sum and the number of all of them."""

    groups: list[Group]
    total: float
    groups_count: int
    limited: Sequence[str]


_NONE: Final = _Selected([], 0.0, 0, ())


class Whole(NamedTuple):
    """The value of each group there is; nothing in `compared` where there is nothing to compare with."""

    values: Mapping[tuple[str, ...], float | None]
    compared: Mapping[tuple[str, ...], float | None]
    limited: Sequence[str]


def in_order(groups: list[Group], order: Order) -> list[Group]:
    """As the store orders them: texts by their bytes."""
    by_name = sorted(groups, key=lambda group: [name.encode() for name in group.names], reverse=order == "-name")
    if order in ("name", "-name"):
        return by_name
    sign = -1 if order == "-value" else 1
    return sorted(by_name, key=lambda group: (group.value is None, sign * (group.value or 0)))


def adds(question: Question) -> bool:
    """Whether what is measured in parts is, together, what is measured in the whole."""
    return question.metric.measured.kind in ("count", "sum")


def empty(question: Question) -> float | None:
    """Sums and counts of nothing are 0; there is no least or greatest of nothing."""
    return 0.0 if adds(question) else None


def _sum(values: Iterable[float | None]) -> float:
    return sum((value for value in values if value is not None), start=0.0)
