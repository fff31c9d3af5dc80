"""Backtests: the same alerts as evaluating one time after another."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promql_series import Memory, series
from streamgauge.alert.backtest import RANGE_STEPS_MAX, backtest
from streamgauge.alert.evaluate import Prepared
from streamgauge.alert.rule_file import read_rules
from streamgauge.alert.rules import named_rules
from streamgauge.alert.state import RuleState, Timing, step
from streamgauge.core.errors import InvalidRequest
from streamgauge.model import Rollup
from streamgauge.query.promql.engine import Engine

MINUTE_MS = 60_000


def prepared(more: str = "", expr: str = "m < 5") -> Prepared:
    text = f"groups: [{{name: g, rules: [{{alert: Low, expr: '{expr}'{more}}}]}}]"
    return Prepared(next(iter(named_rules(read_rules(text, (), source="made")))))


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.lists(st.sampled_from([1.0, 9.0]), min_size=12, max_size=12), min_size=1, max_size=3),
    st.sampled_from(["", ", for: 2m", ", keep_firing_for: 2m", ", for: 1m, keep_firing_for: 1m"]),
)
def test_a_backtest_finds_what_would_have_fired(values: list[list[float]], more: str) -> None:
    memory = Memory(
        *(series({place * 60: value for place, value in enumerate(row)}, a=str(n)) for n, row in enumerate(values))
    )
    rule = prepared(more)
    found = backtest(rule, Engine(memory), 0, 11 * MINUTE_MS, MINUTE_MS)
    state, fired, told = RuleState(), 0, 0
    timing = Timing(rule.rule.for_ms, rule.rule.keep_firing_for_ms, MINUTE_MS)
    for minute in range(12):
        state, changes = step(state, rule.found(Engine(memory), minute * MINUTE_MS), minute * MINUTE_MS, timing)
        fired += sum(change.now == "firing" for change in changes)
        told += sum("firing" in (change.was, change.now) for change in changes)
    assert (found.firings_count, found.notifications) == (fired, told)


def test_a_firing_is_told_with_its_times_and_labels() -> None:
    memory = Memory(series({0: 9, 60: 4, 120: 4, 180: 9, 240: 4}, a="x"))
    found = backtest(prepared(), Engine(memory), 0, 4 * MINUTE_MS, MINUTE_MS)
    first, second = found.firings
    assert (first.started_at_ms, first.ended_at_ms) == (MINUTE_MS, 3 * MINUTE_MS)
    assert (second.started_at_ms, second.ended_at_ms) == (4 * MINUTE_MS, None)
    assert first.labels == {"alertname": "Low", "a": "x"}
    assert found.firing_ms == 2 * MINUTE_MS


def test_a_long_range_is_asked_in_parts() -> None:
    found = backtest(prepared(expr="vector(time()) > 1199999"), Engine(Memory()), 0, 30_000 * MINUTE_MS, MINUTE_MS)
    assert [one.started_at_ms for one in found.firings] == [20_000 * MINUTE_MS]


def test_a_range_of_too_many_evaluations_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="evaluations"):
        backtest(prepared(), Engine(Memory()), 0, (RANGE_STEPS_MAX + 1) * MINUTE_MS, MINUTE_MS)


def test_a_backtest_finds_an_outage_of_hours_once() -> None:
    text = "groups: [{name: g, rules: [{anomaly: drop, metric: page_views, drop: 20%}]}]"
    rollup = Rollup(name="page_views", event="page_view", dimensions=("country",))
    rule = Prepared(next(iter(named_rules(read_rules(text, [rollup], source="made")))))
    values = {minute * 60: 0 if 70 <= minute < 500 else 100 for minute in range(560)}
    memory = Memory(series(values, name="page_views"))
    found = backtest(rule, Engine(memory), 60 * MINUTE_MS, 559 * MINUTE_MS, MINUTE_MS)
    (firing,) = found.firings
    assert (firing.started_at_ms, firing.ended_at_ms) == (70 * MINUTE_MS, 501 * MINUTE_MS)


def of_group(more: str, rule: str) -> Prepared:
    text = f"groups: [{{name: g, {more}, rules: [{rule}]}}]"
    return Prepared(next(iter(named_rules(read_rules(text, (), source="made")))))


def test_a_backtest_evaluates_at_the_interval_of_the_group() -> None:
    memory = Memory(series({minute * 60: 4 if minute in (3, 5) else 9 for minute in range(11)}))
    found = backtest(of_group("interval: 5m", "{alert: Low, expr: m < 5}"), Engine(memory), 0, 600_000, MINUTE_MS)
    (firing,) = found.firings
    assert (firing.started_at_ms, firing.ended_at_ms) == (5 * MINUTE_MS, 10 * MINUTE_MS)


def test_a_backtest_says_how_often_a_rule_was_over_its_limit() -> None:
    memory = Memory(*(series(dict.fromkeys(range(0, 240, 60), 4), a=name) for name in "xyz"))
    found = backtest(of_group("limit: 2", "{alert: Low, expr: m < 5}"), Engine(memory), 0, 180_000, MINUTE_MS)
    assert (found.over_limit, found.firings_count) == (4, 0)


def test_alerts_with_the_same_labels_are_refused() -> None:
    memory = Memory(series({0: 4}, a="x"), series({0: 4}, a="y"))
    with pytest.raises(InvalidRequest, match="Low: two series have the same labels"):
        backtest(of_group("limit: 0", '{alert: Low, expr: m < 5, labels: {a: ""}}'), Engine(memory), 0, 0, MINUTE_MS)
