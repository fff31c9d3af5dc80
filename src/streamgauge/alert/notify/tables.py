"""What is kept of notifications in the state database."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, text

NOTIFY_TABLES: Final = MetaData()

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts by itself in columns of this type only

SILENCES: Final = Table(
    "silences",
    NOTIFY_TABLES,
    Column("id", String(64), primary_key=True),
    Column("matchers", Text, nullable=False),
    Column("starts_at_ms", BigInteger, nullable=False),
    Column("ends_at_ms", BigInteger, nullable=False, index=True),
    Column("author", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

GROUPS: Final = Table(
    "notification_groups",
    NOTIFY_TABLES,
    Column("key", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
"""Groups that are not over; `content` is a Group as MessagePack."""

NOTIFICATIONS: Final = Table(
    "notifications",
    NOTIFY_TABLES,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("receiver", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("is_waiting", Boolean, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("try_at_ms", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("answer", Text, nullable=False),
    Column("alerts_firing", Integer, nullable=False),
    Column("alerts_resolved", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("said_before", LargeBinary, nullable=False),
    # Most of them are history: only the few that wait are looked for all the time.
    Index(
        "notifications_waiting",
        "receiver",
        "id",
        sqlite_where=text("is_waiting"),
        postgresql_where=text("is_waiting"),
    ),
    Index("notifications_ended", "ended_at_ms"),
)
"""The outbox (`is_waiting`) and the log of what became of it: `outcome` is waiting, sent, refused, expired, superseded
or dropped."""
