from __future__ import annotations

from collections import Counter

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.model import DAY_MS, OTHER, UNKNOWN
from streamgauge.stream.cardinality import DimensionValues
from streamgauge.stream.journal import Blocks


def panes(*rows: tuple[int, float, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"timestamp": pl.Int64(), "value": pl.Float64(), "p:x": pl.String()}, orient="row")


def found(frame: pl.DataFrame) -> list[tuple[int, str, float]]:
    return sorted(frame.select("timestamp", "p:x", "value").iter_rows())


def test_values_within_the_limit_pass() -> None:
    rows = panes((0, 1.0, "a"), (0, 2.0, "b"))
    assert DimensionValues(()).limit("r", rows, "count", 2) is rows


def test_values_over_the_limit_are_counted_as_other_in_one_pane() -> None:
    values = DimensionValues(())
    limited = values.limit("r", panes((0, 1.0, "a"), (0, 2.0, "b"), (0, 4.0, "c"), (60_000, 8.0, "c")), "sum", 1)
    assert found(limited) == [(0, OTHER, 6.0), (0, "a", 1.0), (60_000, OTHER, 8.0)]
    assert values.take_over() == {("r", "x"): 2}
    assert values.take_over() == {}


def test_least_and_greatest_of_other_are_those_of_all_of_them() -> None:
    rows = panes((0, 1.0, "a"), (0, 2.0, "b"), (0, 4.0, "c"))
    assert (0, OTHER, 2.0) in found(DimensionValues(()).limit("r", rows, "min", 1))
    assert (0, OTHER, 4.0) in found(DimensionValues(()).limit("r", rows, "max", 1))


def test_each_day_rollup_and_dimension_has_a_limit_of_its_own() -> None:
    values = DimensionValues(())
    values.limit("r", panes((0, 1.0, "a")), "sum", 1)
    assert found(values.limit("r", panes((DAY_MS, 1.0, "b")), "sum", 1)) == [(DAY_MS, "b", 1.0)]
    assert found(values.limit("s", panes((0, 1.0, "b")), "sum", 1)) == [(0, "b", 1.0)]
    assert values.is_told_apart("r", "x", DAY_MS + 5, "b")
    assert not values.is_told_apart("r", "x", 5, "b")


def test_what_is_unknown_takes_no_place() -> None:
    limited = DimensionValues(()).limit("r", panes((0, 1.0, UNKNOWN), (0, 1.0, "a")), "sum", 1)
    assert found(limited) == [(0, UNKNOWN, 1.0), (0, "a", 1.0)]


BATCHES = st.lists(
    st.tuples(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=9), st.booleans()),
    max_size=9,
)


@settings(max_examples=150, deadline=None)
@given(BATCHES, st.integers(1, 6))
def test_nothing_is_lost_no_day_has_more_values_than_the_limit_and_a_restart_changes_nothing(
    batches: list[tuple[list[tuple[int, int]], bool]], values_max: int
) -> None:
    blocks: Blocks = ()
    values, told, total = DimensionValues(blocks), Counter[tuple[int, str]](), 0
    for items, restarts in batches:
        counts = Counter((day * DAY_MS, str(number)) for day, number in items)
        rows = panes(*((start, float(count), value) for (start, value), count in counts.items()))
        for start, value, count in found(values.limit("r", rows, "count", values_max)):
            told[start, value] += round(count)
        total += len(items)
        if (change := values.changes()) is not None:
            blocks = [*(block for block in blocks if block[0] >= change.oldest_kept), (change.number, change.block)]
        if restarts:
            values = DimensionValues(blocks)
    assert sum(told.values()) == total
    for day in range(3):
        names = {value for start, value in told if start == day * DAY_MS}
        assert len(names - {OTHER}) <= values_max
        if OTHER in names:
            assert len(names - {OTHER}) == values_max
