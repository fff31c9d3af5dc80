"""What people read: titles, values, sparklines. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.base import Notification
from streamgauge.core.sparkline import Point, sparkline

SPARKLINE_WIDTH: Final = 30
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def title(notification: Notification) -> str:
    """`[FIRING:2] TrafficDrop country=US`."""
    count = f":{len(notification.firing)}" if notification.firing else ""
    labels = notification.group_labels or notification.common_labels
    name = labels.get("alertname") or notification.common_labels.get("alertname", "alerts")
    rest = " ".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != "alertname")
    test = "[TEST] " if notification.is_test else ""
    return f"{test}[{notification.status.upper()}{count}] {name} {rest}".rstrip()


def summary(alert: Alert) -> str:
    """The annotation `summary`, or `description`, or the labels."""
    for name in ("summary", "description"):
        if text := alert.annotations.get(name, "").strip():
            return text
    return f"{alert.labels.get('alertname', 'an alert')} {labels_text(alert.labels)}".rstrip()


def labels_text(labels: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "alertname")


def value_text(value: float) -> str:
    """Of a thousand and more no fraction."""
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e15 else f"{value:.6g}"


def trend(alert: Alert) -> str:
    """The expression lately, as blocks; empty where it isn't known."""
    if len(alert.points) < 2:
        return ""
    return sparkline([Point(str(time), value) for time, value in alert.points], SPARKLINE_WIDTH).blocks


def duration_text(ms: int) -> str:
    """`2 h 5 m`: the two greatest units."""
    seconds = max(0, ms) // 1000
    parts: list[str] = []
    for unit, length in _UNITS:
        count, seconds = divmod(seconds, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def since_text(alert: Alert) -> str:
    if alert.ends_at_ms is None:
        return f"since {clock_text(alert.starts_at_ms)}"
    return f"resolved after {duration_text(alert.ends_at_ms - alert.starts_at_ms)}"


def clock_text(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def rfc3339_ms(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


def cut(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else f"{text[: chars_max - 1]}…"
