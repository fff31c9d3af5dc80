"""The SQL that reads series of a rollup. Values are always parameters; names in the text come from the schema."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from streamgauge.model import UNKNOWN, Rollup
from streamgauge.query.plan import Plan
from streamgauge.query.promql.labels import NAME
from streamgauge.query.promql.series import Hints, Matcher, MatchOp
from streamgauge.query.reads import reads, source
from streamgauge.store.grains import ADDITIVE, EXTREMES
from streamgauge.store.schema import promoted_column

BEFORE: Final = -1
"""The cell of panes before the first sample: they only say that the series is there."""


class Cells(NamedTuple):
    """Where samples fall: pane by pane into cells of `width_ms`, of which the first ends at `first_ms`, and the last at
    `first_ms + (samples - 1) * width_ms`. No pane ends after `last_ms`."""

    first_ms: int
    width_ms: int
    samples: int
    last_ms: int


def cells_of(rollup: Rollup, start_ms: int, end_ms: int, hints: Hints) -> Cells | None:
    """The samples of `[start_ms, end_ms]`: one a window, stamped with its end. Windows that a function would only put
    together again are one sample: stamped at the end of the cell, within the same windows of the question."""
    window_ms = rollup.window_ms
    begin_ms = max(start_ms, 0)
    first_ms, last_ms = -(-begin_ms // window_ms) * window_ms, end_ms // window_ms * window_ms
    if last_ms < first_ms:
        return None
    width_ms = _combined(rollup, hints)
    if width_ms < 2 * window_ms or width_ms % window_ms or start_ms < 0:
        return Cells(first_ms, window_ms, (last_ms - first_ms) // window_ms + 1, last_ms)
    # All windows of the question begin and end a multiple of the width after this.
    phase_ms = start_ms - 1
    skipped = (first_ms - phase_ms - 1) // width_ms
    count = (last_ms - phase_ms - 1) // width_ms - skipped + 1
    return Cells(phase_ms + (skipped + 1) * width_ms, width_ms, count, last_ms)


_OVER_TIME: Final = {"count": "sum_over_time", "sum": "sum_over_time", "min": "min_over_time", "max": "max_over_time"}
_AGGREGATION: Final = {"count": "sum", "sum": "sum", "min": "min", "max": "max"}


def _combined(rollup: Rollup, hints: Hints) -> int:
    """The length of what may become one sample; 0 where each is needed."""
    if hints.function != _OVER_TIME[rollup.measured.kind] or not hints.range_ms:
        return 0
    return math.gcd(hints.range_ms, hints.step_ms)


def kept_labels(rollup: Rollup, hints: Hints) -> tuple[str, ...]:
    """The dimensions that the question tells series apart by."""
    names = label_names(rollup)
    kind = rollup.measured.kind
    # Dense series have their samples at the same times, so that the latest ones can be added up. Others have not.
    functions = ("", "sum_over_time") if is_dense(rollup) else (_OVER_TIME[kind],)
    if hints.aggregation != _AGGREGATION[kind] or hints.function not in functions:
        return names
    return tuple(name for name in names if (name in hints.labels) != hints.without)


def label_names(rollup: Rollup) -> tuple[str, ...]:
    return tuple(name for name in rollup.dimensions if name != NAME)


def is_dense(rollup: Rollup) -> bool:
    """Whether a window without events is 0; there is no least or greatest of nothing."""
    return rollup.measured.kind in ("count", "sum")


class SeriesSql:
    """Statements over one store. Rows are limited by `rows_max`: whoever gets more asked for too much."""

    def __init__(self, promoted_dimensions: Collection[str], rows_max: int) -> None:
        self._promoted = frozenset(promoted_dimensions)
        self._rows_max = rows_max

    def samples(
        self, rollup: Rollup, matchers: Sequence[Matcher], labels: Sequence[str], cells: Cells, memory_ms: int
    ) -> Plan:
        """Rows (a column for each label, cell, value); the cell is `BEFORE` for panes of the `memory_ms` before."""
        window_s, kind = rollup.window_ms // 1000, rollup.measured.kind
        begin_s = (cells.first_ms - cells.width_ms) // rollup.window_ms * window_s
        parameters: dict[str, Any] = {
            "begin": begin_s,
            "window": window_s,
            "width": cells.width_ms,
            "first_end": cells.first_ms,
        }
        from_s = max(0, begin_s - (memory_ms // 1000 if is_dense(rollup) else 0))
        parts = reads(from_s, cells.last_ms // 1000, _bounds(cells, window_s))
        columns = f"{self._columns(rollup, labels, parameters)}toUnixTimestamp(timestamp) AS at, {_MEASURE[kind]}"
        rows = source(_base(rollup), parts, columns, self._condition(rollup, matchers, parameters), parameters)
        # The end of the pane's window, then the first end of a cell that isn't before it. A row by the hour or day
        # counts as its first pane: the others are in the same cell.
        end_ms = "(intDiv(at, {window:UInt32}) + 1) * {window:UInt32} * 1000"
        cell = f"intDiv(toInt64({end_ms}) + {{width:Int64}} - 1 - {{first_end:Int64}}, {{width:Int64}})"
        groups = "".join(f"c{number}, " for number in range(len(labels)))
        return Plan(
            f"SELECT {groups}if(toInt64({end_ms}) + {{width:Int64}} <= {{first_end:Int64}}, {BEFORE}, "
            f"toInt64({cell})) AS cell, {_VALUES[kind]} AS total "
            f"{rows} GROUP BY {groups}cell LIMIT {self._rows_max + 1}",
            parameters,
            _base(rollup),
            parts,
        )

    def distinct(
        self, rollup: Rollup, matchers: Sequence[Matcher], labels: Sequence[str], span_s: tuple[int, int]
    ) -> Plan:
        """Rows (a column for each label) of the panes that begin in `[from, to)`."""
        parameters: dict[str, Any] = {}
        parts, columns = reads(*span_s), f"{self._columns(rollup, labels, parameters)}1 AS here"
        rows = source(_base(rollup), parts, columns, self._condition(rollup, matchers, parameters), parameters)
        return Plan(f"SELECT DISTINCT * {rows} LIMIT {self._rows_max + 1}", parameters, _base(rollup), parts)

    def _columns(self, rollup: Rollup, labels: Sequence[str], parameters: dict[str, Any]) -> str:
        names = [self._dimension(rollup, label, parameters, f"label_{number}") for number, label in enumerate(labels)]
        return "".join(f"toLowCardinality({name}) AS c{number}, " for number, name in enumerate(names))

    def _condition(self, rollup: Rollup, matchers: Sequence[Matcher], parameters: dict[str, Any]) -> str:
        parameters["metric"] = rollup.name
        conditions = ["metric_name = {metric:String}"]
        for number, matcher in enumerate(matchers):
            if matcher.name not in label_names(rollup):
                continue  # no series of the rollup has it: decided before anything is asked
            value = self._dimension(rollup, matcher.name, parameters, f"matched_{number}")
            parameters[f"wanted_{number}"] = _pattern(matcher)
            satisfied = _SATISFIED[matcher.op].format(value=value, wanted=f"{{wanted_{number}:String}}")
            # Panes from before a dimension was configured don't have it.
            blank = f"OR {value} = ''" if bool(matcher.matches([UNKNOWN])[0]) else f"AND {value} != ''"
            conditions.append(f"({satisfied} {blank})")
        return " AND ".join(conditions)

    def _dimension(self, rollup: Rollup, name: str, parameters: dict[str, Any], parameter: str) -> str:
        if is_dense(rollup) and name in self._promoted:
            return promoted_column(name)
        parameters[parameter] = name
        return f"dimensions[{{{parameter}:String}}]"


def _bounds(cells: Cells, window_s: int) -> list[int]:
    """Where panes of one cell end and those of the next begin, in s. A cell has the panes that end in it."""
    before = range(cells.first_ms - cells.width_ms, cells.last_ms, cells.width_ms)
    return [end_ms // 1000 // window_s * window_s for end_ms in before]


_MEASURE: Final[Mapping[str, str]] = {"count": "value", "sum": "value", "min": "value_min", "max": "value_max"}
_VALUES: Final[Mapping[str, str]] = {
    "count": "sum(value)",
    "sum": "sum(value)",
    "min": "min(value_min)",
    "max": "max(value_max)",
}
_SATISFIED: Final = {
    MatchOp.EQUAL: "{value} = {wanted}",
    MatchOp.NOT_EQUAL: "{value} != {wanted}",
    MatchOp.REGEX: "match({value}, {wanted})",
    MatchOp.NOT_REGEX: "NOT match({value}, {wanted})",
}


def _pattern(matcher: Matcher) -> str:
    is_regex = matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX)
    return f"^(?s:{matcher.value})$" if is_regex else matcher.value


def _base(rollup: Rollup) -> str:
    return ADDITIVE if is_dense(rollup) else EXTREMES
