"""Events of people who were erased, left out; against a check of each event by itself."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.erasure.tombstones import hash_of
from streamgauge.log.base import LogBatch, LogSlice
from streamgauge.model import Envelope
from streamgauge.stream.batch import Batch, decode
from streamgauge.stream.erased import Erased, without_erased

IDS = st.sampled_from([None, "a", "b", "ü😀", "user:a"])
EVENTS = st.lists(st.tuples(IDS, IDS, st.integers(1, 6)), max_size=20)
ERASED = st.dictionaries(
    st.tuples(st.sampled_from(["user", "anonymous"]), IDS.filter(lambda one: one is not None)), st.integers(1, 6)
)


def batch_of(events: list[tuple[str | None, str | None, int]]) -> Batch:
    lines = [
        Envelope(f"e{n}", "x", 5, received, user, anonymous).to_line()
        for n, (user, anonymous, received) in enumerate(events)
    ]
    slices = (LogSlice(0, 0, len(lines), b"\n".join(lines)),) if lines else ()
    return decode(LogBatch(slices), ())


@settings(deadline=None)
@given(EVENTS, ERASED)
def test_those_of_the_erased_until_then_are_left_out_and_no_others(
    events: list[tuple[str | None, str | None, int]], erased: dict[tuple[str, str], int]
) -> None:
    tombstones = [Erased(hash_of(kind, one), until) for (kind, one), until in erased.items()]  # type: ignore[arg-type]
    expected = [
        f"e{n}"
        for n, (user, anonymous, received) in enumerate(events)
        if received > erased.get(("user", user) if user else ("anonymous", anonymous or ""), 0)
    ]
    before = batch_of(events)
    kept = without_erased(before, tombstones)
    assert kept.events["event_id"].to_list() == expected
    assert kept.events.schema == before.events.schema
    assert (kept.ranges, kept.dead_letters, kept.dropped) == (before.ranges, before.dead_letters, before.dropped)
