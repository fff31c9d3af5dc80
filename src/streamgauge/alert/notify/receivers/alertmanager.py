"""An Alertmanager: it is told of every alert again and again, as Prometheus does, and does the rest itself."""

from __future__ import annotations

from typing import Any

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.base import Notification
from streamgauge.alert.notify.receivers.http import HttpSender
from streamgauge.alert.notify.texts import rfc3339_ms


class AlertmanagerReceiver:
    sends_per_minute = 600

    def __init__(self, name: str, sender: HttpSender) -> None:
        self.name, self._sender = name, sender

    async def send(self, notification: Notification) -> str:
        return await self._sender.post(alertmanager_alerts(notification))

    async def close(self) -> None:
        await self._sender.close()


def alertmanager_alerts(notification: Notification) -> list[dict[str, Any]]:
    """What fires is said to end after `valid_ms`: should nobody go on telling of it, it does."""
    return [_alert(alert, notification) for alert in notification.alerts]


def _alert(alert: Alert, notification: Notification) -> dict[str, Any]:
    ends_at_ms = notification.made_at_ms + notification.valid_ms if alert.ends_at_ms is None else alert.ends_at_ms
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": rfc3339_ms(alert.starts_at_ms),
        "endsAt": rfc3339_ms(ends_at_ms),
        "generatorURL": alert.source_url,
    }
