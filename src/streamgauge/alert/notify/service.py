"""Notifications, put together from the settings: what the rest of the system and the API know of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.base import Notification, Receiver, Refused, TryAgain, group_key
from streamgauge.alert.notify.delivery import Delivery
from streamgauge.alert.notify.dispatcher import Dispatcher, Muting
from streamgauge.alert.notify.muting import Window, silenced_by
from streamgauge.alert.notify.outbox import Backlog, Logged, Outbox
from streamgauge.alert.notify.receivers.made import Makers, address_of
from streamgauge.alert.notify.routing import route_of
from streamgauge.alert.notify.silences import Silences
from streamgauge.config import Settings
from streamgauge.core.clock import Clock
from streamgauge.core.errors import NotFound, Overloaded, ReceiverFailed
from streamgauge.core.lifecycle import StageState
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS
from streamgauge.notify_settings import MaintenanceSettings, ReceiverSettings, span_ms
from streamgauge.state.database import StateDatabase

_TEST_POINTS: Final = (90.0, 92.0, 95.0, 91.0, 94.0, 93.0, 88.0, 70.0, 64.0, 62.0)


class ReceiverState(msgspec.Struct, frozen=True):
    """`last`: what was tried last."""

    settings: ReceiverSettings
    address: str
    backlog: Backlog
    last: Logged | None


class Notifications:
    """A Notifier. All but `notify` and `run` may be used in several processes of one state database."""

    def __init__(
        self,
        settings: Settings,
        database: StateDatabase,
        clock: Clock,
        metrics: SelfMetrics,
        *,
        environment: Mapping[str, str],
        external_url: str = "",
    ) -> None:
        """Raises ConfigError that names the variable or the file where a secret is missing."""
        limits = settings.notifications
        self._settings, self._clock, self._metrics = settings, clock, metrics
        self._receivers = receivers_of(settings, clock, environment, external_url=external_url)
        self.silences = Silences(database, limits.silences_max)
        self._windows = [Window(one) for one in settings.maintenance]
        self._outbox = Outbox(database, limits.waiting_notifications_max)
        self._dispatcher = Dispatcher(
            [route_of(receiver, limits) for receiver in settings.receivers],
            Muting(self.silences.open, self._windows, settings.inhibitions),
            self._outbox,
            clock,
            metrics,
            resolve_timeout_ms=span_ms(limits.resolve_timeout),
            on_put=self._wake,
        )
        self._deliveries = {
            name: Delivery(
                receiver,
                self._outbox,
                clock,
                metrics,
                retry_ms_max=limits.retry_h_max * HOUR_MS,
                on_refused=self._dispatcher.refused,
            )
            for name, receiver in self._receivers.items()
        }

    def led_by(self, check: Callable[[Connection], None]) -> None:
        """Every write to the outbox checks so that this process still does the work."""
        self._outbox.check = check

    async def notify(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """See Notifier."""
        await self._dispatcher.notify(alerts, now_ms)

    async def run(self) -> None:
        """Look at groups and deliver, until it is cancelled. In one process at a time: two would tell everybody twice,
        though with the same keys."""
        history_ms = self._settings.notifications.history_days * DAY_MS
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._dispatcher.run(history_ms))
            for delivery in self._deliveries.values():
                tasks.create_task(delivery.run())

    async def silenced_by(self, alerts: Sequence[Mapping[str, str]], now_ms: int) -> list[list[str]]:
        """For each of these labels of an alert the silences and maintenance windows that mute it now."""
        silences = await self.silences.open(now_ms)
        return [silenced_by(labels, silences, self._windows, now_ms) for labels in alerts]

    def maintenance(self, now_ms: int) -> list[tuple[MaintenanceSettings, bool]]:
        """Every window, and whether it is open now."""
        return [(window.settings, window.is_open(now_ms)) for window in self._windows]

    async def receivers(self) -> list[ReceiverState]:
        backlogs, latest = await self._outbox.backlogs(), await self._outbox.latest()
        return [
            ReceiverState(one, address_of(one), backlogs.get(one.name, Backlog()), latest.get(one.name))
            for one in self._settings.receivers
        ]

    async def log(
        self, *, receiver: str | None = None, outcome: str | None = None, before_id: int | None = None, limit: int
    ) -> list[Logged]:
        """Notifications, the newest first."""
        return await self._outbox.log(receiver=receiver, outcome=outcome, before_id=before_id, limit=limit)

    async def test(self, name: str) -> str:
        """What the receiver answered to a marked test notification. Raises NotFound, ReceiverFailed."""
        receiver = self._receivers.get(name)
        if receiver is None:
            raise unknown_receiver(name, self._receivers)
        return await tested(receiver, self._clock.now_ms())

    async def state(self) -> StageState:
        """Brings the gauges among the self-metrics up to date on the way."""
        try:
            backlogs, now_ms = await self._outbox.backlogs(), self._clock.now_ms()
        except Overloaded as error:
            return StageState("degraded", error.message, needed=False)
        for name in self._receivers:
            backlog = backlogs.get(name, Backlog())
            age_ms = 0 if backlog.oldest_at_ms is None else max(0, now_ms - backlog.oldest_at_ms)
            self._metrics.notifications_waiting.labels(name).set(backlog.waiting)
            self._metrics.notifications_oldest_seconds.labels(name).set(age_ms / 1000)
        return StageState("ready", needed=False)

    async def close(self) -> None:
        for receiver in self._receivers.values():
            await receiver.close()

    def _wake(self, receivers: Collection[str]) -> None:
        for name in receivers:
            self._deliveries[name].wake()


def receivers_of(
    settings: Settings, clock: Clock, environment: Mapping[str, str], *, external_url: str
) -> dict[str, Receiver]:
    """Raises ConfigError where a secret is missing."""
    makers = Makers(clock, environment, s_max=settings.notifications.delivery_s_max, external_url=external_url)
    return {one.name: makers.make(one) for one in settings.receivers}


def unknown_receiver(name: str, known: Collection[str]) -> NotFound:
    listed = ", ".join(sorted(known)) or "none; write [[receivers]] in the config file"
    return NotFound(f"there is no receiver {name[:64]!r}", hint=f"there are: {listed}")


async def tested(receiver: Receiver, now_ms: int) -> str:
    """Raises ReceiverFailed."""
    try:
        return await receiver.send(test_notification(receiver.name, now_ms))
    except TryAgain as error:
        hint = "it would be tried again" if error.after_s is None else f"it asked to wait {error.after_s:g} s"
        raise ReceiverFailed(f"the receiver {receiver.name} did not take it: {error}", hint=hint) from None
    except Refused as error:
        hint = "check its address and its secret: a message like this one would not be tried again"
        raise ReceiverFailed(f"the receiver {receiver.name} refused it: {error}", hint=hint) from None


def test_notification(receiver: str, now_ms: int) -> Notification:
    """Marked as a test in all that is shown of it; with a key of its own, so that it is no real group's."""
    labels = {"alertname": "StreamgaugeTest", "severity": "info"}
    minute_ms = now_ms // MINUTE_MS * MINUTE_MS
    count = len(_TEST_POINTS)
    points = tuple((minute_ms - (count - n) * MINUTE_MS, value) for n, value in enumerate(_TEST_POINTS))
    annotations = {"summary": "This is a test notification of Streamgauge. Nothing is wrong."}
    alert = Alert(labels, annotations, _TEST_POINTS[-1], now_ms, None, "", points)
    key = group_key(receiver, {**labels, "test": str(now_ms)})
    return Notification(receiver, key, labels, (alert,), (), now_ms, valid_ms=MINUTE_MS, is_test=True)
