"""Binary operators: arithmetic, comparisons, sets; between numbers, vectors, and vectors matched by their labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import promql_parser as ast

from streamgauge.query.promql.errors import PromqlExecutionError, PromqlUnsupported
from streamgauge.query.promql.labels import METADATA, NAME, Labels, only, value_of, with_label, without, written
from streamgauge.query.promql.series import Bools, Floats, Positions, any_row
from streamgauge.query.promql.values import Scalar, Value, Vector, check_size, merged, vector_of

ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISON: dict[str, Callable[[Floats, Floats], Bools]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
SETS = frozenset({"and", "or", "unless"})


@dataclass(frozen=True, slots=True)
class Matching:
    """How rows of two vectors find each other: `on` or `ignoring` `labels`; with `group_left` (`many` is "left") or
    `group_right` several on that side may share a partner, whose `include` labels they take. `fill` are the values that
    stand in for a partner missing on the left and on the right."""

    on: bool
    labels: tuple[str, ...]
    many: str
    include: tuple[str, ...]
    return_bool: bool
    fill: tuple[float | None, float | None] = (None, None)

    def signature(self, labels: Labels) -> Labels:
        return only(labels, self.labels) if self.on else without(labels, (*self.labels, NAME))


def binary(node: Any, left: Value, right: Value) -> Value:
    """The value of a binary node, from those of its sides. Raises PromqlExecutionError where vectors don't match."""
    operator, matching = str(node.op).lower(), _matching(node.modifier)
    if isinstance(left, Scalar) and isinstance(right, Scalar):
        if operator in ARITHMETIC:
            return Scalar(ARITHMETIC[operator](left.values, right.values))
        return Scalar(COMPARISON[operator](left.values, right.values).astype(np.float64))
    if isinstance(left, Vector) and isinstance(right, Vector):
        if operator in SETS:
            return _set_operation(operator, left, right, matching)
        return _matched(operator, left, right, matching)
    if isinstance(left, Vector) and isinstance(right, Scalar):
        return _with_number(operator, left, (left.values, right.values), matching)
    if isinstance(left, Scalar) and isinstance(right, Vector):
        return _with_number(operator, right, (left.values, right.values), matching)
    raise PromqlUnsupported(f"{operator} works on numbers and instant vectors")


def _matching(modifier: Any) -> Matching:
    if modifier is None:
        return Matching(on=False, labels=(), many="", include=(), return_bool=False)
    many = ""
    if modifier.card == ast.VectorMatchCardinality.ManyToOne:
        many = "left"
    elif modifier.card == ast.VectorMatchCardinality.OneToMany:
        many = "right"
    found, fill = modifier.matching, modifier.fill_values
    return Matching(
        on=found is not None and found.type == ast.LabelModifierType.Include,
        labels=() if found is None else tuple(found.labels),
        many=many,
        include=tuple(modifier.group_labels or ()),
        return_bool=modifier.return_bool,
        fill=(None, None) if fill is None else (fill.lhs, fill.rhs),
    )


def _with_number(operator: str, vector: Vector, sides: tuple[Floats, Floats], matching: Matching) -> Vector:
    if operator in ARITHMETIC:
        return vector.mapped(ARITHMETIC[operator](*sides))
    holds = COMPARISON[operator](*sides)
    return vector.mapped(holds.astype(np.float64)) if matching.return_bool else vector.filtered(vector.present & holds)


def _set_operation(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    left_group, right_group, groups = _groups(left, right, matching)
    if operator == "or":
        fresh = right.filtered(right.present & ~_any_by_group(left, left_group, groups)[right_group])
        return _joined(left, fresh)
    partner = _any_by_group(right, right_group, groups)[left_group]
    return left.filtered(left.present & (partner if operator == "and" else ~partner))


def _groups(left: Vector, right: Vector, matching: Matching) -> tuple[Positions, Positions, int]:
    numbers: dict[Labels, int] = {}
    left_group = [numbers.setdefault(matching.signature(labels), len(numbers)) for labels in left.labels]
    right_group = [numbers.setdefault(matching.signature(labels), len(numbers)) for labels in right.labels]
    return np.array(left_group, dtype=np.int64), np.array(right_group, dtype=np.int64), len(numbers)


def _any_by_group(vector: Vector, group: Positions, groups: int) -> Bools:
    found = np.zeros((groups, vector.present.shape[1]), dtype=bool)
    np.logical_or.at(found, group, vector.present)
    return found


def _matched(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    left, right = _filled(left, right, matching)
    left_group, right_group, groups = _groups(left, right, matching)
    both = any_row(left.present) & any_row(right.present)  # steps where there is anything to match
    if matching.many == "right":
        _check_one_side(left, left_group, both, matching, "left")
    else:
        _check_one_side(right, right_group, both, matching, "right")
    left_row, right_row = _pairs(left_group, right_group, groups, left.present.shape[1])
    a, b = left.values[left_row], right.values[right_row]
    present = left.present[left_row] & right.present[right_row]
    labels = _result_labels(left, right, (left_row, right_row), matching, is_computed=operator in ARITHMETIC)
    if matching.many:
        numbers: dict[Labels, int] = {}
        same = np.array([numbers.setdefault(one, len(numbers)) for one in labels], dtype=np.int64)
        _check_once(present, same, "multiple matches for labels: grouping labels must ensure unique matches")
    else:
        problem = "many-to-one matching must be explicit (group_left/group_right)"
        _check_once(present, left_group[left_row], f"multiple matches for labels: {problem}")
    drop_name = right.drop_name[right_row] if matching.many == "right" else left.drop_name[left_row]
    if operator in ARITHMETIC:
        return _present_rows(Vector(labels, ARITHMETIC[operator](a, b), present, np.zeros(len(labels), dtype=bool)))
    holds = COMPARISON[operator](a, b)
    if matching.return_bool:
        return _present_rows(Vector(labels, holds.astype(np.float64), present, np.ones(len(labels), dtype=bool)))
    return _present_rows(Vector(labels, a, present & holds, drop_name))


def _present_rows(vector: Vector) -> Vector:
    return merged(vector.rows(np.flatnonzero(vector.present.any(axis=1))))


def _filled(left: Vector, right: Vector, matching: Matching) -> tuple[Vector, Vector]:
    """With a stand-in of the value to fill in, for each group and step that has nothing on the other side."""
    fill_left, fill_right = matching.fill
    more_left = None if fill_left is None else _stand_ins(right, left, matching, fill_left)
    more_right = None if fill_right is None else _stand_ins(left, right, matching, fill_right)
    return (
        left if more_left is None else _joined(left, more_left),
        right if more_right is None else _joined(right, more_right),
    )


def _stand_ins(there: Vector, missing: Vector, matching: Matching, value: float) -> Vector:
    there_group, missing_group, groups = _groups(there, missing, matching)
    needed = _any_by_group(there, there_group, groups) & ~_any_by_group(missing, missing_group, groups)
    first = np.unique(there_group, return_index=True)
    labels = [matching.signature(there.labels[row]) for row in first[1].tolist()]
    present = needed[first[0]]
    return vector_of(labels, np.full(present.shape, value), present)


def _joined(vector: Vector, more: Vector) -> Vector:
    return Vector(
        [*vector.labels, *more.labels],
        np.concatenate([vector.values, more.values]),
        np.concatenate([vector.present, more.present]),
        np.concatenate([vector.drop_name, more.drop_name]),
    )


def _pairs(left_group: Positions, right_group: Positions, groups: int, steps: int) -> tuple[Positions, Positions]:
    """Every row of the left with every row of the right in the same group."""
    order = np.argsort(right_group, kind="stable")
    bounds = np.searchsorted(right_group[order], np.arange(groups + 1))
    sizes = (bounds[1:] - bounds[:-1])[left_group]
    check_size(int(sizes.sum()) * steps)
    left_row = np.repeat(np.arange(len(left_group)), sizes)
    within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return left_row, order[np.repeat(bounds[:-1][left_group], sizes) + within]


def _check_one_side(one: Vector, group: Positions, both: Bools, matching: Matching, side: str) -> None:
    order = np.argsort(group, kind="stable")
    repeated = order[1:][group[order[1:]] == group[order[:-1]]]
    for number in np.unique(group[repeated]).tolist():
        rows = np.flatnonzero(group == number)
        clashes = (one.present[rows].sum(axis=0) > 1) & both
        if clashes.any():
            clashing = rows[one.present[rows, int(clashes.argmax())]].tolist()
            first, second = sorted(one.labels[row] for row in clashing)[:2]
            raise PromqlExecutionError(
                f"found duplicate series for the match group {written(matching.signature(first))} on the {side} "
                f"hand-side of the operation: [{written(first)}, {written(second)}];many-to-many matching not allowed: "
                "matching labels must be unique on one side",
                hint="use on(…), ignoring(…), or an aggregation that leaves one series for each",
            )


def _check_once(present: Bools, group: Positions, problem: str) -> None:
    counts = np.zeros((int(group.max(initial=-1)) + 1, present.shape[1]), dtype=np.int64)
    np.add.at(counts, group, present)
    if (counts > 1).any():
        raise PromqlExecutionError(problem, hint="see vector matching in docs/guide/promql.md")


def _result_labels(
    left: Vector, right: Vector, pairs: tuple[Positions, Positions], matching: Matching, *, is_computed: bool
) -> Sequence[Labels]:
    results = []
    for left_row, right_row in zip(pairs[0].tolist(), pairs[1].tolist(), strict=True):
        many, one = left.labels[left_row], right.labels[right_row]
        if matching.many == "right":
            many, one = one, many
        labels = without(many, METADATA) if is_computed else many
        if not matching.many:
            labels = only(labels, matching.labels) if matching.on else without(labels, matching.labels)
        for name in matching.include:
            labels = with_label(labels, name, value_of(one, name))
        results.append(labels)
    return results
