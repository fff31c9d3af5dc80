"""Why nobody is told of an alert that fires: a silence, a maintenance window, or an alert that says more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from streamgauge.alert.base import Alert
from streamgauge.core.matchers import Matcher, match_all
from streamgauge.notify_settings import EVERY_DAY, InhibitionSettings, MaintenanceSettings

SilenceState = Literal["pending", "active", "expired"]


class Silence(msgspec.Struct, frozen=True):
    """Nobody is told of alerts that match all of `matchers` in `[starts_at_ms, ends_at_ms)`."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at_ms: int
    ends_at_ms: int
    author: str
    comment: str
    updated_at_ms: int

    def state(self, now_ms: int) -> SilenceState:
        if now_ms < self.starts_at_ms:
            return "pending"
        return "active" if now_ms < self.ends_at_ms else "expired"

    def covers(self, labels: Mapping[str, str], now_ms: int) -> bool:
        return self.state(now_ms) == "active" and match_all(self.matchers, labels)


class Window:
    """A maintenance window, by the clock on the wall there: in the night of a clock change it is an hour shorter or
    longer."""

    def __init__(self, settings: MaintenanceSettings) -> None:
        self.settings = settings
        self._matchers, self._zone = settings.matched, ZoneInfo(settings.tz)
        self._begin, self._end = _minute_of_day(settings.from_), _minute_of_day(settings.to)

    def is_open(self, now_ms: int) -> bool:
        now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(self._zone)
        minute, weekdays = now.hour * 60 + now.minute, self.settings.weekdays
        today, yesterday = EVERY_DAY[now.weekday()], EVERY_DAY[now.weekday() - 1]
        if self._begin < self._end:
            return today in weekdays and self._begin <= minute < self._end
        return (today in weekdays and minute >= self._begin) or (yesterday in weekdays and minute < self._end)

    def covers(self, labels: Mapping[str, str], now_ms: int) -> bool:
        return match_all(self._matchers, labels) and self.is_open(now_ms)


def silenced_by(
    labels: Mapping[str, str], silences: Iterable[Silence], windows: Iterable[Window], now_ms: int
) -> list[str]:
    """The ids of the silences and `maintenance:NAME` of the windows that mute an alert with these labels now."""
    found = [silence.id for silence in silences if silence.covers(labels, now_ms)]
    return found + [f"maintenance:{one.settings.name}" for one in windows if one.covers(labels, now_ms)]


class Inhibitor:
    """Which alerts are not told of because one that fires, silenced or not, says more."""

    def __init__(self, rules: Iterable[InhibitionSettings], firing: Sequence[Alert]) -> None:
        self._rules = [_Inhibition(rule, firing) for rule in rules]

    def inhibits(self, alert: Alert) -> bool:
        return any(rule.inhibits(alert.labels) for rule in self._rules)


class _Inhibition:
    """One rule, and what fires now of its source: by the labels that must be equal, those that are target too apart.
    One that is both is not inhibited by others that are both: they would silence each other."""

    def __init__(self, rule: InhibitionSettings, firing: Iterable[Alert]) -> None:
        self._source, self._target, self._equal = rule.source_matchers, rule.target_matchers, rule.equal
        sources = [alert.labels for alert in firing if match_all(self._source, alert.labels)]
        self._all = {self._equals(labels) for labels in sources}
        self._only_sources = {self._equals(labels) for labels in sources if not match_all(self._target, labels)}

    def inhibits(self, labels: Mapping[str, str]) -> bool:
        if not self._all or not match_all(self._target, labels):
            return False
        is_both = match_all(self._source, labels)
        return self._equals(labels) in (self._only_sources if is_both else self._all)

    def _equals(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(labels.get(name, "") for name in self._equal)


def _minute_of_day(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
