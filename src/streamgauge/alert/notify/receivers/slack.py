"""Slack: an incoming webhook that takes `{text, blocks}` and answers `ok`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.base import Notification
from streamgauge.alert.notify.receivers.http import HttpSender
from streamgauge.alert.notify.texts import cut, labels_text, since_text, summary, title, trend, value_text

ALERTS_MAX: Final = 20
BLOCKS_CHARS_MAX: Final = 10_000
"""So many alerts are shown one by one; of the others the number. Slack takes 50 blocks of 3,000 characters, and, as its
documentation doesn't say, about 13,000 altogether."""

_TITLE_CHARS_MAX: Final = 150
_TEXT_CHARS_MAX: Final = 280
"""Of a text before it is escaped, which may make it five times as long."""

_URL_CHARS_MAX: Final = 3_000


class SlackReceiver:
    sends_per_minute = 60

    def __init__(self, name: str, sender: HttpSender) -> None:
        self.name, self._sender = name, sender

    async def send(self, notification: Notification) -> str:
        return await self._sender.post(slack_message(notification))

    async def close(self) -> None:
        await self._sender.close()


def slack_message(notification: Notification) -> dict[str, Any]:
    """`text` is what phones show; the blocks say the same with values, sparklines and links."""
    heading, shown = title(notification), _sections(notification.alerts[:ALERTS_MAX])
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(heading, _TITLE_CHARS_MAX), "emoji": False}},
        *shown,
    ]
    if more := len(notification.alerts) - len(shown):
        blocks.append(_context(f"and {more} more"))
    if notification.is_test:
        blocks.append(_context("This is a test of the receiver. Nothing is wrong."))
    first = summary(notification.alerts[0]) if notification.alerts else ""
    return {"text": cut(_escaped(f"{heading}: {first}"), _TEXT_CHARS_MAX), "blocks": blocks}


def _sections(alerts: Sequence[Alert]) -> list[dict[str, Any]]:
    sections: list[dict[str, Any]] = []
    chars = 0
    for section in map(_section, alerts):
        chars += len(section["text"]["text"])
        if chars > BLOCKS_CHARS_MAX:
            break
        sections.append(section)
    return sections


def _section(alert: Alert) -> dict[str, Any]:
    mark = ":red_circle:" if alert.ends_at_ms is None else ":white_check_mark:"
    lines = [f"{mark} *{_escaped(cut(summary(alert), _TEXT_CHARS_MAX))}*"]
    blocks = trend(alert)
    lines.append(f"value *{value_text(alert.value)}*{f'  `{blocks}`' if blocks else ''}")
    lines.append(_escaped(cut(f"{since_text(alert)}  {labels_text(alert.labels)}", _TEXT_CHARS_MAX)))
    section: dict[str, Any] = {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines)}}
    if 0 < len(alert.source_url) <= _URL_CHARS_MAX:
        button = {"type": "plain_text", "text": "Open chart", "emoji": False}
        section["accessory"] = {"type": "button", "text": button, "url": alert.source_url}
    return section


def _context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def _escaped(text: str) -> str:
    """Slack's own three characters: else a label could mention everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
