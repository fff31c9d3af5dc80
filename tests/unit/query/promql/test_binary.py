"""Operators between vectors against an oracle that matches series by series, step by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promql_series import Memory, series
from streamgauge.query.promql.engine import Engine
from streamgauge.query.promql.errors import PromqlExecutionError
from streamgauge.query.promql.values import Vector

STEPS = 3
CELLS = st.lists(st.one_of(st.none(), st.integers(-3, 3).map(float)), min_size=STEPS, max_size=STEPS)
SIDE = st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from("xy")), CELLS, max_size=4)
Side = dict[tuple[str, str], list[float | None]]
At = dict[tuple[str, str], float]
"""The samples of one step by the labels g and i."""

ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else math.nan if not a else math.copysign(math.inf, a) * math.copysign(1, b),
    "%": lambda a, b: math.fmod(a, b) if b else math.nan,
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
}


def at(side: Side, step: int) -> At:
    return {key: cells[step] for key, cells in side.items() if cells[step] is not None}


def ask(query: str, left: Side, right: Side) -> list[dict[tuple[str, str], float]] | None:
    """By step, values by the labels g and i; None where they don't match."""
    rows = [
        series({10 * step: value for step, value in enumerate(cells) if value is not None}, name=name, g=g, i=i)
        for name, side in (("l", left), ("r", right))
        for (g, i), cells in side.items()
    ]
    try:
        value = Engine(Memory(*rows), lookback_ms=10_000).range(query, 0, (STEPS - 1) * 10_000, 10_000).value
    except PromqlExecutionError:
        return None
    assert isinstance(value, Vector)
    keys = [(dict(labels).get("g", ""), dict(labels).get("i", "")) for labels in value.labels]
    return [
        {key: float(value.values[row, step]) for row, key in enumerate(keys) if value.present[row, step]}
        for step in range(STEPS)
    ]


def assert_same(found: list[dict[tuple[str, str], float]] | None, wanted: list[dict[tuple[str, str], float]]) -> None:
    assert found is not None
    for here, there in zip(found, wanted, strict=True):
        assert here == pytest.approx(there, nan_ok=True)


@pytest.mark.parametrize("operator", ARITHMETIC)
@settings(max_examples=50, deadline=None)
@given(left=SIDE, right=SIDE)
def test_series_with_the_same_labels_are_computed_with(operator: str, left: Side, right: Side) -> None:
    wanted = []
    for step in range(STEPS):
        a, b = at(left, step), at(right, step)
        wanted.append({key: ARITHMETIC[operator](a[key], b[key]) for key in a.keys() & b.keys()})
    assert_same(ask(f"l {operator} r", left, right), wanted)


@pytest.mark.parametrize(("operator", "return_bool"), list(product(COMPARISONS, (False, True))))
@settings(max_examples=30, deadline=None)
@given(left=SIDE, right=SIDE)
def test_comparisons_filter_or_answer_with_one_and_zero(
    operator: str, return_bool: bool, left: Side, right: Side
) -> None:
    holds, wanted = COMPARISONS[operator], []
    for step in range(STEPS):
        a, b = at(left, step), at(right, step)
        both = a.keys() & b.keys()
        if return_bool:
            wanted.append({key: float(holds(a[key], b[key])) for key in both})
        else:
            wanted.append({key: a[key] for key in both if holds(a[key], b[key])})
    assert_same(ask(f"l {operator} {'bool ' if return_bool else ''}r", left, right), wanted)


@settings(max_examples=120, deadline=None)
@given(left=SIDE, right=SIDE)
def test_many_are_matched_with_one_of_their_group_or_refused(left: Side, right: Side) -> None:
    wanted: list[dict[tuple[str, str], float]] | None = []
    for step in range(STEPS):
        a, b = at(left, step), at(right, step)
        groups = [g for g, _ in b]
        if a and len(groups) != len(set(groups)):
            wanted = None
            break
        one = {g: value for (g, _), value in b.items()}
        wanted.append({(g, i): value - one[g] for (g, i), value in a.items() if g in one})
    found = ask("l - on (g) group_left () r", left, right)
    if wanted is None:
        assert found is None
    else:
        assert_same(found, wanted)


@settings(max_examples=60, deadline=None)
@given(left=SIDE, right=SIDE)
def test_group_right_is_group_left_seen_from_the_other_side(left: Side, right: Side) -> None:
    one_way = ask("l - on (g) group_left () r", left, right)
    other_way = ask("-(r - on (g) group_right () l)", left, right)
    assert one_way == other_way


@pytest.mark.parametrize("operator", ["and", "unless", "or"])
@settings(max_examples=60, deadline=None)
@given(left=SIDE, right=SIDE)
def test_sets_keep_what_has_or_lacks_a_partner(operator: str, left: Side, right: Side) -> None:
    wanted = []
    for step in range(STEPS):
        a, b = at(left, step), at(right, step)
        of_left, of_right = {g for g, _ in a}, {g for g, _ in b}
        if operator == "or":
            # Names differ, so series that are the same but for them stay apart: they are told by their group.
            wanted.append({**{key: value for key, value in b.items() if key[0] not in of_left}, **a})
        else:
            wanted.append({key: value for key, value in a.items() if (key[0] in of_right) == (operator == "and")})
    assert_same(ask(f"l {operator} on (g) r", left, right), wanted)


@settings(max_examples=60, deadline=None)
@given(left=SIDE, right=SIDE)
def test_a_missing_partner_is_filled_in(left: Side, right: Side) -> None:
    wanted = []
    for step in range(STEPS):
        a, b = at(left, step), at(right, step)
        wanted.append({key: a.get(key, 7.0) - b.get(key, 5.0) for key in a.keys() | b.keys()})
    assert_same(ask("l - fill_left (7) fill_right (5) r", left, right), wanted)
