"""PagerDuty: Events API v2. One incident a group: `trigger` while anything of it fires, `resolve` with the same key
when nothing does."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.base import Notification
from streamgauge.alert.notify.receivers.http import HttpSender
from streamgauge.alert.notify.secrets import Secret
from streamgauge.alert.notify.texts import cut, rfc3339_ms, since_text, summary, title, trend

SUMMARY_CHARS_MAX: Final = 1_024
DETAILS_BYTES_MAX: Final = 256_000
"""PagerDuty takes 512 KB altogether."""

_SEVERITIES: Final = {"critical", "error", "warning", "info"}
_SEVERITY_OF: Final = {"page": "critical", "warn": "warning", "ticket": "warning", "none": "info"}
_DEFAULT_SEVERITY: Final = "error"


class PagerDutyReceiver:
    sends_per_minute = 120

    def __init__(self, name: str, sender: HttpSender, routing_key: Secret) -> None:
        self.name, self._sender, self._routing_key = name, sender, routing_key

    async def send(self, notification: Notification) -> str:
        """A test is triggered and resolved at once, so that nobody has to."""
        answer = await self._sender.post(pagerduty_event(notification, self._routing_key))
        if not notification.is_test or notification.status == "resolved":
            return answer
        ended = msgspec.structs.replace(notification, firing=(), resolved=notification.firing)
        resolved = await self._sender.post(pagerduty_event(ended, self._routing_key))
        return f"trigger: {answer}; resolve: {resolved}"

    async def close(self) -> None:
        await self._sender.close()


def pagerduty_event(notification: Notification, routing_key: Secret) -> dict[str, Any]:
    event: dict[str, Any] = {
        "routing_key": routing_key.reveal(),
        "event_action": "trigger" if notification.firing else "resolve",
        "dedup_key": notification.dedup_key,
        "client": "Streamgauge",
    }
    first = notification.alerts[0]
    links = {alert.source_url: summary(alert) for alert in notification.alerts[:10] if alert.source_url}
    if links:
        event["client_url"] = next(iter(links))
        event["links"] = [{"href": url, "text": cut(text, 255)} for url, text in links.items()]
    event["payload"] = {
        "summary": cut(f"{title(notification)}: {summary(first)}", SUMMARY_CHARS_MAX),
        "source": "streamgauge",
        "severity": _severity(notification.common_labels.get("severity", first.labels.get("severity", ""))),
        "timestamp": rfc3339_ms(min(alert.starts_at_ms for alert in notification.alerts)),
        "group": cut(notification.group_key, 255),
        "class": notification.common_labels.get("alertname", "alerts"),
        "custom_details": _details(notification),
    }
    return event


def _details(notification: Notification) -> dict[str, Any]:
    """Of as many alerts as there is room for."""
    alerts: list[dict[str, Any]] = []
    size = 0
    for alert in notification.alerts:
        detail = _detail(alert)
        size += len(msgspec.json.encode(detail))
        if size > DETAILS_BYTES_MAX:
            break
        alerts.append(detail)
    return {
        "firing": len(notification.firing),
        "resolved": len(notification.resolved),
        "alerts": alerts,
        "alerts_not_shown": len(notification.alerts) - len(alerts),
    }


def _detail(alert: Alert) -> dict[str, Any]:
    return {
        "status": "firing" if alert.ends_at_ms is None else "resolved",
        "value": alert.value,
        "trend": trend(alert),
        "when": since_text(alert),
        "labels": alert.labels,
        "annotations": alert.annotations,
    }


def _severity(label: str) -> str:
    name = label.lower()
    return name if name in _SEVERITIES else _SEVERITY_OF.get(name, _DEFAULT_SEVERITY)
