"""What rules make, as PromQL's series. Nothing is stored for it, so that it is there for all the past at once.

The name of a record rule is a name for its expression, evaluated when it is asked for, at every interval. `ALERTS` and
`ALERTS_FOR_STATE` are made of the history of alerts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Final, NamedTuple

import numpy as np
from sqlalchemy import Connection

from streamgauge.alert.book import RuleBook
from streamgauge.alert.evaluate import Prepared
from streamgauge.alert.records import Happened, KeptState, read_clocks, read_history, read_states
from streamgauge.alert.state import Instance
from streamgauge.query.promql.engine import STEPS_MAX, Engine
from streamgauge.query.promql.errors import PromqlExecutionError
from streamgauge.query.promql.labels import NAME, Labels, labels_of
from streamgauge.query.promql.select import present_samples
from streamgauge.query.promql.series import Matcher, Series, SeriesBatch, satisfying
from streamgauge.query.promql.values import Scalar, Vector
from streamgauge.query.promql_service import Sources
from streamgauge.state.database import StateDatabase

ALERTS: Final = "ALERTS"
FOR_STATE: Final = "ALERTS_FOR_STATE"
_ACTIVE: Final = ("pending", "firing")

_evaluated: ContextVar[frozenset[str]] = ContextVar("record_rules", default=frozenset())
"""The record rules that are being evaluated in this thread."""


class RuleSeries:
    """See `query.promql_service.Beside`."""

    def __init__(
        self, book: RuleBook, database: StateDatabase, interval_ms: int, tried: Sequence[Prepared] = ()
    ) -> None:
        """`tried`: rules that are not in the book, instead of those of their groups that are."""
        self._book, self._database, self._interval_ms = book, database, interval_ms
        self._tried = tried

    def select(self, sources: Sources, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> SeriesBatch:
        """Only of selectors that say a name: others would evaluate every rule there is."""
        named = [one for one in matchers if one.name == NAME]
        if not named:
            return SeriesBatch.of([])
        found = [
            series
            for one in self._records()
            if _is_named(one.rule.name, named)
            for series in self._recorded(one, sources, start_ms, end_ms)
        ]
        if any(_is_named(name, named) for name in (ALERTS, FOR_STATE)):
            found += self._alerts(start_ms, end_ms)
        kept = satisfying([one.labels for one in found], matchers) if found else ()
        return SeriesBatch.of([one for one, here in zip(found, kept, strict=True) if here])

    def names(self) -> set[str]:
        return {one.rule.name for one in self._records()} | {ALERTS, FOR_STATE}

    def _records(self) -> list[Prepared]:
        groups = {one.named.group.name for one in self._tried}
        others = (one for one in self._book.rules if one.named.group.name not in groups)
        return [one for one in (*others, *self._tried) if one.rule.kind == "record"]

    def _recorded(self, one: Prepared, sources: Sources, start_ms: int, end_ms: int) -> Sequence[Series]:
        name, step_ms = one.rule.name, self._interval_ms
        if name in _evaluated.get():
            raise PromqlExecutionError(f"the record rule {name} is made of itself", hint="take it out of its own expr")
        first_ms = -(-max(0, start_ms) // step_ms) * step_ms
        last_ms = min(end_ms, sources.complete_up_to_ms) // step_ms * step_ms
        if last_ms < first_ms:
            return ()
        if (last_ms - first_ms) // step_ms > STEPS_MAX:
            raise PromqlExecutionError(f"the record rule {name} over {STEPS_MAX} evaluations", hint="ask for less time")
        token = _evaluated.set(_evaluated.get() | {name})
        try:
            answer = Engine(sources, check=sources.check).range(one.rule.expr, first_ms, last_ms, step_ms)
        finally:
            _evaluated.reset(token)
        own = {NAME: name, **one.rule.labels}
        if isinstance(answer.value, Scalar):
            return [Series(labels_of(own), answer.times_ms, answer.value.values)]
        if not isinstance(answer.value, Vector):
            return ()
        labels = [labels_of({**dict(series), **own}) for series in answer.value.labels]
        return present_samples(labels, answer.times_ms, answer.value.values, answer.value.present).rows()

    def _alerts(self, start_ms: int, end_ms: int) -> list[Series]:
        last_ms, states, happened = self._database.read_now(lambda connection: _read(connection, start_ms))
        first_ms = -(-max(0, start_ms) // self._interval_ms) * self._interval_ms
        times = np.arange(first_ms, min(end_ms, last_ms) + 1, self._interval_ms, dtype=np.int64)
        found: list[Series] = []
        for spans in _histories(states, happened):
            found += _series_of(spans, times)
        return found


class _Span(NamedTuple):
    """An alert is in one phase from then on."""

    from_ms: int
    phase: str
    labels: Mapping[str, str]
    active_at_ms: int


def _read(connection: Connection, start_ms: int) -> tuple[int, Mapping[str, KeptState], list[Happened]]:
    clocks = read_clocks(connection)
    happened = read_history(connection, start_ms, 2**62)
    return max(clocks.values(), default=-1), read_states(connection), happened


def _histories(states: Mapping[str, KeptState], happened: Sequence[Happened]) -> Iterator[list[_Span]]:
    """Of each alert of each rule: what is there now, and what was before each change that is known."""
    instances = {(key, mark): one for key, kept in states.items() for mark, one in kept.state.instances.items()}
    changes: dict[tuple[str, str], list[Happened]] = {}
    for one in reversed(happened):
        changes.setdefault((one.key, one.transition.fingerprint), []).append(one)
    for identity in instances.keys() | changes.keys():
        yield _spans(instances.get(identity), changes.get(identity, []))


def _spans(instance: Instance | None, changes: Sequence[Happened]) -> list[_Span]:
    if not changes:
        if instance is None or instance.phase not in _ACTIVE:
            return []
        return [_Span(0, instance.phase, instance.labels, instance.active_at_ms)]
    first = changes[0].transition
    active_at_ms = first.at_ms if instance is None else min(first.at_ms, instance.active_at_ms)
    spans = [_Span(0, first.was, first.labels, active_at_ms)]
    for change in (one.transition for one in changes):
        active_at_ms = change.at_ms if change.was == "inactive" else active_at_ms
        spans.append(_Span(change.at_ms, change.now, change.labels, active_at_ms))
    return spans


def _series_of(spans: Sequence[_Span], times: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[Series]:
    samples: dict[Labels, dict[int, float]] = {}
    ends = [span.from_ms for span in spans[1:]] + [2**62]
    for span, end_ms in zip(spans, ends, strict=True):
        if span.phase not in _ACTIVE:
            continue
        state = labels_of({**span.labels, NAME: ALERTS, "alertstate": span.phase})
        since = labels_of({**span.labels, NAME: FOR_STATE})
        for at_ms in times[(times >= span.from_ms) & (times < end_ms)].tolist():
            samples.setdefault(state, {})[at_ms] = 1.0
            samples.setdefault(since, {})[at_ms] = span.active_at_ms / 1000
    for labels, values in samples.items():
        yield Series(labels, np.array(list(values), dtype=np.int64), np.array(list(values.values())))


def _is_named(name: str, matchers: Sequence[Matcher]) -> bool:
    return all(bool(one.matches([name])[0]) for one in matchers)
