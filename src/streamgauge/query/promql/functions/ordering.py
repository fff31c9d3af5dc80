"""The order of an instant answer. That of a range is always by labels."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from streamgauge.query.promql.context import Context
from streamgauge.query.promql.labels import value_of
from streamgauge.query.promql.values import Text, Value, Vector

_DIGITS = re.compile(r"(\d+)")


def _in_vain(context: Context, function: str) -> bool:
    if context.step_ms == 0:
        return False
    context.annotations.warn_call(
        function, "sort is ineffective for range queries since results are always ordered by labels"
    )
    return True


def _by_value(function: str, *, descending: bool) -> Callable[[Context, Vector], Value]:
    def ordered(context: Context, vector: Vector) -> Value:
        if _in_vain(context, function) or not len(vector.labels):
            return vector
        values = vector.values[:, 0]
        missing = np.isnan(values)
        known = np.where(missing, 0.0, -values if descending else values)
        return vector.rows(np.lexsort([known, missing]).astype(np.int64))

    return ordered


def _natural(text: str) -> list[str | int]:
    """Runs of digits compare as numbers: `4m5` comes before `4m600`."""
    return [int(part) if position % 2 else part for position, part in enumerate(_DIGITS.split(text))]


def _by_label(function: str, *, descending: bool) -> Callable[..., Value]:
    def ordered(context: Context, vector: Vector, *names: Text) -> Value:
        if _in_vain(context, function):
            return vector

        def key(row: int) -> tuple[object, ...]:
            labels = vector.labels[row]
            return (*(_natural(value_of(labels, name.value)) for name in names), labels)

        rows = sorted(range(len(vector.labels)), key=key, reverse=descending)
        return vector.rows(np.array(rows, dtype=np.int64))

    return ordered


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "sort": _by_value("sort", descending=False),
    "sort_desc": _by_value("sort_desc", descending=True),
    "sort_by_label": _by_label("sort_by_label", descending=False),
    "sort_by_label_desc": _by_label("sort_by_label_desc", descending=True),
}
