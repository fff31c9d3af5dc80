"""What asks the store about what others count, and rules with it: `streamgauge api` and `streamgauge alert`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from streamgauge.alert.notify.service import Notifications
from streamgauge.alert_parts import Alerting, alerting, rules_of
from streamgauge.config import Settings
from streamgauge.core.clock import Clock
from streamgauge.core.lifecycle import StageState
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.parts import Access, notifications_of, open_kafka, promql_service
from streamgauge.query.promql_service import PromqlService
from streamgauge.query.selfseries import SelfSeries
from streamgauge.roles.base import open_shared_store
from streamgauge.roles.others import OthersFreshness, freshness_of_others
from streamgauge.store.client import StoreClients
from streamgauge.store.reader import ClickHouseReader
from streamgauge.stream.measure import measure_freshness

if TYPE_CHECKING:
    from streamgauge.log.kafka import KafkaLog


class Asking(NamedTuple):
    log: KafkaLog
    clients: StoreClients
    reader: ClickHouseReader
    fresh: OthersFreshness
    self_series: SelfSeries
    promql: PromqlService
    notifications: Notifications
    alerts: Alerting

    async def stages(self, metrics: SelfMetrics) -> Mapping[str, StageState]:
        """Brings the gauges up to date on the way: rules may ask for them here too."""
        measure_freshness(metrics, await self.fresh.freshness())
        own = {"store": await self.reader.state(), "notifications": await self.notifications.state()}
        return {**own, **self.fresh.stages()}

    async def close(self) -> None:
        await self.alerts.close()
        await self.notifications.close()
        await self.fresh.close()
        await self.log.close()
        await asyncio.to_thread(self.promql.close)
        await asyncio.to_thread(self.reader.close)


async def open_asking(
    settings: Settings, clock: Clock, metrics: SelfMetrics, access: Access, *, evaluates: bool
) -> Asking:
    """`evaluates`: whether rules are evaluated here, or what was evaluated elsewhere is shown."""
    notifications = notifications_of(settings, access.database, clock, metrics)
    log = await open_kafka(settings)
    clients = await open_shared_store(settings)
    reader = ClickHouseReader(clients, settings.query)
    fresh = await freshness_of_others(settings, log, reader, metrics, clock)
    self_series, rules = SelfSeries(metrics.registry), rules_of(settings, access.database)
    promql = promql_service(settings, reader, self_series, rules.series)
    alerts = alerting(
        settings,
        rules,
        promql,
        fresh.freshness,
        access.database,
        metrics=metrics,
        clock=clock,
        notifications=notifications,
        evaluates=evaluates,
    )
    return Asking(log, clients, reader, fresh, self_series, promql, notifications, alerts)
