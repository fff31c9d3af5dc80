"""Token buckets, against a count of what was granted within every stretch of time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamgauge.access.buckets import BURST_S, Buckets, network_of


@given(
    st.integers(1, 20),
    st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=200),
)
def test_no_stretch_of_time_has_more_than_its_rate_and_one_burst(per_s: int, gaps_s: list[float]) -> None:
    buckets, now_s = Buckets(), 1_000.0
    granted_s: list[float] = []
    for gap_s in gaps_s:
        now_s += gap_s
        if not buckets.take("a", per_s, now_s).wait_s:
            granted_s.append(now_s)
    for first in range(len(granted_s)):
        for last in range(first, len(granted_s)):
            span_s = granted_s[last] - granted_s[first]
            assert last - first + 1 <= per_s * (BURST_S + span_s) + 1e-6


@given(st.integers(1, 50), st.lists(st.sampled_from([0.0, 0.01, 0.5]), max_size=200))
def test_who_waits_as_long_as_told_is_granted(per_s: int, gaps_s: list[float]) -> None:
    buckets, now_s = Buckets(), 0.0
    for gap_s in gaps_s:
        now_s += gap_s
        taken = buckets.take("a", per_s, now_s)
        if taken.wait_s:
            now_s += taken.wait_s
            assert buckets.take("a", per_s, now_s).wait_s == 0


@given(st.integers(1, 50), st.integers(0, 200))
def test_what_remains_can_be_taken_at_once_and_no_more(per_s: int, first: int) -> None:
    buckets = Buckets()
    taken = [buckets.take("a", per_s, 5.0) for _ in range(first + 1)]
    assert all(after.remaining <= before.remaining for before, after in pairwise(taken))
    left = taken[-1].remaining
    assert all(not buckets.take("a", per_s, 5.0).wait_s for _ in range(left))
    assert buckets.take("a", per_s, 5.0).wait_s


def test_one_who_takes_too_much_takes_nothing_from_others() -> None:
    buckets = Buckets()
    while not buckets.take("greedy", 1, 0.0).wait_s:
        pass
    assert buckets.take("other", 1, 0.0).wait_s == 0


def test_a_charge_empties_at_most_what_is_there() -> None:
    buckets = Buckets()
    buckets.charge("a", 1, 0.0, 100)
    assert buckets.take("a", 1, 0.0).wait_s == 1
    assert buckets.take("a", 1, 1.0).wait_s == 0


def test_buckets_are_bounded_and_those_used_longest_ago_go() -> None:
    buckets = Buckets(buckets_max=10)
    for number in range(1_000):
        buckets.take(str(number), 1, float(number))
    assert len(buckets) == 10


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    buckets = Buckets()
    while not buckets.take("a", 1, 100.0).wait_s:
        pass
    assert buckets.take("a", 1, 50.0).wait_s
    assert buckets.take("a", 1, 100.0).wait_s


def test_a_household_has_one_limit() -> None:
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2:ffff::1") != network_of("2001:db8:1:3::1")
    assert network_of("192.0.2.1") == "192.0.2.1" == network_of("::ffff:192.0.2.1")
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("not:an address") == "not:an address"
