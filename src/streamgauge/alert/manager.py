"""Rules, evaluated over and over: what they find becomes alerts, and who must know is told.

One round:
1. Rules that changed are read anew.
2. How far the data is complete says at which time each rule may be evaluated; where that is long overdue, it is held.
3. The rules are evaluated there, in threads.
4. What changed is written to the state database, in one transaction.
5. The notifier is told of all that fires or was resolved lately, as it now is. A crash before that tells it at the next
   start, since what is told is a state, not an event.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlencode

from sqlalchemy import Connection

from streamgauge.alert.base import Alert, Notifier
from streamgauge.alert.book import RuleBook
from streamgauge.alert.completeness import Hold, Watermark, hold, target_ms, watermark_of
from streamgauge.alert.evaluate import Prepared
from streamgauge.alert.records import (
    Happened,
    KeptState,
    forget_history,
    read_clocks,
    read_states,
    write_round,
)
from streamgauge.alert.round import Found, Reader, evaluate
from streamgauge.alert.rules import effective_interval_ms
from streamgauge.alert.state import Instance, RuleState, SameLabels, Timing, step
from streamgauge.alert.trend import TRENDS_MAX, Points, curve_of, drawn
from streamgauge.config import AlertSettings
from streamgauge.core.clock import Clock
from streamgauge.core.errors import StreamgaugeError, Unavailable
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import DAY_MS, HOUR_MS, Freshness
from streamgauge.query.promql.engine import Engine
from streamgauge.query.promql_service import PromqlService, Sources
from streamgauge.state.database import StateDatabase

POLL_S: Final = 1.0
"""How often it is looked whether the watermark has passed the next time."""

_CHUNK_RULES: Final = 200
"""Evaluated as one question, within `query.execution_s_max`."""

_WATERMARKS: Final[tuple[Watermark, ...]] = ("events", "sessions", "clock")

_logger = logging.getLogger(__name__)


class Leader(Protocol):
    async def leads(self) -> bool:
        """Whether this process evaluates, of all that could. Raises Unavailable."""
        ...

    @property
    def epoch(self) -> str:
        """Another one whenever it began to lead."""
        ...

    def check(self, connection: Connection, epoch: str) -> None:
        """Raises Unavailable where it no longer leads, or not since then without a break."""
        ...


class RuleStatus(NamedTuple):
    """What is known of one rule, for answers."""

    prepared: Prepared
    state: RuleState
    problem: str
    hold: Hold | None


class AlertManager:
    """Used on the event loop. `run` until it is cancelled."""

    def __init__(
        self,
        book: RuleBook,
        promql: PromqlService,
        freshness: Callable[[], Awaitable[Freshness]],
        database: StateDatabase,
        settings: AlertSettings,
        *,
        metrics: SelfMetrics,
        clock: Clock,
        notifier: Notifier | None = None,
        leader: Leader | None = None,
    ) -> None:
        self.book = book
        self._promql, self._freshness, self._database = promql, freshness, database
        self._settings, self._metrics, self._clock = settings, metrics, clock
        self._notifier, self._leader = notifier, leader
        self._reader = Reader()
        self._kept: dict[str, KeptState] = {}
        self._problems: dict[str, str] = {}
        self._trends: dict[str, Points] = {}
        self._last: dict[str, int] = {}
        self._hold: Hold | None = None
        self._is_resumed = False
        self._epoch = ""
        self._seen: set[str] = set()
        self._first_ms: int | None = None
        self._forgot_ms = 0

    @property
    def evaluated_at_ms(self) -> int | None:
        """The time of the newest evaluation of rules that read events."""
        return self._last.get("events")

    @property
    def held(self) -> Hold | None:
        return self._hold

    @property
    def interval_ms(self) -> int:
        return self._settings.interval_ms

    def status(self) -> list[RuleStatus]:
        return [
            RuleStatus(one, self._state(one), self._problems.get(one.named.key, ""), self._hold_of(one))
            for one in self.book.rules
        ]

    async def run(self) -> None:
        while True:
            try:
                await self.turn()
            except StreamgaugeError as error:
                self._metrics.alert_failures.labels("round").inc()
                _logger.warning("rules were not evaluated: %s", error.message)
            except Exception:  # a bug: the next turn tries again, and the rest of the system goes on
                self._metrics.alert_failures.labels("round").inc()
                _logger.exception("rules were not evaluated")
            await asyncio.sleep(POLL_S)

    async def turn(self) -> None:
        """One look whether there is something to evaluate, and the round if there is. Raises Unavailable."""
        leads = self._leader is None or await self._leader.leads()
        if self._leader is not None and self._leader.epoch != self._epoch:
            self._epoch, self._is_resumed = self._leader.epoch, False  # others may have evaluated meanwhile
        changed = await self.book.refresh()
        now_ms = self._clock.now_ms()
        fresh, trouble = await self._fresh()
        if not leads or not self._is_resumed:
            await self._resume(now_ms)
            self._is_resumed = leads
        targets = {one: target_ms(one, fresh, now_ms, self.interval_ms) for one in _WATERMARKS}
        due = {one: at_ms for one, at_ms in targets.items() if at_ms > self._last[one]} if leads else {}
        self._keep_hold(fresh, now_ms, trouble, is_evaluated="events" in due)
        if due or (changed and leads):
            await self._round(due, fresh, now_ms)
        self._measure(now_ms)

    async def _resume(self, now_ms: int) -> None:
        """Go on from what is written down: by the process before, or by the one that evaluates now."""
        if self._first_ms is None:  # rules that never were evaluated begin with the present
            self._first_ms = now_ms // self.interval_ms * self.interval_ms - self.interval_ms
        self._last = dict.fromkeys(_WATERMARKS, self._first_ms) | await self._database.read(read_clocks)
        kept = await self._database.read(read_states)
        watermarks = {one.named.key: watermark_of(self.book.metrics(one)) for one in self.book.rules}
        self._kept = {
            key: one._replace(state=_evaluated(one.state, self._last[watermarks.get(key, "events")]))
            for key, one in kept.items()
        }

    async def _fresh(self) -> tuple[Freshness | None, str]:
        try:
            return await self._freshness(), ""
        except Unavailable as error:
            return None, error.message

    def _keep_hold(self, fresh: Freshness | None, now_ms: int, trouble: str, *, is_evaluated: bool) -> None:
        if is_evaluated:
            self._hold = None
            return
        now = hold(
            self._last["events"],
            fresh,
            now_ms,
            interval_ms=self.interval_ms,
            patience_ms=self._settings.patience_ms,
            trouble=trouble,
        )
        if now is not None and self._hold is None:
            _logger.warning("alerts are held: %s", now.reason)
        self._hold = now

    async def _round(self, due: Mapping[Watermark, int], fresh: Freshness | None, now_ms: int) -> None:
        started_s = time.perf_counter()
        happened: list[Happened] = []
        changed: dict[str, KeptState] = {}
        interval_ms = self.interval_ms
        for watermark, at_ms in due.items():
            rules = [one for one in self._alert_rules() if watermark_of(self.book.metrics(one)) == watermark]
            rules = [one for one in rules if _is_due(one, at_ms, self._last[watermark], interval_ms)]
            missed = (at_ms - self._last[watermark]) // interval_ms - 1
            if watermark == "events" and missed > 0:
                self._metrics.alert_missed.inc(missed)
            found = await self._evaluated(rules, at_ms, fresh)
            for one in rules:
                self._apply(one, found[one.named.key], at_ms, changed, happened)
        gone = self._gone(now_ms, changed, happened)
        clocks = {str(one): at_ms for one, at_ms in due.items()}
        self._last |= clocks
        await self._write(changed, gone, happened, clocks, now_ms)
        self._reader.keep(self.book.rules)
        self._metrics.alert_round_seconds.observe(time.perf_counter() - started_s)
        if self._notifier is not None:
            await self._draw(happened, max(due.values(), default=now_ms), fresh)
            await self._notifier.notify(self.alerts(), now_ms)

    async def _evaluated(self, rules: Sequence[Prepared], at_ms: int, fresh: Freshness | None) -> dict[str, Found]:
        """Of all of them. A part that can't be asked now fails with its reason, the others are evaluated."""
        reads = self._reader.shared(rules, at_ms)
        known = fresh or Freshness(at_ms, 0, 0)
        found: dict[str, Found] = {}
        for first in range(0, len(rules), _CHUNK_RULES):
            part = [(one, self._state(one)) for one in rules[first : first + _CHUNK_RULES]]

            def work(sources: Sources, part: Sequence[tuple[Prepared, RuleState]] = part) -> Mapping[str, Found]:
                return evaluate(part, reads, sources, at_ms, check=sources.check)

            try:
                found |= await self._promql.answer(work, known)
            except StreamgaugeError as error:
                found |= {one.named.key: Found(problem=error.message) for one, _ in part}
        return found

    def _apply(
        self,
        one: Prepared,
        found: Found,
        at_ms: int,
        changed: dict[str, KeptState],
        happened: list[Happened],
    ) -> None:
        key, named = one.named.key, one.named
        before, problem = self._state(one), found.problem
        interval_ms = effective_interval_ms(named.group, self.interval_ms)
        timing = Timing(one.rule.for_ms, one.rule.keep_firing_for_ms, interval_ms)
        self._metrics.alert_evaluations.inc()
        try:
            after, changes = step(before, found.samples, at_ms, timing)
        except SameLabels as error:
            problem = str(error)
        if problem:
            self._failed(one, problem)
            return
        self._problems.pop(key, None)
        kept = self._kept[key] = KeptState(named.rule.name, named.group.name, after)
        if before.instances != after.instances:
            changed[key] = kept
        happened += [Happened(key, named.rule.name, named.group.name, change) for change in changes]

    def _failed(self, one: Prepared, problem: str) -> None:
        """Its alerts stay what they are."""
        self._metrics.alert_failures.labels("rule").inc()
        if self._problems.get(one.named.key) != problem:
            _logger.warning("the rule %s can't be evaluated: %s", one.rule.name, problem)
        self._problems[one.named.key] = problem

    def _gone(self, now_ms: int, changed: dict[str, KeptState], happened: list[Happened]) -> list[str]:
        """Rules that are no more: what fired of them is resolved, told of for its time, and then forgotten. Of a rule
        that wasn't there since the start nobody knows whether it is in a file that can't be read."""
        gone: list[str] = []
        here = {one.named.key for one in self._alert_rules()}
        self._seen |= here
        for key in self._kept.keys() - here:
            if key not in self._seen and not self.book.is_whole:
                continue
            rule, group, state = self._kept[key]
            after, changes = step(state, (), now_ms, Timing(0, 0, now_ms))
            happened += [Happened(key, rule, group, change) for change in changes]
            if not after.instances:
                gone.append(key)
                del self._kept[key]
                self._problems.pop(key, None)
            elif after.instances != state.instances:
                changed[key] = self._kept[key] = KeptState(rule, group, after)
        return gone

    async def _write(
        self,
        changed: Mapping[str, KeptState],
        gone: Sequence[str],
        happened: Sequence[Happened],
        clocks: Mapping[str, int],
        now_ms: int,
    ) -> None:
        epoch = self._epoch

        def work(connection: Connection) -> None:
            if self._leader is not None:
                self._leader.check(connection, epoch)
            write_round(connection, states=changed, gone=gone, happened=happened, clocks=clocks)

        try:
            await self._database.write(work)
        except StreamgaugeError:
            # It is what is written down that holds: from there the next round begins.
            self._is_resumed = False
            raise
        if now_ms - self._forgot_ms > HOUR_MS:
            self._forgot_ms = now_ms
            await self._database.write(partial(forget_history, before_ms=now_ms - self._settings.history_days * DAY_MS))

    async def _draw(self, happened: Sequence[Happened], at_ms: int, fresh: Freshness | None) -> None:
        """What metrics did lately, beside the alerts that are news. Nobody waits for it where it can't be asked."""
        metrics = {one.named.key: self.book.metrics(one) for one in self.book.rules}
        news = {one.transition.fingerprint: one for one in happened if one.transition.now != "pending"}
        found = {
            fingerprint: curve_of(metrics.get(one.key, frozenset()), self.book.rollups, one.transition.labels)
            for fingerprint, one in list(news.items())[:TRENDS_MAX]
        }
        curves = {fingerprint: curve for fingerprint, curve in found.items() if curve is not None}
        trends: dict[str, Points] = {}
        if curves:
            try:
                trends = await self._promql.answer(
                    lambda sources: drawn(curves, Engine(sources, check=sources.check), at_ms),
                    fresh or Freshness(at_ms, 0, 0),
                )
            except StreamgaugeError as error:
                _logger.warning("alerts are told without a trend: %s", error.message)
        known = {fingerprint for kept in self._kept.values() for fingerprint in kept.state.instances}
        self._trends = {one: points for one, points in (self._trends | trends).items() if one in known}

    def alerts(self) -> list[Alert]:
        """All that fire, and those resolved lately."""
        metrics = {one.named.key: self.book.metrics(one) for one in self.book.rules}
        return [
            self._alert(instance, metrics.get(key, frozenset()), self._trends.get(fingerprint, ()))
            for key, kept in self._kept.items()
            for fingerprint, instance in kept.state.instances.items()
            if instance.phase != "pending"
        ]

    def _alert(self, one: Instance, metrics: AbstractSet[str], trend: Points) -> Alert:
        starts_at_ms = one.active_at_ms if one.fired_at_ms is None else one.fired_at_ms
        return Alert(
            one.labels,
            one.annotations,
            one.value,
            starts_at_ms,
            one.resolved_at_ms,
            self._source_url(starts_at_ms, metrics),
            trend,
        )

    def _source_url(self, starts_at_ms: int, metrics: AbstractSet[str]) -> str:
        url = self._settings.dashboard_url
        if not url:
            return ""
        place: dict[str, str | int] = {"from": starts_at_ms - HOUR_MS, "to": starts_at_ms + HOUR_MS}
        if shown := {rollup.name for rollup in self.book.rollups} & metrics:
            place = {"metric": min(shown), **place}
        return f"{url.rstrip('/')}/?{urlencode(place)}"

    def _alert_rules(self) -> list[Prepared]:
        return [one for one in self.book.rules if one.rule.kind == "alert"]

    def _state(self, one: Prepared) -> RuleState:
        kept = self._kept.get(one.named.key)
        return RuleState() if kept is None else kept.state

    def _hold_of(self, one: Prepared) -> Hold | None:
        return None if watermark_of(self.book.metrics(one)) == "clock" else self._hold

    def _measure(self, now_ms: int) -> None:
        rules = self._alert_rules()
        metrics, held = self._metrics, self._hold
        phases = [instance.phase for kept in self._kept.values() for instance in kept.state.instances.values()]
        metrics.alert_rules.set(len(self.book.rules))
        metrics.alert_problems.set(len(self._problems) + len(self.book.problems))
        metrics.alert_alerts.labels("pending").set(phases.count("pending"))
        metrics.alert_alerts.labels("firing").set(phases.count("firing"))
        metrics.alert_held_rules.set(sum(self._hold_of(one) is not None for one in rules))
        metrics.alert_held_seconds.set(0 if held is None else (now_ms - held.since_ms) / 1000)


def _evaluated(state: RuleState, at_ms: int) -> RuleState:
    """What didn't change was not written down again, though it was evaluated."""
    return RuleState(state.instances, max(at_ms, state.evaluated_at_ms or at_ms))


def _is_due(one: Prepared, at_ms: int, last_ms: int, interval_ms: int) -> bool:
    own_ms = effective_interval_ms(one.named.group, interval_ms)
    return at_ms // own_ms > last_ms // own_ms
