"""A PostgreSQL server in a folder of its own. Started by root, it runs as the user `postgres`."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import quote

from local_cluster.process import Process, as_user
from local_cluster.waiting import NotReady, free_port, until

_START_S_MAX: Final = 60.0
_SERVER_USER: Final = "postgres"


def postgres_programs() -> Path | None:
    """The folder of the server's programs. Debian keeps them apart by version, the newest last."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


class PostgresServer:
    """The folder must be reachable for the user `postgres` where we are root. Raises NotReady where it isn't, and
    where PostgreSQL isn't installed."""

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        log: Path | None = None,
        *,
        user: str = "streamgauge",
        password: str | None = None,
        durable: bool = True,
    ) -> None:
        """`password`: of a new server, None for a random one; `durable`: False for tests, which kill no machine."""
        programs = postgres_programs()
        if programs is None:
            raise NotReady("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        self._programs, self._folder, self._durable = programs, folder.resolve(), durable
        self._user, self._log = user, log or self._folder / "server.log"
        self.port = port or free_port()
        self._folder.mkdir(parents=True, exist_ok=True)
        self.password = self._password(password)
        self.process: Process | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{self._user}:{quote(self.password, safe='')}@127.0.0.1:{self.port}/postgres"

    def start(self) -> PostgresServer:
        """Until it takes connections. Raises NotReady."""
        self.launch()
        until(self._is_up, f"PostgreSQL takes connections: {self._log}", _START_S_MAX)
        return self

    def launch(self) -> None:
        """Without waiting for anything but the making of its folder."""
        database = self._folder / "db"
        if not (database / "PG_VERSION").exists():
            self._make(database)
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        if not self._durable:
            options += ["-c", "fsync=off"]
        command = [self._programs / "postgres", "-D", database, "-p", str(self.port), *options]
        # Told to end by SIGINT when we are gone: its own processes end with it then, and leave nothing behind.
        self.process = Process(command, self._log, folder=self._folder, user=_SERVER_USER, orphan_signal="INT")

    def is_ready(self) -> bool:
        done = self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", self.port)
        return done.returncode == 0

    def stop(self) -> None:
        """At once, whoever is connected; what is committed stays."""
        if self.process is not None:
            self.process.stop(signal.SIGINT)
            self.process = None

    def kill(self) -> None:
        """SIGKILL of the server; its processes end when they notice."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def _is_up(self) -> bool:
        if self.process is None or not self.process.is_running:
            raise NotReady(f"PostgreSQL ended by itself: {self._log}")
        return self.is_ready()

    def _password(self, given: str | None) -> str:
        file = self._folder / "password"
        if not file.exists():
            file.touch(0o600)
            file.write_text(f"{given or secrets.token_urlsafe(16)}\n", encoding="utf-8")
        return file.read_text(encoding="utf-8").rstrip("\n")

    def _make(self, database: Path) -> None:
        password = self._folder / "password"
        if os.geteuid() == 0:  # the server refuses to run as root
            for path in (self._folder, password):
                shutil.chown(path, _SERVER_USER, _SERVER_USER)
        done = self._run(
            "initdb", "-D", database, "-U", self._user, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C",
            f"--pwfile={password}", "--no-sync", as_server=True,
        )  # fmt: skip
        if done.returncode != 0:
            raise NotReady(
                f"PostgreSQL's folder {self._folder} can't be made: {done.stderr.decode(errors='replace').strip()}"
            )

    def _run(self, program: str, *arguments: object, as_server: bool = False) -> subprocess.CompletedProcess[bytes]:
        user = as_user(_SERVER_USER) if as_server else []
        return subprocess.run(
            [*user, str(self._programs / program), *map(str, arguments)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_START_S_MAX,
        )
