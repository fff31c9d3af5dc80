"""Aggregations of each series over its window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streamgauge.query.promql.context import Context
from streamgauge.query.promql.functions.histograms import check_quantiles
from streamgauge.query.promql.numbers import exact_mean, exact_sum, quantile, variance
from streamgauge.query.promql.series import Bools, Floats, Positions
from streamgauge.query.promql.values import Scalar, Value, Vector, Windows
from streamgauge.query.promql.windows import gathered, over_windows, reduced

Reduction = Callable[[Floats, Bools], Floats]
"""(W, n) samples and presence of n windows to (n,)."""

_EXACT_MAX = 2.0**53
_CACHED = 65_536
"""Samples looked at together: their copies stay in the processor's cache."""


def _reduction(reduce: Reduction) -> Callable[[Context, Windows], Vector]:
    def evaluated(_: Context, windows: Windows) -> Vector:
        return over_windows(windows, gathered(windows, lambda positions, here: reduce(windows.values[positions], here)))

    return evaluated


def _sum(values: Floats, present: Bools) -> Floats:
    return exact_sum(np.where(present, values, 0.0))


def _mean(values: Floats, present: Bools) -> Floats:
    return exact_mean(np.where(present, values, 0.0), present.sum(axis=0).astype(np.float64))


def _median_deviation(values: Floats, present: Bools) -> Floats:
    half = np.full(values.shape[1], 0.5)
    deviations = np.abs(values - quantile(half, values, present))
    spoiled = (present & np.isnan(values)).any(axis=0)
    return np.where(spoiled, np.nan, quantile(half, deviations, present))


def _whole(windows: Windows) -> bool:
    """Whether all samples are whole numbers whose sums are exact in any order, as counts are."""
    values, widest = windows.values, int(windows.counts.max(initial=0))
    for begin in range(0, len(values), _CACHED):
        part = values[begin : begin + _CACHED]
        whole = np.rint(part)
        if not np.array_equal(whole, part) or np.abs(whole, out=whole).max() * widest >= _EXACT_MAX:
            return False
    return True


def _whole_sums(windows: Windows) -> Floats:
    if windows.counts.sum() <= 2 * len(windows.values):
        return reduced(np.add, windows.values, windows.first, windows.stop)
    # Windows that overlap: whole numbers may wrap around on the way, the difference is right all the same.
    total = np.concatenate([[0], np.cumsum(windows.values.astype(np.int64))])
    return np.asarray((total[windows.stop] - total[windows.first]).astype(np.float64))


def _sum_over_time(context: Context, windows: Windows) -> Vector:
    return over_windows(windows, _whole_sums(windows)) if _whole(windows) else _reduction(_sum)(context, windows)


def _avg_over_time(context: Context, windows: Windows) -> Vector:
    if _whole(windows):
        return over_windows(windows, _whole_sums(windows) / np.maximum(windows.counts, 1))
    return _reduction(_mean)(context, windows)


def _extreme(choose: np.ufunc) -> Callable[[Context, Windows], Vector]:
    """NaN only where there is nothing else."""
    return lambda _, windows: over_windows(windows, reduced(choose, windows.values, windows.first, windows.stop))


def _moment_of(*, largest: bool) -> Callable[[Context, Windows], Vector]:
    """When the extreme was taken, the last time of several."""

    def evaluated(_: Context, windows: Windows) -> Vector:
        def latest(positions: Positions, present: Bools) -> Floats:
            values = windows.values[positions] * (1 if largest else -1)
            ranked = np.where(present, np.where(np.isnan(values), -np.inf, values), -np.inf)
            extreme = present & ((ranked == ranked.max(axis=0)) | ~(present & ~np.isnan(values)).any(axis=0))
            chosen = len(extreme) - 1 - extreme[::-1].argmax(axis=0)
            return windows.batch.times_at(np.take_along_axis(positions, chosen[np.newaxis], axis=0)[0]) / 1000

        return over_windows(windows, gathered(windows, latest))

    return evaluated


def _edge(windows: Windows, *, last: bool) -> Positions:
    return np.where(windows.counts > 0, windows.stop - 1 if last else windows.first, 0)


def _sample(*, last: bool) -> Callable[[Context, Windows], Vector]:
    """A sample as it was, under its own name."""

    def evaluated(_: Context, windows: Windows) -> Vector:
        present = windows.counts > 0
        values = windows.values[_edge(windows, last=last)] if present.any() else np.zeros(present.shape)
        return Vector(windows.labels, values, present, windows.drop_name)

    return evaluated


def _moment(*, last: bool) -> Callable[[Context, Windows], Vector]:
    def evaluated(_: Context, windows: Windows) -> Vector:
        if not len(windows.values):
            return over_windows(windows, np.zeros(windows.first.shape))
        return over_windows(windows, windows.batch.times_at(_edge(windows, last=last)) / 1000)

    return evaluated


def _quantile_over_time(context: Context, q: Scalar, windows: Windows) -> Vector:
    check_quantiles(context, "quantile_over_time", q.values)

    def reduce(positions: Positions, present: Bools, asked: Floats) -> Floats:
        return quantile(asked, windows.values[positions], present)

    return over_windows(windows, gathered(windows, reduce, q.values))


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "sum_over_time": _sum_over_time,
    "avg_over_time": _avg_over_time,
    "min_over_time": _extreme(np.fmin),
    "max_over_time": _extreme(np.fmax),
    "count_over_time": lambda _, windows: over_windows(windows, windows.counts.astype(np.float64)),
    "present_over_time": lambda _, windows: over_windows(windows, np.ones(windows.first.shape)),
    "stddev_over_time": _reduction(lambda values, present: np.sqrt(variance(values, present))),
    "stdvar_over_time": _reduction(variance),
    "mad_over_time": _reduction(_median_deviation),
    "quantile_over_time": _quantile_over_time,
    "last_over_time": _sample(last=True),
    "first_over_time": _sample(last=False),
    "ts_of_last_over_time": _moment(last=True),
    "ts_of_first_over_time": _moment(last=False),
    "ts_of_min_over_time": _moment_of(largest=False),
    "ts_of_max_over_time": _moment_of(largest=True),
}
