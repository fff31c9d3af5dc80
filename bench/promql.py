"""How long PromQL takes once the samples are in memory: `python bench/promql.py`.

A week of minutes of 1,200 series (20 countries, 3 devices, 20 pages), as counts; 169 steps of an hour. Each question is
asked five times; the median and the longest are printed, in milliseconds, with shared times and with times of its own
for each series.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Sequence

import numpy as np

from streamgauge.query.promql.engine import Engine
from streamgauge.query.promql.series import Hints, Matcher, SeriesBatch

COUNTRIES, DEVICES, PAGES, MINUTES = 20, 3, 20, 7 * 24 * 60
HOUR_MS = 3_600_000
ROUNDS = 5
QUERIES = (
    "sum by (country) (sum_over_time(page_views[1h]))",
    "sum by (country) (avg_over_time(page_views[1h]))",
    "max by (country) (max_over_time(page_views[1h]))",
    "sum by (country) (sum_over_time(page_views[1d]))",
    "sum by (country) (increase(page_views_total[1h]))",
    "topk(5, sum by (page) (increase(page_views_total[1h])))",
    "sum(page_views)",
    "quantile_over_time(0.9, page_views[1h])",
    "stddev_over_time(page_views[1h])",
)


class Kept:
    """A Queryable that has two metrics, counts and their running totals."""

    def __init__(self, counts: SeriesBatch, totals: SeriesBatch) -> None:
        self._counts, self._totals = counts, totals

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> SeriesBatch:
        return self._totals if any(matcher.value == "page_views_total" for matcher in matchers) else self._counts


def batch(values: np.ndarray, *, shared: bool) -> SeriesBatch:
    labels = [
        (("__name__", "page_views"), ("country", f"C{country}"), ("device", f"D{device}"), ("page", f"/{page}"))
        for country in range(COUNTRIES)
        for device in range(DEVICES)
        for page in range(PAGES)
    ]
    grid = SeriesBatch.grid(labels, np.arange(1, MINUTES + 1, dtype=np.int64) * 60_000, values)
    return grid if shared else SeriesBatch(labels, np.tile(grid.times_ms, len(labels)), grid.values, grid.starts)


def measure(engine: Engine, query: str) -> dict[str, float]:
    taken_ms = []
    for _ in range(ROUNDS):
        started_s = time.perf_counter()
        engine.range(query, 0, 168 * HOUR_MS, HOUR_MS)
        taken_ms.append((time.perf_counter() - started_s) * 1_000)
    return {"p50_ms": round(statistics.median(taken_ms), 1), "max_ms": round(max(taken_ms), 1)}


def main() -> None:
    counts = np.random.default_rng(1).poisson(5, (COUNTRIES * DEVICES * PAGES, MINUTES)).astype(np.float64)
    totals = counts.cumsum(axis=1)
    print(json.dumps({"cores": os.cpu_count(), "python": platform.python_version(), "samples": counts.size}))
    for shared in (True, False):
        engine = Engine(Kept(batch(counts, shared=shared), batch(totals, shared=shared)))
        for query in QUERIES:
            print(json.dumps({"query": query, "shared_times": shared, **measure(engine, query)}), flush=True)


if __name__ == "__main__":
    main()
