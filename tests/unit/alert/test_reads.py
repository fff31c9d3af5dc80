"""Reads that are shared: the same answers, by fewer reads."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from promql_series import Memory, series
from streamgauge.alert.evaluate import Prepared
from streamgauge.alert.round import Reader, evaluate
from streamgauge.alert.rule_file import read_rules
from streamgauge.alert.rules import named_rules
from streamgauge.alert.state import NEW, RuleState
from streamgauge.query.promql.engine import Engine

AT_MS = 600_000
SELECTORS = st.builds(
    "{}{{{}}}".format,
    st.sampled_from(["m", "n"]),
    st.sampled_from(["", 'a="1"', 'a="2",b="x"', 'a=~"1|3"', 'b!="x"', 'b!~"x|y"', 'a="9"', 'c=""', 'c="z"']),
)
EXPRESSIONS = st.builds(
    lambda form, selector: form.replace("S", selector),
    st.sampled_from(
        [
            "S > 1",
            "sum(S)",
            "sum by (a) (sum_over_time(S[5m]))",
            "count without (b) (S)",
            "max by (b) (max_over_time(S[5m]))",
            "sum by (a) (sum_over_time(S[5m])) / sum by (a) (sum_over_time(S[5m] offset 1m))",
            "topk(2, S)",
        ]
    ),
    SELECTORS,
)
MEMORY = [
    series({second: float(second % 7 + number) for second in range(0, 600, 60)}, name=name, a=a, b=b, **more)
    for number, (name, a, b, more) in enumerate(
        (name, a, b, {"c": "z"} if a == "3" else {}) for name in ("m", "n") for a in ("1", "2", "3") for b in ("x", "y")
    )
]


def prepared(exprs: list[str]) -> list[Prepared]:
    rules = "".join(f"  - {{alert: A{number}, expr: '{expr}'}}\n" for number, expr in enumerate(exprs))
    return [
        Prepared(named)
        for named in named_rules(read_rules(f"groups:\n- name: g\n  rules:\n{rules}", (), source="made"))
    ]


def new(rules: list[Prepared]) -> list[tuple[Prepared, RuleState]]:
    return [(one, NEW) for one in rules]


@settings(deadline=None, max_examples=60)
@given(st.lists(EXPRESSIONS, min_size=1, max_size=12))
def test_rules_find_together_what_they_find_alone(exprs: list[str]) -> None:
    rules = prepared(exprs)
    found = evaluate(new(rules), Reader().shared(rules, AT_MS), Memory(*MEMORY), AT_MS)
    for rule in rules:
        alone = {str(one.labels): one.value for one in rule.found(Engine(Memory(*MEMORY)), AT_MS)}
        together = {str(one.labels): one.value for one in found[rule.named.key].samples}
        assert together.keys() == alone.keys()
        assert all(math.isclose(together[labels], alone[labels]) for labels in alone)


def test_selectors_that_differ_in_their_matchers_alone_are_one_read() -> None:
    rules = prepared([f'sum by (b) (sum_over_time(m{{a="{value}"}}[5m])) > {value}' for value in range(50)])
    memory = Memory(*MEMORY)
    evaluate(new(rules), Reader().shared(rules, AT_MS), memory, AT_MS)
    assert len(memory.asked) == 1
    assert memory.asked[0][3].labels == ("a", "b")


def test_equal_selectors_are_read_once() -> None:
    rules = prepared([f"sum(m) > {value}" for value in range(20)])
    memory = Memory(*MEMORY)
    evaluate(new(rules), Reader().shared(rules, AT_MS), memory, AT_MS)
    assert len(memory.asked) == 1
