"""Where the profile databases of the contract suite live, one class a backend; not filled by the sources themselves."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from local_cluster.postgres import PostgresServer
from streamgauge.core.clock import Clock
from streamgauge.profiles.base import ProfileSource
from streamgauge.profiles.postgres import PostgresProfiles
from streamgauge.profiles.sqlite import SqliteProfiles

Profile = Mapping[str, str | None]


class ProfilePlace(Protocol):
    visible_ms_max: int
    """So long after its `updated_at` may a change appear."""

    def create(self, columns: Sequence[str]) -> None:
        """A table without profiles; before, there is none."""
        ...

    def put(self, updated_ms: int, *profiles: Profile) -> None:
        """Add or replace whole profiles by their `user_id`."""
        ...

    def delete(self, user_id: str) -> None: ...

    def source(self, columns: Sequence[str], clock: Clock) -> ProfileSource: ...

    def break_down(self) -> None:
        """The database can't be read from now on, until `mend`."""
        ...

    def mend(self) -> None: ...


class SqlitePlace:
    visible_ms_max = 5_000

    def __init__(self, folder: Path) -> None:
        self.file = folder / "profiles.db"

    def create(self, columns: Sequence[str]) -> None:
        texts = "".join(f', "{name}" TEXT' for name in columns)
        self._execute(f"CREATE TABLE profiles (user_id TEXT PRIMARY KEY, updated_at INTEGER NOT NULL{texts})")

    def put(self, updated_ms: int, *profiles: Profile) -> None:
        for profile in profiles:
            names = ", ".join(f'"{name}"' for name in profile)
            marks = ", ".join("?" * len(profile))
            statement = f"INSERT OR REPLACE INTO profiles (updated_at, {names}) VALUES (?, {marks})"
            self._execute(statement, (updated_ms, *profile.values()))

    def delete(self, user_id: str) -> None:
        self._execute("DELETE FROM profiles WHERE user_id = ?", (user_id,))

    def source(self, columns: Sequence[str], clock: Clock) -> ProfileSource:
        return SqliteProfiles(self.file, columns, clock)

    def break_down(self) -> None:
        self.file.rename(self.file.with_suffix(".away"))
        self.file.write_bytes(b"this is not a database, whatever it is" * 100)

    def mend(self) -> None:
        self.file.with_suffix(".away").rename(self.file)

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> None:
        with contextlib.closing(sqlite3.connect(self.file)) as database, database:
            database.execute(statement, values)


class PostgresPlace:
    visible_ms_max = 30_000

    def __init__(self, server: PostgresServer, *, time_type: str = "timestamptz") -> None:
        self.server = server
        self.time_type = time_type
        self.execute("DROP TABLE IF EXISTS profiles; CREATE TABLE profiles (user_id text, updated_at timestamptz)")

    def create(self, columns: Sequence[str]) -> None:
        texts = "".join(f', "{name}" text' for name in columns)
        self.execute(
            f"DROP TABLE IF EXISTS profiles;"
            f"CREATE TABLE profiles (user_id text PRIMARY KEY, updated_at {self.time_type} NOT NULL{texts})"
        )

    def put(self, updated_ms: int, *profiles: Profile) -> None:
        time = "to_timestamp(%s / 1000.0)" if self.time_type.startswith("timestamp") else "%s"
        for profile in profiles:
            names = ", ".join(f'"{name}"' for name in profile)
            marks = ", ".join(["%s"] * len(profile))
            self.execute("DELETE FROM profiles WHERE user_id = %s", (profile["user_id"],))
            self.execute(
                f"INSERT INTO profiles (updated_at, {names}) VALUES ({time}, {marks})", (updated_ms, *profile.values())
            )

    def delete(self, user_id: str) -> None:
        self.execute("DELETE FROM profiles WHERE user_id = %s", (user_id,))

    def source(self, columns: Sequence[str], clock: Clock) -> ProfileSource:
        return PostgresProfiles(self.server.url, columns, clock)

    def break_down(self) -> None:
        self.server.stop()

    def mend(self) -> None:
        self.server.start()

    def execute(self, statement: str, values: Sequence[Any] | None = None) -> None:
        import psycopg

        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute("SET timezone = 'Asia/Tokyo'")
            connection.execute(statement.encode(), values)
