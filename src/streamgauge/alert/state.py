"""The state machine of alerts: inactive → pending → firing → resolved. Pure, as Prometheus has it.

    (state of a rule, what its expression found at a time) → (the state then, what changed)

A series that the expression finds is active. It is pending until it has been so for `for`, then it fires; once the
expression no longer finds it, it is resolved, after `keep_firing_for`. What is pending and isn't found is forgotten.
Time in which nothing was evaluated doesn't count towards `for`: nobody knows what was true then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from streamgauge.alert.base import fingerprint_of

RESOLVED_MS: Final = 15 * 60_000
"""So long is told of what was resolved."""

Phase = Literal["pending", "firing", "resolved"]


class Sample(msgspec.Struct, frozen=True):
    """One series that the expression of an alert found, its labels and annotations expanded."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float


class Instance(msgspec.Struct, frozen=True):
    """One series that is or was active. Times are of evaluations, in ms."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float
    active_at_ms: int
    fired_at_ms: int | None = None
    absent_since_ms: int | None = None
    """It isn't found any more, and fires on for `keep_firing_for`."""
    resolved_at_ms: int | None = None

    @property
    def is_active(self) -> bool:
        return self.resolved_at_ms is None

    @property
    def phase(self) -> Phase:
        if self.resolved_at_ms is not None:
            return "resolved"
        return "pending" if self.fired_at_ms is None else "firing"


class RuleState(msgspec.Struct, frozen=True):
    """Of one alert rule. `evaluated_at_ms` is the time that the newest evaluation was of."""

    instances: Mapping[str, Instance] = {}
    """By fingerprint."""
    evaluated_at_ms: int | None = None


NEW: Final = RuleState()
"""Of a rule that never was evaluated."""


class Transition(msgspec.Struct, frozen=True):
    """`resolved` of what was pending says that it never fired."""

    fingerprint: str
    labels: Mapping[str, str]
    was: Literal["inactive", "pending", "firing"]
    now: Phase
    at_ms: int
    value: float


class Timing(msgspec.Struct, frozen=True):
    for_ms: int
    keep_firing_for_ms: int
    interval_ms: int


class SameLabels(ValueError):
    """Two series of one rule have the same labels."""


def step(
    state: RuleState, found: Sequence[Sample], at_ms: int, timing: Timing
) -> tuple[RuleState, tuple[Transition, ...]]:
    """Raises SameLabels; then the state stays what it was."""
    samples = {fingerprint_of(sample.labels): sample for sample in found}
    if len(samples) < len(found):
        raise SameLabels("two series have the same labels, after those of the rule were applied")
    blind_ms = 0
    if state.evaluated_at_ms is not None:
        blind_ms = max(0, at_ms - state.evaluated_at_ms - timing.interval_ms)
    instances: dict[str, Instance] = {}
    changes: list[Transition] = []
    for fingerprint in (*state.instances, *(one for one in samples if one not in state.instances)):
        before, sample = state.instances.get(fingerprint), samples.get(fingerprint)
        after = _seen(before, sample, at_ms, timing, blind_ms) if sample else _unseen(before, at_ms, timing)
        if after is not None:
            instances[fingerprint] = after
        changes += _changes(fingerprint, before, after, at_ms)
    return RuleState(instances, at_ms), tuple(changes)


def _seen(before: Instance | None, sample: Sample, at_ms: int, timing: Timing, blind_ms: int) -> Instance:
    active_at_ms, fired_at_ms = at_ms, None
    if before is not None and before.phase != "resolved":
        active_at_ms, fired_at_ms = before.active_at_ms, before.fired_at_ms
        if fired_at_ms is None:
            active_at_ms += blind_ms
    if fired_at_ms is None and at_ms - active_at_ms >= timing.for_ms:
        fired_at_ms = at_ms
    return Instance(sample.labels, sample.annotations, sample.value, active_at_ms, fired_at_ms)


def _unseen(before: Instance | None, at_ms: int, timing: Timing) -> Instance | None:
    if before is None or before.phase == "pending":
        return None
    if before.resolved_at_ms is not None:
        return before if at_ms - before.resolved_at_ms <= RESOLVED_MS else None
    if timing.keep_firing_for_ms > 0:
        absent_since_ms = at_ms if before.absent_since_ms is None else before.absent_since_ms
        if at_ms - absent_since_ms < timing.keep_firing_for_ms:
            return msgspec.structs.replace(before, absent_since_ms=absent_since_ms)
    return msgspec.structs.replace(before, absent_since_ms=None, resolved_at_ms=at_ms)


def _changes(fingerprint: str, before: Instance | None, after: Instance | None, at_ms: int) -> list[Transition]:
    was = "inactive" if before is None or before.phase == "resolved" else before.phase
    if after is None:
        if before is None or was == "inactive":
            return []
        return [Transition(fingerprint, before.labels, was, "resolved", at_ms, before.value)]
    if after.phase == (before.phase if before is not None else None):
        return []
    if after.phase == "resolved" and was == "inactive":
        return []
    return [Transition(fingerprint, after.labels, was, after.phase, at_ms, after.value)]
