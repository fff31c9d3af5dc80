"""Anything that takes what Alertmanager sends to webhooks: payload version 4."""

from __future__ import annotations

from typing import Any, Final

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.base import Notification
from streamgauge.alert.notify.receivers.http import HttpSender
from streamgauge.alert.notify.texts import rfc3339_ms

ALERTS_MAX: Final = 1_000
"""In one message; of the others it has the number, as `truncatedAlerts`."""

_NEVER: Final = "0001-01-01T00:00:00Z"
"""How Alertmanager writes the end of what fires."""


class WebhookReceiver:
    sends_per_minute = 600

    def __init__(self, name: str, sender: HttpSender, external_url: str) -> None:
        """`external_url`: where people find this server; empty where it isn't known."""
        self.name, self._sender, self._external_url = name, sender, external_url

    async def send(self, notification: Notification) -> str:
        return await self._sender.post(webhook_payload(notification, self._external_url))

    async def close(self) -> None:
        await self._sender.close()


def webhook_payload(notification: Notification, external_url: str) -> dict[str, Any]:
    shown = notification.alerts[:ALERTS_MAX]
    payload: dict[str, Any] = {
        "version": "4",
        "groupKey": notification.group_key,
        "truncatedAlerts": len(notification.alerts) - len(shown),
        "status": notification.status,
        "receiver": notification.receiver,
        "groupLabels": notification.group_labels,
        "commonLabels": notification.common_labels,
        "commonAnnotations": notification.common_annotations,
        "externalURL": external_url,
        "alerts": [_alert(alert) for alert in shown],
    }
    return {**payload, "isTest": True} if notification.is_test else payload


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "status": "firing" if alert.ends_at_ms is None else "resolved",
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": rfc3339_ms(alert.starts_at_ms),
        "endsAt": _NEVER if alert.ends_at_ms is None else rfc3339_ms(alert.ends_at_ms),
        "generatorURL": alert.source_url,
        "fingerprint": alert.fingerprint,
    }
