"""Lines and smoothed curves through the samples of a window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streamgauge.query.promql.context import Context
from streamgauge.query.promql.errors import PromqlExecutionError
from streamgauge.query.promql.numbers import exact_sum
from streamgauge.query.promql.series import Bools, Floats, Positions
from streamgauge.query.promql.values import Scalar, Value, Vector, Windows
from streamgauge.query.promql.windows import gathered, over_windows


def _line(windows: Windows, positions: Positions, present: Bools) -> tuple[Floats, Floats]:
    """Slope a second, and value at the first sample, of the least-squares line of each window (n,).

    Time and value are measured from the first sample, which keeps what is subtracted small.
    """
    times = windows.batch.times_at(positions)
    start = windows.values[positions[0]]
    rise = np.where(present, windows.values[positions] - start, 0.0)
    seconds = np.where(present, (times - times[0]) / 1000, 0.0)
    counts = present.sum(axis=0).astype(np.float64)
    sum_x, sum_y = exact_sum(seconds), exact_sum(rise)
    covariance = exact_sum(seconds * rise) - sum_x * sum_y / counts
    spread = exact_sum(seconds * seconds) - sum_x * sum_x / counts
    slope = covariance / spread
    return slope, start + sum_y / counts - slope * sum_x / counts


def _deriv(_: Context, windows: Windows) -> Vector:
    slopes = gathered(windows, lambda positions, present: _line(windows, positions, present)[0])
    return over_windows(windows, slopes, windows.counts >= 2)


def _predict_linear(context: Context, windows: Windows, ahead_s: Scalar) -> Vector:
    def predicted(positions: Positions, present: Bools, at_s: Floats) -> Floats:
        slope, start = _line(windows, positions, present)
        return start + slope * (at_s - windows.batch.times_at(positions[0]) / 1000)

    values = gathered(windows, predicted, context.times_ms / 1000 + ahead_s.values)
    return over_windows(windows, values, windows.counts >= 2)


def _double_exponential_smoothing(_: Context, windows: Windows, smoothing: Scalar, trend: Scalar) -> Vector:
    for name, factors in (("smoothing", smoothing.values), ("trend", trend.values)):
        for factor in factors[~((factors > 0) & (factors < 1))].tolist():
            symbol = name[0] + "f"
            raise PromqlExecutionError(f"invalid {name} factor. Expected: 0 < {symbol} < 1, got: {factor:f}")

    def smoothed(positions: Positions, present: Bools, smooth: Floats, trending: Floats) -> Floats:
        values = windows.values[positions]
        level = before = values[0]
        drift = values[min(1, len(values) - 1)] - values[0]
        for row in range(1, len(values)):
            if row > 1:
                drift = trending * (level - before) + (1 - trending) * drift
            fresh = smooth * values[row] + (1 - smooth) * (level + drift)
            before, level = level, np.where(present[row], fresh, level)
        return np.asarray(level)

    return over_windows(windows, gathered(windows, smoothed, smoothing.values, trend.values), windows.counts >= 2)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "deriv": _deriv,
    "predict_linear": _predict_linear,
    "double_exponential_smoothing": _double_exponential_smoothing,
}
