"""Functions of each value on its own, and of numbers alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streamgauge.query.promql.context import Context
from streamgauge.query.promql.series import Floats
from streamgauge.query.promql.values import Scalar, Value, Vector

_ELEMENTWISE: dict[str, Callable[[Floats], Floats]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "sgn": np.sign,
    "deg": np.degrees,
    "rad": np.radians,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
}


def _of_each(operation: Callable[[Floats], Floats]) -> Callable[..., Value]:
    return lambda _, vector: vector.mapped(operation(vector.values))


def _round(context: Context, vector: Vector, to_nearest: Scalar | None = None) -> Value:
    # Halves go up. Dividing by the inverse keeps 0.1 and its like from adding an error of their own.
    inverse = 1.0 / (np.ones(context.steps) if to_nearest is None else to_nearest.values)
    return vector.mapped(np.floor(vector.values * inverse + 0.5) / inverse)


def _clamp(_: Context, vector: Vector, least: Scalar, most: Scalar) -> Value:
    """Nothing where the bounds cross; NaN where one of them is."""
    values = np.maximum(least.values, np.minimum(most.values, vector.values))
    return vector.mapped(values, vector.present & ~(most.values < least.values))


FUNCTIONS: dict[str, Callable[..., Value]] = {
    **{name: _of_each(operation) for name, operation in _ELEMENTWISE.items()},
    "round": _round,
    "clamp": _clamp,
    "clamp_min": lambda _, vector, least: vector.mapped(np.maximum(vector.values, least.values)),
    "clamp_max": lambda _, vector, most: vector.mapped(np.minimum(vector.values, most.values)),
    "pi": lambda context: Scalar(np.full(context.steps, np.pi)),
    "min_of": lambda _, left, right: Scalar(np.minimum(left.values, right.values)),
    "max_of": lambda _, left, right: Scalar(np.maximum(left.values, right.values)),
}
