from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.stream.watermark import Watermarks

NOW_MS = 1_000_000_000
DELAY_MS = 10_000
IDLE_MS = 5_000


def watermarks(resume_at_ms: int = 0) -> Watermarks:
    return Watermarks(DELAY_MS, IDLE_MS, resume_at_ms)


def test_where_nothing_was_ever_read_and_nothing_waits_it_follows_the_clock() -> None:
    marks = watermarks()
    assert marks.current_ms(NOW_MS, ()) == NOW_MS - DELAY_MS
    assert marks.current_ms(NOW_MS + 1, ()) == NOW_MS + 1 - DELAY_MS


def test_it_is_the_greatest_event_time_less_the_delay() -> None:
    marks = watermarks()
    marks.observe({0: NOW_MS - 500}, NOW_MS)
    marks.observe({0: NOW_MS - 900}, NOW_MS)
    assert marks.current_ms(NOW_MS, ()) == NOW_MS - 500 - DELAY_MS


def test_it_is_the_least_of_the_partitions_that_are_read() -> None:
    marks = watermarks()
    marks.observe({0: NOW_MS - 100, 1: NOW_MS - 4_000, 2: NOW_MS - 700}, NOW_MS)
    assert marks.current_ms(NOW_MS, ()) == NOW_MS - 4_000 - DELAY_MS


def test_a_partition_that_is_idle_does_not_hold_it_back() -> None:
    marks = watermarks()
    marks.observe({0: NOW_MS - 4_000}, NOW_MS)
    marks.observe({1: NOW_MS}, NOW_MS + IDLE_MS - 1)
    assert marks.current_ms(NOW_MS + IDLE_MS - 1, ()) == NOW_MS - 4_000 - DELAY_MS
    assert marks.current_ms(NOW_MS + IDLE_MS, ()) == NOW_MS - DELAY_MS


def test_a_partition_that_lags_is_not_idle() -> None:
    marks = watermarks()
    marks.observe({0: NOW_MS - 4_000}, NOW_MS)
    later_ms = NOW_MS + 100 * IDLE_MS
    assert marks.current_ms(later_ms, [0]) == NOW_MS - 4_000 - DELAY_MS
    assert marks.current_ms(later_ms, []) == later_ms - DELAY_MS


def test_a_partition_that_lags_and_of_which_nothing_was_read_holds_it_where_it_was() -> None:
    marks = watermarks(resume_at_ms=NOW_MS - 60_000)
    marks.observe({0: NOW_MS}, NOW_MS)
    assert marks.current_ms(NOW_MS, [1]) == NOW_MS - 60_000


def test_an_event_time_ahead_of_the_clock_counts_as_now() -> None:
    marks = watermarks()
    marks.observe({0: NOW_MS + 10**9}, NOW_MS)
    assert marks.current_ms(NOW_MS, ()) == NOW_MS - DELAY_MS


def test_late_events_do_not_move_it_backwards() -> None:
    marks = watermarks()
    marks.observe({0: NOW_MS}, NOW_MS)
    before = marks.current_ms(NOW_MS, ())
    marks.observe({0: NOW_MS - 10**6, 1: 5}, NOW_MS)
    assert marks.current_ms(NOW_MS, ()) == before


def test_it_resumes_where_it_was() -> None:
    marks = watermarks(resume_at_ms=NOW_MS - 20_000)
    marks.observe({0: NOW_MS - 60_000}, NOW_MS)
    assert marks.current_ms(NOW_MS, ()) == NOW_MS - 20_000


def test_a_clock_that_is_set_back_takes_it_along_for_times_to_come_are_not_complete() -> None:
    marks = watermarks()
    assert marks.current_ms(NOW_MS, ()) == NOW_MS - DELAY_MS
    assert marks.current_ms(NOW_MS - 10**6, ()) == NOW_MS - 10**6 - DELAY_MS


def test_a_clock_that_jumped_ahead_and_back_leaves_nothing_behind() -> None:
    marks, ahead_ms = watermarks(), NOW_MS + 86_400_000
    marks.observe({0: ahead_ms}, ahead_ms)
    assert marks.current_ms(ahead_ms, ()) == ahead_ms - DELAY_MS
    assert marks.current_ms(NOW_MS, ()) == NOW_MS - DELAY_MS
    later_ms = NOW_MS + 100 * IDLE_MS
    assert marks.current_ms(later_ms, [1]) == NOW_MS - DELAY_MS, "a partition that lags holds it back again"


def test_the_time_before_it_all_began_is_never_undercut() -> None:
    assert watermarks().current_ms(5, ()) == 0


STEPS = st.lists(
    st.tuples(
        st.integers(-20_000, 20_000),
        st.dictionaries(st.integers(0, 2), st.integers(NOW_MS - 10**5, NOW_MS + 10**5), max_size=3),
        st.sets(st.integers(0, 2)),
    ),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(0, NOW_MS))
def test_whatever_happens_it_falls_only_with_the_clock_and_never_passes_it(
    steps: list[tuple[int, dict[int, int], set[int]]], resume_at_ms: int
) -> None:
    marks, now_ms, before_ms = watermarks(resume_at_ms), NOW_MS, resume_at_ms
    for moved_ms, greatest_ms, lagging in steps:
        now_ms += moved_ms
        marks.observe(greatest_ms, now_ms)
        current_ms = marks.current_ms(now_ms, lagging)
        assert min(before_ms, now_ms - DELAY_MS) <= current_ms <= now_ms - DELAY_MS
        before_ms = current_ms
