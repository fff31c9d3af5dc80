from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamgauge.core.sparkline import Point, sparkline


def points(*values: float | None, filling: int = 0) -> list[Point]:
    return [Point(str(place), value, place >= len(values) - filling) for place, value in enumerate(values)]


def test_heights_are_in_proportion_and_start_at_zero() -> None:
    assert sparkline(points(0, 1, 2, 3, 4, 5, 6, 7, 8), 80).blocks == "▁▂▃▄▅▆▇██"
    assert sparkline(points(4, 4), 80).blocks == "██"
    assert sparkline(points(0, 0), 80).blocks == "▁▁"


def test_what_has_no_value_is_a_gap_and_no_figure() -> None:
    line = sparkline(points(None, 2, None), 80)
    assert line.blocks == " █ "
    assert line.least == line.greatest == line.last == Point("1", 2)
    assert sparkline(points(None), 80).last is None


def test_what_is_still_filling_is_apart_and_no_figure() -> None:
    line = sparkline(points(5, 9, 1, filling=1), 80)
    assert (len(line.blocks), len(line.filling)) == (2, 1)
    assert (line.least, line.last) == (Point("0", 5), Point("1", 9))


@given(st.lists(st.none() | st.floats(-1e100, 1e100), max_size=300), st.integers(1, 100))
def test_there_are_never_more_blocks_than_columns_or_points(values: list[float | None], width: int) -> None:
    line = sparkline(points(*values), width)
    assert len(line.blocks + line.filling) == min(width, len(values))
    counted = [value for value in values if value is not None]
    assert (line.least.value if line.least else None) == min(counted, default=None)
    assert (line.greatest.value if line.greatest else None) == max(counted, default=None)
