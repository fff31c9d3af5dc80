"""Puts traits into the SQLite file of the profiles, each only over what was said before it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from streamgauge.core.clock import Clock
from streamgauge.core.errors import Unavailable
from streamgauge.profiles.erased import TIMES_TABLE, is_erased, prepare_erased
from streamgauge.profiles.identify import Traits
from streamgauge.profiles.importer import prepare, transaction
from streamgauge.profiles.names import UPDATED_AT, USER_ID
from streamgauge.profiles.rows import COLUMNS_MAX
from streamgauge.profiles.sqlite import BUSY_MS_MAX, TABLE, columns_of, quoted


class TraitsWriter:
    """Traits come again, and come late: what was said before the newest that is known of its user only fills gaps, so
    that the profile is the same in the end. An import writes over all of it, and is written over by what is said later.
    """

    def __init__(self, file: Path, clock: Clock, profiles_max: int) -> None:
        """Where there are `profiles_max` profiles, no others are added. The file is not made before it is needed."""
        self._file, self._clock, self._profiles_max = file, clock, profiles_max
        self._profiles: int | None = None

    def upsert(self, traits: Sequence[Traits]) -> Counter[str]:
        """All of them in one transaction, in their order, on disk when it returns: how many were `kept`, and how many
        were not, by reason. Raises Unavailable."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as database, transaction(database):
                if self._profiles is None:  # those that others add since are not worth counting all again
                    self._profiles = database.execute(f"SELECT count(*) FROM {TABLE}").fetchone()[0]  # noqa: S608
                outcomes = self._put_all(database, traits, self._profiles)
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(
                f"the profiles in {self._file} can't be written: {error}", hint="check the disk and the file's owner"
            ) from error
        self._profiles += outcomes.pop("new")
        return +outcomes

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._file, isolation_level=None, timeout=BUSY_MS_MAX / 1_000)
        try:
            prepare(database)
            database.execute("PRAGMA synchronous = FULL")  # the log is told afterwards how far it was read
            prepare_erased(database)
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _put_all(self, database: sqlite3.Connection, traits: Sequence[Traits], profiles: int) -> Counter[str]:
        """`new` of the outcomes are profiles, all others traits."""
        columns, outcomes = columns_of(database), Counter({"new": 0})
        for one in traits:
            if is_erased(database, one.user_id, one.time_ms):
                outcomes["erased"] += len(one.values)
                continue
            newest_ms = _newest_ms(database, one.user_id)
            is_new = newest_ms is None and not _is_there(database, one.user_id)
            outcomes["name"] += one.unnamed_count
            if is_new and profiles + outcomes["new"] >= self._profiles_max:
                outcomes["too_many_profiles"] += len(one.values)
                continue
            outcomes["new"] += is_new
            # Names in SQLite are the same in capitals: of two such traits, the last counts.
            values = {name.lower(): value for name, value in one.values.items()}
            fitting = {name: value for name, value in values.items() if _has_column(database, name, columns)}
            outcomes["too_many_columns"] += len(values) - len(fitting)
            outcomes["kept"] += len(fitting)
            is_newest = newest_ms is None or one.time_ms >= newest_ms
            database.execute(
                _upsert_of(list(fitting), is_newest=is_newest), (one.user_id, self._clock.now_ms(), *fitting.values())
            )
            if is_newest:
                database.execute(_UPSERT_TIME, (one.user_id, one.time_ms))
        return outcomes


_UPSERT_TIME: Final = (
    f"INSERT INTO {TIMES_TABLE} VALUES (?, ?) ON CONFLICT ({USER_ID}) DO UPDATE SET said_ms = excluded.said_ms"  # noqa: S608
)


def _upsert_of(names: Sequence[str], *, is_newest: bool) -> str:
    """Writes only what is new or differs, so that what is unchanged keeps its `updated_at`."""
    columns = [quoted(name) for name in names]
    insert = (
        f"INSERT INTO {TABLE} ({', '.join([USER_ID, UPDATED_AT, *columns])}) "  # noqa: S608
        f"VALUES ({', '.join('?' * (2 + len(columns)))}) ON CONFLICT ({USER_ID})"
    )
    if not columns:
        return f"{insert} DO NOTHING"
    said: Mapping[str, str] = {
        name: f"excluded.{name}" if is_newest else f"coalesce({TABLE}.{name}, excluded.{name})" for name in columns
    }
    changes = ", ".join(f"{name} = {value}" for name, value in said.items())
    differs = " OR ".join(f"{TABLE}.{name} IS NOT {value}" for name, value in said.items())
    return f"{insert} DO UPDATE SET {changes}, {UPDATED_AT} = excluded.{UPDATED_AT} WHERE {differs}"


def _newest_ms(database: sqlite3.Connection, user_id: str) -> int | None:
    found = database.execute(f"SELECT said_ms FROM {TIMES_TABLE} WHERE {USER_ID} = ?", (user_id,)).fetchone()  # noqa: S608
    return None if found is None else int(found[0])


def _is_there(database: sqlite3.Connection, user_id: str) -> bool:
    return database.execute(f"SELECT 1 FROM {TABLE} WHERE {USER_ID} = ?", (user_id,)).fetchone() is not None  # noqa: S608


def _has_column(database: sqlite3.Connection, name: str, columns: set[str]) -> bool:
    """Whether there is one by now. Strangers may name as many traits as they like: not all become columns."""
    if name not in columns and len(columns) < COLUMNS_MAX:
        database.execute(f"ALTER TABLE {TABLE} ADD COLUMN {quoted(name)} TEXT")
        columns.add(name)
    return name in columns
