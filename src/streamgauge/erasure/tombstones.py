"""Tombstones: the log can't be changed, so what counts it again is told whose events to pass over. They have hashes of
ids alone, and go when nothing of that time is in the log any more."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Literal

from sqlalchemy import BigInteger, Boolean, Column, Connection, MetaData, String, Table, delete, insert, select, update

from streamgauge.stream.erased import Erased

ERASURE_TABLES: Final = MetaData()

TOMBSTONES: Final = Table(
    "erased_users",
    ERASURE_TABLES,
    Column("hash", String, primary_key=True, comment="of the kind of id and the id"),
    Column("erased_ms", BigInteger, nullable=False),
    Column("is_settled", Boolean, nullable=False, comment="whether sessions that were open then have been erased too"),
)

Kind = Literal["user", "anonymous"]


def hash_of(kind: Kind, user: str) -> str:
    return hashlib.sha256(f"{kind}:{user}".encode()).hexdigest()


def bury(connection: Connection, hashes: Sequence[str], erased_ms: int, forget_before_ms: int) -> None:
    """Again where they are there already: who came back may be erased again. Forgets what the log has lost."""
    connection.execute(delete(TOMBSTONES).where(TOMBSTONES.c.erased_ms < forget_before_ms))
    connection.execute(delete(TOMBSTONES).where(TOMBSTONES.c.hash.in_(hashes)))
    rows = [{"hash": each, "erased_ms": erased_ms, "is_settled": False} for each in hashes]
    connection.execute(insert(TOMBSTONES), rows)


def erased(connection: Connection) -> list[Erased]:
    return [Erased(row.hash, row.erased_ms) for row in connection.execute(select(TOMBSTONES))]


def unsettled(connection: Connection, before_ms: int) -> list[Erased]:
    """Those erased before, of whom sessions were open."""
    wanted = select(TOMBSTONES).where(TOMBSTONES.c.is_settled.is_(False), TOMBSTONES.c.erased_ms < before_ms)
    return [Erased(row.hash, row.erased_ms) for row in connection.execute(wanted)]


def settle(connection: Connection, settled: Sequence[Erased]) -> None:
    for each in settled:
        same = (TOMBSTONES.c.hash == each.hash) & (TOMBSTONES.c.erased_ms == each.erased_ms)
        connection.execute(update(TOMBSTONES).where(same).values(is_settled=True))
