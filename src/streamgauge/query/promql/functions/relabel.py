"""Functions that write labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from streamgauge.query.promql import regex
from streamgauge.query.promql.context import Context
from streamgauge.query.promql.errors import PromqlExecutionError, PromqlSyntaxError
from streamgauge.query.promql.labels import NAME, Labels, is_label_name, value_of, with_label
from streamgauge.query.promql.series import Bools
from streamgauge.query.promql.values import Text, Value, Vector, merged


def _label_replace(_: Context, vector: Vector, *texts: Text) -> Value:
    """Where `pattern` matches the label `source`, the label `target` becomes `template` with the groups matched."""
    target, template, source, pattern = (text.value for text in texts)
    try:
        regex.check(pattern)
    except PromqlSyntaxError:
        raise PromqlExecutionError(f"invalid regular expression in label_replace(): {pattern}") from None
    _check_target("label_replace", target)
    values = [value_of(labels, source) for labels in vector.labels]
    matched = regex.matching(pattern, values)
    written = [
        with_label(labels, target, value) if matches else labels
        for labels, value, matches in zip(
            vector.labels, regex.expanded(pattern, template, values), matched.tolist(), strict=True
        )
    ]
    return _renamed(vector, written, matched & (target == NAME))


def _label_join(_: Context, vector: Vector, *texts: Text) -> Value:
    target, separator, *sources = (text.value for text in texts)
    _check_target("label_join", target)
    for source in sources:
        if not is_label_name(source):
            raise PromqlExecutionError(f"invalid source label name in label_join(): {source}")
    written = [
        with_label(labels, target, separator.join(value_of(labels, source) for source in sources))
        for labels in vector.labels
    ]
    return _renamed(vector, written, np.full(len(written), target == NAME))


def _check_target(function: str, name: str) -> None:
    if not is_label_name(name):
        raise PromqlExecutionError(f"invalid destination label name in {function}(): {name}")


def _renamed(vector: Vector, labels: Sequence[Labels], named: Bools) -> Vector:
    """A metric name that was written is meant to stay."""
    return merged(Vector(labels, vector.values, vector.present, vector.drop_name & ~named))


FUNCTIONS: dict[str, Callable[..., Value]] = {"label_replace": _label_replace, "label_join": _label_join}
