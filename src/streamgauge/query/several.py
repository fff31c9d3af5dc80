"""Several metrics, and ratios of them, in one question: `name` given more than once, or as `signups/page_views`.

Each metric is a question of its own about the same time, filters and dimensions; their answers are put side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from streamgauge.core.errors import InvalidRequest
from streamgauge.model import OTHER, Rollup
from streamgauge.query.metrics import Group, MetricsService, Point, Whole, adds, empty, in_order
from streamgauge.query.parameters import Parameters
from streamgauge.query.plan import Plan
from streamgauge.query.question import Question

COLUMNS_MAX: Final = 10

_Values = Sequence[float | None]


class Column(NamedTuple):
    """What is told of each row. `metric` and `per` are places in the questions; without `per` it is no ratio."""

    name: str
    metric: int
    per: int | None


class Several(msgspec.Struct, frozen=True):
    """One question a metric, equal but for it."""

    questions: tuple[Question, ...]
    columns: tuple[Column, ...]

    @property
    def any(self) -> Question:
        """For what all have in common."""
        return self.questions[0]

    @property
    def is_plain(self) -> bool:
        """One metric, and nothing else."""
        return len(self.columns) == 1 and self.columns[0].per is None

    @property
    def value_names(self) -> list[str]:
        """A single column is called `value`, several are called what they are."""
        return ["value"] if len(self.columns) == 1 else [column.name for column in self.columns]

    @property
    def compared_names(self) -> list[str]:
        if not self.any.earlier_ms:
            return []
        return ["compared"] if len(self.columns) == 1 else [f"compared:{column.name}" for column in self.columns]


class Line(NamedTuple):
    """A row: a step's start in ms since 1970 or the names of a group, and a value of each column, now and in the range
    that is compared with; nothing in `compared` where there is none."""

    at: int | tuple[str, ...]
    values: tuple[float | None, ...]
    compared: tuple[float | None, ...]


class Table(NamedTuple):
    lines: Sequence[Line]
    limited: Sequence[str]


def parse_several(parameters: Parameters, service: MetricsService) -> Several:
    """Raises InvalidRequest."""
    terms = [tuple(part.strip() for part in value.split("/")) for key, value in parameters if key == "name"]
    rest = [(key, value) for key, value in parameters if key != "name"]
    names = ["/".join(term) for term in terms]
    _check_names(terms, names)
    metrics = list(dict.fromkeys(metric for term in terms for metric in term))
    questions = _of_one_time(metrics, rest, service)
    taken = {*questions[0].group_by, "timestamp"} if len(terms) > 1 else set[str]()
    for name in names:
        if name in taken:
            raise InvalidRequest(f"{name!r} is the name of a metric and of a dimension", hint="ask it by itself")
    columns = tuple(
        Column(name, metrics.index(term[0]), metrics.index(term[1]) if len(term) == 2 else None)
        for name, term in zip(names, terms, strict=True)
    )
    return Several(questions, columns)


def explained(several: Several, service: MetricsService) -> list[Plan]:
    return [plan for question in _asked(several, service) for plan in service.explained(question)]


async def answer(several: Several, service: MetricsService) -> Table:
    """Raises what the reader raises, and InvalidRequest where there are too many rows to put side by side."""
    if several.is_plain:
        plain = await service.answer(several.any)
        return Table([_told(several, _at(row), (row.value,), (row.compared,)) for row in plain.rows], plain.limited)
    asked = _asked(several, service)
    if several.any.group_by:
        return _side_by_side(several, [await service.whole(question) for question in asked])
    series = [(await service.answer(question)).rows for question in asked]
    lines = [
        _told(several, _at(points[0]), [one.value for one in points], [one.compared for one in points])
        for points in zip(*series, strict=True)
    ]
    return Table(lines, ())


def _check_names(terms: Sequence[tuple[str, ...]], names: Sequence[str]) -> None:
    for number, (term, name) in enumerate(zip(terms, names, strict=True)):
        if len(term) > 2 or (len(term) == 2 and not all(term)):
            raise InvalidRequest(
                f"{name[:64]!r} is neither a metric nor a ratio of two",
                code="invalid_ratio",
                hint="name=signups/page_views",
            )
        if name in names[:number]:
            raise InvalidRequest(f"'name' has {name[:64]!r} twice", hint="give each metric and each ratio once")
    if len(terms) > COLUMNS_MAX:
        raise InvalidRequest(
            f"that are {len(terms)} metrics and ratios", hint=f"ask for up to {COLUMNS_MAX} in one question"
        )


def _of_one_time(metrics: Sequence[str], rest: Parameters, service: MetricsService) -> tuple[Question, ...]:
    """A question of each metric, all of the same time: that of the metric with the longest windows."""
    if len(metrics) < 2:
        return (service.question([*(("name", name) for name in metrics), *rest]),)
    known = {rollup.name: rollup for rollup in service.rollups}
    longest = max(metrics, key=lambda name: known[name].window_ms if name in known else 0)
    lead = service.question([("name", longest), *rest])
    others = [(key, value) for key, value in rest if key != "step"] + [("step", f"{lead.step_ms // 1000}s")]
    found = []
    for name in metrics:
        metric = service.question([("name", name), *others]).metric
        _check_windows(lead.metric, metric)
        found.append(msgspec.structs.replace(lead, metric=metric))
    return tuple(found)


def _check_windows(longest: Rollup, other: Rollup) -> None:
    if longest.window_ms % other.window_ms:
        raise InvalidRequest(
            f"the windows of {longest.name}, {longest.window} each, don't end with those of {other.name}, "
            f"{other.window} each",
            hint="ask for each by itself",
        )


def _asked(several: Several, service: MetricsService) -> list[Question]:
    """What is asked of the store: of groups all, for the first ones of each metric aren't the same ones."""
    if several.any.group_by and not several.is_plain:
        return [service.every(question) for question in several.questions]
    return list(several.questions)


def _at(row: Point | Group) -> int | tuple[str, ...]:
    return row.start_ms if isinstance(row, Point) else row.names


def _told(several: Several, at: int | tuple[str, ...], values: _Values, compared: _Values) -> Line:
    return Line(at, _columns(several, values), _columns(several, compared) if several.any.earlier_ms else ())


def _columns(several: Several, values: _Values) -> tuple[float | None, ...]:
    """Of a value of each metric."""
    return tuple(
        values[column.metric] if column.per is None else _ratio(values[column.metric], values[column.per])
        for column in several.columns
    )


def _ratio(value: float | None, per: float | None) -> float | None:
    """None where there is nothing to divide by."""
    return value / per if value is not None and per else None


def _side_by_side(several: Several, wholes: Sequence[Whole]) -> Table:
    question = several.any
    names = dict.fromkeys(name for whole in wholes for side in (whole.values, whole.compared) for name in side)
    lines = {name: _group(several, wholes, name) for name in names}
    firsts = [Group(name, line.values[0]) for name, line in lines.items()]
    groups = [group.names for group in in_order(firsts, question.selection)]
    groups, beyond = groups[: question.limit], groups[question.limit :]
    rest: list[Line] = []
    if beyond:
        other = (OTHER,) * len(question.group_by)
        beyond += [name for name in groups if name == other]
        groups = [name for name in groups if name != other]
        rest = [line for line in [_rest(several, wholes, beyond, other)] if any(one is not None for one in line.values)]
    shown = in_order([Group(name, lines[name].values[0]) for name in groups], question.order)
    limited = [name for name in question.group_by if any(name in whole.limited for whole in wholes)]
    return Table([*(lines[group.names] for group in shown), *rest], limited)


def _group(several: Several, wholes: Sequence[Whole], name: tuple[str, ...]) -> Line:
    nothing = [empty(question) for question in several.questions]
    values = [whole.values.get(name, none) for whole, none in zip(wholes, nothing, strict=True)]
    compared = [whole.compared.get(name, none) for whole, none in zip(wholes, nothing, strict=True)]
    return _told(several, name, values, compared)


def _rest(several: Several, wholes: Sequence[Whole], beyond: Sequence[tuple[str, ...]], other: tuple[str, ...]) -> Line:
    """All that isn't shown, as one row."""
    values = list(_sums(several, [whole.values for whole in wholes], beyond))
    compared = list(_sums(several, [whole.compared for whole in wholes], beyond))
    return _told(several, other, values, compared)


def _sums(
    several: Several, sides: Sequence[Mapping[tuple[str, ...], float | None]], names: Sequence[tuple[str, ...]]
) -> Iterator[float | None]:
    """None for a measure that doesn't add."""
    for question, side in zip(several.questions, sides, strict=True):
        yield sum((side.get(name) or 0.0 for name in names), start=0.0) if adds(question) else None
