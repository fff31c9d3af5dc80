"""What is there and what is not, and passages between numbers and vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import promql_parser as ast

from streamgauge.query.promql.context import Context
from streamgauge.query.promql.labels import NAME, Labels, labels_of
from streamgauge.query.promql.parse import alternatives
from streamgauge.query.promql.series import Bools, MatchOp, any_row
from streamgauge.query.promql.values import Scalar, Value, Vector, vector_of


def absent(node: Any, vector: Value) -> Vector:
    """1 at the steps where `vector` has nothing, with the labels its selector asks for."""
    found = any_row(vector.present) if isinstance(vector, Vector) else np.zeros(0, dtype=bool)
    return _absence(node, found)


def absent_over_time(node: Any, windows: Any) -> Vector:
    """1 at the steps where no series has a sample in its window, with the labels the selector asks for."""
    selector = node.vector_selector if isinstance(node, ast.MatrixSelector) else node
    return _absence(selector, any_row(windows.counts > 0))


def _absence(node: Any, found: Bools) -> Vector:
    return vector_of([_asked_labels(node)], np.ones((1, len(found))), ~found[np.newaxis])


def _asked_labels(node: Any) -> Labels:
    """What can be told of a missing series: labels asked for by `=`, and by nothing else."""
    if not isinstance(node, ast.VectorSelector):
        return ()
    groups = alternatives(node)
    if len(groups) > 1:
        return ()
    times = Counter(matcher.name for matcher in groups[0])
    return labels_of(
        {
            matcher.name: matcher.value
            for matcher in groups[0]
            if matcher.op is MatchOp.EQUAL and times[matcher.name] == 1 and matcher.name != NAME
        }
    )


def _scalar(_: Context, vector: Vector) -> Value:
    """The value of the only series, NaN where there is none or several."""
    alone = vector.present.sum(axis=0) == 1
    return Scalar(np.where(alone, np.where(vector.present, vector.values, 0.0).sum(axis=0), np.nan))


def _vector(context: Context, scalar: Scalar) -> Value:
    return vector_of([()], scalar.values[np.newaxis], np.ones((1, context.steps), dtype=bool))


def _timestamp(context: Context, vector: Vector) -> Value:
    return vector.mapped(np.broadcast_to(context.times_ms / 1000, vector.values.shape))


def _constant(value_ms: Callable[[Context], int]) -> Callable[..., Value]:
    return lambda context: Scalar(np.full(context.steps, value_ms(context) / 1000))


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "scalar": _scalar,
    "vector": _vector,
    "timestamp": _timestamp,
    "time": lambda context: Scalar(context.times_ms / 1000),
    "start": _constant(lambda context: context.start_ms),
    "end": _constant(lambda context: context.end_ms),
    "range": _constant(lambda context: context.end_ms - context.start_ms),
    "step": _constant(lambda context: context.step_ms),
}
