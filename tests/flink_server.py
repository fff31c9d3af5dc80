"""A Flink session cluster for the tests, with the job's jar."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
import pytest

from local_cluster.flink import FlinkServer
from local_cluster.postgres import PostgresServer
from streamgauge.flink_commands import JAR_VARIABLE

_PROFILES = """
CREATE TABLE profiles (user_id text PRIMARY KEY, user_country text, plan text, updated_at timestamptz);
INSERT INTO profiles SELECT 'u' || n, CASE WHEN n % 3 > 0 THEN 'C' || n % 4 END,
    CASE n % 3 WHEN 0 THEN 'pro' WHEN 1 THEN '' END, now() FROM generate_series(0, 40) n
"""


@pytest.fixture(scope="session")
def flink_home() -> Path:
    """Where `make test-cluster` put Flink and the jar."""
    folder = os.environ.get("FLINK_JOB_HOME")
    if not folder:
        pytest.skip("FLINK_JOB_HOME names no folder with Flink and the job's jar: run make test-cluster")
    return Path(folder)


@pytest.fixture(scope="session")
def flink(flink_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkServer]:
    server = FlinkServer(tmp_path_factory.mktemp("flink"), flink_home).start()
    yield server
    server.kill()


@pytest.fixture
def own_flink(flink_home: Path, tmp_path: Path) -> Iterator[FlinkServer]:
    """One that the test may kill."""
    server = FlinkServer(tmp_path / "flink", flink_home, slots=2).start()
    yield server
    server.kill()


@pytest.fixture
def profile_server() -> Iterator[PostgresServer]:
    """PostgreSQL with profiles of the users u0 to u40."""
    # Not in pytest's folder, which is for its own user only.
    with tempfile.TemporaryDirectory(prefix="streamgauge-") as folder:
        Path(folder).chmod(0o755)
        server = PostgresServer(Path(folder) / "postgres", durable=False).start()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(_PROFILES)
        yield server
        server.stop()


class FlinkJob:
    """The job of a config, submitted on entry and cancelled on exit."""

    def __init__(self, server: FlinkServer, folder: Path, config: str) -> None:
        self._file = folder / "flink.toml"
        self._file.write_text(config, encoding="utf-8")
        self._environment = {**os.environ, JAR_VARIABLE: str(server.jar)}

    def __enter__(self) -> Self:
        self.run("submit")
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._run("stop", "--no-savepoint")

    def run(self, *arguments: str) -> str:
        """`streamgauge flink …`, which must succeed; what it printed."""
        done = self._run(*arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "streamgauge", "flink", *arguments, "--config", str(self._file)]
        return subprocess.run(
            command,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
