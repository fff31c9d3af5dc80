"""Reductions of range vectors: one number for each window, all windows at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streamgauge.query.promql.series import Bools, Floats, Positions
from streamgauge.query.promql.values import Vector, Windows

CELLS_MAX = 2_000_000
"""Samples that are copied out of overlapping windows at a time; bounds the memory of a long range."""


def over_windows(windows: Windows, values: Floats, present: Bools | None = None) -> Vector:
    """The vector of one number a window, by default where the window has samples. The metric name goes."""
    here = windows.counts > 0 if present is None else present
    return Vector(windows.labels, np.where(here, values, 0.0), here, np.ones(len(windows.labels), dtype=bool))


def reduced(operation: np.ufunc, values: Floats, first: Positions, stop: Positions) -> Floats:
    """`operation` over `values[first:stop]` for each pair; 0 where there is nothing."""
    result = np.zeros(first.shape)
    filled = stop > first
    if filled.any():
        bounds = np.stack([first[filled], stop[filled]], axis=-1).ravel()
        if bounds[-1] == len(values):  # reduceat takes a last bound that is left out as the end of the values
            bounds = bounds[:-1]
        if (bounds >= len(values)).any():
            values = np.append(values, 0.0)
        result[filled] = operation.reduceat(values, bounds)[::2]
    return result


def gathered(windows: Windows, reduce: Callable[..., Floats], *parameters: Floats) -> Floats:
    """`reduce(positions, present, *parameters)` in blocks of windows, for what needs all their samples side by side.

    `positions` (W, n) index the samples of n windows, `present` says which of them are theirs; a parameter (T,), one
    number a step, arrives as the (n,) of these windows; `reduce` gives (n,).
    """
    first, counts = windows.first.ravel(), windows.counts.ravel()
    of_each = [np.broadcast_to(parameter, windows.first.shape).ravel() for parameter in parameters]
    result = np.zeros(len(first))
    order = np.argsort(counts, kind="stable")  # windows of like size side by side waste little space
    begin = int(np.searchsorted(counts[order], 1))
    while begin < len(order):
        block = order[begin : begin + max(1, CELLS_MAX // int(counts[order[begin]]))]
        while (width := int(counts[block[-1]])) * len(block) > 2 * CELLS_MAX and len(block) > 1:
            block = block[: len(block) // 2]
        offsets = np.arange(width)[:, np.newaxis]
        present = offsets < counts[block]
        positions = np.where(present, first[block] + offsets, first[block])
        result[block] = reduce(positions, present, *(parameter[block] for parameter in of_each))
        begin += len(block)
    return result.reshape(windows.first.shape)
