"""Series in memory for tests of PromQL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamgauge.query.promql.labels import labels_of
from streamgauge.query.promql.series import Hints, Matcher, Series, SeriesBatch, satisfying


def series(samples: dict[int, float], **labels: str) -> Series:
    """Samples by seconds; `name` is the metric's."""
    name = labels.pop("name", "m")
    times = np.array(sorted(samples), dtype=np.int64)
    return Series(
        labels_of({"__name__": name, **labels}), times * 1000, np.array([samples[time] for time in times.tolist()])
    )


class Memory:
    """A Queryable over series, which remembers what it was asked."""

    def __init__(self, *found: Series) -> None:
        self._found = found
        self.asked: list[tuple[tuple[Matcher, ...], int, int, Hints]] = []

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> SeriesBatch:
        self.asked.append((tuple(matchers), start_ms, end_ms, hints))
        satisfied = satisfying([one.labels for one in self._found], matchers)
        chosen = []
        for one in (one for one, here in zip(self._found, satisfied, strict=True) if here):
            inside = (one.times_ms >= start_ms) & (one.times_ms <= end_ms)
            chosen.append(Series(one.labels, one.times_ms[inside], one.values[inside]))
        return SeriesBatch.of(chosen)


class Grid:
    """A Queryable of series that share their times, whatever is asked."""

    def __init__(self, batch: SeriesBatch) -> None:
        self._batch = batch

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> SeriesBatch:
        return self._batch
