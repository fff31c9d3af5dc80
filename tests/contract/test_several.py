"""Several metrics, and ratios of them, in one question."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.store_places import StorePlace
from contract.test_questions import NOW_MS, PROMOTED, ROLLUPS, write
from streamgauge.config import QuerySettings
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import InvalidRequest
from streamgauge.model import HOUR_MS, MINUTE_MS, OTHER, Envelope
from streamgauge.query.cache.keys import several_key
from streamgauge.query.metrics import MetricsService, Point
from streamgauge.query.several import Line, answer, explained, parse_several
from streamgauge.store.base import StoreReader, StoreWriter
from unit.stream.making import NOON_MS, event

_COUNTRIES = ["US", "DE", "FR", "AT", OTHER]
_NAMES = ["views", "income", "least", "fives", "views/fives", "income/views", "least/views"]
_EVENTS = st.builds(
    lambda name, minute, country, price: event(name, NOON_MS - minute * MINUTE_MS, country=country, price=price),
    st.sampled_from(["view", "buy"]),
    st.integers(0, 300),
    st.sampled_from(_COUNTRIES),
    st.integers(-2, 3),
)


@pytest.fixture
def service(reader: StoreReader) -> MetricsService:
    return MetricsService(reader, ROLLUPS, PROMOTED, QuerySettings(), ManualClock(NOW_MS))


class _Case(NamedTuple):
    events: list[Envelope]
    names: list[str]
    more: list[tuple[str, str]]
    is_grouped: bool
    limit: int
    order: str

    @property
    def rows(self) -> list[tuple[str, str]]:
        return [("group_by", "country"), ("order", self.order), ("limit", str(self.limit))] if self.is_grouped else []


_CASES = st.builds(
    _Case,
    st.lists(_EVENTS, min_size=1, max_size=30),
    st.lists(st.sampled_from(_NAMES), min_size=1, max_size=4, unique=True),
    st.sampled_from([[], [("compare", "previous")], [("filter", "country!:US")]]).map(
        lambda more: [*more, ("range", "6h"), ("step", "30m")]
    ),
    st.booleans(),
    st.integers(1, 6),
    st.sampled_from(["value", "-value", "name", "-name"]),
)


class _Alone:
    """What each metric answers by itself, now and in the range that is compared with, without a limit."""

    def __init__(self, found: dict[str, dict[Any, tuple[float | None, float | None]]]) -> None:
        self.found = found
        self.every = set().union(*found.values())

    @classmethod
    async def of(cls, service: MetricsService, case: _Case) -> _Alone:
        found = {}
        grouped = [("group_by", "country")] if case.is_grouped else []
        for metric in {metric for name in case.names for metric in name.split("/")}:
            rows = (await service.answer(service.question([("name", metric), *case.more, *grouped]))).rows
            found[metric] = {
                row.start_ms if isinstance(row, Point) else row.names: (row.value, row.compared) for row in rows
            }
        return cls(found)

    def column(self, name: str, ats: list[Any], side: int) -> float | None:
        """Of all that is at these places together."""
        values = [self._value(metric, ats, side) for metric in name.split("/")]
        if len(values) == 1:
            return values[0]
        value, per = values
        return value / per if value is not None and per else None

    def _value(self, metric: str, ats: list[Any], side: int) -> float | None:
        nothing = None if metric == "least" else 0.0
        values = [self.found[metric].get(at, (nothing, nothing))[side] for at in ats]
        if metric == "least":
            return values[0] if len(values) == 1 else None
        return sum((value or 0.0 for value in values), 0.0)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_CASES)
async def test_each_column_is_what_its_metrics_are_by_themselves(
    store: StorePlace, writer: StoreWriter, service: MetricsService, case: _Case
) -> None:
    store.truncate("metrics", "metrics_extremes")
    write(writer, case.events)
    asked = parse_several([*(("name", name) for name in case.names), *case.more, *case.rows], service)
    table, alone = await answer(asked, service), await _Alone.of(service, case)
    shown = [line.at for line in table.lines]
    is_cut = case.is_grouped and len(alone.every) > case.limit and (OTHER,) in shown
    for line in table.lines:
        ats = [at for at in alone.every if at not in shown or at == (OTHER,)] if line.at == (OTHER,) else [line.at]
        for number, name in enumerate(case.names):
            if not (line.at == (OTHER,) and is_cut and "least" in name):  # of what doesn't add there is no rest
                assert line.values[number] == alone.column(name, ats, 0), (name, line)
                assert not line.compared[:1] or line.compared[number] == alone.column(name, ats, 1), (name, line)
    if case.is_grouped:
        assert len([at for at in shown if at != (OTHER,)]) >= min(case.limit, len(alone.every)) - 1
        firsts = [line.values[0] for line in table.lines if line.at != (OTHER,)]
        if case.order.endswith("value"):
            sign = 1 if case.order == "value" else -1
            assert firsts == sorted(firsts, key=lambda value: (value is None, sign * (value or 0)))
    else:
        assert shown == list(asked.any.starts)


async def test_what_is_beyond_the_limit_is_one_row_of_sums_and_of_ratios_of_sums(
    writer: StoreWriter, service: MetricsService
) -> None:
    events = [event("view", country=country) for country in ("US", "US", "DE", "FR")]
    write(writer, [*events, event("buy", country="DE", price=8), event("buy", country="FR", price=2)])
    asked = parse_several(
        [("name", "views"), ("name", "income/views"), ("name", "least"), ("group_by", "country"), ("limit", "1")],
        service,
    )
    table = await answer(asked, service)
    assert table.lines == [
        Line(("US",), (2.0, 0.0, None), ()),
        Line((OTHER,), (2.0, 5.0, None), ()),
    ]


async def test_a_ratio_to_nothing_is_none(writer: StoreWriter, service: MetricsService) -> None:
    write(writer, [event("buy", country="DE", price=8)])
    asked = parse_several([("name", "income/views"), ("range", "1h"), ("step", "1h")], service)
    table = await answer(asked, service)
    assert [line.values for line in table.lines] == [(None,)]
    assert asked.value_names == ["value"]


async def test_metrics_of_windows_of_other_lengths_are_told_in_those_of_the_longest(service: MetricsService) -> None:
    asked = parse_several([("name", "views"), ("name", "fives"), ("from", str(NOON_MS + MINUTE_MS))], service)
    assert {one.from_ms for one in asked.questions} == {NOON_MS}
    assert {one.step_ms for one in asked.questions} == {5 * MINUTE_MS}
    days = parse_several([("name", "views"), ("name", "most"), ("range", "30m")], service)
    assert {one.step_ms for one in days.questions} == {HOUR_MS}


async def test_equal_questions_of_several_metrics_have_one_key_and_others_another(service: MetricsService) -> None:
    def key(*names: str) -> str:
        return several_key(parse_several([("name", name) for name in names], service))

    keys = [key("views"), key("views", "fives"), key("fives", "views"), key("views/fives"), key("fives/views")]
    assert len(set(keys)) == len(keys)
    assert key("views", "views / fives") == key("views", "views/fives")


def test_what_would_be_asked_is_explained_of_each_metric(service: MetricsService) -> None:
    asked = parse_several([("name", "views"), ("name", "income/views"), ("group_by", "country")], service)
    assert len(explained(asked, service)) == 2


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "'name' is missing"),
        (("",), "'name' is missing"),
        (("views/",), "neither a metric nor a ratio"),
        (("/views",), "neither a metric nor a ratio"),
        (("views/income/fives",), "neither a metric nor a ratio"),
        (("views", "views"), "twice"),
        (("views/income", "views / income"), "twice"),
        (("views", "nothing"), "no metric 'nothing'"),
        (("nothing", "views"), "no metric 'nothing'"),
        (tuple(f"m{number}" for number in range(11)), "11 metrics"),
    ],
)
def test_names_that_cannot_be_asked_are_told_what_is_wrong(
    service: MetricsService, names: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        parse_several([("name", name) for name in names], service)


def test_a_dimension_that_only_one_of_the_metrics_has_is_refused(service: MetricsService) -> None:
    with pytest.raises(InvalidRequest, match="fives has no dimension 'page'"):
        parse_several([("name", "views"), ("name", "fives"), ("group_by", "page")], service)
