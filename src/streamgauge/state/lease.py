"""One of several processes does the work: who has the lease, which it renews, and which another takes when it ends.

The time is the database's, so that clocks that differ don't matter. A holder that can't renew it stops before anybody
else may begin, and gives it back when it ends, so that another need not wait. One that is too slow to notice can't
write any more: its transactions check that it still is the holder of the same term.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, delete, insert, select, text

from streamgauge.core.errors import Overloaded, Unavailable
from streamgauge.state.database import StateDatabase

TABLES: Final = MetaData()
"""For the constructor of `StateDatabase`."""

LEASE_S: Final = 6.0
RENEWED_S: Final = 2.0

_logger = logging.getLogger(__name__)

_LEASES: Final = Table(
    "leases",
    TABLES,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("ends_at_ms", BigInteger, nullable=False),
)


class Lease:
    """Of one name. Used on the event loop, by one task."""

    def __init__(self, database: StateDatabase, name: str, *, lease_s: float = LEASE_S, renewed_s: float = RENEWED_S):
        self._database, self._name = database, name
        self._lease_s, self._renewed_s = lease_s, renewed_s
        self._process, self._term = uuid.uuid4().hex, 0
        self._asked_s: float | None = None
        self._has, self._lost = asyncio.Event(), asyncio.Event()
        self._lost.set()

    @property
    def epoch(self) -> str:
        """Of the time for which we have it without a break."""
        return f"{self._process}:{self._term}"

    def check(self, connection: Connection, epoch: str) -> None:
        """In a transaction that only the holder may do. Raises Unavailable where we lost it since that epoch."""
        holder = connection.execute(select(_LEASES.c.holder).where(_LEASES.c.name == self._name)).scalar()
        if holder != epoch:
            raise Unavailable(f"the lease {self._name!r} was lost meanwhile: another process does this work")

    async def keep(self) -> None:
        """Renew it while we have it, however long the work takes, and lose it in time where that fails. Until it is
        cancelled."""
        while True:
            await self._has.wait()
            await asyncio.sleep(self._renewed_s)
            try:
                async with asyncio.timeout(self._lease_s - self._renewed_s):
                    await self.leads()
            except (TimeoutError, Overloaded) as error:
                _logger.warning("the lease %s is lost: it can't be renewed: %s", self._name, error or "no answer")
                self._note(False)

    async def leads(self) -> bool:
        """Takes it where it is free, renews it where it is ours and due. Raises Unavailable, Overloaded."""
        asked_s = time.monotonic()
        if self._has.is_set() and self._asked_s is not None and asked_s - self._asked_s < self._renewed_s:
            return True
        try:
            has = await self._database.write(self._take)
        except BaseException:
            self._note(False)  # who can't renew it must not go on
            raise
        self._asked_s = asked_s
        self._note(has)
        return has

    async def while_held(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do work that only the holder may do, from when it is ours until it is lost, over and over. Somebody else asks
        `leads`. Raises what the work raises."""
        while True:
            await self._has.wait()
            doing = asyncio.ensure_future(work())
            losing = asyncio.ensure_future(self._lost.wait())
            try:
                await asyncio.wait({doing, losing}, return_when=asyncio.FIRST_COMPLETED)
                if doing.done():
                    doing.result()
            finally:
                for task in (doing, losing):
                    task.cancel()
                await asyncio.gather(doing, losing, return_exceptions=True)

    async def give_back(self) -> None:
        ours = delete(_LEASES).where(_LEASES.c.name == self._name, _LEASES.c.holder == self.epoch)
        self._note(False)
        await self._database.write(lambda connection: connection.execute(ours))

    def _note(self, has: bool) -> None:
        self._term += self._has.is_set() and not has
        (self._has if has else self._lost).set()
        (self._lost if has else self._has).clear()

    def _take(self, connection: Connection) -> bool:
        now_ms = _now_ms(connection)
        found: Any = connection.execute(
            select(_LEASES.c.holder, _LEASES.c.ends_at_ms).where(_LEASES.c.name == self._name)
        ).one_or_none()
        is_ours = found is not None and found.holder.startswith(self._process)
        if found is not None and not is_ours and found.ends_at_ms > now_ms:
            return False
        self._term += not is_ours
        connection.execute(delete(_LEASES).where(_LEASES.c.name == self._name))
        ends_at_ms = now_ms + round(self._lease_s * 1_000)
        connection.execute(insert(_LEASES).values(name=self._name, holder=self.epoch, ends_at_ms=ends_at_ms))
        return True


def _now_ms(connection: Connection) -> int:
    now = (
        "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"
        if connection.dialect.name == "postgresql"
        else "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    )
    return int(connection.execute(text(now)).scalar_one())
