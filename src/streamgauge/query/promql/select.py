"""Selectors: from the samples of a Queryable to values at steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import promql_parser as ast

from streamgauge.query.promql.context import Context
from streamgauge.query.promql.durations import epoch_ms, milliseconds
from streamgauge.query.promql.parse import alternatives
from streamgauge.query.promql.series import Bools, Floats, Hints, Positions, Queryable, SeriesBatch, Times, is_stale
from streamgauge.query.promql.text import BEFORE_EPOCH_S
from streamgauge.query.promql.values import Vector, Windows, check_size, vector_of


def shifted_times(node: Any, context: Context) -> Times:
    """The steps after `@` and `offset` of a selector or subquery."""
    times = context.times_ms
    if node.at is not None:
        times = np.full(len(times), _fixed_time(node.at, context), dtype=np.int64)
    return times - milliseconds(node.offset) if node.offset is not None else times


def _fixed_time(at: Any, context: Context) -> int:
    if at.type == ast.AtModifierType.Start:
        return context.start_ms
    if at.type == ast.AtModifierType.End:
        return context.end_ms
    time_ms = epoch_ms(at.at)
    return time_ms if time_ms < BEFORE_EPOCH_S * 1000 else BEFORE_EPOCH_S * 1000 - time_ms


def instant_vector(node: Any, context: Context, queryable: Queryable, lookback_ms: int) -> tuple[Vector, Times]:
    """The latest sample of the last `lookback_ms` at each step, without stale ones; and when each was taken (S, T)."""
    times = shifted_times(node, context)
    found = _select(node, context, queryable, times, lookback_ms)
    stop = _positions(found, times)
    latest = np.minimum(np.maximum(stop - 1, found.starts[:-1, np.newaxis]), len(found.values) - 1)
    if not len(found.values):
        return vector_of([], np.zeros((0, len(times))), np.zeros((0, len(times)), dtype=bool)), latest
    values, taken = found.values[latest], found.times_at(latest)
    present = (stop > found.starts[:-1, np.newaxis]) & (taken > times - lookback_ms) & ~is_stale(values)
    kept = np.flatnonzero(present.any(axis=1))
    return vector_of(found.labels, values, present).rows(kept), taken[kept]


def range_vector(node: Any, context: Context, queryable: Queryable) -> Windows:
    """The samples of the last `range` before each step."""
    selector, range_ms = node.vector_selector, milliseconds(node.range)
    times = shifted_times(selector, context)
    found = _select(selector, context, queryable, times, range_ms, is_range=True)
    return windowed(_fresh(found), np.zeros(len(found.labels), dtype=bool), times, range_ms)


def windowed(found: SeriesBatch, drop_name: Bools, end_ms: Times, range_ms: int) -> Windows:
    """Windows of `range_ms` that end at `end_ms` over series."""
    first, stop = _positions(found, end_ms - range_ms), _positions(found, end_ms)
    return Windows(found, drop_name, first, stop, end_ms, range_ms)


def present_samples(labels: Any, times_ms: Times, values: Floats, present: Bools) -> SeriesBatch:
    """The cells of a grid (S, T) that are present, as series."""
    if present.all():
        return SeriesBatch.grid(labels, times_ms, values)
    starts = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int64)
    return SeriesBatch(labels, np.broadcast_to(times_ms, present.shape)[present], values[present], starts)


def _positions(found: SeriesBatch, times: Times) -> Positions:
    """For each series and time (S, T) the position just behind the last sample taken by then."""
    if found.shared:
        return np.asarray(found.starts[:-1, np.newaxis] + np.searchsorted(found.times_ms, times, side="right"))
    result = np.empty((len(found.labels), len(times)), dtype=np.int64)
    bounds = found.starts.tolist()
    for row, (first, stop) in enumerate(pairwise(bounds)):
        result[row] = first + np.searchsorted(found.times_ms[first:stop], times, side="right")
    return result


def _fresh(found: SeriesBatch) -> SeriesBatch:
    """Without the markers of stale series."""
    stale = is_stale(found.values)
    if not stale.any():
        return found
    times = np.tile(found.times_ms, len(found.labels)) if found.shared else found.times_ms
    kept = np.concatenate([[0], np.cumsum(~stale)])
    return SeriesBatch(found.labels, times[~stale], found.values[~stale], kept[found.starts])


def _select(
    node: Any, context: Context, queryable: Queryable, times: Times, back_ms: int, *, is_range: bool = False
) -> SeriesBatch:
    groups = alternatives(node)
    hints = Hints(
        step_ms=int(times[1] - times[0]) if len(times) > 1 else 0,
        range_ms=back_ms if is_range else 0,
        function=context.function,
        # A series that satisfies two alternatives counts once: only who has all of it can aggregate.
        **(context.aggregation_hints if len(groups) == 1 else {}),
    )
    start_ms, end_ms = int(times.min()) - back_ms + 1, int(times.max())
    answers = [queryable.select(matchers, start_ms, end_ms, hints) for matchers in groups]
    found = answers[0] if len(answers) == 1 else _united(answers)
    check_size(max(len(found.values), len(found.labels) * context.steps))
    return found


def _united(answers: Sequence[SeriesBatch]) -> SeriesBatch:
    rows = {series.labels: series for answer in answers for series in answer.rows()}
    return SeriesBatch.of(list(rows.values()))
