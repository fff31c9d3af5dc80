"""Self-metrics as series: a bounded past."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from streamgauge.core.clock import ManualClock
from streamgauge.query.promql.engine import Engine
from streamgauge.query.promql.series import Hints, Matcher, MatchOp
from streamgauge.query.promql.values import Vector
from streamgauge.query.selfseries import SAMPLES_MAX, SERIES_MAX, SelfSeries

NAMED_M = (Matcher("__name__", MatchOp.EQUAL, "m"),)


def test_each_record_is_a_sample_of_each_series() -> None:
    registry = CollectorRegistry()
    gauge = Gauge("m", "", ["of"], registry=registry)
    series = SelfSeries(registry)
    gauge.labels("a").set(1)
    series.record(1_000)
    gauge.labels("a").set(2)
    gauge.labels("b").set(5)
    series.record(2_000)
    found = {dict(one.labels)["of"]: (one.times_ms.tolist(), one.values.tolist()) for one in everything(series)}
    assert found == {"a": ([1_000, 2_000], [1.0, 2.0]), "b": ([2_000], [5.0])}


async def test_gauges_are_brought_up_to_date_before_they_are_recorded() -> None:
    registry, clock = CollectorRegistry(), ManualClock(1_000)
    gauge = Gauge("m", "", registry=registry)
    series = SelfSeries(registry)

    async def measure() -> None:
        gauge.set(7)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(series.run(clock, measure), 0.05)
    assert [(one.times_ms.tolist(), one.values.tolist()) for one in everything(series)] == [([1_000], [7.0])]


def everything(series: SelfSeries) -> list:  # type: ignore[type-arg]
    return list(series.select(NAMED_M, 0, 10**12, Hints()).rows())


def test_a_span_is_inclusive_on_both_sides() -> None:
    registry = CollectorRegistry()
    Gauge("m", "", registry=registry)
    series = SelfSeries(registry)
    for at_ms in (1, 2, 3, 4):
        series.record(at_ms)
    assert series.select(NAMED_M, 2, 3, Hints()).times_ms.tolist() == [2, 3]
    assert series.label_sets(NAMED_M, 5, 9) == []


def test_the_oldest_samples_make_room() -> None:
    registry = CollectorRegistry()
    gauge = Gauge("m", "", registry=registry)
    series = SelfSeries(registry)
    for number in range(SAMPLES_MAX + 10):
        gauge.set(number)
        series.record(number * 15_000)
    (only,) = everything(series)
    assert only.values.tolist() == list(range(10, SAMPLES_MAX + 10))
    assert only.times_ms.tolist() == [number * 15_000 for number in range(10, SAMPLES_MAX + 10)]


def test_a_clock_that_goes_back_adds_nothing() -> None:
    registry = CollectorRegistry()
    Gauge("m", "", registry=registry)
    series = SelfSeries(registry)
    for at_ms in (1_000, 500, 1_000, 1_500):
        series.record(at_ms)
    assert everything(series)[0].times_ms.tolist() == [1_000, 1_500]


def test_there_are_only_so_many_series() -> None:
    registry = CollectorRegistry()
    gauge = Gauge("m", "", ["of"], registry=registry)
    for number in range(SERIES_MAX + 5):
        gauge.labels(str(number)).set(number)
    series = SelfSeries(registry)
    series.record(1_000)
    assert len(everything(series)) == SERIES_MAX


def test_counters_can_be_asked_for_their_rate() -> None:
    registry = CollectorRegistry()
    counter = Counter("m", "", registry=registry)
    series = SelfSeries(registry)
    for number in range(21):
        series.record(number * 15_000)
        counter.inc(30)
    value = Engine(series).instant("rate(m_total[5m])", 300_000).value
    assert isinstance(value, Vector)
    assert value.values.round(9).tolist() == [[2.0]]
    assert not series.label_sets((Matcher("__name__", MatchOp.EQUAL, "m_created"),), 0, 10**9)
