"""Which receivers an alert is for, and how they want it grouped. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from streamgauge.core.matchers import Matcher, match_all
from streamgauge.notify_settings import EVERY_LABEL, NotificationSettings, ReceiverSettings, span_ms


class Route(msgspec.Struct, frozen=True):
    """Times in ms, as Alertmanager means them."""

    receiver: str
    matchers: tuple[Matcher, ...]
    goes_on: bool
    """Whether alerts that it takes may be for receivers after it too."""
    group_by: tuple[str, ...]
    group_wait_ms: int
    """So long a new group waits for further alerts before the first message."""
    group_interval_ms: int
    """So long after a look at a group it is looked at again: has anything changed?"""
    repeat_interval_ms: int
    """So long after a message, what still fires is said again."""
    send_resolved: bool

    def group_labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        if EVERY_LABEL in self.group_by:
            return dict(labels)
        return {name: labels[name] for name in self.group_by if name in labels}


def routes_for(routes: Sequence[Route], labels: Mapping[str, str]) -> Iterator[Route]:
    """In the order of the config file: every receiver that matches, until one that says that it is the last."""
    for route in routes:
        if match_all(route.matchers, labels):
            yield route
            if not route.goes_on:
                return


def route_of(receiver: ReceiverSettings, defaults: NotificationSettings) -> Route:
    if receiver.kind == "alertmanager":
        # It groups, waits and repeats itself, and believes what it isn't told again for a few minutes only.
        defaults = msgspec.structs.replace(
            defaults, group_by=(), group_wait="0s", group_interval="1m", repeat_interval="1m"
        )
    return Route(
        receiver.name,
        receiver.matched,
        receiver.continue_,
        defaults.group_by if receiver.group_by is None else receiver.group_by,
        span_ms(receiver.group_wait or defaults.group_wait),
        span_ms(receiver.group_interval or defaults.group_interval),
        span_ms(receiver.repeat_interval or defaults.repeat_interval),
        receiver.send_resolved,
    )
