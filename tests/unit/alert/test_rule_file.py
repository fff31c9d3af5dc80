"""Rule files: what is taken, and what the errors say."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamgauge.alert.rule_file import read_rules
from streamgauge.alert.rules import Rule, named_rules
from streamgauge.config import DEFAULT_ROLLUPS
from streamgauge.core.errors import InvalidRequest
from streamgauge.query.promql.parse import parse

EXAMPLE = Path(__file__).parents[3] / "docs" / "guide" / "rules.example.yml"


def one_rule(text: str) -> Rule:
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    content = f"groups:\n- name: g\n  rules:\n  -\n{indented}"
    (group,) = read_rules(content, DEFAULT_ROLLUPS, source="file", file="f.yml")
    return group.rules[0]


def test_the_example_of_the_docs_can_be_used() -> None:
    groups = read_rules(EXAMPLE.read_text(encoding="utf-8"), DEFAULT_ROLLUPS, source="file")
    assert [group.name for group in groups] == ["traffic", "requests"]


def test_every_field_of_prometheus_is_read_and_scalars_are_texts() -> None:
    rule = one_rule(
        "alert: A\nexpr: up == 0\nfor: 1h30m\nkeep_firing_for: 90s\nlabels: {tier: 1, on: yes}\n"
        "annotations: {at: 2024-01-01}"
    )
    assert (rule.for_ms, rule.keep_firing_for_ms) == (5_400_000, 90_000)
    assert rule.labels == {"tier": "1", "on": "yes"}
    assert rule.annotations == {"at": "2024-01-01"}


def test_labels_of_a_group_are_those_of_its_rules_which_go_before() -> None:
    rules = "rules: [{alert: A, expr: m, labels: {a: z}}]"
    text = f"groups: [{{name: g, interval: 5m, limit: 3, labels: {{a: x, b: y}}, {rules}}}]"
    (group,) = read_rules(text, (), source="made")
    assert (group.rules[0].labels, group.interval_ms, group.limit_alerts) == ({"a": "z", "b": "y"}, 300_000, 3)


@pytest.mark.parametrize(
    "kind", ["drop: 20%", "rise: 50%", "outside: 3 sigma", "outside: 2.5 sigma of the same hour of the last 6 weeks"]
)
@pytest.mark.parametrize(
    "more", ["", "by: [country, device]", 'where: {device: mo"bile}', "over: 10m\nmin_volume: 100"]
)
def test_short_forms_become_promql(kind: str, more: str) -> None:
    rule = one_rule(f"anomaly: a\nmetric: page_views\n{kind}\n{more}")
    parse(rule.expr)
    assert rule.written["metric"] == "page_views"
    assert "summary" in rule.annotations


@pytest.mark.parametrize("against", ["1h", "2h", "1d", "1w"])
def test_a_drop_is_against_a_time_before(against: str) -> None:
    parse(one_rule(f"anomaly: a\nmetric: page_views\ndrop: 20%\nagainst: {against}").expr)


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("expr: m", "one of alert, record, anomaly"),
        ("alert: A\nrecord: b\nexpr: m", "one of alert, record, anomaly"),
        ("alert: A", "it has no expr"),
        ("alert: A\nexpr: sum(", "parse error"),
        ("alert: A\nexpr: m\nfor: soon", "for: not a valid duration"),
        ("alert: A\nexpr: m\nfro: 5m", "unknown field `fro`"),
        ("alert: A\nexpr: m\nlabels: {alertname: x}", "can't be the name of a label"),
        ("alert: A\nexpr: m\nannotations: {summary: '{{ query }}'}", "summary: the function `query`"),
        ("alert: A\nexpr: m\ndrop: 20%", "drop is of anomaly rules"),
        ("record: a b\nexpr: m", "is no name of a metric"),
        ("record: page_views\nexpr: sum(page_views)", "is a metric already"),
        ("record: ALERTS\nexpr: m", "is a metric already"),
        ("record: streamgauge_up\nexpr: m", "is a metric already"),
        ("record: a\nexpr: m\nfor: 5m", "are of alerts"),
        ("anomaly: a\nmetric: page_views", "one of drop, rise and outside"),
        ("anomaly: a\nmetric: nothing\ndrop: 20%", "there is no metric 'nothing'"),
        ("anomaly: a\nmetric: page_views\nby: [plan]\ndrop: 20%", "has no dimension 'plan'"),
        ("anomaly: a\nmetric: page_views\ndrop: lots", "drop is no percentage"),
        ("anomaly: a\nmetric: page_views\ndrop: 20%\nagainst: 5m", "whole number of hours"),
        ("anomaly: a\nmetric: page_views\ndrop: 20%\nover: 90s", "whole number of windows"),
        ("anomaly: a\nmetric: page_views\ndrop: 20%\nmin_volume: many", "is no number"),
        ("anomaly: a\nmetric: page_views\noutside: far", "no number of sigma"),
        ("anomaly: a\nmetric: page_views\nrise: 20%\nexpr: m", "an anomaly has no expr"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(rule: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        one_rule(rule)
    assert problem in error.value.message
    assert error.value.message.startswith("f.yml: ")
    assert error.value.code == "invalid_rule" or "template" in error.value.code


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("groups: [", "not YAML"),
        ("groups: 3", "array"),
        ("groups: [{rules: []}]", "name"),
        ("groups: [{name: a}, {name: a}]", "is there twice"),
        ("groups: &a [{name: a}]\nb: *a", "aliases are not taken"),
        ("x" * 2_000_000, "over 1,048,576 bytes"),
        ("groups:\n" + "- " * 5_000, ""),
    ],
)
def test_what_is_no_rule_file_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        read_rules(text, DEFAULT_ROLLUPS, source="file", file="f.yml")
    assert problem in error.value.message


def test_a_rule_is_known_by_its_group_name_and_labels() -> None:
    def keys(text: str, file: str = "a.yml") -> list[str]:
        return [one.key for one in named_rules(read_rules(text, (), source="file", file=file))]

    base = "groups: [{name: g, rules: [{alert: A, expr: m > 1, labels: {x: y}}]}]"
    assert keys(base) == keys(base.replace("m > 1", "m > 2, for: 5m"), "b.yml")
    others = [base.replace("name: g", "name: h"), base.replace("alert: A", "alert: B"), base.replace("x: y", "x: z")]
    assert len({*keys(base), *(key for other in others for key in keys(other))}) == 4
    twice = "groups: [{name: g, rules: [{alert: A, expr: m > 1}, {alert: A, expr: m > 2}]}]"
    assert len(set(keys(twice))) == 2
