from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.model import DAY_MS, Rollup
from streamgauge.query.filters import Filter, exactly
from streamgauge.query.plan import NEWEST_PANES, Plan, Planner
from streamgauge.query.question import Order, Question
from streamgauge.query.reads import Read
from streamgauge.store.grains import DAYS, HOURS, MINUTES

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
    return Question(metric, DAY_MS, 3 * DAY_MS, 3_600_000, (), tuple(exactly(*pair) for pair in filters), limit)


def by(asked: Question, *dimensions: str) -> Question:
    return msgspec.structs.replace(asked, group_by=dimensions)


def series(planner: Planner, asked: Question) -> Plan:
    return planner.series(asked, asked.starts)


def placeholders(plan: Plan) -> set[str]:
    return set(re.findall(r"\{(\w+):[\w()]+\}", plan.sql))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("promoted", [(), ("a",), ("a", "b")])
@given(value=st.text())
def test_no_text_of_a_request_is_ever_in_the_sql(measure: object, promoted: tuple[str, ...], value: str) -> None:
    planner = Planner(promoted)
    asked = question(measure, ("a", MARK + value), ("b", value + MARK), ("a", "(unknown)"))
    for plan in (series(planner, asked), planner.breakdown(by(asked, "b"))):
        assert MARK not in plan.sql
        assert plan.parameters["wanted_0_value_0"] == MARK + value
        assert plan.parameters["wanted_1_value_0"] == value + MARK
        assert plan == (series(planner, asked) if "starts" in plan.parameters else planner.breakdown(by(asked, "b")))


@pytest.mark.parametrize("measure", MEASURES)
def test_neither_a_metric_nor_a_dimension_nor_a_number_is_in_the_sql(measure: object) -> None:
    planner = Planner(())
    asked = question(measure, (f"{MARK}a", "x"), name=MARK, dimensions=(f"{MARK}a",), limit=987_654)
    for plan in (series(planner, asked), planner.breakdown(by(asked, f"{MARK}a"))):
        assert MARK not in plan.sql
        assert not re.search(r"\d{3}", plan.sql)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("promoted", [(), ("a",), ("a", "b")])
def test_placeholders_and_values_have_the_same_names(measure: object, promoted: tuple[str, ...]) -> None:
    planner = Planner(promoted)
    asked = question(measure, ("a", "x"), ("b", "(unknown)"))
    for plan in (series(planner, asked), planner.breakdown(by(asked, "a"))):
        assert placeholders(plan) == set(plan.parameters)


@given(
    st.lists(st.text(), min_size=1, max_size=3, unique=True),
    st.lists(st.text(), max_size=3, unique=True),
    st.booleans(),
)
def test_no_alternative_of_a_filter_is_ever_in_the_sql(values: list[str], prefixes: list[str], negated: bool) -> None:
    marked = [[MARK + text for text in texts] for texts in (values, prefixes)]
    asked = msgspec.structs.replace(
        question(), filters=(Filter("a", tuple(marked[0]), ("", *marked[1]), negated), exactly("b", "x"))
    )
    for plan in (series(Planner(("a",)), asked), Planner(()).breakdown(by(asked, "b"))):
        assert MARK not in plan.sql
        assert placeholders(plan) == set(plan.parameters)
        wanted = [value for name, value in plan.parameters.items() if name.startswith("wanted_0")]
        assert sorted(wanted) == sorted(["", *marked[0], *marked[1]])


@pytest.mark.parametrize("order", ["value", "-value", "name", "-name"])
def test_no_order_of_rows_brings_anything_of_a_request_into_the_sql(order: Order) -> None:
    asked = msgspec.structs.replace(
        by(question("count", dimensions=(f"{MARK}a", f"{MARK}b")), f"{MARK}a", f"{MARK}b"), selection=order, order=order
    )
    plan = Planner(()).breakdown(asked)
    assert MARK not in plan.sql
    assert placeholders(plan) == set(plan.parameters)


def test_two_plans_do_not_share_parameters() -> None:
    planner, asked = Planner(()), question("count", ("a", "x"))
    first, second = series(planner, asked), series(planner, asked)
    first.parameters["metric"] = "changed"
    assert second.parameters["metric"] == "m"


def test_a_promoted_dimension_is_read_from_its_column() -> None:
    plan = Planner(("a",)).breakdown(by(question("count", ("b", "x")), "a"))
    assert "d_a" in plan.sql
    assert "dimension_0" in plan.parameters
    assert "group_by_0" not in plan.parameters


@pytest.mark.parametrize("kind", ["min", "max"])
def test_extremes_have_a_table_of_their_own_without_promoted_columns(kind: str) -> None:
    plan = Planner(("a",)).breakdown(by(question({kind: "y"}), "a"))
    assert "FROM metrics_extremes" in plan.sql
    assert f"{kind}(value_{kind})" in plan.sql
    assert "d_a" not in plan.sql


def test_times_are_seconds() -> None:
    plan = series(Planner(()), question())
    assert (plan.parameters["from_0_0"], plan.parameters["to_0_0"]) == (86_400, 3 * 86_400)
    assert plan.parameters["starts"] == list(range(86_400, 3 * 86_400, 3_600))


def test_each_piece_of_the_time_is_read_from_the_coarsest_table_that_answers() -> None:
    asked = msgspec.structs.replace(question(), from_ms=DAY_MS - 90 * 60_000, to_ms=3 * DAY_MS + 2 * 3_600_000)
    by_hours = series(Planner(()), asked)
    assert [read.grain for read in by_hours.reads] == [HOURS, MINUTES]
    whole = Planner(()).breakdown(by(asked, "a"))
    day_s = DAY_MS // 1000
    assert whole.reads == (
        Read(DAYS, ((day_s, 3 * day_s),)),
        Read(HOURS, ((day_s - 3_600, day_s), (3 * day_s, 3 * day_s + 7_200))),
        Read(MINUTES, ((day_s - 5_400, day_s - 3_600),)),
    )
    assert [f"FROM metrics{suffix} " in whole.sql for suffix in ("", "_hours", "_days")] == [True] * 3


def test_the_newest_panes_are_asked_without_any_value_in_the_sql() -> None:
    assert placeholders(NEWEST_PANES) == {"table"}
