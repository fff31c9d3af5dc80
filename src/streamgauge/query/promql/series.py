"""What PromQL reads: series of samples, and the Protocol of who has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamgauge.query.promql import regex
from streamgauge.query.promql.labels import Labels, value_of

Times = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Positions = NDArray[np.int64]

_STALE_BITS = np.uint64(0x7FF0000000000002)
STALE = np.array([_STALE_BITS], dtype=np.uint64).view(np.float64)
"""One value: the NaN that marks the end of a series. Only its bits tell it from other NaNs, so it's never computed
with, and copied as an array."""


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of one label set: `times_ms` ascend strictly, `values` may hold NaN and the `STALE` marker."""

    labels: Labels
    times_ms: Times
    values: Floats


@dataclass(frozen=True, slots=True)
class SeriesBatch:
    """Many series in few arrays.

    `values` (N,) holds the samples of all series one after another, those of series s from `starts[s]` to
    `starts[s + 1]`; `starts` is (S + 1,). `times_ms` is (N,) beside the values, or, with `shared`, the (T,) times that
    every series has a sample at. Times ascend strictly within a series.
    """

    labels: Sequence[Labels]
    times_ms: Times
    values: Floats
    starts: Positions
    shared: bool = False

    @staticmethod
    def of(found: Sequence[Series]) -> SeriesBatch:
        return SeriesBatch(
            labels=[series.labels for series in found],
            times_ms=np.concatenate([np.empty(0, dtype=np.int64), *(series.times_ms for series in found)]),
            values=np.concatenate([np.empty(0), *(series.values for series in found)]),
            starts=np.cumsum([0, *(len(series.times_ms) for series in found)], dtype=np.int64),
        )

    @staticmethod
    def grid(labels: Sequence[Labels], times_ms: Times, values: Floats) -> SeriesBatch:
        """`values` (S, T) of series that all have their samples at `times_ms` (T,)."""
        starts = np.arange(len(labels) + 1, dtype=np.int64) * len(times_ms)
        return SeriesBatch(labels, times_ms, values.ravel(), starts, shared=True)

    def times_at(self, positions: Positions) -> Times:
        """When the samples at these positions of `values` were taken."""
        return self.times_ms[positions % len(self.times_ms)] if self.shared else self.times_ms[positions]

    def rows(self) -> Sequence[Series]:
        bounds = zip(self.labels, self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True)
        return [
            Series(labels, self.times_ms if self.shared else self.times_ms[first:stop], self.values[first:stop])
            for labels, first, stop in bounds
        ]


class MatchOp(Enum):
    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label; a label that is absent has the value "". Regular expressions match the whole value."""

    name: str
    op: MatchOp
    value: str

    def matches(self, values: Sequence[str]) -> Bools:
        """Which of the values satisfy the condition."""
        if self.op is MatchOp.EQUAL:
            return np.array([value == self.value for value in values], dtype=bool)
        if self.op is MatchOp.NOT_EQUAL:
            return np.array([value != self.value for value in values], dtype=bool)
        found = regex.matching(self.value, values)
        return found if self.op is MatchOp.REGEX else ~found


Matchers = tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class Hints:
    """What becomes of the series selected; whoever has them may use it to answer with less, or ignore it.

    `step_ms` lies between the moments at which they're looked at (0 for a single one). `range_ms` is the length of the
    windows, 0 for an instant vector.
    `function` is the function directly around the selector, "" where there is none. `aggregation` is the aggregation
    directly around that, by (or, with `without`, leaving out) `labels`. A Queryable may answer with fewer series, those
    that the aggregation would tell apart, where `aggregation(function(answer))` stays the same: where both are sums,
    samples of the same time may be added up beforehand.
    """

    step_ms: int = 0
    range_ms: int = 0
    function: str = ""
    aggregation: str = ""
    labels: tuple[str, ...] = ()
    without: bool = False


class Queryable(Protocol):
    """Who has series."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> SeriesBatch:
        """The series that satisfy all the matchers, each label set once, with their samples of `start_ms <= t <=
        end_ms`. Series without a sample there may be left out."""
        ...


def any_row(cells: Bools) -> Bools:
    """Where at least one of the series has it: (S, T) to (T,)."""
    return np.asarray(cells.any(axis=0))


def is_stale(values: Floats) -> Bools:
    return np.asarray(np.ascontiguousarray(values).view(np.uint64) == _STALE_BITS)


def satisfying(labels: Sequence[Labels], matchers: Sequence[Matcher]) -> Bools:
    """Which of the label sets satisfy all the matchers."""
    found = np.ones(len(labels), dtype=bool)
    for matcher in matchers:
        found &= matcher.matches([value_of(one, matcher.name) for one in labels])
    return found
