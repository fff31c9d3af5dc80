"""What an expression is worth at every step: S series at T steps, evaluated together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamgauge.query.promql.errors import PromqlExecutionError, same_labelset
from streamgauge.query.promql.labels import METADATA, Labels, without
from streamgauge.query.promql.series import Bools, Floats, Positions, SeriesBatch, Times


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number at every step: `values` (T,)."""

    values: Floats


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Vector:
    """An instant vector at every step.

    `values` and `present` are (S, T): NaN is a value, absence is not. `drop_name` (S,) says which series lose their
    metric name at the end; until then it can be asked for, matched and grouped by. The order of the rows is the order
    of the answer to an instant question.
    """

    labels: Sequence[Labels]
    values: Floats
    present: Bools
    drop_name: Bools

    def rows(self, positions: Positions) -> Vector:
        return Vector(
            [self.labels[position] for position in positions.tolist()],
            self.values[positions],
            self.present[positions],
            self.drop_name[positions],
        )

    def mapped(self, values: Floats, present: Bools | None = None) -> Vector:
        """The same series with computed values: what was computed is no longer the metric, so the name goes."""
        kept = self.present if present is None else present
        return Vector(self.labels, values, kept, np.ones(len(self.labels), dtype=bool))

    def filtered(self, present: Bools) -> Vector:
        return Vector(self.labels, self.values, present, self.drop_name)


@dataclass(frozen=True, slots=True)
class Windows:
    """A range vector at every step.

    The window of series s at step t holds the samples of `batch` from `first[s, t]` up to and without `stop[s, t]`,
    none of them stale; in time it is left-open: `end_ms[t] - range_ms < sample <= end_ms[t]`.
    """

    batch: SeriesBatch
    drop_name: Bools
    first: Positions
    stop: Positions
    end_ms: Times
    range_ms: int

    @property
    def labels(self) -> Sequence[Labels]:
        return self.batch.labels

    @property
    def values(self) -> Floats:
        """Of all samples (N,)."""
        return self.batch.values

    @property
    def counts(self) -> Positions:
        return self.stop - self.first


SAMPLES_MAX = 50_000_000
"""Samples that one selector may read, and values (series times steps) that one vector may have."""


def check_size(samples: int) -> None:
    """Raises PromqlExecutionError."""
    if samples > SAMPLES_MAX:
        raise PromqlExecutionError(
            f"{samples} samples to be read, or values to be made of them: at most {SAMPLES_MAX}",
            hint="select fewer series, a shorter time, or a longer step",
        )


Value = Scalar | Text | Vector | Windows


def empty_vector(steps: int) -> Vector:
    return Vector([], np.empty((0, steps)), np.zeros((0, steps), dtype=bool), np.zeros(0, dtype=bool))


def vector_of(labels: Sequence[Labels], values: Floats, present: Bools) -> Vector:
    """Series that have no metric name to lose."""
    return Vector(labels, values, present, np.zeros(len(labels), dtype=bool))


def without_dropped_names(vector: Vector) -> Vector:
    if not vector.drop_name.any():
        return vector
    labels = [
        without(labels, METADATA) if dropped else labels
        for labels, dropped in zip(vector.labels, vector.drop_name.tolist(), strict=True)
    ]
    return vector_of(labels, vector.values, vector.present)


def merged(vector: Vector) -> Vector:
    """Rows of the same label set become one. Raises PromqlExecutionError where two have a value at the same step."""
    rows: dict[Labels, list[int]] = {}
    for position, labels in enumerate(vector.labels):
        rows.setdefault(labels, []).append(position)
    if len(rows) == len(vector.labels):
        return vector
    values = np.zeros((len(rows), vector.values.shape[1]))
    present = np.zeros(values.shape, dtype=bool)
    drop_name = np.zeros(len(rows), dtype=bool)
    for row, positions in enumerate(rows.values()):
        for position in positions:
            here = vector.present[position]
            if (present[row] & here).any():
                raise same_labelset()
            values[row, here] = vector.values[position, here]
            present[row] |= here
            drop_name[row] |= vector.drop_name[position]
    return Vector(list(rows), values, present, drop_name)
