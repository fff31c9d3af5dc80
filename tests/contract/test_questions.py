"""Answers from the store are what counting the events one by one gives."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.store_places import StorePlace, pane_batch
from streamgauge.config import QuerySettings
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import InvalidRequest
from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS, OTHER, UNKNOWN, Envelope, Rollup
from streamgauge.profiles.table import ProfileTable
from streamgauge.query.metrics import Group, MetricsService, Point
from streamgauge.store.base import StoreReader, StoreWriter
from streamgauge.stream.batch import decode
from streamgauge.stream.pipeline import Pipeline
from streamgauge.stream.session_runs import FIELDS
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.state import Pending
from unit.stream.making import NOON_MS, event, log_batch, naive_panes

NOW_MS = NOON_MS + 2_625_123
PROMOTED = ("country", "event")
ROLLUPS = (
    Rollup("views", event="view", dimensions=("country", "page")),
    Rollup("all", dimensions=("event", "x")),
    Rollup("fives", dimensions=("country",), window="5m"),
    Rollup("days", dimensions=("page",), where={"country": ["US", "DE"]}, window="1d"),
    Rollup("income", dimensions=("country", "x"), measure={"sum": "price"}),
    Rollup("least", dimensions=("country", "page"), measure={"min": "price"}),
    Rollup("most", dimensions=("x",), measure={"max": "price"}, window="1h"),
)
METRICS = {rollup.name: rollup for rollup in ROLLUPS}
SPEC = PipelineSpec(ROLLUPS, 0, 0, dimension_chars_max=20)
VALUES = {
    "country": ["US", "DE", "", None, UNKNOWN, OTHER],
    "page": ["/", "/a'b", "/ü😀", "x' OR 1=1 --", "\\", "a\tb\nc", "{metric:String}", "p" * 30, None],
    "x": [1, 1.0, "1", True, "true", 0.5, None, "\x00"],
    "price": [0, 1, 2.5, -1, -2.5, "4", "free", None, "inf"],
}
TIMES_MS = st.sampled_from([NOON_MS, NOON_MS - 1, NOON_MS + MINUTE_MS, NOW_MS, NOON_MS - HOUR_MS, NOON_MS - 2 * DAY_MS])


class Parts(NamedTuple):
    store: StorePlace
    writer: StoreWriter
    service: MetricsService


@pytest.fixture
def parts(store: StorePlace, writer: StoreWriter, service: MetricsService) -> Parts:
    return Parts(store, writer, service)


@pytest.fixture
def service(reader: StoreReader) -> MetricsService:
    return MetricsService(reader, ROLLUPS, PROMOTED, QuerySettings(), ManualClock(NOW_MS))


_batch_numbers = itertools.count()


def write(writer: StoreWriter, envelopes: Sequence[Envelope], spec: PipelineSpec = SPEC) -> None:
    """Events the way they go: decoded, made panes, written."""
    fields = {"event", *VALUES, *FIELDS}
    offset = next(_batch_numbers) * 1_000
    batch = decode(log_batch({0: envelopes}, {0: offset}), fields)
    pipeline = Pipeline(lambda _: (), ProfileTable(()))
    for rows in pipeline.apply(batch, Pending(batch.ranges, spec))[1].writes:
        writer.write(rows)


class Asked:
    """A question and its plainest answer."""

    def __init__(self, **parameters: str | list[tuple[str, str]]) -> None:
        self.filters: list[tuple[str, str]] = parameters.pop("filters", [])  # type: ignore[assignment]
        self.given: dict[str, str] = {key.rstrip("_"): str(value) for key, value in parameters.items()}
        self.metric = METRICS[self.given["name"]]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        return [*self.given.items(), *(("filter", f"{name}:{value}") for name, value in self.filters)]

    def bounds(self, step_ms: int) -> tuple[int, int]:
        """[from, to) in ms, from what the guide says."""
        window_ms = self.metric.window_ms
        if "from" in self.given:
            start_ms, end_ms = int(self.given["from"]), int(self.given.get("to", NOW_MS + 1))
            return start_ms // window_ms * window_ms, -(-end_ms // window_ms) * window_ms
        number, unit = int(self.given["range"][:-1]), self.given["range"][-1]
        length_ms = number * {"s": 1_000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}[unit]
        end_ms = (NOW_MS // step_ms + 1) * step_ms
        return (end_ms - max(length_ms, step_ms)) // window_ms * window_ms, end_ms

    def answer(self, envelopes: Sequence[Envelope], step_ms: int) -> list[Point] | list[Group]:
        from_ms, to_ms = self.bounds(step_ms)
        panes = [
            (start_ms, dict(dimensions), value)
            for (_, start_ms, dimensions), value in naive_panes(envelopes, [self.metric], 20).items()
            if from_ms <= start_ms < to_ms
            and all(dict(dimensions)[name] == (wanted or UNKNOWN) for name, wanted in self.filters)
        ]
        if "group_by" not in self.given:
            steps = range(from_ms // step_ms * step_ms, to_ms, step_ms)
            return [Point(at, self._combined([v for s, _, v in panes if at <= s < at + step_ms])) for at in steps]
        names = {dimensions[self.given["group_by"]] for _, dimensions, _ in panes}
        found = {
            name: self._combined([v for _, dimensions, v in panes if dimensions[self.given["group_by"]] == name])
            for name in names
        }
        return self._limited(found)

    def _combined(self, values: list[float]) -> Any:
        kind = self.metric.measured.kind
        if kind in ("count", "sum"):
            return float(sum(values))
        return {"min": min, "max": max}[kind](values, default=None)  # type: ignore[operator]

    def _limited(self, found: dict[str, float]) -> list[Group]:
        additive = self.metric.measured.kind in ("count", "sum")
        rows = [Group(name, value) for name, value in found.items() if value or not additive]
        rows.sort(key=lambda row: (-row.value, row.name.encode()))
        limit = int(self.given.get("limit", 1_000))
        rest = [row.value for row in rows[limit:]]
        return rows[:limit] + ([Group(OTHER, sum(rest))] if rest and additive else [])


def _events() -> st.SearchStrategy[Envelope]:
    properties = {name: st.sampled_from(values) for name, values in VALUES.items()}
    return st.builds(
        lambda name, at_ms, found: event(name, at_ms, **found),
        st.sampled_from(["view", "buy"]),
        TIMES_MS,
        st.fixed_dictionaries({}, optional=properties),
    )


@st.composite
def _asked(draw: st.DrawFn) -> Asked:
    metric = draw(st.sampled_from(ROLLUPS))
    given: dict[str, Any] = {"name": metric.name}
    if draw(st.booleans()):
        given["range"] = draw(st.sampled_from(["90s", "15m", "1h", "61m", "24h", "3d", "7d"]))
    else:
        start_ms = draw(TIMES_MS)
        given["from_"] = start_ms
        if draw(st.booleans()) or start_ms > NOW_MS:
            given["to"] = start_ms + draw(st.sampled_from([1, MINUTE_MS, HOUR_MS + 1, 3 * DAY_MS]))
    if draw(st.booleans()):
        given["step"] = f"{metric.window_ms // MINUTE_MS * draw(st.sampled_from([1, 2, 7, 60]))}m"
    if draw(st.booleans()):
        given["group_by"] = draw(st.sampled_from(metric.dimensions))
        if draw(st.booleans()):
            given["limit"] = draw(st.integers(1, 4))
    names = draw(st.lists(st.sampled_from(metric.dimensions), max_size=2))
    known = ["view", "buy", "1", "true", "0.5", "p" * 19 + "…", UNKNOWN, "", "nothing"]
    filters = [(name, draw(st.sampled_from([*map(str, VALUES.get(name, [])), *known]))) for name in names]
    return Asked(**given, filters=filters)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(st.lists(_events(), min_size=1, max_size=15), min_size=1, max_size=3),
    questions=st.lists(_asked(), min_size=1, max_size=6),
    merged=st.booleans(),
)
async def test_an_answer_is_what_counting_one_event_at_a_time_gives(
    parts: Parts,
    batches: list[list[Envelope]],
    questions: list[Asked],
    merged: bool,
) -> None:
    store, writer, service = parts
    for table in ("metrics", "metrics_extremes"):
        store.admin.command(f"TRUNCATE TABLE {table}")
    for envelopes in batches:
        write(writer, envelopes)
    if merged:
        store.merge()
    envelopes = [one for batch in batches for one in batch]
    for asked in questions:
        try:
            answer = await service.answer(asked.parameters)
        except InvalidRequest as error:
            assert "points" in error.message  # noqa: PT017 - the only reason that there can be
            continue
        assert answer.rows == asked.answer(envelopes, answer.question.step_ms), asked.parameters
        assert (answer.question.from_ms, answer.question.to_ms) == asked.bounds(answer.question.step_ms)


async def test_a_group_that_adds_up_to_nothing_is_not_listed_before_or_after_rows_are_merged(
    store: StorePlace, writer: StoreWriter, service: MetricsService
) -> None:
    for price in (5, -5):
        write(writer, [event("buy", price=price, country="US"), event("buy", price=0, country="DE")])
        write(writer, [event("buy", price=1, country="FR")])
    for _ in range(2):
        answer = await service.answer([("name", "income"), ("group_by", "country")])
        assert answer.rows == [Group("FR", 2.0)]
        store.merge()


@pytest.mark.parametrize("limit", range(1, 6))
async def test_what_is_over_the_limit_is_summed_up(writer: StoreWriter, service: MetricsService, limit: int) -> None:
    countries = ["US"] * 5 + ["DE"] * 3 + ["FR", "AT"]
    write(writer, [event("view", country=country, price=1) for country in countries])
    largest = [Group("US", 5.0), Group("DE", 3.0), Group("AT", 1.0), Group("FR", 1.0)]
    rest = [Group(OTHER, sum(group.value for group in largest[limit:]))] if limit < 4 else []
    for name in ("views", "income"):
        answer = await service.answer([("name", name), ("group_by", "country"), ("limit", str(limit))])
        assert answer.rows == largest[:limit] + rest
    answer = await service.answer([("name", "least"), ("group_by", "country"), ("limit", str(limit))])
    assert answer.rows == [Group(name, 1.0) for name in ("AT", "DE", "FR", "US")][:limit]


async def test_a_range_is_half_open(writer: StoreWriter, service: MetricsService) -> None:
    for at_ms in (NOON_MS - 1, NOON_MS, NOON_MS + MINUTE_MS - 1, NOON_MS + MINUTE_MS):
        write(writer, [event("view", at_ms, country=str(at_ms - NOON_MS))])
    times = [("from", str(NOON_MS)), ("to", str(NOON_MS + MINUTE_MS))]
    answer = await service.answer([("name", "views"), *times])
    assert answer.rows == [Point(NOON_MS, 2.0)]
    answer = await service.answer([("name", "views"), *times, ("group_by", "country")])
    assert answer.rows == [Group("0", 1.0), Group("59999", 1.0)]


async def test_without_any_event_a_count_is_zero_and_an_extreme_is_nothing(service: MetricsService) -> None:
    expected: Iterator[tuple[str, float | None]] = iter([("views", 0.0), ("income", 0.0), ("least", None)])
    for name, value in expected:
        answer = await service.answer([("name", name), ("range", "15m")])
        assert [row.value for row in answer.rows] == [value] * 15  # type: ignore[union-attr]
        answer = await service.answer([("name", name), ("group_by", "country")])
        assert answer.rows == []


async def test_panes_from_before_a_dimension_was_configured_are_unknown(
    writer: StoreWriter, service: MetricsService
) -> None:
    noon_s = NOON_MS // 1000
    writer.write(pane_batch("old", [(noon_s, "views", 2, {"page": "/"}), (noon_s, "income", 3, {"country": "US"})]))
    write(writer, [event("view", country="US", page="/"), event("view", page="/")])
    answer = await service.answer([("name", "views"), ("group_by", "country")])
    assert answer.rows == [Group(UNKNOWN, 3.0), Group("US", 1.0)]
    for wanted in (UNKNOWN, ""):
        answer = await service.answer([("name", "views"), ("country", wanted), ("group_by", "page")])
        assert answer.rows == [Group("/", 3.0)]
    answer = await service.answer([("name", "income"), ("x", UNKNOWN), ("group_by", "x")])
    assert answer.rows == [Group(UNKNOWN, 3.0)]


async def test_the_newest_pane_of_each_metric_is_known(writer: StoreWriter, service: MetricsService) -> None:
    assert await service.newest_panes_ms() == {}
    write(writer, [event("view", NOON_MS - DAY_MS), event("view", NOON_MS + 5, price=1), event("buy", NOW_MS)])
    assert await service.newest_panes_ms() == {
        "views": NOON_MS,
        "all": NOW_MS // MINUTE_MS * MINUTE_MS,
        "fives": NOW_MS // (5 * MINUTE_MS) * 5 * MINUTE_MS,
        "income": NOON_MS,
        "least": NOON_MS,
        "most": NOON_MS,
    }


async def test_an_odd_question_does_no_harm(store: StorePlace, writer: StoreWriter, service: MetricsService) -> None:
    write(writer, [event("view", page="x' OR 1=1 --")])
    for text in ("x' OR 1=1 --", "'; DROP TABLE metrics; --", "{metric:String}", "\\"):
        answer = await service.answer([("name", "views"), ("page", text), ("group_by", "page")])
        assert answer.rows == ([Group(text, 1.0)] if text.startswith("x") else [])
        for key in ("name", "group_by", "range", "from", "step", "limit"):
            with pytest.raises(InvalidRequest):
                await service.answer([*([] if key == "name" else [("name", "views")]), (key, text)])
    assert store.rows("SELECT sum(value) FROM metrics WHERE metric_name = 'views'") == [(1.0,)]
