"""Writes are known by what they touched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamgauge.query.cache.changes import SPANS_MAX, Changes

TIMES = st.integers(0, 6)
SPANS = st.tuples(TIMES, TIMES).map(lambda ends: (min(ends), max(ends) + 1))
WRITES = st.lists(st.tuples(st.sampled_from("ab"), SPANS), max_size=30)


@given(WRITES, st.sampled_from(["a", "b", "c", None]), SPANS, st.integers(0, 30))
def test_an_answer_is_touched_by_each_later_write_to_its_metric_and_range_and_by_no_other(
    writes: list[tuple[str, tuple[int, int]]], metric: str | None, asked: tuple[int, int], since: int
) -> None:
    changes = Changes()
    for name, span in writes:
        changes.note(name, *span)
    assert changes.number == len(writes)
    expected = any(
        metric in (None, name) and start < asked[1] and asked[0] < end for name, (start, end) in writes[since:]
    )
    assert changes.touched(metric, *asked, since) == expected


def test_what_is_forgotten_counts_as_changed() -> None:
    changes = Changes()
    changes.note("b", 0, 1)
    for number in range(SPANS_MAX + 1):
        changes.note("a", number * 10, number * 10 + 1)
    assert changes.touched("a", 5, 6, 1)  # the first write to it is forgotten, it may have been there
    assert not changes.touched("a", 5, 6, 2)
    assert not changes.touched("b", 5, 6, 0)
