from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.model import MINUTE_MS, UNKNOWN, Envelope, Rollup
from streamgauge.stream.explain import panes_of
from streamgauge.stream.spec import PipelineSpec
from unit.stream.making import NOON_MS, SPEC, Key, event, naive_panes

ROLLUPS = (
    Rollup("views", event="page_view", dimensions=("country", "page")),
    Rollup("all", dimensions=("event", "user_id")),
    Rollup("paid", dimensions=("plan",), where={"country": ["US", "DE"]}, window="5m"),
    Rollup("income", measure={"sum": "price"}),
    Rollup("least", dimensions=("page",), measure={"min": "price"}, window="1h"),
)


def spec_of(*rollups: Rollup, columns: tuple[str, ...] = ()) -> PipelineSpec:
    return msgspec.structs.replace(SPEC, rollups=rollups, profile_columns=columns)


def keyed(one: Envelope, rollups: Sequence[Rollup]) -> dict[Key, float]:
    found = panes_of(one, {}, spec_of(*rollups))
    return {(pane.metric, pane.start_ms, tuple(pane.dimensions.items())): pane.value for pane in found}


@given(
    name=st.sampled_from(["page_view", "order"]),
    at_ms=st.integers(NOON_MS - 10 * MINUTE_MS, NOON_MS),
    country=st.sampled_from(["US", "FR", "", None, "a\tb\nc\\"]),
    price=st.sampled_from([0, 2.5, -1, "4", "free", None, 404.0, 1e300, 2**62]),
    user=st.sampled_from(["u\\1", "7", None]),
)
def test_an_event_is_in_the_panes_that_counting_it_alone_gives(
    name: str, at_ms: int, country: str | None, price: float | str | None, user: str | None
) -> None:
    one = event(name, at_ms, country=country, price=price, user_id=user, page="/p")
    expected = {key: value for key, value in naive_panes([one], ROLLUPS).items() if abs(value) <= 1e100}
    assert keyed(one, ROLLUPS) == expected


def test_a_pane_says_its_window_and_what_kind_of_value_it_has() -> None:
    (pane,) = panes_of(event(price=3, page="/a"), {}, spec_of(ROLLUPS[4]))
    assert (pane.start_ms, pane.end_ms, pane.kind, pane.value) == (NOON_MS, NOON_MS + 60 * MINUTE_MS, "min", 3.0)


def test_what_the_profile_added_is_a_dimension_where_the_event_has_no_own() -> None:
    rollup = Rollup("plans", dimensions=("plan", "user_country"))
    spec = spec_of(rollup, columns=("plan", "user_country"))
    (pane,) = panes_of(event(plan="own"), {"plan": "pro", "user_country": "DE"}, spec)
    assert pane.dimensions == {"plan": "own", "user_country": "DE"}


def test_what_a_profile_added_under_a_column_that_is_no_longer_looked_at_is_passed_over() -> None:
    (pane,) = panes_of(event(), {"gone": "x"}, spec_of(Rollup("plans", dimensions=("plan",))))
    assert pane.dimensions == {"plan": UNKNOWN}
