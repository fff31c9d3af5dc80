"""Questions as a whole: what is asked of the Queryable, the shape of answers, limits and errors."""

from __future__ import annotations

import numpy as np
import pytest

from promql_series import Memory, series
from streamgauge.query.promql import engine, evaluate, parse, values, windows
from streamgauge.query.promql.engine import Engine
from streamgauge.query.promql.errors import PromqlExecutionError, PromqlSyntaxError, PromqlUnsupported
from streamgauge.query.promql.series import Hints, Matcher, MatchOp
from streamgauge.query.promql.values import Scalar, Text, Vector


def test_a_selector_asks_for_its_matchers_and_just_the_samples_it_can_use() -> None:
    memory = Memory()
    Engine(memory).range('views{country=~"D.*", page!="/"} offset 1m', 600_000, 1_200_000, 60_000)
    ((matchers, start_ms, end_ms, hints),) = memory.asked
    assert set(matchers) == {
        Matcher("__name__", MatchOp.EQUAL, "views"),
        Matcher("country", MatchOp.REGEX, "D.*"),
        Matcher("page", MatchOp.NOT_EQUAL, "/"),
    }
    assert (start_ms, end_ms) == (600_000 - 60_000 - 300_000 + 1, 1_140_000)
    assert hints == Hints(step_ms=60_000)


@pytest.mark.parametrize(
    ("query", "hints"),
    [
        ("rate(m[5m])", Hints(range_ms=300_000, function="rate")),
        (
            "sum by (country, page) ((sum_over_time(m[1h])))",
            Hints(range_ms=3_600_000, function="sum_over_time", aggregation="sum", labels=("country", "page")),
        ),
        ("SUM(m) WITHOUT (page)", Hints(aggregation="sum", labels=("page",), without=True)),
        ("max(m)", Hints(aggregation="max")),
        # What lies between takes the hint away: the aggregation is not of the series selected.
        ("sum by (x) (m + 1)", Hints()),
        ("sum by (x) (-m)", Hints()),
        ("sum by (x) (abs(rate(m[1m])))", Hints(range_ms=60_000, function="rate")),
        ("sum by (x) (max_over_time(m[1m:1m]))", Hints()),
        ("sum(vector(scalar(m)))", Hints(function="scalar")),
    ],
)
def test_a_selector_passes_on_what_is_directly_around_it(query: str, hints: Hints) -> None:
    memory = Memory()
    Engine(memory).instant(query, 0)
    assert memory.asked[0][3] == hints


def test_a_range_answer_is_sorted_by_labels_and_an_instant_answer_keeps_its_order() -> None:
    memory = Memory(series({0: 1.0}, a="1"), series({0: 3.0}, a="2"), series({0: 2.0}, a="3"))
    instant = Engine(memory).instant("topk(2, m)", 0).value
    ranged = Engine(memory).range("topk(2, m)", 0, 60_000, 60_000).value
    assert isinstance(instant, Vector)
    assert isinstance(ranged, Vector)
    assert [dict(labels)["a"] for labels in instant.labels] == ["2", "3"]
    assert [dict(labels)["a"] for labels in ranged.labels] == ["2", "3"]
    assert [dict(labels)["a"] for labels in Engine(memory).instant("sort_desc(m)", 0).value.labels] == ["2", "3", "1"]


def test_an_instant_question_may_be_answered_by_a_number_a_text_or_the_samples_of_a_window() -> None:
    asked = Engine(Memory(series({0: 1.0, 60: 2.0, 120: 3.0})))
    number, text, samples = (asked.instant(query, 120_000) for query in ("1 + 1", '"a"', "m[2m]"))
    assert isinstance(number.value, Scalar)
    assert number.value.values.tolist() == [2.0]
    assert text.value == Text("a")
    assert samples.value is None
    ((only),) = samples.matrix
    assert only.times_ms.tolist() == [60_000, 120_000]
    assert only.values.tolist() == [2.0, 3.0]


def test_series_without_a_value_at_any_step_are_no_part_of_the_answer() -> None:
    answer = Engine(Memory(series({0: 1.0}, a="1"), series({0: 5.0}, a="2"))).range("m > 3", 0, 60_000, 60_000)
    assert isinstance(answer.value, Vector)
    assert [dict(labels)["a"] for labels in answer.value.labels] == ["2"]


def test_alternative_matchers_find_each_series_once() -> None:
    memory = Memory(series({0: 1.0}, a="1"), series({0: 2.0}, a="2"))
    answer = Engine(memory).instant('m{a="1" or a=~"1|2"}', 0)
    assert isinstance(answer.value, Vector)
    assert sorted(answer.value.values[:, 0].tolist()) == [1.0, 2.0]


def test_warnings_say_where_in_the_question_they_belong() -> None:
    answer = Engine(Memory(series({0: 1.0}))).instant(
        '\n sum(quantile by (a) (\n7, m)) and on () label_replace(m, "quantile(", "", "", "")', 0
    )
    assert answer.warnings == ["PromQL warning: quantile value should be between 0 and 1, got 7 (3:1)"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("m{", "parse error"),
        ("rate(m)", "expected type matrix"),
        ("(" * 300 + "1" + ")" * 300, "nests deeper than 200 brackets"),
        ("1 + " * 20_000 + "1", "longer than 65536 characters"),
        ("1" + "+1" * 30_000, "more than 1000 operators"),
        ("1" + "+1" * 900, "nests deeper than 200 levels"),
        ("m offset" + " " * 60_000, "parse error"),
        ('m{a="' + '\\"' * 30_000, "parse error"),
        ("1" * 65_000 + "x", "parse error"),
        ("0x" + "1" * 65_000 + "_", "parse error"),
        ("m[0s]", "must be greater than 0"),
        ("m offset 1e30", "out of range"),
        ("m offset NaN", "out of range"),
        ("m offset 0x7fffffffffffffff", "out of range"),
        ("rate(m[1e30])", "out of range"),
        ("max_over_time(m[5m:1e30])", "out of range"),
        ("m @ 1e30", "out of range"),
        ("ln(-1)", "got scalar"),
        ("histogram_quantile(0.9, (-1))", "got scalar"),
        ("m and fill (0) m", "not allowed for set operators"),
        ("m[5m] anchored", "experimental"),
        ("m[5m * 2]", "experimental"),
        ("info(m)", "not offered"),
    ],
)
def test_what_is_no_promql_is_refused_with_a_reason(query: str, text: str) -> None:
    with pytest.raises(PromqlSyntaxError, match=text) as caught:
        Engine(Memory(series({0: 1.0}))).instant(query, 0)
    assert caught.value.code in ("bad_data", "unsupported")


@pytest.mark.parametrize(
    ("end_ms", "step_ms", "text"), [(1, 0, "longer than 0"), (-1, 1, "before the start"), (11_001, 1, "11000 steps")]
)
def test_a_range_needs_a_possible_step_and_end(end_ms: int, step_ms: int, text: str) -> None:
    asked = Engine(Memory())
    with pytest.raises(PromqlSyntaxError, match=text):
        asked.range("m", 0, end_ms, step_ms)
    assert len(asked.range("m", 0, 11_000, 1).times_ms) == 11_001


def test_a_chain_of_two_hundred_operators_is_answered() -> None:
    assert isinstance(value := Engine(Memory()).instant("1" + " + 1" * 199, 0).value, Scalar)
    assert value.values.tolist() == [200.0]


def test_brackets_in_strings_and_comments_do_not_count_as_nesting() -> None:
    assert Engine(Memory()).instant('"' + "(" * 300 + '" # ' + "(" * 300, 0).value == Text("(" * 300)


def test_a_selector_may_not_read_or_make_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "SAMPLES_MAX", 5)
    asked = Engine(Memory(series({0: 1.0, 60: 2.0}, a="1"), series({0: 1.0, 60: 2.0}, a="2")))
    asked.range("m", 0, 60_000, 60_000)
    with pytest.raises(PromqlExecutionError, match="at most 5"):
        asked.range("m", 0, 120_000, 60_000)


@pytest.mark.parametrize("query", ['count_values("v", m)', 'm + on () group_left () (m{a="0"} < 1 or m{a="1"} > 11)'])
def test_what_is_made_of_samples_has_the_same_limit(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [series({60 * step: 10.0 * row + step for step in range(3)}, a=str(row)) for row in range(2)]
    monkeypatch.setattr(values, "SAMPLES_MAX", 6)
    asked = Engine(Memory(*rows), lookback_ms=60_000)
    asked.range("m", 0, 120_000, 60_000)
    with pytest.raises(PromqlExecutionError, match="at most 6"):
        asked.range(query, 0, 120_000, 60_000)


def test_a_subquery_may_not_have_more_steps_than_its_limit() -> None:
    with pytest.raises(PromqlExecutionError, match=f"at most {evaluate.SUBQUERY_STEPS_MAX}"):
        Engine(Memory()).instant("max_over_time(vector(1)[1y:1s])", 0)


def test_windows_may_not_overlap_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "WINDOW_SAMPLES_MAX", 20)
    asked = Engine(Memory(series({second: second + 0.5 for second in range(10)})))
    asked.range("stddev_over_time(m[2s])", 0, 9_000, 1_000)
    for function in ("stddev_over_time", "max_over_time"):
        with pytest.raises(PromqlExecutionError, match="at most 20"):
            asked.range(f"{function}(m[5s])", 0, 9_000, 1_000)


def test_more_samples_than_are_copied_at_a_time_give_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Engine(Memory(series({second: second % 7 + 0.25 for second in range(50)})))
    whole = asked.range("stddev_over_time(m[9s])", 0, 60_000, 1_000).value
    monkeypatch.setattr(windows, "CELLS_MAX", 10)
    parts = asked.range("stddev_over_time(m[9s])", 0, 60_000, 1_000).value
    assert isinstance(whole, Vector)
    assert isinstance(parts, Vector)
    np.testing.assert_allclose(parts.values, whole.values)


def test_the_limits_are_those_of_the_documentation() -> None:
    assert (values.SAMPLES_MAX, evaluate.SUBQUERY_STEPS_MAX, windows.WINDOW_SAMPLES_MAX) == (
        50_000_000,
        100_000,
        1_000_000_000,
    )
    assert (parse.QUERY_CHARACTERS_MAX, parse.DEPTH_MAX, parse.OPERATORS_MAX, engine.STEPS_MAX) == (
        65_536,
        200,
        1_000,
        11_000,
    )


def test_what_is_experimental_says_so() -> None:
    with pytest.raises(PromqlUnsupported, match="extended range selectors"):
        Engine(Memory()).instant("rate(m[5m] smoothed)", 0)
