"""Classic histograms: series of cumulative buckets, told apart by their upper bound `le`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from streamgauge.query.promql.context import Context
from streamgauge.query.promql.labels import BUCKET, NAME, Labels, value_of, with_label, without
from streamgauge.query.promql.numbers import of_steps
from streamgauge.query.promql.series import Bools, Floats, any_row
from streamgauge.query.promql.text import quoted
from streamgauge.query.promql.values import Scalar, Text, Value, Vector, empty_vector
from streamgauge.query.promql.written import general_number, metrics_number, parsed_number

_SAME_RATIO = 1e-12
"""Counts that differ by less than this part of them are the same: sums of floats depend on their order."""
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Buckets of one label set, by ascending upper bound: `bounds` (B,), cumulative `counts` and `present` (B, T)."""

    labels: Labels
    bounds: Floats
    counts: Floats
    present: Bools

    @property
    def any(self) -> Bools:
        return any_row(self.present)


def _histograms(context: Context, function: str, vector: Vector) -> Iterator[Histogram]:
    groups: dict[Labels, list[tuple[float, int]]] = {}
    for row, labels in enumerate(vector.labels):
        text = value_of(labels, BUCKET)
        bound = parsed_number(text)
        if bound is None:
            context.annotations.warn(
                function,
                f'bucket label "le" is missing or has a malformed value of {quoted(text)}{_of_metric(labels)}',
                argument=_BUCKET_ARGUMENT[function],
            )
            continue
        groups.setdefault(without(labels, (BUCKET,)), []).append((bound, row))
    for labels, buckets in groups.items():
        bounds = np.unique([bound for bound, _ in buckets])
        shape = (len(bounds), vector.values.shape[1])
        counts, present = np.zeros(shape), np.zeros(shape, dtype=bool)
        for bound, row in buckets:  # the same bound may be written in several ways: 1 and 1.0
            place = int(np.searchsorted(bounds, bound))
            counts[place] += np.where(vector.present[row], vector.values[row], 0.0)
            present[place] |= vector.present[row]
        yield Histogram(labels, bounds, counts, present)


_BUCKET_ARGUMENT = {"histogram_quantile": 1, "histogram_quantiles": 0, "histogram_fraction": 2}


def _of_metric(labels: Labels) -> str:
    name = value_of(labels, NAME)
    return f" for metric name {quoted(name)}" if name else ""


def _column(histogram: Histogram, step: int) -> tuple[Floats, Floats]:
    here = histogram.present[:, step]
    return histogram.bounds[here], histogram.counts[here, step]


def _monotonic(counts: Floats) -> Floats:
    """Counts that never fall."""
    result = counts.copy()
    for place in range(1, len(counts)):
        before, here = result[place - 1], result[place]
        if here < before or _same(before, here):
            result[place] = before
    return result


def _same(before: float, here: float) -> bool:
    return here == before or abs(here - before) / min(abs(here) + abs(before), _LARGEST) < _SAME_RATIO


def _quantile_of(q: float, bounds: Floats, counts: Floats) -> float:
    """Interpolated linearly within the bucket the rank falls into; the lowest bucket begins at 0 if it ends above."""
    if np.isnan(q):
        return float("nan")
    if q < 0 or q > 1:
        return -np.inf if q < 0 else np.inf
    if len(bounds) < 2 or bounds[-1] != np.inf or counts[-1] == 0 or np.isnan(counts[-1]):
        return float("nan")
    rank = q * counts[-1]
    place = int(np.argmax(counts[:-1] >= rank)) if (counts[:-1] >= rank).any() else len(counts) - 1
    if place == len(counts) - 1:
        return float(bounds[-2])
    if place == 0 and bounds[0] <= 0:
        return float(bounds[0])
    low, below = (float(bounds[place - 1]), counts[place - 1]) if place else (0.0, 0.0)
    return float(low + (bounds[place] - low) * ((rank - below) / (counts[place] - below)))


def _fraction_of(lower: float, upper: float, bounds: Floats, counts: Floats) -> float:
    """Which part of the observations lies between `lower` and `upper`, interpolated linearly within buckets."""
    if bounds[-1] != np.inf or not counts[-1] or np.isnan([lower, upper, counts[-1]]).any():
        return float("nan")
    if lower >= upper:
        return 0.0
    return (_rank_at(upper, bounds, counts) - _rank_at(lower, bounds, counts)) / float(counts[-1])


def _rank_at(value: float, bounds: Floats, counts: Floats) -> float:
    place = int(np.searchsorted(bounds, value, side="left"))
    start = 0.0 if bounds[0] > 0 else -np.inf
    low, below = (float(bounds[place - 1]), float(counts[place - 1])) if place else (start, 0.0)
    if value <= low:
        return below
    if value == np.inf:
        return float(counts[-1])
    share = (value - low) / (float(bounds[place]) - low) if np.isfinite([low, bounds[place]]).all() else np.nan
    if low == -np.inf:
        share = 1.0
    elif bounds[place] == np.inf:
        share = 0.0
    return below + (float(counts[place]) - below) * share


@dataclass(slots=True)
class Mended:
    """What was done to the counts of one metric that fell: which buckets, by how much at most, when."""

    buckets: list[float] = field(default_factory=list)
    difference: float = 0.0
    steps: list[int] = field(default_factory=list)

    def note(self, bounds: Floats, before: Floats, after: Floats, time_ms: int) -> None:
        changed = [not _same(*pair) for pair in zip(before.tolist(), after.tolist(), strict=True)]
        if any(changed):
            self.buckets += bounds[changed].tolist()
            self.difference = max(self.difference, float((after - before)[changed].max()))
            self.steps.append(time_ms)

    def __str__(self) -> str:
        first, last = (
            datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            for time_ms in (min(self.steps), max(self.steps))
        )
        return (
            f"from buckets {general_number(min(self.buckets))} to {general_number(max(self.buckets))}, with a max diff "
            f"of {self.difference:.2g}, over {len(self.steps)} samples from {first} to {last}"
        )


def _quantiles(context: Context, histogram: Histogram, q: Floats, mended: dict[str, Mended]) -> Floats:
    result = np.zeros(len(q))
    for step in np.flatnonzero(histogram.any).tolist():
        bounds, found = _column(histogram, step)
        counts = _monotonic(found)
        mended.setdefault(_of_metric(histogram.labels), Mended()).note(
            bounds, found, counts, int(context.times_ms[step])
        )
        result[step] = _quantile_of(float(q[step]), bounds, counts)
    return result


def _tell(context: Context, function: str, mended: dict[str, Mended]) -> None:
    for of_metric, how in mended.items():
        if how.steps:
            context.annotations.info(
                function,
                "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/"
                f"prometheus/latest/querying/functions/#histogram_quantile){of_metric}, {how}",
                argument=_BUCKET_ARGUMENT[function],
            )


def check_quantiles(context: Context, function: str, q: Floats, *, argument: int = 0) -> None:
    """Warns of each number that is no quantile."""
    for number in of_steps(q[~((q >= 0) & (q <= 1))]):
        shown = general_number(number)
        context.annotations.warn(function, f"quantile value should be between 0 and 1, got {shown}", argument=argument)


def _vector(rows: list[tuple[Labels, Floats, Bools]], steps: int) -> Vector:
    if not rows:
        return empty_vector(steps)
    labels, values, present = zip(*rows, strict=True)
    return Vector(list(labels), np.stack(values), np.stack(present), np.ones(len(rows), dtype=bool))


def _histogram_quantile(context: Context, q: Scalar, vector: Vector) -> Value:
    check_quantiles(context, "histogram_quantile", q.values)
    mended: dict[str, Mended] = {}
    rows = [
        (one.labels, _quantiles(context, one, q.values, mended), one.any)
        for one in _histograms(context, "histogram_quantile", vector)
    ]
    _tell(context, "histogram_quantile", mended)
    return _vector(rows, context.steps)


def _histogram_quantiles(context: Context, vector: Vector, label: Text, *qs: Scalar) -> Value:
    mended: dict[str, Mended] = {}
    rows = []
    found = list(_histograms(context, "histogram_quantiles", vector))
    for argument, q in enumerate(qs, start=2):
        check_quantiles(context, "histogram_quantiles", q.values, argument=argument)
        for one in found:
            values = _quantiles(context, one, q.values, mended)
            for level in of_steps(q.values):
                asked = one.any & ((q.values == level) | (np.isnan(q.values) & np.isnan(level)))
                rows.append((with_label(one.labels, label.value, metrics_number(level)), values, asked))
    _tell(context, "histogram_quantiles", mended)
    return _vector(rows, context.steps)


def _histogram_fraction(context: Context, lower: Scalar, upper: Scalar, vector: Vector) -> Value:
    rows = []
    for one in _histograms(context, "histogram_fraction", vector):
        values = np.zeros(context.steps)
        for step in np.flatnonzero(one.any).tolist():
            values[step] = _fraction_of(float(lower.values[step]), float(upper.values[step]), *_column(one, step))
        rows.append((one.labels, values, one.any))
    return _vector(rows, context.steps)


def _of_native_histograms(context: Context, _: Vector) -> Value:
    """Floats are passed over by functions of native histograms."""
    return empty_vector(context.steps)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "histogram_quantile": _histogram_quantile,
    "histogram_quantiles": _histogram_quantiles,
    "histogram_fraction": _histogram_fraction,
    **dict.fromkeys(
        ("histogram_avg", "histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar"),
        _of_native_histograms,
    ),
}
