"""Aggregations against oracles that group and reduce step by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promql_series import Memory, series
from streamgauge.query.promql.engine import Engine
from streamgauge.query.promql.values import Vector

STEPS = 4
CELL = st.one_of(st.none(), st.integers(-9, 9).map(float), st.sampled_from([0.1, 0.7, 1e15, math.nan]))
TABLE = st.dictionaries(
    st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), st.lists(CELL, min_size=STEPS, max_size=STEPS), max_size=6
)
Table = dict[tuple[str, str], list[float | None]]


def answer(query: str, table: Table) -> Vector:
    rows = [
        series({10 * step: value for step, value in enumerate(cells) if value is not None}, g=group, i=item)
        for (group, item), cells in table.items()
    ]
    value = Engine(Memory(*rows), lookback_ms=10_000).range(query, 0, (STEPS - 1) * 10_000, 10_000).value
    assert isinstance(value, Vector)
    return value


def by_step(vector: Vector) -> list[dict[tuple[tuple[str, str], ...], float]]:
    return [
        {
            labels: float(vector.values[row, step])
            for row, labels in enumerate(vector.labels)
            if vector.present[row, step]
        }
        for step in range(STEPS)
    ]


def exact_sum(values: list[float]) -> float:
    if any(math.isnan(value) for value in values):
        return math.nan
    return float(sum((Fraction(value) for value in values), Fraction(0)))


def known(values: list[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


REDUCTIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": exact_sum,
    "avg": lambda values: exact_sum(values) / len(values),
    "count": len,
    "group": lambda _: 1.0,
    "min": lambda values: min(known(values), default=math.nan),
    "max": lambda values: max(known(values), default=math.nan),
}


@pytest.mark.parametrize("operator", REDUCTIONS)
@settings(max_examples=60, deadline=None)
@given(table=TABLE)
def test_each_group_is_reduced_at_each_step_from_what_is_there(operator: str, table: Table) -> None:
    found = by_step(answer(f"{operator} by (g) (m)", table))
    for step in range(STEPS):
        groups: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for (group, _), cells in table.items():
            if cells[step] is not None:
                groups.setdefault((("g", group),), []).append(cells[step])
        assert set(found[step]) == set(groups)
        for labels, values in groups.items():
            assert found[step][labels] == pytest.approx(REDUCTIONS[operator](values), rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("operator", ["topk", "bottomk"])
@settings(max_examples=60, deadline=None)
@given(table=TABLE, size=st.integers(-1, 4))
def test_the_first_of_each_group_are_no_worse_than_the_rest(operator: str, table: Table, size: int) -> None:
    found = by_step(answer(f"{operator} by (g) ({size}, m)", table))
    sign = 1 if operator == "topk" else -1
    for step in range(STEPS):
        for group in "ab":
            there = [cells[step] for (one, _), cells in table.items() if one == group and cells[step] is not None]
            chosen = [value for labels, value in found[step].items() if ("g", group) in labels]
            ranked = sorted(there, key=lambda value: (math.isnan(value), -sign * value))
            assert sorted(map(str, chosen)) == sorted(map(str, ranked[: max(size, 0)]))


@settings(max_examples=60, deadline=None)
@given(table=TABLE)
def test_without_is_by_all_other_labels(table: Table) -> None:
    left, right = answer("sum without (i) (m)", table), answer("sum by (g) (m)", table)
    assert list(left.labels) == list(right.labels)
    np.testing.assert_array_equal(left.values, right.values)


def test_a_sum_does_not_lose_what_is_small_beside_what_cancels() -> None:
    table: Table = {("a", name): [value] * STEPS for name, value in zip("xyz", (1e100, 1.0, -1e100), strict=True)}
    assert by_step(answer("sum(m)", table))[0] == {(): 1.0}


def test_a_mean_of_numbers_whose_sum_is_too_large_is_finite() -> None:
    table: Table = {("a", "x"): [1.5e308] * STEPS, ("a", "y"): [1.5e308] * STEPS}
    assert by_step(answer("avg(m)", table))[0] == {(): 1.5e308}
