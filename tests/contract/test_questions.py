"""Answers from the store are what counting the events one by one gives."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
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
from streamgauge.query.metrics import Answer, Group, MetricsService, Point
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
    "page": ["/", "/a'b", "/ü😀", "x' OR 1=1 --", "\\", "a|b", "a*", "a\tb\nc", "{metric:String}", "p" * 30, None],
    "x": [1, 1.0, "1", True, "true", 0.5, None, "\x00"],
    "price": [0, 1, 2.5, -1, -2.5, "4", "free", None, "inf"],
}
TIMES_MS = st.sampled_from(
    [NOON_MS, NOON_MS - 1, NOON_MS + MINUTE_MS, NOW_MS, NOON_MS - HOUR_MS, NOON_MS - 2 * DAY_MS, NOON_MS - 7 * DAY_MS]
)


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


async def ask(service: MetricsService, parameters: Sequence[tuple[str, str]]) -> Answer:
    return await service.answer(service.question(parameters))


class Wanted(NamedTuple):
    """A filter: any of these texts, or of beginnings where the second is true; or none of them."""

    dimension: str
    alternatives: Sequence[tuple[str, bool]]
    is_negated: bool

    @property
    def text(self) -> str:
        written = [re.sub(r"[|*\\]", r"\\\g<0>", text) + "*" * is_prefix for text, is_prefix in self.alternatives]
        return f"{self.dimension}{'!' * self.is_negated}:{'|'.join(written)}"

    def keeps(self, dimensions: Mapping[str, str]) -> bool:
        value = dimensions[self.dimension]
        return self.is_negated != any(
            value.startswith(text) if is_prefix else value == (text or UNKNOWN) for text, is_prefix in self.alternatives
        )


class Asked:
    """A question and its plainest answer."""

    def __init__(self, **parameters: str | list[Wanted] | list[str]) -> None:
        self.filters: list[Wanted] = parameters.pop("filters", [])  # type: ignore[assignment]
        self.group_by: list[str] = parameters.pop("group_by", [])  # type: ignore[assignment]
        self.given: dict[str, str] = {key.rstrip("_"): str(value) for key, value in parameters.items()}
        self.metric = METRICS[self.given["name"]]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        repeated = [("filter", one.text) for one in self.filters] + [("group_by", name) for name in self.group_by]
        return [*self.given.items(), *repeated]

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
        if "compare" in self.given:
            return self._compared(envelopes, step_ms)
        panes = [
            (start_ms, dict(dimensions), value)
            for (_, start_ms, dimensions), value in naive_panes(envelopes, [self.metric], 20).items()
            if from_ms <= start_ms < to_ms and all(one.keeps(dict(dimensions)) for one in self.filters)
        ]
        if not self.group_by:
            steps = range(from_ms // step_ms * step_ms, to_ms, step_ms)
            return [Point(at, self._combined([v for s, _, v in panes if at <= s < at + step_ms])) for at in steps]
        return self._limited(self._found(panes))

    def _compared(self, envelopes: Sequence[Envelope], step_ms: int) -> list[Point] | list[Group]:
        """Each time as it is, and as if all events had come later by the distance of the ranges."""
        from_ms, to_ms = self.bounds(step_ms)
        distance_ms = to_ms - from_ms if self.given["compare"] == "previous" else 7 * DAY_MS
        sides = []
        for moved_ms in (0, distance_ms):
            moved = [
                (start_ms + moved_ms, dict(dimensions), value)
                for (_, start_ms, dimensions), value in naive_panes(envelopes, [self.metric], 20).items()
                if from_ms <= start_ms + moved_ms < to_ms and all(one.keeps(dict(dimensions)) for one in self.filters)
            ]
            sides.append(moved)
        if not self.group_by:
            return [
                Point(at, *(self._combined([v for s, _, v in side if at <= s < at + step_ms]) for side in sides))
                for at in range(from_ms // step_ms * step_ms, to_ms, step_ms)
            ]
        now, earlier = (self._found(side) for side in sides)
        empty = self._combined([])
        rows = [Group(names, now.get(names, empty), earlier.get(names, empty)) for names in {**now, **earlier}]
        return self._shown([row for row in rows if row.value or row.compared or empty is None])

    def _found(self, panes: list[tuple[int, dict[str, str], float]]) -> dict[tuple[str, ...], float]:
        found: dict[tuple[str, ...], list[float]] = {}
        for _, dimensions, value in panes:
            found.setdefault(tuple(dimensions[name] for name in self.group_by), []).append(value)
        return {names: self._combined(values) for names, values in found.items()}

    def _combined(self, values: list[float]) -> Any:
        kind = self.metric.measured.kind
        if kind in ("count", "sum"):
            return float(sum(values))
        return {"min": min, "max": max}[kind](values, default=None)  # type: ignore[operator]

    def _limited(self, found: dict[tuple[str, ...], float]) -> list[Group]:
        additive = self.metric.measured.kind in ("count", "sum")
        return self._shown([Group(names, value) for names, value in found.items() if value or not additive])

    def _shown(self, rows: list[Group]) -> list[Group]:
        additive = self.metric.measured.kind in ("count", "sum")
        order = self.given.get("order", "-value")
        self._sort(rows, "-value" if "top" in self.given else order)
        limit = int(self.given.get("top", self.given.get("limit", 1_000)))
        shown, rest = rows[:limit], rows[limit:]
        self._sort(shown, order)
        if not rest or not additive:
            return shown
        other = (OTHER,) * len(self.group_by)
        rest += [row for row in shown if row.names == other]
        compared = sum((row.compared or 0 for row in rest), 0.0) if "compare" in self.given else None
        return [row for row in shown if row.names != other] + [
            Group(other, sum((row.value or 0 for row in rest), 0.0), compared)
        ]

    def _sort(self, rows: list[Group], order: str) -> None:
        rows.sort(key=lambda row: [name.encode() for name in row.names], reverse=order == "-name")
        if order.endswith("value"):
            known = [row for row in rows if row.value is not None]
            known.sort(key=lambda row: row.value if order == "value" else -row.value)  # type: ignore[operator, return-value]
            rows[:] = known + [row for row in rows if row.value is None]


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
        given["compare"] = draw(st.sampled_from(["previous", "week"]))
    if draw(st.booleans()):
        given["group_by"] = draw(st.lists(st.sampled_from(metric.dimensions), min_size=1, unique=True))
        if draw(st.booleans()):
            given[draw(st.sampled_from(["limit", "top"]))] = draw(st.integers(1, 4))
        if draw(st.booleans()):
            given["order"] = draw(st.sampled_from(["value", "-value", "name", "-name"]))
    names = draw(st.lists(st.sampled_from(metric.dimensions), max_size=2))
    known = ["view", "buy", "1", "true", "0.5", "p" * 19 + "…", UNKNOWN, "", "nothing"]
    filters = []
    for name in names:
        texts = st.sampled_from([*map(str, VALUES.get(name, [])), *known])
        beginnings = texts.flatmap(lambda text: st.integers(0, len(text)).map(lambda end: text[:end]))
        alternatives = st.one_of(st.tuples(texts, st.just(False)), st.tuples(beginnings, st.just(True)))
        wanted = draw(st.lists(alternatives, min_size=1, max_size=3))
        filters.append(Wanted(name, wanted, draw(st.booleans())))
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
    store.truncate("metrics", "metrics_extremes")
    for envelopes in batches:
        write(writer, envelopes)
    if merged:
        store.merge()
    envelopes = [one for batch in batches for one in batch]
    for asked in questions:
        try:
            answer = await ask(service, asked.parameters)
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
        answer = await ask(service, [("name", "income"), ("group_by", "country")])
        assert answer.rows == [Group(("FR",), 2.0)]
        store.merge()


@pytest.mark.parametrize("limit", range(1, 6))
async def test_what_is_over_the_limit_is_summed_up(writer: StoreWriter, service: MetricsService, limit: int) -> None:
    countries = ["US"] * 5 + ["DE"] * 3 + ["FR", "AT"]
    write(writer, [event("view", country=country, price=1) for country in countries])
    largest = [Group(("US",), 5.0), Group(("DE",), 3.0), Group(("AT",), 1.0), Group(("FR",), 1.0)]
    rest = [Group((OTHER,), sum(group.value for group in largest[limit:]))] if limit < 4 else []
    for name in ("views", "income"):
        answer = await ask(service, [("name", name), ("group_by", "country"), ("limit", str(limit))])
        assert answer.rows == largest[:limit] + rest
    answer = await ask(service, [("name", "least"), ("group_by", "country"), ("limit", str(limit))])
    assert answer.rows == [Group((name,), 1.0) for name in ("AT", "DE", "FR", "US")][:limit]


async def test_a_comparison_is_of_the_steps_that_lie_as_far_into_the_earlier_range(
    writer: StoreWriter, service: MetricsService
) -> None:
    for days, country in ((0, "US"), (0, "DE"), (1, "US"), (7, "FR"), (7, "FR")):
        write(writer, [event("view", NOON_MS - days * DAY_MS, country=country)])
    times = [("name", "views"), ("from", str(NOON_MS - HOUR_MS)), ("to", str(NOON_MS + 23 * HOUR_MS)), ("step", "7h")]
    for compare, expected in (("previous", 1.0), ("week", 2.0)):
        series = await ask(service, [*times, ("compare", compare)])
        at = [row for row in series.rows if row.value or row.compared]
        assert [(row.value, row.compared) for row in at] == [(2.0, expected)]
    answer = await ask(service, [*times, ("compare", "week"), ("group_by", "country"), ("top", "2")])
    assert answer.rows == [Group(("DE",), 1.0, 0.0), Group(("US",), 1.0, 0.0), Group((OTHER,), 0.0, 2.0)]


async def test_more_rows_than_can_be_compared_are_refused_instead_of_guessed(
    reader: StoreReader, writer: StoreWriter
) -> None:
    service = MetricsService(reader, ROLLUPS, PROMOTED, QuerySettings(groups_max=2), ManualClock(NOW_MS))
    write(writer, [event("view", country=country) for country in ("US", "DE", "FR")])
    asked = [("name", "views"), ("group_by", "country"), ("compare", "previous")]
    with pytest.raises(InvalidRequest, match="over 2 rows"):
        await ask(service, asked)
    answer = await ask(service, [*asked, ("filter", "country!:FR")])
    assert answer.rows == [Group(("DE",), 1.0, 0.0), Group(("US",), 1.0, 0.0)]


async def test_a_range_is_half_open(writer: StoreWriter, service: MetricsService) -> None:
    for at_ms in (NOON_MS - 1, NOON_MS, NOON_MS + MINUTE_MS - 1, NOON_MS + MINUTE_MS):
        write(writer, [event("view", at_ms, country=str(at_ms - NOON_MS))])
    times = [("from", str(NOON_MS)), ("to", str(NOON_MS + MINUTE_MS))]
    answer = await ask(service, [("name", "views"), *times])
    assert answer.rows == [Point(NOON_MS, 2.0)]
    answer = await ask(service, [("name", "views"), *times, ("group_by", "country")])
    assert answer.rows == [Group(("0",), 1.0), Group(("59999",), 1.0)]


async def test_without_any_event_a_count_is_zero_and_an_extreme_is_nothing(service: MetricsService) -> None:
    expected: Iterator[tuple[str, float | None]] = iter([("views", 0.0), ("income", 0.0), ("least", None)])
    for name, value in expected:
        answer = await ask(service, [("name", name), ("range", "15m")])
        assert [row.value for row in answer.rows] == [value] * 15  # type: ignore[union-attr]
        answer = await ask(service, [("name", name), ("group_by", "country")])
        assert answer.rows == []


async def test_panes_from_before_a_dimension_was_configured_are_unknown(
    writer: StoreWriter, service: MetricsService
) -> None:
    noon_s = NOON_MS // 1000
    writer.write(pane_batch("old", [(noon_s, "views", 2, {"page": "/"}), (noon_s, "income", 3, {"country": "US"})]))
    write(writer, [event("view", country="US", page="/"), event("view", page="/")])
    answer = await ask(service, [("name", "views"), ("group_by", "country")])
    assert answer.rows == [Group((UNKNOWN,), 3.0), Group(("US",), 1.0)]
    for wanted in (UNKNOWN, ""):
        answer = await ask(service, [("name", "views"), ("country", wanted), ("group_by", "page")])
        assert answer.rows == [Group(("/",), 3.0)]
    for wanted, known in (("US|", True), ("(unk*|US", True), ("*", True), ("US", False)):
        for sign, is_kept in (("", known), ("!", not known)):
            answer = await ask(service, [("name", "views"), ("filter", f"country{sign}:{wanted}"), ("country", "")])
            assert sum(row.value for row in answer.rows) == 3.0 * is_kept  # type: ignore[union-attr, misc]
    answer = await ask(service, [("name", "income"), ("x", UNKNOWN), ("group_by", "x")])
    assert answer.rows == [Group((UNKNOWN,), 3.0)]


async def test_values_of_a_dimension_are_told_with_their_counts(writer: StoreWriter, service: MetricsService) -> None:
    pages = ["/shop/a"] * 3 + ["/shop/b"] * 2 + ["/shop/c", "/", "/SHOP", "/shop*"] + [None]
    write(writer, [event("view", page=page, country="US", price=2) for page in pages])
    write(writer, [event("view", page="/shop/a", country="DE"), event("view", NOON_MS - 2 * DAY_MS, page="/shop/old")])

    async def values(*parameters: tuple[str, str]) -> tuple[list[tuple[str, float]], int]:
        found = await service.values(service.values_question([("name", "views"), ("dimension", "page"), *parameters]))
        return [(group.names[0], group.value) for group in found.groups], found.count

    assert await values(("prefix", "/shop/")) == ([("/shop/a", 4.0), ("/shop/b", 2.0), ("/shop/c", 1.0)], 3)
    assert await values(("prefix", "/shop/"), ("limit", "1")) == ([("/shop/a", 4.0)], 3)
    assert await values(("prefix", "/shop*")) == ([("/shop*", 1.0)], 1)
    assert await values(("prefix", "(un")) == ([(UNKNOWN, 1.0)], 1)
    assert await values(("prefix", "x")) == ([], 0)
    assert await values(("filter", "country:DE")) == ([("/shop/a", 1.0)], 1)
    assert await values(("prefix", "/shop/o"), ("range", "7d")) == ([("/shop/old", 1.0)], 1)
    names, count = await values()
    assert (names[0], len(names), count) == (("/shop/a", 4.0), 7, 7)


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
        answer = await ask(service, [("name", "views"), ("page", text), ("group_by", "page")])
        assert answer.rows == ([Group((text,), 1.0)] if text.startswith("x") else [])
        for key in ("name", "group_by", "range", "from", "step", "limit"):
            with pytest.raises(InvalidRequest):
                await ask(service, [*([] if key == "name" else [("name", "views")]), (key, text)])
    assert store.rows("SELECT sum(value) FROM metrics WHERE metric_name = 'views'") == [(1.0,)]
