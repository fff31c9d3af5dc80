from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.model import DAY_MS, Rollup
from streamgauge.query.plan import NEWEST_PANES, Plan, Planner
from streamgauge.query.question import Question

MARK = "Zq9X"
"""Text that no SQL of ours has: where it is found, something of a request or a name got through."""

MEASURES = ["count", {"sum": "y"}, {"min": "y"}, {"max": "y"}]


def question(
    measure: object = "count",
    *filters: tuple[str, str],
    name: str = "m",
    dimensions: tuple[str, ...] = ("a", "b"),
    limit: int = 10,
) -> Question:
    metric = Rollup(name, dimensions=dimensions, measure=measure)  # type: ignore[arg-type]
    return Question(metric, DAY_MS, 3 * DAY_MS, 3_600_000, None, filters, limit)


def placeholders(plan: Plan) -> set[str]:
    return set(re.findall(r"\{(\w+):\w+\}", plan.sql))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("promoted", [(), ("a",), ("a", "b")])
@given(value=st.text())
def test_no_text_of_a_request_is_ever_in_the_sql(measure: object, promoted: tuple[str, ...], value: str) -> None:
    planner = Planner(promoted)
    asked = question(measure, ("a", MARK + value), ("b", value + MARK), ("a", "(unknown)"))
    for plan in (planner.series(asked), planner.breakdown(asked, "b")):
        assert MARK not in plan.sql
        assert plan.parameters["wanted_0"] == MARK + value
        assert plan.parameters["wanted_1"] == value + MARK
        assert plan == (planner.series(asked) if "step" in plan.parameters else planner.breakdown(asked, "b"))


@pytest.mark.parametrize("measure", MEASURES)
def test_neither_a_metric_nor_a_dimension_nor_a_number_is_in_the_sql(measure: object) -> None:
    planner = Planner(())
    asked = question(measure, (f"{MARK}a", "x"), name=MARK, dimensions=(f"{MARK}a",), limit=987_654)
    for plan in (planner.series(asked), planner.breakdown(asked, f"{MARK}a")):
        assert MARK not in plan.sql
        assert not re.search(r"\d{3}", plan.sql)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("promoted", [(), ("a",), ("a", "b")])
def test_placeholders_and_values_have_the_same_names(measure: object, promoted: tuple[str, ...]) -> None:
    planner = Planner(promoted)
    asked = question(measure, ("a", "x"), ("b", "(unknown)"))
    for plan in (planner.series(asked), planner.breakdown(asked, "a")):
        assert placeholders(plan) == set(plan.parameters)


def test_two_plans_do_not_share_parameters() -> None:
    planner, asked = Planner(()), question("count", ("a", "x"))
    first, second = planner.series(asked), planner.series(asked)
    first.parameters["metric"] = "changed"
    assert second.parameters["metric"] == "m"


def test_a_promoted_dimension_is_read_from_its_column() -> None:
    plan = Planner(("a",)).breakdown(question("count", ("b", "x")), "a")
    assert "d_a" in plan.sql
    assert "dimension_0" in plan.parameters
    assert "group_by" not in plan.parameters


@pytest.mark.parametrize("kind", ["min", "max"])
def test_extremes_have_a_table_of_their_own_without_promoted_columns(kind: str) -> None:
    plan = Planner(("a",)).breakdown(question({kind: "y"}), "a")
    assert "FROM metrics_extremes" in plan.sql
    assert f"{kind}(value_{kind})" in plan.sql
    assert "d_a" not in plan.sql


def test_times_are_seconds() -> None:
    plan = Planner(()).series(question())
    assert {name: plan.parameters[name] for name in ("from", "to", "step")} == {
        "from": 86_400,
        "to": 3 * 86_400,
        "step": 3_600,
    }


def test_the_newest_panes_are_asked_without_any_value_in_the_sql() -> None:
    assert placeholders(NEWEST_PANES) == {"table"}
