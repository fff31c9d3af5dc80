"""Who was erased, as the profiles know it: traits come from the log, which can't be changed, and come late."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Final

from streamgauge.profiles.names import USER_ID

TIMES_TABLE: Final = "traits_times"
"""When the newest traits of each user were said, ms since 1970."""

_ERASED_TABLE: Final = "erased_profiles"


def prepare_erased(database: sqlite3.Connection) -> None:
    """The tables, where they aren't there yet."""
    database.execute(
        f"CREATE TABLE IF NOT EXISTS {TIMES_TABLE} "
        f"({USER_ID} TEXT PRIMARY KEY NOT NULL, said_ms INTEGER NOT NULL) WITHOUT ROWID"
    )
    database.execute(
        f"CREATE TABLE IF NOT EXISTS {_ERASED_TABLE} "
        "(hash TEXT PRIMARY KEY NOT NULL, erased_ms INTEGER NOT NULL) WITHOUT ROWID"
    )


def bury(database: sqlite3.Connection, user: str, erased_ms: int, forget_before_ms: int) -> None:
    """What was said of the user until then counts no more. Forgets those of whom the log has nothing left."""
    database.execute(f"DELETE FROM {TIMES_TABLE} WHERE {USER_ID} = ?", (user,))  # noqa: S608 - of names alone
    database.execute(f"DELETE FROM {_ERASED_TABLE} WHERE erased_ms < ?", (forget_before_ms,))  # noqa: S608
    database.execute(f"INSERT OR REPLACE INTO {_ERASED_TABLE} VALUES (?, ?)", (_hash_of(user), erased_ms))  # noqa: S608


def is_erased(database: sqlite3.Connection, user: str, said_ms: int) -> bool:
    """Whether this was said of a user who was erased since."""
    wanted = f"SELECT 1 FROM {_ERASED_TABLE} WHERE hash = ? AND erased_ms >= ?"  # noqa: S608
    return database.execute(wanted, (_hash_of(user), said_ms)).fetchone() is not None


def _hash_of(user: str) -> str:
    return hashlib.sha256(f"user:{user}".encode()).hexdigest()
