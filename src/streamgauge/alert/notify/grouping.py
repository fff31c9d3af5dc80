"""Groups of alerts: when is there something to say, and what? Pure; Alertmanager's semantics.

A group is all alerts of one receiver that have the same values of `group_by`. It is looked at `group_wait` after its
first alert, then every `group_interval`. What was said last is part of it, so that nothing is said twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.base import POINTS_MAX, Notification, group_key
from streamgauge.alert.notify.routing import Route, routes_for

RECOVERY_AGAIN_MS: Final = 60_000
RECOVERY_SAID_MS_MAX: Final = 7 * 24 * 3_600_000
"""So long after it is a recovery that a receiver refused said again; from the first break on, each is twice as long."""


class Said(msgspec.Struct, frozen=True):
    """The last message about a group: when, and the fingerprints that it named."""

    at_ms: int
    firing: frozenset[str]
    resolved: frozenset[str]


class Member(msgspec.Struct, frozen=True):
    """An alert of a group. `missing_since_ms`: since when evaluations that tell of others don't tell of it."""

    alert: Alert
    missing_since_ms: int | None = None

    @property
    def fires(self) -> bool:
        return self.alert.ends_at_ms is None


class Group(msgspec.Struct, frozen=True):
    """`members` by fingerprint; `look_at_ms`: when it is looked at next."""

    key: str
    receiver: str
    labels: Mapping[str, str]
    look_at_ms: int
    members: Mapping[str, Member] = {}
    said: Said | None = None

    @property
    def is_over(self) -> bool:
        return not self.members

    @property
    def outline(self) -> tuple[object, ...]:
        """What must outlive a restart: all but values that the next evaluation brings anew."""
        members = [(key, one.alert.ends_at_ms, one.missing_since_ms) for key, one in self.members.items()]
        return (self.look_at_ms, self.said, members)


Groups = Mapping[str, Group]
IsMuted = Callable[[Alert], bool]


class Look(NamedTuple):
    """What a look at a group gave: the group from now on, and the message, where there is one."""

    group: Group
    notification: Notification | None


def told(groups: Groups, routes: Sequence[Route], alerts: Iterable[Alert], now_ms: int, timeout_ms: int) -> Groups:
    """The groups after an evaluation that told of these alerts. Alerts that fired and aren't told of for `timeout_ms`
    are resolved: their rule is gone."""
    members: dict[str, dict[str, Member]] = {key: {} for key in groups}
    found: dict[str, Group] = dict(groups)
    for alert in alerts:
        fingerprint = alert.fingerprint
        for route in routes_for(routes, alert.labels):
            labels = route.group_labels(alert.labels)
            key = group_key(route.receiver, labels)
            if alert.ends_at_ms is not None and not _is_known(found.get(key), fingerprint):
                continue  # it ended before anybody was told, or they were told already
            if key not in found:
                found[key] = Group(key, route.receiver, labels, _first_look_ms(route, alert, now_ms))
                members[key] = {}
            before = members[key].get(fingerprint)
            if before is None or not before.fires:  # of two rules with the same labels, the one that fires counts
                members[key][fingerprint] = Member(_kept(alert))
    return {
        key: msgspec.structs.replace(group, members=_with_missing(group, members[key], now_ms, timeout_ms))
        for key, group in found.items()
    }


def look(group: Group, route: Route, is_muted: IsMuted, now_ms: int) -> Look:
    """Whether there is something to say about a group now.

    A muted alert isn't said to fire. That one which was said to fire has ended is always said, muted or not: else
    whoever was told would wait for ever.
    """
    said = group.said or Said(0, frozenset(), frozenset())
    firing = {key: one for key, one in group.members.items() if one.fires and not is_muted(one.alert)}
    resolved = {key: one for key, one in group.members.items() if not one.fires and key in said.firing}
    after = msgspec.structs.replace(
        group,
        look_at_ms=now_ms + max(1, route.group_interval_ms),
        members={key: one for key, one in group.members.items() if one.fires},
    )
    if not _is_news(group.said, firing, resolved, route, now_ms):
        return Look(after, None)
    still_firing = frozenset(key for key, one in after.members.items() if key in said.firing)
    names = frozenset(firing)
    # Where no alert fires that isn't muted the receiver takes the group as over: the muted ones are news again later.
    after = msgspec.structs.replace(
        after, said=Said(now_ms, names | still_firing if names else names, frozenset(resolved))
    )
    shown = resolved if route.send_resolved else {}
    if not (firing or shown):
        return Look(after, None)
    return Look(
        after,
        Notification(
            group.receiver,
            group.key,
            group.labels,
            tuple(one.alert for one in firing.values()),
            tuple(one.alert for one in shown.values()),
            now_ms,
            valid_ms=4 * max(route.group_interval_ms, route.repeat_interval_ms),
        ),
    )


def unsaid(group: Group | None, refused: Notification, said_before: Said | None, now_ms: int) -> Group | None:
    """The group as if this message had not been: the next look finds something to say. None: there is nothing.

    A recovery that nobody got is said again although the group is over, after longer and longer breaks: else an
    incident is open for ever.
    """
    fires = {key for key, one in group.members.items() if one.fires} if group is not None else set()
    ended = {
        alert.fingerprint: Member(alert)
        for alert in refused.resolved
        if alert.fingerprint not in fires and now_ms - (alert.ends_at_ms or 0) < RECOVERY_SAID_MS_MAX
    }
    is_last = group is not None and group.said is not None and group.said.at_ms == refused.made_at_ms
    if not ended and not is_last:
        return None
    said = said_before if group is None or is_last else group.said
    if ended:
        said = said or Said(0, frozenset(), frozenset())
        said = msgspec.structs.replace(said, firing=said.firing | ended.keys())
    if group is None:
        oldest_ms = min(one.alert.ends_at_ms or now_ms for one in ended.values())
        look_at_ms = now_ms + max(RECOVERY_AGAIN_MS, now_ms - oldest_ms)
        return Group(refused.group_key, refused.receiver, refused.group_labels, look_at_ms, ended, said)
    return msgspec.structs.replace(group, said=said, members={**ended, **group.members})


def _is_news(
    said: Said | None, firing: Mapping[str, Member], resolved: Mapping[str, Member], route: Route, now_ms: int
) -> bool:
    if not firing and not resolved:
        return False
    if said is None or not firing.keys() <= said.firing:
        return bool(firing)
    if not firing:
        return True
    if route.send_resolved and resolved:
        return True
    return now_ms - said.at_ms >= route.repeat_interval_ms


def _is_known(group: Group | None, fingerprint: str) -> bool:
    return group is not None and fingerprint in group.members


def _first_look_ms(route: Route, alert: Alert, now_ms: int) -> int:
    """One that has fired for longer than a group waits has waited enough."""
    waited_ms = now_ms - alert.starts_at_ms
    return now_ms if waited_ms >= route.group_wait_ms else now_ms + route.group_wait_ms


def _with_missing(group: Group, members: Mapping[str, Member], now_ms: int, timeout_ms: int) -> Mapping[str, Member]:
    missing = {key: one for key, one in group.members.items() if key not in members}
    return {**{key: _missed(one, now_ms, timeout_ms) for key, one in missing.items()}, **members}


def _missed(member: Member, now_ms: int, timeout_ms: int) -> Member:
    if not member.fires:
        return member
    since_ms = now_ms if member.missing_since_ms is None else member.missing_since_ms
    alert = member.alert
    if now_ms - since_ms >= timeout_ms:
        alert = msgspec.structs.replace(alert, ends_at_ms=now_ms)
    return Member(alert, since_ms)


def _kept(alert: Alert) -> Alert:
    if len(alert.points) <= POINTS_MAX:
        return alert
    return msgspec.structs.replace(alert, points=alert.points[-POINTS_MAX:])
