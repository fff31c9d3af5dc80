"""The program's own self-metrics as PromQL's series: sampled every 15 s into memory, the last six hours of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import numpy as np
from prometheus_client import CollectorRegistry

from streamgauge.core.clock import Clock
from streamgauge.query.promql.labels import NAME, Labels, labels_of
from streamgauge.query.promql.select import present_samples
from streamgauge.query.promql.series import Hints, Matcher, SeriesBatch, satisfying

SAMPLE_INTERVAL_S: Final = 15.0
SAMPLES_MAX: Final = 1_440
"""Of a series; the oldest make room for the newest."""
SERIES_MAX: Final = 2_000
"""Further ones are not sampled: 23 MB of memory altogether."""


class SelfSeries:
    """A bounded history of a registry. `record` and `select` may be used from different threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._places: dict[Labels, int] = {}
        self._recorded = 0
        self._last_ms = -1
        self._times = np.zeros(SAMPLES_MAX, dtype=np.int64)
        # NaN where there is no sample.
        self._values = np.full((64, SAMPLES_MAX), np.nan)

    async def run(self, clock: Clock, measure: Callable[[], Awaitable[object]]) -> None:
        """Record until cancelled. `measure` brings the gauges up to date."""
        while True:
            await measure()
            self.record(clock.now_ms())
            await asyncio.sleep(SAMPLE_INTERVAL_S)

    def record(self, now_ms: int) -> None:
        """Take one sample of each. Nothing where the clock went back."""
        if now_ms <= self._last_ms:
            return
        found = {
            labels_of({NAME: sample.name, **sample.labels}): sample.value
            for family in self._registry.collect()
            for sample in family.samples
            if not sample.name.endswith("_created")
        }
        with self._lock:
            column = self._recorded % SAMPLES_MAX
            self._values[:, column] = np.nan
            for labels, value in found.items():
                place = self._place(labels)
                if place is not None:
                    self._values[place, column] = value
            self._times[column] = self._last_ms = now_ms
            self._recorded += 1

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> SeriesBatch:
        with self._lock:
            labels = list(self._places)
            rows = np.flatnonzero(satisfying(labels, matchers))
            order = np.arange(max(0, self._recorded - SAMPLES_MAX), self._recorded) % SAMPLES_MAX
            columns = order[(self._times[order] >= start_ms) & (self._times[order] <= end_ms)]
            values = self._values[np.ix_(rows, columns)]
            times = self._times[columns]
        present = ~np.isnan(values)
        here = np.flatnonzero(present.any(axis=1))
        return present_samples([labels[row] for row in rows[here].tolist()], times, values[here], present[here])

    def label_sets(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Of the series that have a sample in that time."""
        return list(self.select(matchers, start_ms, end_ms, Hints()).labels)

    def _place(self, labels: Labels) -> int | None:
        place = self._places.get(labels)
        if place is None and len(self._places) < SERIES_MAX:
            place = self._places[labels] = len(self._places)
            if place == len(self._values):
                self._values = np.concatenate([self._values, np.full_like(self._values, np.nan)])
        return place
