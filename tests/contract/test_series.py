"""PromQL over the store is PromQL over the same panes in memory, whatever the store adds up beforehand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.store_places import StorePlace, pane_batch
from promql_series import Memory, series
from streamgauge.config import QuerySettings
from streamgauge.core.errors import QueryLimit
from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS, SESSION_ROLLUPS, UNKNOWN, Freshness, Rollup
from streamgauge.query.promql.engine import Engine
from streamgauge.query.promql.errors import PromqlExecutionError, PromqlSyntaxError
from streamgauge.query.promql.series import Hints, Matcher, MatchOp, SeriesBatch
from streamgauge.query.promql.values import Vector
from streamgauge.query.series import RollupSeries
from streamgauge.store.base import StoreReader, StoreWriter

NOON_S = 1_767_268_800
NOON_MS = NOON_S * 1000
COMPLETE_MS = NOON_MS + 30 * MINUTE_MS + 17_123
ROLLUPS = (
    Rollup("views", ("country", "page"), event="view"),
    Rollup("fives", ("country",), window="5m"),
    Rollup("income", ("country", "page"), measure={"sum": "price"}),
    Rollup("least", ("country", "page"), measure={"min": "price"}),
    Rollup("most", ("country", "page"), measure={"max": "price"}),
    *SESSION_ROLLUPS,
)
METRICS = {rollup.name: rollup for rollup in ROLLUPS}
MEMORY_H = 2
VALUES = {
    "country": ["US", "DE", "", UNKNOWN],
    "page": ["/", "/a'b\n", "/ü😀", "x' OR 1=1 --", "\\d", "{metric:String}"],
}


class Parts(NamedTuple):
    store: StorePlace
    writer: StoreWriter
    reader: StoreReader


@pytest.fixture
def parts(store: StorePlace, writer: StoreWriter, reader: StoreReader) -> Parts:
    return Parts(store, writer, reader)


class Pane(NamedTuple):
    metric: str
    start_s: int
    value: float
    dimensions: tuple[tuple[str, str], ...]


@st.composite
def panes(draw: st.DrawFn) -> Pane:
    rollup = METRICS[draw(st.sampled_from(["views", "fives", "income", "least", "most"]))]
    windows = st.integers(-200, 45) if rollup.window == "60s" else st.integers(-40, 9)
    start_s = NOON_S + draw(windows) * rollup.window_ms // 1000
    dimensions = tuple((name, draw(st.sampled_from(VALUES[name]))) for name in rollup.dimensions)
    return Pane(rollup.name, start_s, float(draw(st.integers(1, 9))), dimensions)


_batch_numbers = itertools.count()


def write(writer: StoreWriter, given_panes: Sequence[Pane]) -> None:
    for table in ("metrics", "metrics_extremes"):
        rows = [
            (pane.start_s, pane.metric, pane.value, dict(pane.dimensions))
            for pane in given_panes
            if (METRICS[pane.metric].measured.kind in ("min", "max")) == (table == "metrics_extremes")
        ]
        if rows:
            writer.write(pane_batch(f"b{next(_batch_numbers)}", rows, table))


def in_memory(given_panes: Sequence[Pane], start_ms: int, end_ms: int) -> Memory:
    """What the guide says of the samples of `[start_ms, end_ms]`, pane by pane."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], dict[int, float]] = {}
    first: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    for pane in given_panes:
        rollup = METRICS[pane.metric]
        window_s, kind = rollup.window_ms // 1000, rollup.measured.kind
        at_s = pane.start_s + window_s
        if at_s * 1000 > min(end_ms, COMPLETE_MS):
            continue
        key = (pane.metric, tuple((name, value or UNKNOWN) for name, value in pane.dimensions))
        memory_s = MEMORY_H * 3600 if kind in ("count", "sum") else 0
        first_sample_s = -(-start_ms // (window_s * 1000)) * window_s
        if at_s < first_sample_s - memory_s:
            continue
        samples = found.setdefault(key, {})
        first[key] = min(first.get(key, at_s), at_s)
        if at_s >= first_sample_s:
            if kind in ("count", "sum"):
                samples[at_s] = samples.get(at_s, 0.0) + pane.value
            else:
                choose = min if kind == "min" else max
                samples[at_s] = choose(samples.get(at_s, pane.value), pane.value)
    for (metric, labels), samples in found.items():
        window_s = METRICS[metric].window_ms // 1000
        if METRICS[metric].measured.kind in ("count", "sum"):
            begin = max(first[metric, labels], -(-start_ms // (window_s * 1000)) * window_s)
            for at_s in range(begin, min(end_ms, COMPLETE_MS) // 1000 + 1, window_s):
                samples.setdefault(at_s, 0.0)
    return Memory(*(series(samples, name=metric, **dict(labels)) for (metric, labels), samples in found.items()))


class Whole:
    """A Queryable over panes in memory that is told no more than what it's asked for."""

    def __init__(self, given_panes: Sequence[Pane]) -> None:
        self._panes = given_panes

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> SeriesBatch:
        return in_memory(self._panes, start_ms, end_ms).select(matchers, start_ms, end_ms, hints)


def rollup_series(reader: StoreReader, **limits: int) -> RollupSeries:
    return RollupSeries(reader, ROLLUPS, ("country", "event"), QuerySettings(**{"series_memory_h": MEMORY_H, **limits}))


FRESH = Freshness(COMPLETE_MS, 0, 0, NOON_MS)


def rows_of(vector: object) -> dict[object, list[float | None]]:
    assert isinstance(vector, Vector)
    return {
        labels: [
            round(value, 9) if here else None for value, here in zip(values.tolist(), present.tolist(), strict=True)
        ]
        for labels, values, present in zip(vector.labels, vector.values, vector.present, strict=True)
    }


QUESTIONS = [
    "views",
    '{__name__=~"views|fives|least"}',
    'views{country="US"}',
    f'views{{country!="{UNKNOWN}"}}',
    'views{country="", page="/"}',
    'views{absent=""}',
    'views{absent!=""}',
    'views{page=~"/.b.|/.."}',
    "views{page!~'/.*'}",
    "views{page=~`.d`}",
    'views{country=~"U|D"}',
    'views{country="US" or page="/"}',
    'sum(views{country="US" or page="/"})',
    "sum(views)",
    "sum by (country) (views)",
    "sum without (country) (income)",
    'sum by (__name__, page) ({__name__=~"views|income"} offset 7m)',
    "sum by (country) (sum_over_time(views[30m]))",
    "sum by (page) (sum_over_time(income[17m]))",
    "sum_over_time(fives[1h])",
    "sum by (country) (sum_over_time(fives[20m] @ end()))",
    "min by (page) (min_over_time(least[10m]))",
    "max(max_over_time(most[30m]))",
    "max(max_over_time(least[30m]))",
    "min by (country) (least)",
    "sum(least)",
    "avg by (country) (avg_over_time(views[10m]))",
    "count_over_time(views[10m])",
    "sum(sum_over_time(views[10m])) / sum(count_over_time(views[10m]))",
    "max_over_time(sum by (country) (sum_over_time(views[4m]))[20m:2m])",
    "sum_over_time(sum by (country) (views)[10m:1m])",
    "topk by (country) (1, views)",
    "rate(views[5m]) + on (country, page) income",
]
STEPS = [(60, 60), (1_800, 600), (7_200, 3_600), (1_200, 17), (0, 60)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(panes(), min_size=1, max_size=25),
    st.sampled_from(QUESTIONS),
    st.integers(-3_600, 2_400),
    st.sampled_from(STEPS),
)
def test_any_question_has_the_answer_of_the_panes(
    parts: Parts, given_panes: list[Pane], question: str, at_s: int, span: tuple[int, int]
) -> None:
    store, writer, reader = parts
    store.truncate("metrics", "metrics_extremes")
    write(writer, given_panes)
    queryable = rollup_series(reader).as_of(FRESH, lambda: 10.0)
    start_ms, length_s, step_s = NOON_MS + at_s * 1000, *span
    asked = (question, start_ms, start_ms + length_s * 1000, step_s * 1000)
    assert rows_of(Engine(queryable).range(*asked).value) == rows_of(Engine(Whole(given_panes)).range(*asked).value)


US = (("country", "US"), ("page", "/"))


def test_a_metric_that_stopped_is_zero_until_the_watermark_and_gone_after_its_memory(
    writer: StoreWriter, reader: StoreReader
) -> None:
    write(writer, [Pane("views", NOON_S - 3600, 5.0, US)])
    asked = Engine(rollup_series(reader).as_of(FRESH, lambda: 10.0))
    shown = rows_of(asked.range("views", NOON_MS - HOUR_MS, NOON_MS + HOUR_MS, 10 * MINUTE_MS).value)
    # It's stamped 11:01; the watermark is 12:30:17, and an instant looks 5 minutes back.
    assert list(shown.values()) == [[None, *[0.0] * 9, None, None, None]]
    later = Freshness(NOON_MS + DAY_MS, 0, 0)
    gone = Engine(rollup_series(reader).as_of(later, lambda: 10.0)).instant("views", NOON_MS + DAY_MS)
    assert rows_of(gone.value) == {}


def test_sessions_are_there_up_to_their_own_watermark(writer: StoreWriter, reader: StoreReader) -> None:
    write(writer, [Pane("sessions", NOON_S + 60 * minute, 1.0, US) for minute in range(-10, 10)])
    asked = Engine(rollup_series(reader).as_of(FRESH, lambda: 10.0))
    assert list(rows_of(asked.instant("sum(sum_over_time(sessions[1h]))", COMPLETE_MS).value).values()) == [[10.0]]


def test_what_the_store_can_add_up_is_not_fetched_series_by_series(writer: StoreWriter, reader: StoreReader) -> None:
    pages = [f"/{number}" for number in range(50)]
    write(writer, [Pane("views", NOON_S, 1.0, (("country", "US"), ("page", page))) for page in pages])
    queryable = rollup_series(reader).as_of(FRESH, lambda: 10.0)
    hints = Hints(step_ms=HOUR_MS, range_ms=HOUR_MS, function="sum_over_time", aggregation="sum", labels=("country",))
    matcher = (Matcher("__name__", MatchOp.EQUAL, "views"),)
    found = queryable.select(matcher, NOON_MS - HOUR_MS + 1, NOON_MS + 2 * HOUR_MS, hints)
    assert [dict(labels) for labels in found.labels] == [{"__name__": "views", "country": "US"}]
    assert np.array_equal(found.values, [50.0])
    assert np.array_equal(found.times_ms, [NOON_MS + HOUR_MS])


def test_labels_and_values_are_those_of_series_that_are_there(writer: StoreWriter, reader: StoreReader) -> None:
    write(writer, [Pane("views", NOON_S, 1.0, US), Pane("least", NOON_S, 1.0, (("country", "DE"), ("page", "/")))])
    queryable = rollup_series(reader).as_of(FRESH, lambda: 10.0)
    assert queryable.label_values("country", (), NOON_MS, COMPLETE_MS) == {"US", "DE"}
    assert queryable.label_values("__name__", (), NOON_MS, COMPLETE_MS) == {"views", "least"}
    assert queryable.label_values("country", (), NOON_MS, NOON_MS) == set()
    us = (Matcher("country", MatchOp.EQUAL, "US"),)
    assert [dict(one) for one in queryable.label_sets(us, NOON_MS, COMPLETE_MS)] == [{"__name__": "views", **dict(US)}]


def test_too_many_series_are_refused(writer: StoreWriter, reader: StoreReader) -> None:
    write(writer, [Pane("views", NOON_S, 1.0, (("country", "US"), ("page", page))) for page in "abc"])
    asked = Engine(rollup_series(reader, series_max=2).as_of(FRESH, lambda: 10.0))
    with pytest.raises(PromqlExecutionError, match="3 series of views: at most 2"):
        asked.instant("views", COMPLETE_MS)
    assert len(rows_of(asked.instant("sum(views)", COMPLETE_MS - 20 * MINUTE_MS).value)) == 1


def test_a_pattern_that_only_the_parser_knows_is_bad_data(writer: StoreWriter, reader: StoreReader) -> None:
    write(writer, [Pane("views", NOON_S, 1.0, US)])
    with pytest.raises(PromqlSyntaxError, match="regular expression"):
        Engine(rollup_series(reader).as_of(FRESH, lambda: 10.0)).instant(r'views{page=~"\\p{Emoji}"}', COMPLETE_MS)


def test_a_question_that_takes_the_store_too_long_says_so(writer: StoreWriter, reader: StoreReader) -> None:
    with pytest.raises(QueryLimit, match="execution time"):
        reader.table(
            "SELECT count() FROM numbers(1000000000) WHERE NOT ignore(sipHash64(toString(sipHash64(number))))", {}, 0.5
        )
