"""What is kept of keys, sessions and admin actions, in the state database."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, text

ACCESS_TABLES: Final = MetaData()

KEYS: Final = Table(
    "access_keys",
    ACCESS_TABLES,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("origins", String, nullable=False, comment="one a line"),
    Column("requests_per_s", Integer, nullable=False),
    Column("hint", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("previous_hash", String),
    Column("previous_until_ms", BigInteger),
)
# A name is free again when its key is revoked.
Index(
    "access_keys_live_name",
    KEYS.c.name,
    unique=True,
    sqlite_where=text("revoked_ms IS NULL"),
    postgresql_where=text("revoked_ms IS NULL"),
)

SESSIONS: Final = Table(
    "access_sessions",
    ACCESS_TABLES,
    Column("hash", String, primary_key=True),
    Column("key_id", String, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
)

AUDIT: Final = Table(
    "audit_log",
    ACCESS_TABLES,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False, index=True),
    Column("actor", String, nullable=False),
    Column("address", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("status", Integer, nullable=False),
)
