"""Rollups as PromQL's series: every rollup is a metric of its name, its dimensions are the labels.

A pane `[12:00, 12:01)` is a sample stamped 12:01. There are samples up to the watermark, and none after it. Counts and
sums are dense: from its first pane on, a series has a sample for each window, 0 where it has no events. It is there as
long as it has a pane in the time selected or in the `series_memory_h` hours before that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from streamgauge.config import QuerySettings
from streamgauge.core.errors import InvalidRequest, QueryLimit
from streamgauge.model import HOUR_MS, SESSION_METRICS, TIME_MS_END, UNKNOWN, Freshness, Rollup
from streamgauge.query.promql.errors import PromqlExecutionError, PromqlSyntaxError
from streamgauge.query.promql.interruption import check_interruption
from streamgauge.query.promql.labels import NAME, Labels, labels_of
from streamgauge.query.promql.select import present_samples
from streamgauge.query.promql.series import Hints, Matcher, Positions, SeriesBatch
from streamgauge.query.promql.values import check_size
from streamgauge.query.series_sql import BEFORE, Cells, SeriesSql, cells_of, is_dense, kept_labels, label_names
from streamgauge.store.base import StoreReader

ROWS_MAX: Final = 20_000_000
"""Panes, after all that the store can add up, that are fetched from it for one selector and rollup."""

_FLAGS_MAX: Final = 2**24
_KEYS_MAX: Final = 2**62

SecondsLeft = Callable[[], float]
"""How long the question may still take."""


class RollupSeries:
    """The series of all rollups in a store."""

    def __init__(
        self,
        reader: StoreReader,
        rollups: Collection[Rollup],
        promoted_dimensions: Collection[str],
        limits: QuerySettings,
    ) -> None:
        self._reader = reader
        self._rollups = tuple(rollups)
        self._sql = SeriesSql(promoted_dimensions, ROWS_MAX)
        self._limits = limits

    @property
    def rollups(self) -> Sequence[Rollup]:
        return self._rollups

    def as_of(self, fresh: Freshness, seconds_left: SecondsLeft) -> RollupsAsOf:
        """What is complete by now: one question sees one state of the watermark."""
        return RollupsAsOf(self._reader, self._sql, self._rollups, self._limits, (fresh, seconds_left))


class RollupsAsOf:
    """The `Queryable` of one question. Blocks; used from one thread."""

    def __init__(
        self,
        reader: StoreReader,
        sql: SeriesSql,
        rollups: Sequence[Rollup],
        limits: QuerySettings,
        of_question: tuple[Freshness, SecondsLeft],
    ) -> None:
        self._reader = reader
        self._sql = sql
        self.rollups = rollups
        self._limits = limits
        self._fresh, self._seconds_left = of_question

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> SeriesBatch:
        """See `Queryable`. Raises PromqlExecutionError over a limit, QueryLimit where time or memory of the store ran
        out, Unavailable."""
        found = [
            batch
            for rollup in self._satisfying(matchers)
            if (batch := self._read(rollup, matchers, (start_ms, end_ms), hints)) is not None
        ]
        if len(found) == 1:
            return found[0]
        return SeriesBatch.of([series for batch in found for series in batch.rows()])

    def label_sets(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Of the series that are there in that time. Raises what `select` does."""
        return [
            labels
            for rollup in self._satisfying(matchers)
            for labels in self._distinct(rollup, matchers, label_names(rollup), (start_ms, end_ms))
        ]

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> set[str]:
        """Of one label. Raises what `select` does."""
        found = [rollup for rollup in self._satisfying(matchers) if name == NAME or name in label_names(rollup)]
        names = () if name == NAME else (name,)
        sets = [one for rollup in found for one in self._distinct(rollup, matchers, names, (start_ms, end_ms))]
        return {value for labels in sets for label, value in labels if label == name}

    def _satisfying(self, matchers: Sequence[Matcher]) -> list[Rollup]:
        """Rollups that may have such series: what isn't their label is the same for all their series."""

        def may(rollup: Rollup, matcher: Matcher) -> bool:
            if matcher.name in label_names(rollup):
                return True
            return bool(matcher.matches([rollup.name if matcher.name == NAME else ""])[0])

        return [rollup for rollup in self.rollups if all(may(rollup, matcher) for matcher in matchers)]

    def _complete_up_to_ms(self, rollup: Rollup) -> int:
        if rollup.name in SESSION_METRICS:  # a session is counted when it is closed, in the minute of its start
            return self._fresh.sessions_complete_up_to_ms
        return self._fresh.complete_up_to_ms

    def _cells(self, rollup: Rollup, span_ms: tuple[int, int], hints: Hints) -> Cells | None:
        end_ms = min(span_ms[1], self._complete_up_to_ms(rollup), TIME_MS_END)
        return cells_of(rollup, span_ms[0], end_ms, hints) if end_ms >= 0 else None

    def _read(
        self, rollup: Rollup, matchers: Sequence[Matcher], span_ms: tuple[int, int], hints: Hints
    ) -> SeriesBatch | None:
        cells = self._cells(rollup, span_ms, hints)
        if cells is None:
            return None
        names = kept_labels(rollup, hints)
        plan = self._sql.samples(rollup, matchers, names, cells, self._limits.series_memory_h * HOUR_MS)
        rows = self._table(plan.sql, plan.parameters)
        if not rows.num_rows:
            return None
        labels, series = self._series_of(rollup, names, rows)
        check_size(len(labels) * cells.samples)
        cell, total = rows.column("cell").to_numpy(), rows.column("total").to_numpy()
        times = cells.first_ms + cells.width_ms * np.arange(cells.samples, dtype=np.int64)
        fill = _dense if is_dense(rollup) else _sparse
        return fill(labels, times, (series, cell, total), rollup.measured.kind)

    def _distinct(
        self, rollup: Rollup, matchers: Sequence[Matcher], names: Sequence[str], span_ms: tuple[int, int]
    ) -> list[Labels]:
        cells = self._cells(rollup, span_ms, Hints())
        if cells is None:
            return []
        memory_s = self._limits.series_memory_h * 3600 if is_dense(rollup) else 0
        from_s = max(0, (cells.first_ms - rollup.window_ms) // 1000 - memory_s)
        plan = self._sql.distinct(rollup, matchers, names, (from_s, cells.last_ms // 1000))
        rows = self._table(plan.sql, plan.parameters)
        return self._series_of(rollup, names, rows)[0] if rows.num_rows else []

    def _table(self, sql: str, parameters: dict[str, Any]) -> pa.Table:
        check_interruption()
        try:
            rows = self._reader.table(sql, parameters, self._seconds_left(), check_interruption)
        except QueryLimit:
            raise
        except InvalidRequest as error:
            raise PromqlSyntaxError(f"a regular expression that the store can't read: {error.message}") from error
        check_interruption()
        if rows.num_rows > ROWS_MAX:
            raise PromqlExecutionError(
                f"over {ROWS_MAX:,} panes to be read",
                hint="select fewer series or a shorter time, or sum by fewer labels",
            )
        return rows

    def _series_of(self, rollup: Rollup, names: Sequence[str], rows: pa.Table) -> tuple[list[Labels], Positions]:
        """The label sets, and for each row the position of its own."""
        columns = [_dictionary(rows.column(f"c{number}")) for number in range(len(names))]
        keys = np.zeros(rows.num_rows, dtype=np.int64)
        different = 1
        for codes, values in columns:
            different *= len(values)
            keys = keys * len(values) + codes
            if different >= _KEYS_MAX // (ROWS_MAX + 1):
                raise PromqlExecutionError("too many series", hint="sum by fewer labels")
        chosen, positions = _numbered(keys, different)
        if len(chosen) > self._limits.series_max:
            raise PromqlExecutionError(
                f"{len(chosen):,} series of {rollup.name}: at most {self._limits.series_max:,}",
                hint="match fewer of them, or sum by fewer labels",
            )
        codes_of = chosen.copy()
        found: list[list[str]] = []
        for _, values in reversed(columns):
            found.append([values[code] for code in (codes_of % len(values)).tolist()])
            codes_of //= len(values)
        found.reverse()
        each = zip(*found, strict=True) if found else iter([()] * len(chosen))
        return [labels_of({NAME: rollup.name, **dict(zip(names, one, strict=True))}) for one in each], positions


def _dictionary(column: Any) -> tuple[Positions, list[str]]:
    """The different values, and the position of each row's. What panes from before the dimension was configured
    don't have is unknown."""
    array = column.unify_dictionaries().combine_chunks()
    values = [value or UNKNOWN for value in array.dictionary.to_pylist()]
    different = list(dict.fromkeys(values))
    places = {value: place for place, value in enumerate(different)}
    translated = np.array([places[value] for value in values], dtype=np.int64)
    return translated[array.indices.to_numpy()], different


def _numbered(keys: Positions, different: int) -> tuple[Positions, Positions]:
    """The keys that occur, ascending, and the position of each row's."""
    if different > _FLAGS_MAX:
        chosen, positions = np.unique(keys, return_inverse=True)
        return chosen, positions
    flags = np.zeros(different, dtype=bool)
    flags[keys] = True
    return np.flatnonzero(flags), (np.cumsum(flags) - 1)[keys]


_Rows = tuple[Positions, Positions, Any]
"""Of each row the series, the cell, and the value."""


def _dense(labels: Sequence[Labels], times: Positions, rows: _Rows, _: str) -> SeriesBatch:
    series, cell, total = rows
    shape = (len(labels), len(times))
    inside = cell != BEFORE
    places = series[inside] * shape[1] + cell[inside]
    values = np.bincount(places, weights=total[inside], minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)
    first = np.full(len(labels), shape[1], dtype=np.int64)
    np.minimum.at(first, series, np.maximum(cell, 0))
    return present_samples(labels, times, values, np.arange(shape[1]) >= first[:, np.newaxis])


def _sparse(labels: Sequence[Labels], times: Positions, rows: _Rows, kind: str) -> SeriesBatch:
    series, cell, total = rows
    shape = (len(labels), len(times))
    choose, nothing = (np.minimum, np.inf) if kind == "min" else (np.maximum, -np.inf)
    values, present = np.full(shape, nothing), np.zeros(shape, dtype=bool)
    choose.at(values, (series, cell), total)
    present[series, cell] = True
    return present_samples(labels, times, values, present)
