"""Where the state databases of tests live: `state_url` is that of a new one, once in SQLite and once in PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cluster.postgres import PostgresServer

_numbers = itertools.count()


def new_postgres_database(server: PostgresServer) -> str:
    """The URL of an empty one."""
    import psycopg

    name = f"state_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{server.url.rpartition('/')[0]}/{name}"


@pytest.fixture(params=["sqlite", "postgres"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state.db'}"
    else:
        yield new_postgres_database(request.getfixturevalue("postgres"))
