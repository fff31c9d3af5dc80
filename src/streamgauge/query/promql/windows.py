"""Reductions of range vectors: one number for each window, all windows at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streamgauge.query.promql.errors import PromqlExecutionError
from streamgauge.query.promql.interruption import check_interruption
from streamgauge.query.promql.series import Bools, Floats, Positions
from streamgauge.query.promql.values import Vector, Windows

CELLS_MAX = 2_000_000
"""Samples that are copied out of overlapping windows at a time; bounds the memory of a long range."""
WINDOW_SAMPLES_MAX = 1_000_000_000
"""Samples of all windows of one range vector together; bounds the time of one function, some ten nanoseconds each."""


def over_windows(windows: Windows, values: Floats, present: Bools | None = None) -> Vector:
    """The vector of one number a window, by default where the window has samples. The metric name goes."""
    here = windows.counts > 0 if present is None else present
    return Vector(windows.labels, np.where(here, values, 0.0), here, np.ones(len(windows.labels), dtype=bool))


def reduced(operation: np.ufunc, values: Floats, first: Positions, stop: Positions) -> Floats:
    """`operation` over `values[first:stop]` for each pair; 0 where there is nothing."""
    _check_size(int((stop - first).sum()))
    result = np.zeros(first.shape)
    inside = (stop > first) & (stop < len(values))
    if inside.any():
        bounds = np.stack([first[inside], stop[inside]], axis=-1).ravel()
        result[inside] = operation.reduceat(values, bounds)[::2]
    # reduceat can't be told to stop at the very end: the few windows of the last series that do are done one by one.
    last = (stop > first) & (stop == len(values))
    begins, of_window = np.unique(first[last], return_inverse=True)
    result[last] = np.array([operation.reduce(values[begin:]) for begin in begins.tolist()], dtype=np.float64)[
        of_window
    ]
    return result


def gathered(windows: Windows, reduce: Callable[..., Floats], *parameters: Floats) -> Floats:
    """`reduce(positions, present, *parameters)` in blocks of windows, for what needs all their samples side by side.

    `positions` (W, n) index the samples of n windows, `present` says which of them are theirs; a parameter (T,), one
    number a step, arrives as the (n,) of these windows; `reduce` gives (n,).
    """
    first, counts = windows.first.ravel(), windows.counts.ravel()
    _check_size(int(counts.sum()))
    of_each = [np.broadcast_to(parameter, windows.first.shape).ravel() for parameter in parameters]
    result = np.zeros(len(first))
    order = np.argsort(counts, kind="stable")  # windows of like size side by side waste little space
    begin = int(np.searchsorted(counts[order], 1))
    while begin < len(order):
        check_interruption()
        block = order[begin : begin + max(1, CELLS_MAX // int(counts[order[begin]]))]
        while (width := int(counts[block[-1]])) * len(block) > 2 * CELLS_MAX and len(block) > 1:
            block = block[: len(block) // 2]
        offsets = np.arange(width)[:, np.newaxis]
        present = offsets < counts[block]
        positions = np.where(present, first[block] + offsets, first[block])
        result[block] = reduce(positions, present, *(parameter[block] for parameter in of_each))
        begin += len(block)
    return result.reshape(windows.first.shape)


def _check_size(samples: int) -> None:
    if samples > WINDOW_SAMPLES_MAX:
        raise PromqlExecutionError(
            f"windows of {samples} samples together: at most {WINDOW_SAMPLES_MAX}",
            hint="use shorter windows, a longer step, or fewer series",
        )
