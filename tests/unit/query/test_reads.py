from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamgauge.query.reads import RANGES_MAX, Read, reads
from streamgauge.store.grains import HOURS, MINUTES

DAY_S, HOUR_S = 86_400, 3_600

minutes = st.integers(0, 6 * 24 * 60).map(lambda minute: minute * 60)


@given(minutes, minutes, st.lists(minutes, max_size=8, unique=True).map(sorted))
def test_every_minute_is_read_once_and_no_row_is_in_two_steps(one: int, other: int, bounds: list[int]) -> None:
    from_s, to_s = min(one, other), max(one, other) + 60
    found = [(start, read.grain) for read in reads(from_s, to_s, bounds) for start in range(*_flat(read), 60)]
    covered = [
        minute for read in reads(from_s, to_s, bounds) for low, high in read.ranges for minute in range(low, high, 60)
    ]
    assert sorted(covered) == list(range(from_s, to_s, 60))
    assert found
    for read in reads(from_s, to_s, bounds):
        for low, high in read.ranges:
            assert low % read.grain.seconds == high % read.grain.seconds == 0
            assert not any(low < bound < high and bound % read.grain.seconds for bound in bounds)


@given(minutes, minutes, st.lists(minutes, max_size=8, unique=True).map(sorted))
def test_the_coarsest_table_is_read_that_there_is(one: int, other: int, bounds: list[int]) -> None:
    from_s, to_s = min(one, other), max(one, other) + 60
    edges = sorted({from_s, to_s, *(bound for bound in bounds if from_s < bound < to_s)})
    is_dense = len(edges) > 3
    for read in reads(from_s, to_s, bounds):
        coarser = {MINUTES: HOUR_S, HOURS: DAY_S}.get(read.grain)
        for low, high in read.ranges if coarser and not is_dense else ():
            whole = [start for start in range(-(-low // coarser) * coarser, high - coarser + 1, coarser)]
            assert all(any(start < edge < start + coarser for edge in edges) for start in whole)


def _flat(read: Read) -> tuple[int, int]:
    return read.ranges[0]


def test_days_by_the_clocks_of_india_are_hours_with_the_minutes_between_them() -> None:
    starts = [18 * HOUR_S + 1_800 + day * DAY_S for day in range(31)]
    hours, ends = reads(starts[0], starts[-1], starts)
    assert (hours.grain, ends.grain) == (HOURS, MINUTES)
    assert {high - low for low, high in hours.ranges} == {23 * HOUR_S}
    assert {high - low for low, high in ends.ranges} == {HOUR_S, 1_800}


def test_many_pieces_are_read_as_one_of_a_finer_table() -> None:
    starts = [1_800 + day * DAY_S for day in range(RANGES_MAX + 2)]
    assert reads(starts[0], starts[-1], starts) == (Read(MINUTES, ((starts[0], starts[-1]),)),)


def test_nothing_is_read_of_nothing() -> None:
    assert reads(0, 0) == (Read(MINUTES, ((0, 0),)),)
