"""What is sent to a receiver, and the seam to those that send it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, Literal, Protocol

import msgspec

from streamgauge.alert.base import Alert
from streamgauge.core.matchers import quoted

Status = Literal["firing", "resolved"]

POINTS_MAX: Final = 60
"""Of an alert that is kept, the last ones."""


class Notification(msgspec.Struct, frozen=True):
    """One message about one group of alerts to one receiver, as it is made and kept; a retry sends the same."""

    receiver: str
    group_key: str
    group_labels: Mapping[str, str]
    firing: tuple[Alert, ...]
    resolved: tuple[Alert, ...]
    made_at_ms: int
    valid_ms: int = 0
    """So long will something that isn't told of again be believed to fire, by those who must believe something."""
    is_test: bool = False

    @property
    def status(self) -> Status:
        return "firing" if self.firing else "resolved"

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return (*self.firing, *self.resolved)

    @property
    def dedup_key(self) -> str:
        return dedup_key(self.group_key)

    @property
    def common_labels(self) -> dict[str, str]:
        return _common([alert.labels for alert in self.alerts])

    @property
    def common_annotations(self) -> dict[str, str]:
        return _common([alert.annotations for alert in self.alerts])


class Receiver(Protocol):
    """Somebody who can be told."""

    name: str
    sends_per_minute: int
    """As many as the other side takes; the worker that calls it keeps to it."""

    async def send(self, notification: Notification) -> str:
        """What the other side answered, shortly and without secrets; it has taken the message then. Raises TryAgain,
        Refused. May be called again with one that was taken: the other side can tell, where its protocol has a key."""
        ...

    async def close(self) -> None: ...


class TryAgain(Exception):
    """The other side didn't take it now. `after_s`: not before, where it said so."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class Refused(Exception):
    """The other side won't take it, however often it is sent."""


def group_key(receiver: str, labels: Mapping[str, str]) -> str:
    """`oncall:{alertname="TrafficDrop",country="US"}`."""
    pairs = ",".join(f"{name}={quoted(value)}" for name, value in sorted(labels.items()))
    return f"{receiver}:{{{pairs}}}"


def dedup_key(group_key: str) -> str:
    """By which the other side knows that a message is of a group it was told of before: the same as long as the group
    is, after a restart too."""
    return hashlib.sha256(group_key.encode()).hexdigest()


def _common(given: list[Mapping[str, str]]) -> dict[str, str]:
    first, *others = given or [{}]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
