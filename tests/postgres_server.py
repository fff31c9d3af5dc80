"""A PostgreSQL of one's own, on a free port."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cluster.postgres import PostgresServer, postgres_programs


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests; who stops it starts it again."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install 'streamgauge[postgres]')")
    if postgres_programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    # Not in pytest's own folder: another run that starts makes that private again, and the server is another user's.
    with tempfile.TemporaryDirectory(prefix="streamgauge-postgres-") as folder:
        server = PostgresServer(Path(folder), user="tester", password="s3cret-Wörd/%", durable=False).start()  # noqa: S106
        yield server
        server.stop()
