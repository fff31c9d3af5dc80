"""Rules and alerts, put together: for the composition roots alone."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from litestar.handlers import BaseRouteHandler
from sqlalchemy import Connection

from streamgauge.alert.book import RuleBook
from streamgauge.alert.manager import AlertManager
from streamgauge.alert.notify.service import Notifications
from streamgauge.alert.series import RuleSeries
from streamgauge.alert.service import RuleService
from streamgauge.api.alerts import alert_routes
from streamgauge.api.prometheus import prometheus_rule_routes
from streamgauge.api.rules import rule_routes
from streamgauge.config import Settings
from streamgauge.core.clock import Clock
from streamgauge.core.errors import StreamgaugeError
from streamgauge.core.lifecycle import StageState
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import SESSION_ROLLUPS, Freshness
from streamgauge.query.promql_service import PromqlService
from streamgauge.state.database import StateDatabase
from streamgauge.state.lease import Lease


class Rules(NamedTuple):
    """What there is before anything is evaluated: all rules, and the series that they make."""

    book: RuleBook
    series: RuleSeries


class Alerting(NamedTuple):
    """`jobs` run until they are cancelled."""

    manager: AlertManager
    routes: list[BaseRouteHandler]
    jobs: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    lease: Lease | None

    def state(self) -> StageState:
        """Others do their work whether alerts are held or not."""
        held = self.manager.held
        if held is not None:
            return StageState("stale", f"alerts are held: {held.reason}", needed=False)
        return StageState("ready", needed=False)

    async def close(self) -> None:
        """Another process may evaluate at once."""
        if self.lease is not None:
            with contextlib.suppress(StreamgaugeError):  # then its time runs out
                await self.lease.give_back()


class Watches:
    """A Leader that never leads: another process evaluates, this one answers."""

    epoch = ""

    async def leads(self) -> bool:
        return False

    def check(self, connection: Connection, epoch: str) -> None:
        """It never writes."""


def rules_of(settings: Settings, database: StateDatabase) -> Rules:
    alerts, rollups = settings.alerts, (*settings.rollups, *SESSION_ROLLUPS)
    book = RuleBook(Path(alerts.rules), database, rollups, alerts.held_alert_s)
    return Rules(book, RuleSeries(book, database, alerts.interval_ms))


def alerting(
    settings: Settings,
    rules: Rules,
    promql: PromqlService,
    freshness: Callable[[], Awaitable[Freshness]],
    database: StateDatabase,
    *,
    metrics: SelfMetrics,
    clock: Clock,
    evaluates: bool = True,
    notifications: Notifications,
) -> Alerting:
    """Where several processes share the state database, one of those that evaluate does at a time."""
    lease = Lease(database, "alerts") if evaluates and database.is_shared else None
    manager = AlertManager(
        rules.book,
        promql,
        freshness,
        database,
        settings.alerts,
        metrics=metrics,
        clock=clock,
        notifier=notifications,
        leader=lease if evaluates else Watches(),
    )
    interval_ms = settings.alerts.interval_ms
    service = RuleService(rules.book, promql, freshness, database, clock=clock, interval_ms=interval_ms)
    routes: list[BaseRouteHandler] = [
        *rule_routes(service, manager, clock),
        *alert_routes(manager, service.history, clock, notifications.silenced_by),
        *prometheus_rule_routes(manager),
    ]
    jobs: list[Callable[[], Coroutine[Any, Any, None]]] = [manager.run]
    if lease is not None:
        notifications.led_by(lambda connection: lease.check(connection, lease.epoch))
        jobs += [lease.keep, partial(lease.while_held, notifications.run)]
    elif evaluates:
        jobs.append(notifications.run)
    return Alerting(manager, routes, jobs, lease)
