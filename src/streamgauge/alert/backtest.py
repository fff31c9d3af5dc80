"""When a rule would have fired: the same evaluation and state machine, over the past."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from streamgauge.alert.evaluate import Prepared, SampleAt, samples_over
from streamgauge.alert.rules import effective_interval_ms
from streamgauge.alert.state import Instance, RuleState, SameLabels, Timing, step
from streamgauge.core.errors import InvalidRequest
from streamgauge.query.promql.engine import STEPS_MAX, Engine

RANGE_STEPS_MAX: Final = 100_000
"""Evaluations of one rule."""

PART_STEPS: Final = 240
_PARTS_MAX: Final = 50

FIRINGS_MAX: Final = 1_000
"""Of one rule that are told, the newest."""


class Firing(msgspec.Struct, frozen=True):
    """`ended_at_ms` None: it fires at the end of the range. `value` is the last one."""

    labels: Mapping[str, str]
    started_at_ms: int
    ended_at_ms: int | None
    value: float


class Tested(msgspec.Struct, frozen=True):
    """Of one rule. `notifications`: so often would somebody have been told, that it fires or that it is over, were
    alerts not grouped. `firing_ms`: how long altogether. `over_limit`: evaluations that found more alerts than
    the group's limit, so that the rule would have failed."""

    firings: Sequence[Firing]
    firings_count: int
    firing_ms: int
    notifications: int
    over_limit: int


def backtest(rule: Prepared, engine: Engine, start_ms: int, end_ms: int, interval_ms: int) -> Tested:
    """Evaluated at multiples of the rule's interval, that of its group in whole `interval_ms`, in `start_ms <= t <=
    end_ms`. Raises InvalidRequest."""
    group = rule.named.group
    interval_ms = effective_interval_ms(group, interval_ms)
    first_ms = -(-start_ms // interval_ms) * interval_ms
    if (end_ms - first_ms) // interval_ms > RANGE_STEPS_MAX:
        raise InvalidRequest(
            f"over {RANGE_STEPS_MAX:,} evaluations", code="invalid_range", hint="ask for a shorter range"
        )
    timing = Timing(rule.rule.for_ms, rule.rule.keep_firing_for_ms, interval_ms)
    parts = _Parts(engine, end_ms, interval_ms)
    state, ended, notifications, over_limit = RuleState(), list[Instance](), 0, 0
    for at_ms, samples in _each_step(rule, engine, (first_ms, end_ms), interval_ms):
        if not samples and not state.instances:
            state = RuleState({}, at_ms)
            continue
        if group.limit_alerts and len(samples) > group.limit_alerts:
            over_limit += 1  # it fails, and its alerts stay what they are
            continue
        before = state
        lasting = partial(parts.at, at_ms=at_ms)
        try:
            state, changes = step(state, rule.lasting(rule.expanded(samples), state, lasting), at_ms, timing)
        except SameLabels as error:
            hint = "leave labels of the series in the alert's, or aggregate in the expression"
            raise InvalidRequest(f"{rule.rule.name}: {error}", code="invalid_rule", hint=hint) from error
        notifications += sum(change.now == "firing" or change.was == "firing" for change in changes)
        for change in changes:
            if change.was == "firing":
                ended.append(msgspec.structs.replace(before.instances[change.fingerprint], resolved_at_ms=at_ms))
    still = [one for one in state.instances.values() if one.phase == "firing"]
    firings = [_firing(one) for one in (*ended, *still)]
    lengths = ((one.ended_at_ms or end_ms) - one.started_at_ms for one in firings)
    return Tested(firings[-FIRINGS_MAX:], len(firings), sum(lengths), notifications, over_limit)


def _each_step(
    rule: Prepared, engine: Engine, span_ms: tuple[int, int], interval_ms: int
) -> Iterator[tuple[int, Sequence[SampleAt]]]:
    """Asked in parts that one question may have."""
    first_ms, end_ms = span_ms
    while first_ms <= end_ms:
        last_ms = min(end_ms, first_ms + STEPS_MAX * interval_ms)
        yield from samples_over(engine.range(rule.rule.expr, first_ms, last_ms, interval_ms))
        first_ms += (STEPS_MAX + 1) * interval_ms


class _Parts:
    """Expressions that are asked for at one time after another: many times are read at once."""

    def __init__(self, engine: Engine, end_ms: int, interval_ms: int) -> None:
        self._engine, self._end_ms, self._interval_ms = engine, end_ms, interval_ms
        self._known: dict[str, dict[int, Sequence[SampleAt]]] = {}

    def at(self, expr: str, at_ms: int) -> Sequence[SampleAt]:
        known = self._known.get(expr, {})
        if at_ms not in known:
            last_ms = min(self._end_ms, at_ms + PART_STEPS * self._interval_ms)
            known = dict(samples_over(self._engine.range(expr, at_ms, last_ms, self._interval_ms)))
            self._known = {expr: known} if len(self._known) >= _PARTS_MAX else {**self._known, expr: known}
        return known[at_ms]


def _firing(one: Instance) -> Firing:
    started_at_ms = one.active_at_ms if one.fired_at_ms is None else one.fired_at_ms
    return Firing(one.labels, started_at_ms, one.resolved_at_ms, one.value)
