"""The outbox, in the state database: notifications wait here until their receiver has them, then stay as the log.

What was put in is delivered at least once, whatever happens to the process: it is taken out only by its outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

import msgspec
from sqlalchemy import Connection, Select, and_, bindparam, delete, func, insert, literal, select, update

from streamgauge.alert.notify.base import Notification, Status
from streamgauge.alert.notify.grouping import Group, Said
from streamgauge.alert.notify.tables import GROUPS, NOTIFICATIONS
from streamgauge.state.database import StateDatabase, Work

Outcome = Literal["waiting", "sent", "refused", "expired", "superseded", "dropped"]
"""`superseded`: a newer one of the same group and status was made before this one could be delivered. `dropped`: there
were too many. `expired`: it was tried for as long as is tried."""

ANSWER_CHARS_MAX: Final = 500

T = TypeVar("T")

_N = NOTIFICATIONS.c


class Waiting(msgspec.Struct, frozen=True):
    """One in the outbox. `tries` were made so far; the next is due at `try_at_ms`."""

    id: int
    notification: Notification
    said_before: Said | None
    tries: int
    try_at_ms: int


class Backlog(msgspec.Struct, frozen=True):
    """Of one receiver."""

    waiting: int = 0
    oldest_at_ms: int | None = None


class Logged(msgspec.Struct, frozen=True):
    """A line of the log."""

    id: int
    receiver: str
    group_key: str
    status: Status
    outcome: Outcome
    made_at_ms: int
    try_at_ms: int
    tries: int
    ended_at_ms: int | None
    answer: str
    alerts_firing: int
    alerts_resolved: int


class Message(msgspec.Struct, frozen=True):
    """What a look gave, to be put in: the notification, and what had been said before it."""

    notification: Notification
    said_before: Said | None


class Put(msgspec.Struct, frozen=True):
    """How many others had to go for what was put in, by receiver."""

    superseded: Mapping[str, int]
    dropped: Mapping[str, int]


class Outbox:
    """Every method is one transaction, and raises what those of StateDatabase do."""

    def __init__(self, database: StateDatabase, waiting_max: int) -> None:
        """`waiting_max`: of one receiver."""
        self._database, self._waiting_max = database, waiting_max
        self.check: Callable[[Connection], None] = _always
        """In every transaction that writes; raises where another process does this work."""

    async def _write(self, work: Work[T]) -> T:
        def checked(connection: Connection) -> T:
            self.check(connection)
            return work(connection)

        return await self._database.write(checked)

    async def groups(self) -> dict[str, Group]:
        """As they were kept last."""

        def work(connection: Connection) -> dict[str, Group]:
            rows = connection.execute(select(GROUPS.c.key, GROUPS.c.content))
            return {key: msgspec.msgpack.decode(content, type=Group) for key, content in rows}

        return await self._database.read(work)

    async def put(self, groups: Iterable[Group], over: Collection[str], messages: Sequence[Message]) -> Put:
        """Keep groups, forget those that are over, and take messages in: all of it, or nothing. A message takes the
        place of one of the same group and status that still waits, and says what ended in that one."""
        kept = [{"key": group.key, "content": msgspec.msgpack.encode(group)} for group in groups]
        gone = [{"gone": key} for key in {*over, *(row["key"] for row in kept)}]

        def work(connection: Connection) -> Put:
            if gone:
                connection.execute(delete(GROUPS).where(GROUPS.c.key == bindparam("gone")), gone)
            if kept:
                connection.execute(insert(GROUPS), kept)
            taken = [self._supersede(connection, message) for message in messages]
            superseded = _count((message.notification.receiver, count) for message, count in taken)
            if taken:
                connection.execute(insert(NOTIFICATIONS), [_row(message) for message, _ in taken])
            receivers = {message.notification.receiver for message in messages}
            return Put(superseded, _count(self._drop(connection, receiver) for receiver in receivers))

        return await self._write(work)

    def _supersede(self, connection: Connection, message: Message) -> tuple[Message, int]:
        """The message to be put in, and of how many others it takes the place."""
        newer = message.notification
        waiting = and_(_N.is_waiting, _N.group_key == newer.group_key, _N.receiver == newer.receiver)
        same = and_(waiting, _N.status == newer.status)
        older = [
            (msgspec.msgpack.decode(row.content, type=Notification), _said(row.said_before))
            for row in connection.execute(select(_N.content, _N.said_before).where(same).order_by(_N.id))
        ]
        answer = "a newer one of the same group took its place"
        connection.execute(update(NOTIFICATIONS).where(same).values(_ended("superseded", newer.made_at_ms, answer)))
        if not older:
            return message, 0
        notifications, said_before = [one for one, _ in older], older[0][1]
        return Message(_with_ended(newer, notifications), said_before), len(older)

    def _drop(self, connection: Connection, receiver: str) -> tuple[str, int]:
        """The oldest, where there are too many."""
        mine = and_(_N.is_waiting, _N.receiver == receiver)
        oldest = select(_N.id).where(mine).order_by(_N.id.desc()).offset(self._waiting_max)
        answer = f"more than {self._waiting_max} waited for this receiver"
        dropped = update(NOTIFICATIONS).where(_N.id.in_(oldest))
        return receiver, connection.execute(dropped.values(_ended("dropped", _N.made_at_ms, answer))).rowcount

    async def next(self, receiver: str, now_ms: int) -> Waiting | None:
        """The oldest one that is due; never one of a group of which an older one waits."""
        older = NOTIFICATIONS.alias().c
        is_behind = (
            select(literal(1))
            .where(older.is_waiting, older.receiver == receiver, older.group_key == _N.group_key, older.id < _N.id)
            .exists()
        )
        due = (
            select(_N.id, _N.content, _N.said_before, _N.tries, _N.try_at_ms)
            .where(_N.is_waiting, _N.receiver == receiver, _N.try_at_ms <= now_ms, ~is_behind)
            .order_by(_N.id)
            .limit(1)
        )
        return await self._database.read(lambda connection: _waiting(connection, due))

    async def next_try_ms(self, receiver: str) -> int | None:
        """When one will be due; None where none waits."""
        first = select(func.min(_N.try_at_ms)).where(_N.is_waiting, _N.receiver == receiver)
        return await self._database.read(lambda connection: connection.execute(first).scalar())

    async def ended(self, id_: int, outcome: Outcome, now_ms: int, *, tries: int, answer: str) -> None:
        ended = update(NOTIFICATIONS).where(_N.id == id_).values(tries=tries, **_ended(outcome, now_ms, answer))
        await self._write(lambda connection: connection.execute(ended))

    async def again(self, id_: int, try_at_ms: int, *, tries: int, answer: str) -> None:
        """It is tried again then."""
        later = update(NOTIFICATIONS).where(_N.id == id_)
        later = later.values(try_at_ms=try_at_ms, tries=tries, answer=answer[:ANSWER_CHARS_MAX])
        await self._write(lambda connection: connection.execute(later))

    async def backlogs(self) -> dict[str, Backlog]:
        """Of the receivers for which something waits."""
        waiting = select(_N.receiver, func.count(), func.min(_N.made_at_ms)).where(_N.is_waiting).group_by(_N.receiver)

        def work(connection: Connection) -> dict[str, Backlog]:
            return {receiver: Backlog(count, oldest) for receiver, count, oldest in connection.execute(waiting)}

        return await self._database.read(work)

    async def log(
        self, *, receiver: str | None = None, outcome: str | None = None, before_id: int | None = None, limit: int
    ) -> list[Logged]:
        """The newest first."""
        wanted = select(*(_N[name] for name in Logged.__struct_fields__)).order_by(_N.id.desc()).limit(limit)
        if receiver is not None:
            wanted = wanted.where(_N.receiver == receiver)
        if outcome is not None:
            wanted = wanted.where(_N.outcome == outcome)
        if before_id is not None:
            wanted = wanted.where(_N.id < before_id)
        return await self._database.read(
            lambda connection: [Logged(**row) for row in connection.execute(wanted).mappings()]
        )

    async def latest(self) -> dict[str, Logged]:
        """What was tried last of each receiver that anything was ever tried of."""
        tried = select(func.max(_N.id)).where(_N.tries > 0).group_by(_N.receiver)
        wanted = select(*(_N[name] for name in Logged.__struct_fields__)).where(_N.id.in_(tried))
        return await self._database.read(
            lambda connection: {row["receiver"]: Logged(**row) for row in connection.execute(wanted).mappings()}
        )

    async def keep_only(self, receivers: Collection[str], now_ms: int) -> None:
        """What waits for others, which the config file no longer has, is dropped."""
        others = update(NOTIFICATIONS).where(_N.is_waiting, _N.receiver.not_in(receivers))
        gone = others.values(_ended("dropped", now_ms, "the config file has no such receiver"))
        await self._write(lambda connection: connection.execute(gone))

    async def forget(self, before_ms: int) -> None:
        """Take out of the log what ended before."""
        old = delete(NOTIFICATIONS).where(~_N.is_waiting, _N.ended_at_ms < before_ms)
        await self._write(lambda connection: connection.execute(old))


def _with_ended(newer: Notification, older: Iterable[Notification]) -> Notification:
    """It says too which alerts ended in messages that nobody got, but for those that fire again."""
    said = {alert.fingerprint for alert in newer.alerts}
    ended = {alert.fingerprint: alert for one in older for alert in one.resolved if alert.fingerprint not in said}
    return msgspec.structs.replace(newer, resolved=(*newer.resolved, *ended.values()))


def _always(_: Connection) -> None:
    """Where there is one process."""


def _row(message: Message) -> dict[str, Any]:
    made = message.notification
    return {
        "receiver": made.receiver,
        "group_key": made.group_key,
        "status": made.status,
        "is_waiting": True,
        "outcome": "waiting",
        "made_at_ms": made.made_at_ms,
        "try_at_ms": made.made_at_ms,
        "tries": 0,
        "answer": "",
        "alerts_firing": len(made.firing),
        "alerts_resolved": len(made.resolved),
        "content": msgspec.msgpack.encode(made),
        "said_before": msgspec.msgpack.encode(message.said_before),
    }


def _ended(outcome: Outcome, ended_at_ms: Any, answer: str) -> dict[str, Any]:
    """What was sent is not kept: of many alerts, every minute, that would be much."""
    values = {"is_waiting": False, "outcome": outcome, "ended_at_ms": ended_at_ms, "content": b"", "said_before": b""}
    return {**values, "answer": answer[:ANSWER_CHARS_MAX]}


def _waiting(connection: Connection, due: Select[Any]) -> Waiting | None:
    row = connection.execute(due).one_or_none()
    if row is None:
        return None
    notification = msgspec.msgpack.decode(row.content, type=Notification)
    return Waiting(row.id, notification, _said(row.said_before), row.tries, row.try_at_ms)


def _said(content: bytes) -> Said | None:
    return msgspec.msgpack.decode(content, type=Said | None)


def _count(found: Iterable[tuple[str, int]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for receiver, count in found:
        if count:
            counts[receiver] = counts.get(receiver, 0) + count
    return counts
