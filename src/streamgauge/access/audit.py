"""The audit log: who changed what, when, from where. Durable before the change is answered."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final, Protocol

import msgspec
from sqlalchemy import Connection, delete, insert, select

from streamgauge.access.tables import AUDIT
from streamgauge.core.clock import Clock
from streamgauge.core.errors import Overloaded, Unavailable
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import DAY_MS
from streamgauge.state.database import StateDatabase

ENTRIES_MAX: Final = 1_000
"""Of one answer."""

REFUSALS_PER_MINUTE_MAX: Final = 20
"""Of each key, and written down: whoever may not do anything could fill the disk with what they may not."""

_SUBJECT_CHARS_MAX: Final = 512
_FORBIDDEN: Final = 403

_logger = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True):
    """`actor` is the name of a key; `subject` what `action` was done to, as far as that is nobody's personal data;
    `status` how it was answered, as in HTTP."""

    actor: str
    address: str
    action: str
    subject: str
    status: int
    at_ms: int = 0
    id: int = 0


class Audit(Protocol):
    async def record(self, entry: Entry) -> None:
        """Return once it is durable, or it is told that it can't be: what was done is done."""
        ...


class AuditLog:
    def __init__(self, database: StateDatabase, clock: Clock, metrics: SelfMetrics, keep_days: int) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._keep_ms = keep_days * DAY_MS
        self._minute = 0
        self._refusals: Counter[str] = Counter()

    async def record(self, entry: Entry) -> None:
        now_ms = self._clock.now_ms()
        if not self._is_written(entry, now_ms):
            self._metrics.audit_refusals_unwritten.inc()
            return
        try:
            await self._database.write(lambda connection: write_entry(connection, entry, now_ms, self._keep_ms))
        except (Overloaded, Unavailable) as error:
            self._metrics.audit_failures.inc()
            _logger.error("not in the audit log: %s %s by %s: %s", entry.action, entry.subject, entry.actor, error)

    def _is_written(self, entry: Entry, now_ms: int) -> bool:
        if entry.status != _FORBIDDEN:
            return True
        minute = now_ms // 60_000
        if minute != self._minute:
            self._minute = minute
            self._refusals.clear()
        self._refusals[entry.actor] += 1
        return self._refusals[entry.actor] <= REFUSALS_PER_MINUTE_MAX

    async def entries(self, limit: int, before_id: int | None) -> list[Entry]:
        """The newest first. Raises Overloaded, Unavailable."""
        return await self._database.read(lambda connection: _entries(connection, limit, before_id))


def write_entry(connection: Connection, entry: Entry, now_ms: int, keep_ms: int) -> None:
    """Forgets what is too old on the way: there are few of them."""
    connection.execute(delete(AUDIT).where(AUDIT.c.at_ms < now_ms - keep_ms))
    row = {
        "at_ms": now_ms,
        "actor": entry.actor,
        "address": entry.address,
        "action": entry.action,
        "subject": entry.subject[:_SUBJECT_CHARS_MAX],
        "status": entry.status,
    }
    connection.execute(insert(AUDIT).values(row))


def _entries(connection: Connection, limit: int, before_id: int | None) -> list[Entry]:
    wanted = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
    if before_id is not None:
        wanted = wanted.where(AUDIT.c.id < before_id)
    return [
        Entry(row.actor, row.address, row.action, row.subject, row.status, row.at_ms, row.id)
        for row in connection.execute(wanted)
    ]
