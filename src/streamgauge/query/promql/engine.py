"""Questions in, answers out: an instant or a range of PromQL over a Queryable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from streamgauge.query.promql.annotations import Annotations
from streamgauge.query.promql.context import Context
from streamgauge.query.promql.errors import PromqlSyntaxError
from streamgauge.query.promql.evaluate import Evaluator
from streamgauge.query.promql.interruption import Check, interrupted_by, never
from streamgauge.query.promql.labels import Labels
from streamgauge.query.promql.parse import parse
from streamgauge.query.promql.series import Queryable, Series, Times
from streamgauge.query.promql.values import Scalar, Text, Value, Vector, Windows, merged, without_dropped_names

LOOKBACK_MS = 300_000
DEFAULT_STEP_MS = 60_000
STEPS_MAX = 11_000
"""From the first step of a range to its last."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The value at the steps asked for, and what is to be said about it.

    A `Vector` holds each label set once. The answer to a range is sorted by labels and never a Windows or Text;
    `matrix` is what an instant question for a range vector found.
    """

    times_ms: Times
    value: Scalar | Text | Vector | None
    matrix: tuple[Series, ...]
    warnings: list[str]
    infos: list[str]


class Engine:
    """Answers PromQL. Times are milliseconds since the epoch; steps at `start_ms`, `start_ms + step_ms` … `end_ms`."""

    def __init__(
        self,
        queryable: Queryable,
        *,
        lookback_ms: int = LOOKBACK_MS,
        default_step_ms: int = DEFAULT_STEP_MS,
        check: Check = never,
    ) -> None:
        """`check` is called while a question is evaluated, which ends by what it raises."""
        self._check = check
        self._evaluator = Evaluator(queryable, lookback_ms=lookback_ms, default_step_ms=default_step_ms)

    def instant(self, query: str, at_ms: int) -> Answer:
        """Raises PromqlSyntaxError, PromqlExecutionError."""
        return self._answer(query, np.array([at_ms], dtype=np.int64), end_ms=at_ms, step_ms=0)

    def range(self, query: str, start_ms: int, end_ms: int, step_ms: int) -> Answer:
        """Raises PromqlSyntaxError, PromqlExecutionError."""
        if step_ms <= 0:
            raise PromqlSyntaxError("the step must be longer than 0", hint="write step=60s")
        if end_ms < start_ms:
            raise PromqlSyntaxError("the end must not be before the start", hint="swap start and end")
        if (end_ms - start_ms) // step_ms > STEPS_MAX:
            raise PromqlSyntaxError(f"more than {STEPS_MAX} steps", hint="ask for a longer step or a shorter range")
        times_ms = np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64)
        return self._answer(query, times_ms, end_ms=end_ms, step_ms=step_ms)

    def _answer(self, query: str, times_ms: Times, *, end_ms: int, step_ms: int) -> Answer:
        annotations = Annotations(query)
        context = Context(times_ms, int(times_ms[0]), end_ms, step_ms, annotations)
        with np.errstate(all="ignore"), interrupted_by(self._check):
            value = self._evaluator.value(parse(query), context)
            shown, matrix = _shown(value, is_range=step_ms > 0)
        return Answer(times_ms, shown, matrix, annotations.warnings, annotations.infos)


def _shown(value: Value, *, is_range: bool) -> tuple[Scalar | Text | Vector | None, tuple[Series, ...]]:
    if is_range and isinstance(value, Text | Windows):
        raise PromqlSyntaxError(
            "invalid expression type for range query, must be Scalar or instant Vector", hint="ask for an instant"
        )
    if isinstance(value, Windows):
        return None, tuple(_windows(value))
    if not isinstance(value, Vector):
        return value, ()
    vector = merged(without_dropped_names(value.rows(np.flatnonzero(value.present.any(axis=1)))))
    if is_range:
        vector = vector.rows(np.array(sorted(range(len(vector.labels)), key=_labels_at(vector)), dtype=np.int64))
    return vector, ()


def _labels_at(vector: Vector) -> Callable[[int], Labels]:
    return lambda row: vector.labels[row]


def _windows(windows: Windows) -> list[Series]:
    spans = zip(windows.labels, windows.first[:, 0].tolist(), windows.stop[:, 0].tolist(), strict=True)
    return [
        Series(labels, windows.batch.times_at(np.arange(first, stop)), windows.values[first:stop])
        for labels, first, stop in spans
        if stop > first
    ]
