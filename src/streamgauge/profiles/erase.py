"""A profile, deleted from its database, where what was said before doesn't make it anew. Running servers forget it when
they next read all of them, within the hour."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Final

from streamgauge.core.errors import Unavailable
from streamgauge.profiles.erased import bury, prepare_erased
from streamgauge.profiles.names import USER_ID
from streamgauge.profiles.sqlite import TABLE, columns_of, file_of

_BUSY_S_MAX: Final = 10.0
_DELETED: Final = f"DELETE FROM {TABLE} WHERE CAST({USER_ID} AS TEXT) = ?"  # noqa: S608 - of names alone


def erase_profile(url: str, table: str, user: str, erased_ms: int, forget_before_ms: int) -> int:
    """How many there were. Blocks. Raises Unavailable, ConfigError. `table`: of PostgreSQL, where identify makes no
    profiles. Erasures before `forget_before_ms` are forgotten."""
    if url.startswith(("postgresql://", "postgres://")):
        return _from_postgres(url, table, user)
    file = file_of(url)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)  # traits may come that were on their way
        with closing(sqlite3.connect(file, timeout=_BUSY_S_MAX)) as database, database:
            prepare_erased(database)
            bury(database, user, erased_ms, forget_before_ms)
            if USER_ID not in columns_of(database):
                return 0
            return database.execute(_DELETED, (user,)).rowcount
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"the profile can't be deleted: {error}", hint="ask again") from error


def _from_postgres(url: str, table: str, user: str) -> int:
    import psycopg  # noqa: PLC0415 - its client is installed by who needs it
    from psycopg import sql  # noqa: PLC0415

    statement = sql.SQL("DELETE FROM {} WHERE {}::text = %s").format(sql.Identifier(table), sql.Identifier(USER_ID))
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            return connection.execute(statement, (user,)).rowcount
    except psycopg.Error as error:
        raise Unavailable(f"the profile can't be deleted: {type(error).__name__}", hint="ask again") from error
