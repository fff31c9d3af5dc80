"""What the config file says of notifications: receivers, whom they are for, when nobody is told. Secrets are not here:
only where they are.

Docs: `docs/guide/configuration.md` and `docs/guide/notifications.md`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from streamgauge.core.matchers import Matcher, parse_matchers
from streamgauge.model import parse_duration_ms

Positive = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
ReceiverName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. -]{0,63}\Z")]
LabelName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}\Z|^\.\.\.\Z")]
VariableName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}\Z|^\Z")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Kind = Literal["slack", "pagerduty", "webhook", "email", "alertmanager"]

EVERY_DAY: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_LABEL: Final = "..."
"""Of `group_by`, as Alertmanager has it: each alert is a group of its own."""

_TIME_OF_DAY: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_MAIL: Final = re.compile(r"[^@\s<>,]+@[^@\s<>,]+")


class _Discreet(msgspec.Struct, frozen=True):
    """Whose `url` may be a secret."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class SlackSettings(_Discreet, frozen=True, forbid_unknown_fields=True):
    """An incoming webhook."""

    webhook_url_env: VariableName = ""
    webhook_url_file: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        _one_of(self, "webhook_url_env", "webhook_url_file", "url")
        _check_url(self.url)


class PagerDutySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An integration of the Events API v2."""

    routing_key_env: VariableName = ""
    routing_key_file: str = ""
    url: str = "https://events.pagerduty.com/v2/enqueue"

    def __post_init__(self) -> None:
        _one_of(self, "routing_key_env", "routing_key_file")
        _check_url(self.url)


class WebhookSettings(_Discreet, frozen=True, forbid_unknown_fields=True):
    """Anything that takes Alertmanager's payload, version 4."""

    url: str = ""
    webhook_url_env: VariableName = ""
    webhook_url_file: str = ""
    bearer_token_env: VariableName = ""
    bearer_token_file: str = ""

    def __post_init__(self) -> None:
        _one_of(self, "webhook_url_env", "webhook_url_file", "url")
        _at_most_one_of(self, "bearer_token_env", "bearer_token_file")
        _check_url(self.url)


class EmailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    to: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=100)]
    from_: str
    host: str
    port: Port = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password_env: VariableName = ""
    password_file: str = ""

    def __post_init__(self) -> None:
        for address in (*self.to, self.from_):
            if not _MAIL.fullmatch(address):
                raise ValueError(f"{address!r} is not an e-mail address")
        _at_most_one_of(self, "password_env", "password_file")
        if bool(self.username) != bool(self.password_env or self.password_file):
            raise ValueError("a username goes with password_env or password_file, and these with a username")
        if self.username and self.tls == "none" and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError('tls = "none" would send the password for all to read: take starttls or tls')


class AlertmanagerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Its address, as `http://alertmanager:9093`; what it is sent goes to `/api/v2/alerts` there."""

    url: str
    bearer_token_env: VariableName = ""
    bearer_token_file: str = ""

    def __post_init__(self) -> None:
        _at_most_one_of(self, "bearer_token_env", "bearer_token_file")
        _check_url(self.url)


class ReceiverSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"continue_": "continue"}):
    """Whom alerts are sent to, and which. Exactly one of the five kinds. Empty durations: as `[notifications]` says."""

    name: ReceiverName
    match: Mapping[str, str] = {}
    matchers: tuple[str, ...] = ()
    continue_: bool = True
    group_by: tuple[LabelName, ...] | None = None
    group_wait: str = ""
    group_interval: str = ""
    repeat_interval: str = ""
    send_resolved: bool = True
    sends_per_minute_max: Positive | None = None
    slack: SlackSettings | None = None
    pagerduty: PagerDutySettings | None = None
    webhook: WebhookSettings | None = None
    email: EmailSettings | None = None
    alertmanager: AlertmanagerSettings | None = None

    def __post_init__(self) -> None:
        if len(kinds := self._kinds()) != 1:
            raise ValueError(
                f"the receiver {self.name!r} has {' and '.join(kinds) or 'no kind'}: give it exactly one of slack, "
                "pagerduty, webhook, email, alertmanager"
            )
        try:
            _check_durations(self.group_wait, self.group_interval, self.repeat_interval)
            _ = self.matched
        except ValueError as error:
            raise ValueError(f"the receiver {self.name!r}: {error}") from None

    def _kinds(self) -> list[Kind]:
        kinds: tuple[Kind, ...] = ("slack", "pagerduty", "webhook", "email", "alertmanager")
        return [kind for kind in kinds if getattr(self, kind) is not None]

    @property
    def kind(self) -> Kind:
        return self._kinds()[0]

    @property
    def matched(self) -> tuple[Matcher, ...]:
        """All that alerts must match."""
        return (*(Matcher(name, "=", value) for name, value in self.match.items()), *_parsed(self.matchers))


class InhibitionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """While an alert fires that `source` matches, those that `target` matches are not told of, where the labels in
    `equal` are the same."""

    source: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    target: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    equal: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _ = self.source_matchers, self.target_matchers

    @property
    def source_matchers(self) -> tuple[Matcher, ...]:
        return _parsed(self.source)

    @property
    def target_matchers(self) -> tuple[Matcher, ...]:
        return _parsed(self.target)


class MaintenanceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """A silence that comes again: on these weekdays, from one time of day to another in a time zone. One that ends
    before it begins goes on into the next day."""

    name: ReceiverName
    matchers: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    from_: str
    to: str
    weekdays: Annotated[tuple[Weekday, ...], msgspec.Meta(min_length=1)] = EVERY_DAY
    tz: str = "UTC"
    comment: str = ""

    def __post_init__(self) -> None:
        for text in (self.from_, self.to):
            if not _TIME_OF_DAY.fullmatch(text):
                raise ValueError(f"the maintenance window {self.name!r}: {text!r} is no time of day like 02:30")
        if self.from_ in (self.to, "24:00"):
            raise ValueError(f"the maintenance window {self.name!r} has no length: for whole days, from 00:00 to 24:00")
        try:
            ZoneInfo(self.tz)
        except (ValueError, OSError, KeyError):  # one that isn't found is a KeyError
            raise ValueError(f"{self.tz!r} is not a time zone: write it like Europe/Berlin") from None
        _ = self.matched

    @property
    def matched(self) -> tuple[Matcher, ...]:
        return _parsed(self.matchers)


class NotificationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What receivers have where they don't say otherwise, and limits."""

    group_by: tuple[LabelName, ...] = ("alertname",)
    group_wait: str = "30s"
    group_interval: str = "5m"
    repeat_interval: str = "4h"
    resolve_timeout: str = "5m"
    """An alert that evaluations no longer tell of for so long counts as resolved."""
    delivery_s_max: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    """Of one try."""
    retry_h_max: Positive = 24
    """So long is tried."""
    waiting_notifications_max: Positive = 10_000
    """Of one receiver; over it the oldest are dropped."""
    history_days: Positive = 30
    """Of notifications that were sent, or weren't."""
    silences_max: Positive = 10_000
    """That have not ended."""

    def __post_init__(self) -> None:
        _check_durations(self.group_wait, self.group_interval, self.repeat_interval, self.resolve_timeout)


def _one_of(settings: msgspec.Struct, *names: str) -> None:
    if sum(bool(getattr(settings, name)) for name in names) != 1:
        raise ValueError(f"exactly one is needed of {', '.join(names)}")


def _at_most_one_of(settings: msgspec.Struct, *names: str) -> None:
    if sum(bool(getattr(settings, name)) for name in names) > 1:
        raise ValueError(f"at most one is possible of {', '.join(names)}")


def _check_url(url: str) -> None:
    """The text isn't shown: it may be a secret."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise ValueError("a url is not one: it must begin with http:// or https:// and have a host")


def _check_durations(*texts: str) -> None:
    for text in texts:
        if text and text != "0s":
            parse_duration_ms(text)


def _parsed(texts: tuple[str, ...]) -> tuple[Matcher, ...]:
    return tuple(matcher for text in texts for matcher in parse_matchers(text))


def span_ms(text: str) -> int:
    """A duration of these settings; `0s` is possible here."""
    return 0 if text == "0s" else parse_duration_ms(text)
