from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.core.errors import InvalidRequest
from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS, Rollup, parse_duration_ms
from streamgauge.query.filters import exactly
from streamgauge.query.parameters import is_set
from streamgauge.query.question import Question, QuestionLimits, parse_question, parse_values_question

NOW_MS = 1_767_271_425_123
"""2026-01-01T12:43:45.123Z, a Thursday."""

METRICS = {
    rollup.name: rollup
    for rollup in (
        Rollup("page_views", dimensions=("country", "device", "page")),
        Rollup("page_loads", dimensions=("country",)),
        Rollup("fives", window="5m"),
        Rollup("days", window="1d"),
        Rollup("odd", dimensions=("name", "limit", "x")),
    )
}
LIMITS = QuestionLimits(points_max=1_000, groups_max=100)


def ask(text: str, *, now_ms: int = NOW_MS, limits: QuestionLimits = LIMITS) -> Question:
    """`name=a&range=b`, without any escaping."""
    pairs = [tuple(part.split("=", 1)) for part in text.split("&") if part]
    return parse_question(pairs, METRICS, now_ms, limits)  # type: ignore[arg-type]


def refusal(text: str) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        ask(text)
    return refused.value


def points(question: Question) -> int:
    """How many points a series has: one a step that the range touches."""
    first = question.from_ms // question.step_ms
    return -(-question.to_ms // question.step_ms) - first


# Ranges and steps


@pytest.mark.parametrize(
    ("length", "step_ms", "count"),
    [
        ("15m", MINUTE_MS, 15),
        ("1h", MINUTE_MS, 60),
        ("3h", MINUTE_MS, 180),
        ("6h", 2 * MINUTE_MS, 180),
        ("12h", 5 * MINUTE_MS, 144),
        ("24h", 10 * MINUTE_MS, 144),
        ("1d", 10 * MINUTE_MS, 144),
        ("48h", 15 * MINUTE_MS, 192),
        ("7d", HOUR_MS, 168),
        ("1w", HOUR_MS, 168),
        ("30d", 6 * HOUR_MS, 120),
        ("90d", 12 * HOUR_MS, 180),
        ("365d", 2 * DAY_MS, 183),
    ],
)
def test_the_default_step_makes_about_two_hundred_points_at_most(length: str, step_ms: int, count: int) -> None:
    question = ask(f"name=page_views&range={length}")
    assert question.step_ms == step_ms
    assert points(question) == count


def test_the_default_range_is_a_day() -> None:
    assert ask("name=page_views") == ask("name=page_views&range=24h")


def test_the_last_point_is_the_one_that_is_being_filled() -> None:
    question = ask("name=page_views&range=7d")
    end_ms = NOW_MS - NOW_MS % HOUR_MS + HOUR_MS
    assert (question.from_ms, question.to_ms) == (end_ms - 7 * DAY_MS, end_ms)


@pytest.mark.parametrize("now_ms", [NOW_MS - NOW_MS % HOUR_MS, NOW_MS - NOW_MS % HOUR_MS + HOUR_MS - 1])
def test_a_point_begins_with_its_first_millisecond_and_ends_with_its_last(now_ms: int) -> None:
    question = ask("name=page_views&range=2h&step=1h", now_ms=now_ms)
    assert question.to_ms == NOW_MS - NOW_MS % HOUR_MS + HOUR_MS


def test_a_breakdown_covers_what_the_chart_beside_it_shows() -> None:
    series, groups = ask("name=page_views&range=7d"), ask("name=page_views&range=7d&group_by=country")
    assert (series.from_ms, series.to_ms) == (groups.from_ms, groups.to_ms)


def test_a_range_that_is_shorter_than_a_step_is_one_step() -> None:
    question = ask("name=page_views&range=5m&step=1h")
    assert (question.from_ms, question.to_ms) == (NOW_MS - NOW_MS % HOUR_MS, NOW_MS - NOW_MS % HOUR_MS + HOUR_MS)


@pytest.mark.parametrize(
    ("text", "window_ms"),
    [
        ("name=page_views&range=90s", MINUTE_MS),
        ("name=page_views&range=15s", MINUTE_MS),
        ("name=fives&range=7m", 5 * MINUTE_MS),
        ("name=fives&range=61s&step=5m", 5 * MINUTE_MS),
        ("name=days&range=36h", DAY_MS),
        ("name=days&range=1h", DAY_MS),
    ],
)
def test_a_range_that_is_not_whole_windows_begins_with_the_window_it_begins_in(text: str, window_ms: int) -> None:
    question = ask(text)
    length_ms = question.to_ms - question.from_ms
    assert question.from_ms % window_ms == question.to_ms % window_ms == 0
    assert points(question) == -(-length_ms // question.step_ms)
    assert question.to_ms - window_ms <= NOW_MS < question.to_ms


@pytest.mark.parametrize(
    ("name", "length", "step_ms"),
    [
        ("fives", "15m", 5 * MINUTE_MS),
        ("fives", "24h", 10 * MINUTE_MS),
        ("days", "24h", DAY_MS),
        ("days", "7d", DAY_MS),
    ],
)
def test_the_default_step_is_whole_windows_of_the_metric(name: str, length: str, step_ms: int) -> None:
    assert ask(f"name={name}&range={length}").step_ms == step_ms


def test_a_step_that_was_asked_for_is_taken() -> None:
    question = ask("name=page_views&range=1h&step=7m")
    assert question.step_ms == 7 * MINUTE_MS
    assert question.to_ms % (7 * MINUTE_MS) == 0
    assert question.to_ms - question.from_ms == HOUR_MS


def test_a_range_longer_than_time_begins_at_its_beginning() -> None:
    assert ask("name=page_views&range=5000w&group_by=page").from_ms == 0


def test_from_and_to_are_widened_to_whole_windows() -> None:
    question = ask("name=page_views&from=2026-01-01T11:00:30Z&to=2026-01-01T11:59:00.001Z")
    assert (question.from_ms, question.to_ms) == (NOW_MS // HOUR_MS * HOUR_MS - HOUR_MS, NOW_MS // HOUR_MS * HOUR_MS)


def test_from_and_to_that_are_whole_windows_are_half_open() -> None:
    question = ask("name=page_views&from=2026-01-01T11:00:00Z&to=2026-01-01T11:15:00Z")
    assert question.to_ms - question.from_ms == 15 * MINUTE_MS
    assert points(question) == 15


def test_without_to_the_range_ends_with_the_window_of_now() -> None:
    assert ask("name=page_views&from=2026-01-01T12:00:00Z").to_ms == NOW_MS // MINUTE_MS * MINUTE_MS + MINUTE_MS
    assert ask("name=days&from=2025-12-30T00:00:00Z").to_ms == NOW_MS // DAY_MS * DAY_MS + DAY_MS


@pytest.mark.parametrize(
    "moment",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01t12:00:00z",
        "2026-01-01T13:30:00+01:30",
        "2026-01-01T13:30:00 01:30",
        "2026-01-01T12:00:00.000Z",
        "2026-01-01T12:00:59.999999Z",
        "1767268800000",
        "1767268859999",
        "00000000000000000001767268800000",
    ],
)
def test_a_time_is_rfc_3339_or_milliseconds(moment: str) -> None:
    assert ask(f"name=page_views&from={moment}").from_ms == 1_767_268_800_000


# What can't be asked


@pytest.mark.parametrize(
    "moment",
    [
        "",
        "now",
        "2026-01-01",
        "2026-01-01T12:00:00",
        "2026-13-01T12:00:00Z",
        "-1",
        "1.5",
        "4102444800000",
        "1969-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
        "9" * 400,
        "٣",
        "0001-01-01T00:00:00+23:59",
    ],
)
@pytest.mark.parametrize("name", ["from", "to"])
def test_what_is_no_time_is_refused(name: str, moment: str) -> None:
    other = "to" if name == "from" else "from"
    error = refusal(f"name=page_views&{name}={moment}&{other}=1000")
    assert error.code == "invalid_range"
    assert repr(name) in error.message
    assert len(error.message) < 200
    assert "RFC 3339" in error.hint


@pytest.mark.parametrize("length", ["", "0s", "7", "d", "7x", "-7d", "7d ", "7 d", "1.5h", "P7D", "9999999999d"])
@pytest.mark.parametrize("name", ["range", "step"])
def test_what_is_no_duration_is_refused(name: str, length: str) -> None:
    error = refusal(f"name=page_views&{name}={length}")
    assert error.code == f"invalid_{name}"
    assert "15m, 24h, 7d" in error.hint


@pytest.mark.parametrize("name", ["range", "step"])
def test_a_duration_of_over_a_century_is_refused(name: str) -> None:
    error = refusal(f"name=page_views&{name}=36601d")
    assert error.code == f"invalid_{name}"
    assert "100 years" in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("name", "step"), [("page_views", "90s"), ("page_views", "1s"), ("fives", "1m"), ("days", "36h")]
)
def test_a_step_that_is_not_whole_windows_is_refused(name: str, step: str) -> None:
    error = refusal(f"name={name}&step={step}")
    assert error.code == "invalid_step"
    assert error.hint == f"a multiple of {METRICS[name].window}"


@pytest.mark.parametrize("times", ["from=2000&to=1000", "from=2026-01-01T12:00:00Z&to=2026-01-01T12:00:00Z"])
def test_a_range_that_ends_before_it_begins_is_refused(times: str) -> None:
    error = refusal(f"name=page_views&{times}")
    assert error.message == "'from' is not before 'to'"
    assert "half-open" in error.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("range=1h&from=0", "'range' goes without"),
        ("range=1h&to=0", "'range' goes without"),
        ("to=1000", "without 'from'"),
        ("range=1h&range=2h", "'range' is given 2 times"),
        ("name=page_views", "'name' is given 2 times"),
        ("group_by=country&group_by=country", "'group_by' has 'country' twice"),
        ("group_by=page&order=name&order=name", "'order' is given 2 times"),
        ("group_by=page&limit=1&top=1", "'top' goes without 'limit'"),
        ("limit=1&limit=1&limit=1", "'limit' is given 3 times"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(text: str, message: str) -> None:
    error = refusal(f"name=page_views&{text}")
    assert message in error.message
    assert error.code == "invalid_request"
    assert error.hint


@pytest.mark.parametrize("text", ["", "name=", "range=1h"])
def test_a_question_without_a_metric_is_told_which_there_are(text: str) -> None:
    error = refusal(text)
    assert error.code == "missing_parameter"
    assert error.hint == "the metrics are: days, fives, odd, page_loads, page_views"


def test_an_unknown_metric_is_told_the_nearest_one() -> None:
    error = refusal("name=page_view")
    assert error.code == "unknown_metric"
    assert error.message == "there is no metric 'page_view'"
    assert error.hint.startswith("did you mean page_views? the metrics are: days, ")


def test_a_metric_that_is_like_none_gets_no_guess() -> None:
    assert refusal("name=zzz").hint.startswith("the metrics are: ")


def test_an_unknown_dimension_is_told_the_nearest_one() -> None:
    for text in ("group_by=contry", "filter=contry:US"):
        error = refusal(f"name=page_views&{text}")
        assert error.code == "unknown_dimension"
        assert error.message == "page_views has no dimension 'contry'"
        assert error.hint == "did you mean country? its dimensions are: country, device, page"


def test_a_dimension_of_a_metric_that_has_none_is_refused() -> None:
    assert refusal("name=fives&group_by=country").hint == "its dimensions are: none"


@pytest.mark.parametrize(("key", "near"), [("contry", "country"), ("groupby", "group_by"), ("Range", "range")])
def test_an_unknown_parameter_is_told_the_nearest_one(key: str, near: str) -> None:
    error = refusal(f"name=page_views&{key}=x")
    assert error.code == "unknown_parameter"
    assert error.hint.startswith(f"did you mean {near}? parameters: ")
    assert error.hint.endswith("dimensions of page_views: country, device, page")


def test_what_was_sent_is_not_repeated_at_length() -> None:
    long = "x" * 10_000
    for text in (
        f"name={long}",
        f"name=page_views&{long}=1",
        f"name=page_views&filter={long}",
        f"name=page_views&group_by={long}",
        f"name=page_views&range={long}",
        f"name=page_views&limit={long}",
    ):
        error = refusal(text)
        assert len(error.message + error.hint) < 500


def test_a_filter_without_a_colon_is_refused() -> None:
    error = refusal("name=page_views&filter=country")
    assert "no colon" in error.message
    assert error.hint == "write filter=dimension:value"


@pytest.mark.parametrize("name", ["limit", "top"])
@pytest.mark.parametrize("limit", ["", "0", "-1", "101", "1.5", "ten", "٣", "1e2", "9" * 40])
def test_a_limit_that_is_not_possible_is_refused(name: str, limit: str) -> None:
    error = refusal(f"name=page_views&group_by=page&{name}={limit}")
    assert error.hint == "a whole number from 1 to 100"


@pytest.mark.parametrize("text", ["limit=5", "top=5", "order=name"])
def test_what_is_of_rows_is_refused_of_a_time_series_instead_of_ignored(text: str) -> None:
    assert "group_by" in refusal(f"name=page_views&{text}").hint


@pytest.mark.parametrize("order", ["", "values", "+value", "--name", "country", "VALUE"])
def test_an_order_that_there_is_not_is_refused(order: str) -> None:
    error = refusal(f"name=page_views&group_by=page&order={order}")
    assert (error.code, error.hint) == ("invalid_order", "the orders are: -name, -value, name, value")


def test_top_selects_the_largest_and_limit_the_first_in_the_order() -> None:
    base = "name=page_views&group_by=page"
    assert ask(f"{base}&top=5") == ask(f"{base}&limit=5") == ask(f"{base}&limit=5&order=-value")
    for text, selection in (("top=5", "-value"), ("limit=5", "name")):
        question = ask(f"{base}&{text}&order=name")
        assert (question.limit, question.selection, question.order) == (5, selection, "name")


def test_dimensions_of_a_breakdown_are_in_the_order_they_were_given() -> None:
    assert ask("name=page_views&group_by=page&group_by=country").group_by == ("page", "country")


def test_more_points_than_the_limit_are_refused() -> None:
    error = refusal("name=page_views&range=1001m&step=1m")
    assert "1,000 points" in error.message
    assert error.hint == "choose a longer step or a shorter range"
    assert points(ask("name=page_views&range=1000m&step=1m")) == 1_000


def test_points_are_counted_as_they_come_out() -> None:
    # 999.5 hours that begin and end within an hour have 1,001 points.
    assert points(ask("name=page_views&from=1800000&to=3600000000&step=1h")) == 1_000
    assert "1,000 points" in refusal("name=page_views&from=1800000&to=3601800000&step=1h").message


def test_a_breakdown_has_no_points_to_limit() -> None:
    assert ask("name=page_views&range=1001m&step=1m&group_by=page").group_by == ("page",)


# Filters and limits


def test_a_dimension_is_short_for_a_filter() -> None:
    assert ask("name=page_views&country=US") == ask("name=page_views&filter=country:US")


def test_all_filters_are_kept_in_order() -> None:
    question = ask("name=page_views&filter=country:US&device=mobile&filter=country:DE")
    assert question.filters == (exactly("country", "US"), exactly("device", "mobile"), exactly("country", "DE"))


@pytest.mark.parametrize("value", ["a:b:c", ":", "(unknown)", "' OR 1=1 --", "{x:String}", " ", "%"])
def test_a_filter_takes_any_text(value: str) -> None:
    assert ask(f"name=page_views&filter=page:{value}").filters == (exactly("page", value),)
    assert ask(f"name=page_views&page={value}").filters == (exactly("page", value),)


def test_a_filter_by_nothing_asks_for_what_is_unknown() -> None:
    for text in ("filter=country:", "country="):
        assert ask(f"name=page_views&{text}").filters == (exactly("country", "(unknown)"),)


def test_a_dimension_that_is_called_like_a_parameter_goes_by_filter() -> None:
    question = ask("name=odd&filter=name:x&filter=limit:y&limit=5&group_by=limit")
    assert question.filters == (exactly("name", "x"), exactly("limit", "y"))
    assert (question.limit, question.group_by) == (5, ("limit",))


def test_the_default_limit_is_a_thousand_or_the_most_there_can_be() -> None:
    assert ask("name=page_views&group_by=page").limit == 100
    assert ask("name=page_views&group_by=page", limits=QuestionLimits(1_000, 10_000)).limit == 1_000


DURATIONS = st.builds("{}{}".format, st.integers(1, 400), st.sampled_from("smhdw"))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(METRICS)), DURATIONS, st.none() | DURATIONS, st.integers(0, 4_000_000_000_000))
def test_every_range_is_whole_windows_and_has_now_in_it(name: str, length: str, step: str | None, now_ms: int) -> None:
    text = f"name={name}&range={length}" + (f"&step={step}" if step else "")
    try:
        question = ask(text, now_ms=now_ms)
    except InvalidRequest:
        error = refusal(text)
        assert step
        assert error.code == "invalid_step" or "points" in error.message
        return
    window_ms = METRICS[name].window_ms
    assert 0 <= question.from_ms <= now_ms < question.to_ms
    assert question.from_ms % window_ms == question.to_ms % window_ms == question.step_ms % window_ms == 0
    assert question.to_ms % question.step_ms == 0
    assert points(question) <= (1_000 if step else 201)


# Comparisons


def test_the_range_before_is_as_long_and_the_week_is_seven_days_earlier() -> None:
    question = ask("name=page_views&from=2026-01-01T10:00:00Z&to=2026-01-01T12:07:00Z&compare=previous")
    assert question.earlier.to_ms == question.from_ms
    assert question.earlier.to_ms - question.earlier.from_ms == question.to_ms - question.from_ms
    question = ask("name=page_views&range=30d&compare=week&group_by=page")
    assert question.from_ms - question.earlier.from_ms == question.to_ms - question.earlier.to_ms == 7 * DAY_MS


def test_there_is_no_time_before_1970_to_compare_with() -> None:
    question = ask("name=page_views&from=60000&to=120000&compare=week")
    assert (question.earlier.from_ms, question.earlier.to_ms) == (0, 0)


@pytest.mark.parametrize("compare", ["", "year", "Previous"])
def test_a_comparison_that_there_is_not_is_refused(compare: str) -> None:
    error = refusal(f"name=page_views&compare={compare}")
    assert error.code == "invalid_compare"
    assert "week" in error.hint


# Values of a dimension


def ask_values(text: str, limits: QuestionLimits = LIMITS) -> Question:
    pairs = [tuple(part.split("=", 1)) for part in text.split("&")]
    return parse_values_question(pairs, METRICS, NOW_MS, limits)  # type: ignore[arg-type]


def test_values_are_a_breakdown_of_what_begins_with_the_prefix() -> None:
    found = ask_values("name=page_views&dimension=page&prefix=/a*|b&country=US&limit=7")
    expected = ask("name=page_views&group_by=page&filter=page:/a\\*\\|b*&limit=7")
    assert found.filters == (exactly("country", "US"), *expected.filters)
    assert msgspec.structs.replace(found, filters=expected.filters) == expected


def test_without_a_prefix_all_values_are_asked_for() -> None:
    for text in ("", "&prefix="):
        assert ask_values(f"name=page_views&dimension=page{text}").filters == ()
    assert ask_values("name=page_views&dimension=page", QuestionLimits(1_000, 10_000)).limit == 100


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("name=page_views", "missing_parameter", "the dimensions of page_views are: country, device, page"),
        ("name=page_views&dimension=", "missing_parameter", "country"),
        ("name=page_views&dimension=pag", "unknown_dimension", "did you mean page?"),
        ("dimension=page", "missing_parameter", "the metrics are"),
        ("name=page_views&dimension=page&step=1h", "unknown_parameter", "prefix"),
        ("name=page_views&dimension=page&limit=0", "invalid_request", "from 1 to 100"),
    ],
)
def test_values_that_cannot_be_asked_for_are_told_what_can(text: str, code: str, hint: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ask_values(text)
    assert refused.value.code == code
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    "zone",
    [
        "Mars/Olympus",
        "../etc/passwd",
        "/etc/passwd",
        "Europe",
        "a%00b",
        "ü",
        ".",
        "localtime",
        "posix/Europe/Berlin",
        "right/UTC",
        "Factory",
        "posixrules",
    ],
)
def test_a_time_zone_that_there_is_not_is_refused(zone: str) -> None:
    assert refusal(f"name=page_views&tz={zone}").code == "invalid_tz"


def test_days_by_the_clocks_of_a_zone_begin_at_its_midnight_also_where_clocks_are_changed() -> None:
    asked = ask("name=page_views&from=2026-10-23T22:00:00Z&to=2026-10-26T23:00:00Z&step=1d&tz=Europe/Berlin")
    hours = [(end - start) // HOUR_MS for start, end in pairwise([*asked.starts, asked.to_ms])]
    assert hours == [24, 25, 24]


@pytest.mark.parametrize("length", ["15m", "1h", "2h", "3h", "6h", "18h", "1d", "2d"])
@pytest.mark.parametrize("change", ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"])
def test_a_range_is_as_long_as_it_says_whatever_clocks_are_changed(length: str, change: str) -> None:
    changed_ms = round(datetime.fromisoformat(change).timestamp() * 1000)
    length_ms = parse_duration_ms(length)
    for minutes in range(-2 * 60, 4 * 60, 15):
        now_ms = changed_ms + minutes * MINUTE_MS + 1
        asked = ask(f"name=page_views&range={length}&tz=Europe/Berlin", now_ms=now_ms)
        assert asked.to_ms - asked.step_ms <= now_ms < asked.to_ms
        off_ms = HOUR_MS if length_ms % DAY_MS == 0 else 0
        assert abs(asked.to_ms - asked.from_ms - length_ms) <= off_ms
        assert asked.starts[0] == asked.from_ms


def test_time_begins_in_1970_also_where_a_day_of_a_zone_began_before() -> None:
    asked = ask("name=page_views&from=0&to=86400000&step=1d&tz=Europe/Berlin")
    assert list(asked.starts) == [0, 23 * HOUR_MS]


def test_what_is_compared_is_earlier_by_the_clock() -> None:
    asked = ask(
        "name=page_views&from=2026-03-28T23:00:00Z&to=2026-03-30T22:00:00Z&step=1d&tz=Europe/Berlin&compare=week"
    )
    assert [(one - other) // HOUR_MS for one, other in zip(asked.starts, asked.earlier_starts, strict=True)] == [
        168,
        167,
    ]
    assert asked.earlier.to_ms == asked.to_ms - 167 * HOUR_MS


@pytest.mark.parametrize("step", ["5h", "7m", "36h"])
def test_a_step_that_does_not_fit_into_a_day_of_a_zone_is_refused(step: str) -> None:
    assert "divides a day" in refusal(f"name=page_views&range=7d&step={step}&tz=Europe/Berlin").hint


def test_explain_is_1_or_left_out() -> None:
    assert is_set([("explain", "1")], "explain")
    assert not is_set([("explain", "0")], "explain")
    with pytest.raises(InvalidRequest, match="explain"):
        is_set([("explain", "yes")], "explain")
