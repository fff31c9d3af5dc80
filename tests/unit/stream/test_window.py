from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS, UNKNOWN, Envelope, Rollup
from streamgauge.stream.window import fields_of, pane_rows, panes
from unit.stream.making import NOON_MS, decoded, event, naive_panes

Found = dict[tuple[Any, ...], float]


def computed(rollup: Rollup, *envelopes: Envelope, chars_max: int = 512) -> Found:
    """{(start of the window, dimensions…): value}; fails where a pane comes twice."""
    found = panes(decoded(*envelopes, fields=fields_of(rollup)).events, rollup, chars_max)
    assert found.columns == ["timestamp", *(f"p:{name}" for name in rollup.dimensions), "value"]
    rows = {tuple(key): value for *key, value in found.iter_rows()}
    assert len(rows) == found.height
    return rows


def counted(where: Mapping[str, Any], *values: object) -> float:
    """How many of the events with `x` as each value are counted."""
    found = computed(Rollup("m", where=where), *(event(x=value) for value in values))
    return sum(found.values())


def measured(kind: str, *values: object) -> float | None:
    found = computed(Rollup("m", measure={kind: "x"}), *(event(x=value) for value in values))
    return found[NOON_MS,] if found else None


def test_a_window_holds_its_start_and_not_its_end() -> None:
    times = [NOON_MS - 1, NOON_MS, NOON_MS + MINUTE_MS - 1, NOON_MS + MINUTE_MS]
    found = computed(Rollup("m"), *(event(at_ms=time) for time in times))
    assert found == {(NOON_MS - MINUTE_MS,): 1, (NOON_MS,): 2, (NOON_MS + MINUTE_MS,): 1}


@pytest.mark.parametrize(
    ("window", "width_ms"),
    [("60s", MINUTE_MS), ("1m", MINUTE_MS), ("5m", 5 * MINUTE_MS), ("1h", HOUR_MS), ("1d", DAY_MS), ("24h", DAY_MS)],
)
def test_windows_of_any_width_are_aligned_to_utc(window: str, width_ms: int) -> None:
    start_ms = NOON_MS - NOON_MS % DAY_MS
    times = [start_ms - 1, start_ms, start_ms + width_ms - 1, start_ms + width_ms]
    found = computed(Rollup("m", window=window), *(event(at_ms=time) for time in times))
    assert found == {(start_ms - width_ms,): 1, (start_ms,): 2, (start_ms + width_ms,): 1}


@pytest.mark.parametrize("time_ms", [0, 1, 59_999, 60_000, 4_102_444_799_999])
def test_the_first_and_the_last_time_that_an_event_can_have_fall_in_a_window(time_ms: int) -> None:
    assert computed(Rollup("m"), event(at_ms=time_ms)) == {(time_ms - time_ms % MINUTE_MS,): 1}


def test_only_events_of_the_rollups_name_are_counted() -> None:
    assert computed(Rollup("m", event="a"), event("a"), event("b"), event("A"), event("a ")) == {(NOON_MS,): 1}


def test_a_rollup_without_an_event_name_counts_every_event() -> None:
    assert computed(Rollup("m"), event("a"), event("b"), event("a")) == {(NOON_MS,): 3}


def test_no_pane_is_made_where_nothing_is_counted() -> None:
    assert computed(Rollup("m", event="none"), event("a")) == {}


def test_where_takes_one_value() -> None:
    assert counted({"x": "a"}, "a", "b", "A", "", None, ["a"]) == 1


def test_where_takes_any_of_a_list() -> None:
    assert counted({"x": ["a", 2, True]}, "a", 2, True, "b", 1, False, None) == 3


def test_where_with_an_empty_list_counts_nothing() -> None:
    assert counted({"x": []}, "a", "", None) == 0


@pytest.mark.parametrize("number", [0, 404, -5, 2**53, 0.5, 1e-7, 1.5e16, 1e23, 1e300, -2.5e-10])
def test_where_with_a_number_counts_that_number(number: float) -> None:
    assert counted({"x": number}, number, number + 1 if abs(number) < 2**53 else 1, None) == 1


def test_where_with_a_whole_number_does_not_care_for_a_point() -> None:
    assert counted({"x": 404}, 404, 404.0) == 2
    assert counted({"x": 404.0}, 404, 404.0) == 2


def test_where_with_a_boolean_does_not_count_one_or_zero() -> None:
    assert counted({"x": True}, True, False, 1, "True") == 1
    assert counted({"x": False}, True, False, 0, None) == 1


def test_all_conditions_must_hold() -> None:
    rollup = Rollup("m", event="a", where={"x": 1, "user_id": ["u", "v"]})
    envelopes = [
        event("a", x=1, user_id="u"),
        event("a", x=1, user_id="w"),
        event("a", x=2, user_id="v"),
        event("b", x=1, user_id="v"),
        event("a", x=1),
    ]
    assert computed(rollup, *envelopes) == {(NOON_MS,): 1}


def test_numbers_are_summed_and_the_least_and_the_greatest_found() -> None:
    values = [3, 1.5, -2, 0]
    assert measured("sum", *values) == 2.5
    assert measured("min", *values) == -2
    assert measured("max", *values) == 3


def test_text_that_is_a_number_is_measured() -> None:
    assert measured("sum", "1.5", "1e2", "-3", 0) == 98.5


@pytest.mark.parametrize(
    "value", ["inf", "-inf", "Infinity", "nan", "NaN", "1e999", "", "abc", "1,5", "0x10", True, None, [1], {"a": 1}]
)
@pytest.mark.parametrize("kind", ["sum", "min", "max"])
def test_what_is_no_finite_number_is_not_measured(kind: str, value: object) -> None:
    assert measured(kind, value) is None
    assert measured(kind, value, 5) == 5


@pytest.mark.parametrize("kind", ["sum", "min", "max"])
def test_events_without_the_measure_make_no_pane(kind: str) -> None:
    assert computed(Rollup("m", measure={kind: "x"}), event(), event(y=1)) == {}


def test_a_field_of_the_envelope_can_be_measured() -> None:
    assert computed(Rollup("m", measure={"max": "user_id"}), event(user_id="7"), event(user_id="x")) == {(NOON_MS,): 7}


def test_a_field_can_be_dimension_condition_and_measure_at_once() -> None:
    rollup = Rollup("m", dimensions=("x",), where={"x": [1, 2]}, measure={"sum": "x"})
    found = computed(rollup, event(x=1), event(x=2), event(x=2), event(x=3))
    assert found == {(NOON_MS, "1"): 1, (NOON_MS, "2"): 4}


def test_a_dimension_that_is_missing_null_or_empty_is_unknown() -> None:
    found = computed(Rollup("m", dimensions=("x",)), event(), event(x=None), event(x=""), event(x=UNKNOWN), event(x=0))
    assert found == {(NOON_MS, UNKNOWN): 4, (NOON_MS, "0"): 1}


def test_each_combination_of_dimensions_is_a_pane() -> None:
    rollup = Rollup("m", dimensions=("x", "event", "y"))
    envelopes = [event("a", x=1, y="p"), event("a", x="1", y="p"), event("b", x=1, y="p"), event("a", x="p", y=1)]
    assert computed(rollup, *envelopes) == {
        (NOON_MS, "1", "a", "p"): 2,
        (NOON_MS, "1", "b", "p"): 1,
        (NOON_MS, "p", "a", "1"): 1,
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("abcde", "abcde"),
        ("abcdef", "abcd…"),
        ("ääääää", "ääää…"),
        ("äääää", "äääää"),
        ("😀😀😀😀😀", "😀😀😀😀😀"),
        ("😀😀😀😀😀😀", "😀😀😀😀…"),
    ],
)
def test_a_dimension_is_cut_to_its_limit_in_characters(text: str, shown: str) -> None:
    assert computed(Rollup("m", dimensions=("x",)), event(x=text), chars_max=5) == {(NOON_MS, shown): 1}


def test_values_that_are_the_same_when_cut_share_a_pane() -> None:
    found = computed(Rollup("m", dimensions=("x",)), event(x="abcdef"), event(x="abcdxy"), chars_max=5)
    assert found == {(NOON_MS, "abcd…"): 2}


@pytest.mark.parametrize("name", ["timestamp", "measured", "event_id", "count"])
def test_a_dimension_may_be_called_like_a_column_of_ours(name: str) -> None:
    envelope = event(**{name: "5"}) if name == "event_id" else decoded_property(name, "5")
    rollup = Rollup("m", dimensions=(name,), measure={"sum": name})
    assert computed(rollup, envelope) == {(NOON_MS, "5"): 5}


def decoded_property(name: str, value: object) -> Envelope:
    return Envelope("id", "e", NOON_MS, NOON_MS, properties={name: value})


def test_rows_carry_seconds_the_metric_and_the_dimensions_by_name() -> None:
    rollup = Rollup("m", dimensions=("x", "event"))
    found = panes(decoded(event("a", x="é"), fields={"x", "event"}).events, rollup, 512)
    rows = pane_rows("m", found, rollup.dimensions, ["value_min", "value_max"])
    assert rows.to_pylist() == [
        {
            "timestamp": NOON_MS // 1000,
            "metric_name": "m",
            "value_min": 1.0,
            "value_max": 1.0,
            "dimensions": [("x", "é"), ("event", "a")],
        }
    ]


def test_rows_without_dimensions_have_empty_maps() -> None:
    found = panes(decoded(event(), event(at_ms=0)).events, Rollup("m"), 512)
    rows = pane_rows("m", found, (), ["value"])
    assert rows["dimensions"].to_pylist() == [[], []]
    assert rows.schema.field("timestamp").type == pa.uint32()


VALUES = st.sampled_from(["a", "b", "", "(unknown)", "1", 1, 2, 0.5, True, None, "-3", "inf", "x" * 9, "😀" * 9])
EVENTS = st.builds(
    lambda name, at_ms, properties: Envelope("id", name, at_ms, at_ms, properties=properties),
    st.sampled_from("ab"),
    st.integers(NOON_MS - DAY_MS, NOON_MS + DAY_MS) | st.sampled_from([NOON_MS, NOON_MS - 1, NOON_MS + HOUR_MS]),
    st.dictionaries(st.sampled_from("xyz"), VALUES),
)
ROLLUPS = st.builds(
    Rollup,
    name=st.just("m"),
    dimensions=st.sets(st.sampled_from(["x", "y", "event"])).map(tuple),
    event=st.sampled_from([None, "a"]),
    where=st.dictionaries(st.sampled_from("xz"), st.sampled_from(["a", 1, True, ["a", 0.5, "1"]]), max_size=1),
    measure=st.sampled_from(["count", {"sum": "y"}, {"min": "z"}, {"max": "y"}]),
    window=st.sampled_from(["60s", "5m", "1h", "1d"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=12), ROLLUPS)
def test_panes_are_what_counting_one_event_at_a_time_gives(envelopes: list[Envelope], rollup: Rollup) -> None:
    expected = {
        (start_ms, *(value for _, value in dimensions)): value
        for (_, start_ms, dimensions), value in naive_panes(envelopes, [rollup], 5).items()
    }
    assert computed(rollup, *envelopes, chars_max=5) == expected
    assert all(math.isfinite(value) for value in expected.values())
