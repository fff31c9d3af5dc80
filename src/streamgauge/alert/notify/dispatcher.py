"""The Notifier: keeps groups, looks at them when it is time, and puts what is to be said into the outbox.

The order, so that a process may end at any instant:

1. `notify` returns when the groups that the evaluation changed are in the database: alerts it was told of are not
   forgotten.
2. A look takes, in one transaction, the message into the outbox and "this was said" into its group: a message is
   made once, and never lost after that.
3. Deliveries end an entry of the outbox after the receiver has answered. Ending in between sends it again, with the
   same key.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import Final

import msgspec

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.grouping import Group, Groups, look, told, unsaid
from streamgauge.alert.notify.muting import Inhibitor, Silence, Window, silenced_by
from streamgauge.alert.notify.outbox import Message, Outbox, Waiting
from streamgauge.alert.notify.routing import Route
from streamgauge.core.clock import Clock
from streamgauge.core.errors import Overloaded
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.notify_settings import InhibitionSettings

TOLD_WITHIN_MS: Final = 120_000
"""After the start, groups are not looked at before an evaluation has told what fires by now, or this time is over."""

ALERTS_MAX: Final = 20_000
"""That fire at the same time; of further ones that nobody knows yet nobody is told."""

_TICK_S: Final = 1.0
_FORGET_EACH_S: Final = 3_600.0

_logger = logging.getLogger(__name__)


class Muting(msgspec.Struct, frozen=True):
    """Where it is to be found whether nobody is told of an alert. `silences`: those that have not ended."""

    silences: Callable[[int], Awaitable[Sequence[Silence]]]
    windows: Sequence[Window] = ()
    inhibitions: Sequence[InhibitionSettings] = ()


class Dispatcher:
    """One process at a time has one that runs; see `run`."""

    def __init__(
        self,
        routes: Sequence[Route],
        muting: Muting,
        outbox: Outbox,
        clock: Clock,
        metrics: SelfMetrics,
        *,
        resolve_timeout_ms: int,
        on_put: Callable[[Collection[str]], None],
    ) -> None:
        """`on_put` is told for which receivers something was put into the outbox."""
        self._routes = {route.receiver: route for route in routes}
        self._muting, self._outbox, self._clock, self._metrics = muting, outbox, clock, metrics
        self._timeout_ms, self._on_put = resolve_timeout_ms, on_put
        self._groups: Groups | None = None
        self._firing: Sequence[Alert] = ()
        self._is_told = False
        self._wait_until_ms = clock.now_ms() + TOLD_WITHIN_MS
        self._one_at_a_time = asyncio.Lock()
        self._wake = asyncio.Event()

    async def notify(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """See Notifier. Raises what those of StateDatabase do: then it knows what it knew before."""
        async with self._one_at_a_time:
            before = await self._known()
            if len(alerts) > ALERTS_MAX:
                given, alerts = len(alerts), _most(alerts, before)
                self._metrics.alerts_untold.inc(given - len(alerts))
            after = told(before, list(self._routes.values()), alerts, now_ms, self._timeout_ms)
            await self._keep(before, after.values(), [])
            self._firing = [alert for alert in alerts if alert.ends_at_ms is None]
            self._is_told = True
        self._wake.set()

    async def look(self) -> None:
        """At every group whose time it is. Raises what those of StateDatabase do."""
        async with self._one_at_a_time:
            now_ms, groups = self._clock.now_ms(), await self._known()
            due = [group for group in groups.values() if group.look_at_ms <= now_ms]
            if not due or not (self._is_told or now_ms >= self._wait_until_ms):
                return
            is_muted = await self._mutes(groups, now_ms)
            looks = [
                (group, look(group, self._routes[group.receiver], is_muted, now_ms))
                for group in due
                if group.receiver in self._routes
            ]
            messages = [Message(one.notification, group.said) for group, one in looks if one.notification]
            await self._keep(groups, [one.group for _, one in looks], messages)

    async def refused(self, waiting: Waiting) -> None:
        """A receiver won't take a message about a group: what it said is to be said again, at the next look."""
        said = waiting.notification
        async with self._one_at_a_time:
            groups = await self._known()
            group = unsaid(groups.get(said.group_key), said, waiting.said_before, self._clock.now_ms())
            if group is not None:
                await self._keep(groups, [group], [])

    async def run(self, history_ms: int) -> None:
        """Until it is cancelled. Then it forgets what it knows of groups: another process may go on with them."""
        forget_at_ms = 0
        try:
            while True:
                try:
                    if not forget_at_ms:
                        await self._outbox.keep_only(self._routes, self._clock.now_ms())
                    await self.look()
                    if self._clock.now_ms() >= forget_at_ms:
                        await self._outbox.forget(self._clock.now_ms() - history_ms)
                        forget_at_ms = self._clock.now_ms() + int(_FORGET_EACH_S * 1000)
                except Overloaded as error:
                    _logger.warning("groups of alerts can't be looked at: %s", error.message)
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_TICK_S):  # wait_for of Python 3.11 may swallow a cancellation
                        await self._wake.wait()
        finally:
            self._groups, self._is_told = None, False

    async def _known(self) -> Groups:
        if self._groups is None:
            self._groups = {
                # Of a receiver that the config file no longer has nobody is told.
                key: group
                for key, group in (await self._outbox.groups()).items()
                if group.receiver in self._routes
            }
            self._wait_until_ms = self._clock.now_ms() + TOLD_WITHIN_MS
        return self._groups

    async def _mutes(self, groups: Groups, now_ms: int) -> Callable[[Alert], bool]:
        silences = await self._muting.silences(now_ms)
        firing = self._firing or [
            one.alert for group in groups.values() for one in group.members.values() if one.alert.ends_at_ms is None
        ]
        inhibitor, windows = Inhibitor(self._muting.inhibitions, firing), self._muting.windows
        return lambda alert: bool(silenced_by(alert.labels, silences, windows, now_ms)) or inhibitor.inhibits(alert)

    async def _keep(self, before: Groups, after: Iterable[Group], messages: Sequence[Message]) -> None:
        """The groups from now on, in the database and here: those of before, and instead of some those of after."""
        groups = {**before, **{group.key: group for group in after}}
        over = [key for key, group in groups.items() if group.is_over]
        changed = [
            group
            for key, group in groups.items()
            if not group.is_over and (key not in before or before[key].outline != group.outline)
        ]
        if changed or over or messages:
            put = await self._outbox.put(changed, over, messages)
            for outcome, counts in (("superseded", put.superseded), ("dropped", put.dropped)):
                for receiver, count in counts.items():
                    self._metrics.notifications.labels(receiver, outcome).inc(count)
        self._groups = {key: group for key, group in groups.items() if not group.is_over}
        if messages:
            self._on_put({message.notification.receiver for message in messages})


def _most(alerts: Sequence[Alert], groups: Groups) -> Sequence[Alert]:
    """As many as may be, and all that are known: one that isn't told of any more would be taken for resolved."""
    known = {fingerprint for group in groups.values() for fingerprint in group.members}
    told = [alert for alert in alerts if alert.fingerprint in known]
    new = (alert for alert in alerts if alert.fingerprint not in known)
    return [*told, *islice(new, max(0, ALERTS_MAX - len(told)))]
