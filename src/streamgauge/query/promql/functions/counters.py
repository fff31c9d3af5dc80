"""Counters and differences: rate, increase, delta and their instant kin; resets and changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streamgauge.query.promql.context import Context
from streamgauge.query.promql.labels import NAME, TYPE, value_of
from streamgauge.query.promql.series import Bools, Floats, Positions
from streamgauge.query.promql.text import quoted
from streamgauge.query.promql.values import Value, Vector, Windows
from streamgauge.query.promql.windows import over_windows, reduced

_COUNTER_ENDINGS = ("_total", "_sum", "_count", "_bucket")
_COUNTER_TYPES = ("counter", "histogram")
_CACHED = 65_536
"""Samples compared together: their copies stay in the processor's cache."""

Happens = Callable[[Floats, Floats], Bools]
"""Whether something happens from each sample to the one after it."""


def _check_counters(context: Context, function: str, windows: Windows, answered: Bools) -> None:
    """A word on what is no counter, by its type where it has one, else by its name."""
    for labels, any_answer in zip(windows.labels, np.any(answered, axis=1), strict=True):
        name, kind = value_of(labels, NAME), value_of(labels, TYPE)
        if not any_answer or not name or kind in _COUNTER_TYPES or (not kind and name.endswith(_COUNTER_ENDINGS)):
            continue
        why = (
            f'__type__ label is not set to "counter" or "histogram", got {quoted(kind)}'
            if kind
            else "name does not end in _total/_sum/_count/_bucket"
        )
        context.annotations.info(function, f"metric might not be a counter, {why}: {quoted(name)}")


def _ends(windows: Windows, enough: Bools) -> tuple[Positions, Positions]:
    """Positions of the first and last sample of each window, 0 where there aren't enough."""
    return np.where(enough, windows.first, 0), np.where(enough, windows.stop - 1, 0)


def _where(happens: Happens, windows: Windows) -> Positions:
    """Positions of the samples before which something happens; also where the next series begins, which none asks."""
    values, found = windows.values, [np.empty(0, dtype=np.int64)]
    for begin in range(1, len(values), _CACHED):
        after = values[begin : begin + _CACHED]
        found.append(begin + np.flatnonzero(happens(values[begin - 1 : begin - 1 + len(after)], after)))
    return np.concatenate(found)


def _spans(places: Positions, windows: Windows) -> tuple[Positions, Positions]:
    """Which of the places lie within each window, behind its first sample."""
    several = windows.counts >= 2
    first = np.searchsorted(places, np.where(several, windows.first + 1, 0))
    return first, np.where(several, np.searchsorted(places, windows.stop), first)


def _lost_by_resets(windows: Windows) -> Floats:
    """What a counter had reached before each drop in the window."""
    drops = _where(_falls, windows)
    return reduced(np.add, windows.values[drops - 1], *_spans(drops, windows))


def _extrapolated(function: str, *, is_counter: bool, is_rate: bool) -> Callable[[Context, Windows], Vector]:
    def evaluated(context: Context, windows: Windows) -> Vector:
        enough = windows.counts >= 2
        if is_counter:
            _check_counters(context, function, windows, enough)
        if not enough.any():
            return over_windows(windows, np.zeros(enough.shape), enough)
        first, last = _ends(windows, enough)
        growth = windows.values[last] - windows.values[first]
        if is_counter:
            growth = growth + _lost_by_resets(windows)
        factor = _extrapolation(windows, growth, (first, last), is_counter=is_counter)
        if is_rate:
            factor = factor / (windows.range_ms / 1000)
        return over_windows(windows, growth * factor, enough)

    return evaluated


def _extrapolation(windows: Windows, growth: Floats, ends: tuple[Positions, Positions], *, is_counter: bool) -> Floats:
    """By how much a window covers more than the span between its samples.

    Samples near an edge of the window are taken to go on to it; otherwise the series is taken to begin or end half a
    sample interval beyond. A counter isn't carried back beyond where it would have been 0.
    """
    first, last = ends
    first_ms, last_ms = windows.batch.times_at(first), windows.batch.times_at(last)
    sampled_s = (last_ms - first_ms) / 1000
    interval_s = sampled_s / np.maximum(last - first, 1)
    to_start_s = (first_ms - (windows.end_ms - windows.range_ms)) / 1000
    to_end_s = (windows.end_ms - last_ms) / 1000
    to_start_s = np.where(to_start_s >= 1.1 * interval_s, interval_s / 2, to_start_s)
    if is_counter:
        begin = windows.values[first]
        to_zero_s = np.where((growth > 0) & (begin >= 0), sampled_s * (begin / growth), np.inf)
        to_start_s = np.minimum(to_start_s, to_zero_s)
    to_end_s = np.where(to_end_s >= 1.1 * interval_s, interval_s / 2, to_end_s)
    return np.asarray((sampled_s + to_start_s + to_end_s) / sampled_s)


def _last_two(*, is_rate: bool) -> Callable[[Context, Windows], Vector]:
    def evaluated(_: Context, windows: Windows) -> Vector:
        enough = windows.counts >= 2
        if not enough.any():
            return over_windows(windows, np.zeros(enough.shape), enough)
        last = np.where(enough, windows.stop - 1, 1)
        difference = windows.values[last] - windows.values[last - 1]
        if is_rate:
            difference = np.where(windows.values[last] < windows.values[last - 1], windows.values[last], difference)
            difference = difference / ((windows.batch.times_at(last) - windows.batch.times_at(last - 1)) / 1000)
        return over_windows(windows, difference, enough)

    return evaluated


def _counted(happens: Happens) -> Callable[[Context, Windows], Vector]:
    """How often something happens from one sample of the window to the next."""

    def evaluated(_: Context, windows: Windows) -> Vector:
        first, stop = _spans(_where(happens, windows), windows)
        return over_windows(windows, (stop - first).astype(np.float64))

    return evaluated


def _falls(before: Floats, after: Floats) -> Bools:
    return np.asarray(after < before)


def _differ(before: Floats, after: Floats) -> Bools:
    return np.asarray((before != after) & ~(np.isnan(before) & np.isnan(after)))


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "rate": _extrapolated("rate", is_counter=True, is_rate=True),
    "increase": _extrapolated("increase", is_counter=True, is_rate=False),
    "delta": _extrapolated("delta", is_counter=False, is_rate=False),
    "irate": _last_two(is_rate=True),
    "idelta": _last_two(is_rate=False),
    "resets": _counted(_falls),
    "changes": _counted(_differ),
}
