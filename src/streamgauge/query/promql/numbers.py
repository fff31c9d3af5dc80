"""Sums that lose nothing to their order, means that don't overflow, quantiles: along one axis of a grid."""

from __future__ import annotations

import numpy as np

from streamgauge.query.promql.series import Bools, Floats


def exact_sum(values: Floats) -> Floats:
    """Sums along axis 0 with the rounding error of every addition carried along (Neumaier's idea, in pairs).

    Infinities and NaN add up as ever: they are added on their own, so that they don't spoil the errors carried.
    """
    finite = np.isfinite(values)
    if finite.all():
        return _paired_sum(values)
    special = np.where(finite, 0.0, values).sum(axis=0)
    return np.where(finite.all(axis=0), _paired_sum(np.where(finite, values, 0.0)), special)


def exact_mean(values: Floats, counts: Floats) -> Floats:
    """Means along axis 0; cells that don't count are 0 in `values`. A sum too large for a float is no obstacle."""
    total = exact_sum(values)
    mean = total / counts
    overflowed = ~np.isfinite(total) & np.isfinite(values).all(axis=0)
    if overflowed.any():
        mean[overflowed] = exact_sum(values[:, overflowed] / counts[overflowed])
    return np.asarray(mean)


def variance(values: Floats, present: Bools) -> Floats:
    """Population variance along axis 0 of the cells present."""
    counts = present.sum(axis=0).astype(np.float64)
    start = np.take_along_axis(values, present.argmax(axis=0)[np.newaxis], axis=0)
    # Measured from the first value, equal values have no deviation at all, however they round.
    shifted = np.where(present, values - start, 0.0)
    deviations = np.where(present, shifted - exact_sum(shifted) / counts, 0.0)
    return np.asarray(exact_sum(deviations * deviations) / counts)


def quantile(q: Floats, values: Floats, present: Bools) -> Floats:
    """The `q`-quantile along axis 0 of the cells present, interpolated; NaN counts as the smallest value.

    `q` has the shape of the result. Outside 0…1 the answer is -Inf or +Inf; of nothing it is NaN.
    """
    order = np.lexsort(np.stack([np.where(present, values, 0.0), present & ~np.isnan(values), ~present]), axis=0)
    ranked = np.take_along_axis(values, order, axis=0)
    counts = present.sum(axis=0)
    last = np.maximum(counts - 1, 0)
    inside = (q >= 0) & (q <= 1) & (counts > 0)
    rank = np.where(inside, q, 0.0) * last
    lower = np.clip(np.floor(rank).astype(np.int64), 0, last)
    upper = np.minimum(lower + 1, last)
    weight = rank - np.floor(rank)
    low = np.take_along_axis(ranked, lower[np.newaxis], axis=0)[0]
    high = np.take_along_axis(ranked, upper[np.newaxis], axis=0)[0]
    between = low * (1 - weight) + high * weight
    outside = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, np.nan))
    return np.where(inside, between, np.where(counts > 0, outside, np.nan))


def _paired_sum(values: Floats) -> Floats:
    if values.shape[0] == 0:
        return np.zeros(values.shape[1:])
    total, lost = values, np.zeros_like(values)
    while total.shape[0] > 1:
        if total.shape[0] % 2:
            padding = np.zeros((1, *total.shape[1:]))
            total, lost = np.concatenate([total, padding]), np.concatenate([lost, padding])
        left, right = total[0::2], total[1::2]
        sums = left + right
        part = sums - left
        missed = (left - (sums - part)) + (right - part)
        lost = lost[0::2] + lost[1::2] + np.where(np.isfinite(sums), missed, 0.0)
        total = sums
    return np.asarray(total[0] + np.where(np.isfinite(total[0]), lost[0], 0.0))


def of_steps(values: Floats) -> list[float]:
    """The different numbers among `values`, NaN once."""
    return [float(value) for value in np.unique(values)]
