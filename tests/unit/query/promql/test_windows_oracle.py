"""Functions of windows against oracles that look at one window at a time, as Prometheus describes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promql_series import Grid, Memory, series
from streamgauge.query.promql.engine import Engine
from streamgauge.query.promql.series import SeriesBatch
from streamgauge.query.promql.values import Vector

Window = list[tuple[int, float]]
"""Seconds and values of the samples in a window."""

SAMPLES = st.dictionaries(
    st.integers(0, 60),
    st.one_of(st.integers(-5, 50).map(float), st.floats(-1e6, 1e6, allow_nan=False, width=32), st.just(math.nan)),
    max_size=25,
)
COUNTER = st.dictionaries(st.integers(0, 60), st.integers(0, 30).map(float), max_size=25)


def answered(query: str, samples: dict[int, float], end: int, step: int) -> dict[int, float]:
    """Values by step in seconds, over steps 0, `step` … up to `end`."""
    answer = Engine(Memory(series(samples, name="m_total"))).range(query, 0, end * 1000, step * 1000)
    assert isinstance(answer.value, Vector)
    if not len(answer.value.labels):
        return {}
    (values,), (present,) = answer.value.values.tolist(), answer.value.present.tolist()
    seconds = (answer.times_ms // 1000).tolist()
    return {second: value for second, value, here in zip(seconds, values, present, strict=True) if here}


def expected(
    samples: dict[int, float], end: int, step: int, of_window: Callable[[Window, int, int], float | None], length: int
) -> dict[int, float]:
    result = {}
    for now in range(0, end + 1, step):
        window = sorted((time, value) for time, value in samples.items() if now - length < time <= now)
        value = of_window(window, now - length, now) if window else None
        if value is not None:
            result[now] = value
    return result


def assert_same(found: dict[int, float], wanted: dict[int, float]) -> None:
    assert set(found) == set(wanted)
    for now, value in wanted.items():
        assert found[now] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True)


def exact_sum(values: list[float]) -> float:
    if any(math.isnan(value) for value in values):
        return math.nan
    return float(sum((Fraction(value) for value in values), Fraction(0)))


def extrapolated(window: Window, start: int, end: int) -> float | None:
    """`increase`, word for word: growth, resets, then the edges."""
    if len(window) < 2:
        return None
    (first_time, first), (last_time, last) = window[0], window[-1]
    growth = last - first
    for (_, before), (_, after) in pairwise(window):
        if after < before:
            growth += before
    sampled = last_time - first_time
    interval = sampled / (len(window) - 1)
    before, behind = first_time - start, end - last_time
    if before >= 1.1 * interval:
        before = interval / 2
    if growth > 0 and first >= 0:
        before = min(before, sampled * first / growth)
    if behind >= 1.1 * interval:
        behind = interval / 2
    return growth * (sampled + before + behind) / sampled


def values_of(window: Window) -> list[float]:
    return [value for _, value in window]


def variance(values: list[float]) -> float:
    mean = exact_sum(values) / len(values)
    return exact_sum([(value - mean) ** 2 for value in values]) / len(values)


def quantile(q: float, values: list[float]) -> float:
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = q * (len(ordered) - 1)
    low = ordered[math.floor(rank)]
    high = ordered[min(math.floor(rank) + 1, len(ordered) - 1)]
    weight = rank - math.floor(rank)
    return low * (1 - weight) + high * weight


def known(values: list[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


OVER_TIME: dict[str, Callable[[list[float]], float]] = {
    "sum_over_time(m_total[{}s])": exact_sum,
    "avg_over_time(m_total[{}s])": lambda values: exact_sum(values) / len(values),
    "count_over_time(m_total[{}s])": len,
    "min_over_time(m_total[{}s])": lambda values: min(known(values), default=math.nan),
    "max_over_time(m_total[{}s])": lambda values: max(known(values), default=math.nan),
    "last_over_time(m_total[{}s])": lambda values: values[-1],
    "first_over_time(m_total[{}s])": lambda values: values[0],
    "quantile_over_time(0.3, m_total[{}s])": lambda values: quantile(0.3, values),
    "changes(m_total[{}s])": lambda values: sum(
        before != after and not (math.isnan(before) and math.isnan(after)) for before, after in pairwise(values)
    ),
    "resets(m_total[{}s])": lambda values: sum(after < before for before, after in pairwise(values)),
}


@pytest.mark.parametrize("query", OVER_TIME)
@settings(max_examples=40, deadline=None)
@given(samples=SAMPLES, length=st.integers(1, 40), step=st.integers(1, 13))
def test_each_window_is_worth_what_its_samples_say(
    query: str, samples: dict[int, float], length: int, step: int
) -> None:
    found = answered(query.format(length), samples, 70, step)
    assert_same(found, expected(samples, 70, step, lambda window, *_: OVER_TIME[query](values_of(window)), length))


@settings(max_examples=100, deadline=None)
@given(samples=COUNTER, length=st.integers(1, 40), step=st.integers(1, 13))
def test_increase_counts_resets_and_reaches_to_the_edges(samples: dict[int, float], length: int, step: int) -> None:
    assert_same(
        answered(f"increase(m_total[{length}s])", samples, 70, step),
        expected(samples, 70, step, extrapolated, length),
    )


@settings(max_examples=60, deadline=None)
@given(samples=COUNTER, length=st.integers(1, 40))
def test_rate_is_the_increase_a_second(samples: dict[int, float], length: int) -> None:
    increase = answered(f"increase(m_total[{length}s])", samples, 70, 7)
    rate = answered(f"rate(m_total[{length}s])", samples, 70, 7)
    assert_same(rate, {now: value / length for now, value in increase.items()})


@settings(max_examples=60, deadline=None)
@given(samples=SAMPLES.map(lambda one: {time: value for time, value in one.items() if not math.isnan(value)}))
def test_variance_is_the_mean_square_distance_from_the_mean(samples: dict[int, float]) -> None:
    found = answered("stdvar_over_time(m_total[20s])", samples, 70, 5)
    wanted = expected(samples, 70, 5, lambda window, *_: variance(values_of(window)), 20)
    assert set(found) == set(wanted)
    for now, value in wanted.items():
        assert found[now] == pytest.approx(value, rel=1e-6, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    samples=st.dictionaries(st.integers(0, 60), st.integers(-50, 50).map(float), max_size=25), ahead=st.integers(0, 50)
)
def test_a_prediction_lies_on_the_least_squares_line(samples: dict[int, float], ahead: int) -> None:
    def line(window: Window, _: int, now: int) -> float | None:
        if len(window) < 2:
            return None
        slope, start = np.polyfit([time - now for time, _ in window], values_of(window), 1)
        return float(start + slope * ahead)

    found = answered(f"predict_linear(m_total[30s], {ahead})", samples, 70, 9)
    wanted = expected(samples, 70, 9, line, 30)
    assert set(found) == set(wanted)
    for now, value in wanted.items():
        assert found[now] == pytest.approx(value, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    "function",
    ["sum_over_time", "increase", "max_over_time", "timestamp(last_over_time", "deriv", "ts_of_max_over_time"],
)
@settings(max_examples=25, deadline=None)
@given(cells=st.lists(st.lists(st.integers(0, 9).map(float), min_size=6, max_size=6), min_size=1, max_size=4))
def test_series_that_share_their_times_are_worth_the_same(function: str, cells: list[list[float]]) -> None:
    labels = [(("__name__", "m_total"), ("row", str(row))) for row in range(len(cells))]
    times = np.arange(6, dtype=np.int64) * 10_000
    grid = SeriesBatch.grid(labels, times, np.array(cells))
    apart = SeriesBatch.of(grid.rows())
    query = f"{function}(m_total[25s])" + ")" * function.count("(")
    answers = [Engine(Grid(batch)).range(query, 0, 60_000, 7_000).value for batch in (grid, apart)]
    assert all(isinstance(value, Vector) for value in answers)
    np.testing.assert_array_equal(answers[0].values, answers[1].values)
    np.testing.assert_array_equal(answers[0].present, answers[1].present)
