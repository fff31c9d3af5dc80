"""Where the profile databases of the contract suite live, one class a backend; not filled by the sources themselves."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

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


class PostgresServer:
    """A server of its own in a folder, for as long as the tests run."""

    PASSWORD = "s3cret-Wörd/%"  # noqa: S105

    def __init__(self, folder: Path) -> None:
        binaries = _binaries()
        if binaries is None:
            pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        self._binaries, self._folder = binaries, folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"postgresql://tester:s3cret-W%C3%B6rd%2F%25@127.0.0.1:{self.port}/postgres"
        password = folder / "password"
        password.write_text(f"{self.PASSWORD}\n", encoding="utf-8")
        if os.geteuid() == 0:  # the server refuses to run as root
            for path in (folder, password):
                shutil.chown(path, "postgres", "postgres")
        self._run("initdb", "-D", folder / "db", "-U", "tester", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C",
                  f"--pwfile={password}", "--no-sync")  # fmt: skip
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        folder = self._folder
        self._run("pg_ctl", "-D", folder / "db", "-l", folder / "server.log", "-o", options, "-w", "-t", "60", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._folder / "db", "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *arguments: object) -> None:
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*user, str(self._binaries / program), *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False, timeout=120
        )
        assert done.returncode == 0, f"{program} failed"


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


def running_postgres(folder: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(folder)
    yield server
    server.stop()


def _binaries() -> Path | None:
    """Debian keeps them apart by version, the newest last."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None
