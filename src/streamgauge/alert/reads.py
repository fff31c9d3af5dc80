"""The reads of one round of rules, each made once.

Rules that differ only in their matchers or thresholds read the same metric over the same time: from the third such
selector on it is read once for all of them, with the labels that any of them needs, and each takes its own from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from streamgauge.core.errors import InvalidRequest
from streamgauge.query.promql.labels import NAME, value_of
from streamgauge.query.promql.series import Hints, Matcher, Matchers, MatchOp, Positions, Queryable, SeriesBatch

KEPT_SAMPLES_MAX: Final = 20_000_000
_SHARED_FROM: Final = 3


class Asked(NamedTuple):
    """A selector, by which time it reads relative to the evaluation."""

    matchers: Matchers
    start_ms: int
    end_ms: int
    hints: Hints


class Asking:
    """A Queryable that has nothing, and notes what it is asked."""

    def __init__(self, at_ms: int) -> None:
        self._at_ms = at_ms
        self.asked: list[Asked] = []

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> SeriesBatch:
        self.asked.append(Asked(tuple(matchers), start_ms - self._at_ms, end_ms - self._at_ms, hints))
        return SeriesBatch.of([])


class _Kind(NamedTuple):
    """What selectors that can share a read have in common."""

    name: str
    start_ms: int
    end_ms: int
    hints: Hints


class _Read:
    """Series of one metric, with an index of their labels."""

    def __init__(self, batch: SeriesBatch) -> None:
        self._batch = batch
        self._index: dict[str, dict[str, Positions]] = {}

    def satisfying(self, matchers: Sequence[Matcher]) -> SeriesBatch:
        chosen: Positions | None = None
        for matcher in matchers:
            found = self._positions(matcher)
            chosen = found if chosen is None else np.intersect1d(chosen, found, assume_unique=True)
        return self._batch if chosen is None else _rows(self._batch, chosen)

    def _positions(self, matcher: Matcher) -> Positions:
        index = self._index.get(matcher.name)
        if index is None:
            index = self._index[matcher.name] = self._indexed(matcher.name)
        if matcher.op is MatchOp.EQUAL:
            return index.get(matcher.value, np.empty(0, dtype=np.int64))
        values = list(index)
        kept = [index[value] for value, here in zip(values, matcher.matches(values), strict=True) if here]
        return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *kept]))

    def _indexed(self, name: str) -> dict[str, Positions]:
        places: dict[str, list[int]] = {}
        for position, labels in enumerate(self._batch.labels):
            places.setdefault(value_of(labels, name), []).append(position)
        return {value: np.array(found, dtype=np.int64) for value, found in places.items()}


class SharedReads:
    """Of one round at `at_ms`; used by one thread at a time."""

    def __init__(self, asked: Sequence[Asked], at_ms: int) -> None:
        self._reads: dict[_Kind, _Read | None] = {}
        self._single: dict[tuple[Any, ...], SeriesBatch] = {}
        self._kept_samples = 0
        wanted: dict[_Kind, set[Matchers]] = {}
        for one in asked:
            if kind := _kind(one.matchers, one.start_ms + at_ms, one.end_ms + at_ms, one.hints):
                wanted.setdefault(kind, set()).add(one.matchers)
        self._shared = {kind: sets for kind, sets in wanted.items() if len(sets) >= _SHARED_FROM}

    def over(self, source: Queryable) -> Queryable:
        return _Over(self, source)

    def select(
        self, source: Queryable, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints
    ) -> SeriesBatch:
        kind = _kind(matchers, start_ms, end_ms, hints)
        if kind is not None and kind in self._shared:
            read = self._reads[kind] if kind in self._reads else self._read(source, kind)
            if read is not None:
                return read.satisfying([one for one in matchers if one.name != NAME])
        key = (tuple(matchers), start_ms, end_ms, hints)
        found = self._single.get(key)
        if found is None:
            found = self._kept(key, source.select(matchers, start_ms, end_ms, hints))
        return found

    def _kept(self, key: tuple[Any, ...], found: SeriesBatch) -> SeriesBatch:
        if self._kept_samples + len(found.values) <= KEPT_SAMPLES_MAX:
            self._kept_samples += len(found.values)
            self._single[key] = found
        return found

    def _read(self, source: Queryable, kind: _Kind) -> _Read | None:
        """None where all of it is too much at once: then each selector reads for itself."""
        needed = {one.name for matchers in self._shared[kind] for one in matchers} - {NAME}
        hints = _finer(kind.hints, needed)
        matchers = (Matcher(NAME, MatchOp.EQUAL, kind.name),)
        try:
            read: _Read | None = _Read(source.select(matchers, kind.start_ms, kind.end_ms, hints))
        except InvalidRequest:
            read = None
        self._reads[kind] = read
        return read


class _Over:
    def __init__(self, reads: SharedReads, source: Queryable) -> None:
        self._reads, self._source = reads, source

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> SeriesBatch:
        return self._reads.select(self._source, matchers, start_ms, end_ms, hints)


def _kind(matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> _Kind | None:
    names = [one for one in matchers if one.name == NAME]
    if len(names) != 1 or names[0].op is not MatchOp.EQUAL:
        return None
    return _Kind(names[0].value, start_ms, end_ms, hints)


def _finer(hints: Hints, needed: set[str]) -> Hints:
    """As the aggregation wants it, with the labels beside that matchers ask for."""
    if hints.without or not hints.aggregation:
        return Hints(step_ms=hints.step_ms, range_ms=hints.range_ms, function=hints.function)
    return Hints(
        step_ms=hints.step_ms,
        range_ms=hints.range_ms,
        function=hints.function,
        aggregation=hints.aggregation,
        labels=tuple(sorted({*hints.labels, *needed})),
    )


def _rows(batch: SeriesBatch, positions: Positions) -> SeriesBatch:
    labels = [batch.labels[position] for position in positions.tolist()]
    if batch.shared:
        width = len(batch.times_ms)
        values = batch.values.reshape(len(batch.labels), width)[positions]
        return SeriesBatch.grid(labels, batch.times_ms, values)
    rows = batch.rows()
    return SeriesBatch.of([rows[position] for position in positions.tolist()])
