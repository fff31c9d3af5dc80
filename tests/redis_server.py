"""A Redis of one's own, on a free port."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from local_cluster.redis import RedisServer

PASSWORD: Final = "s3cret/%:@"  # noqa: S105


def _server(folder: Path, password: str = "") -> RedisServer:
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not installed (Debian: apt-get install redis-server)")
    return RedisServer(folder, password=password).start()


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for all tests that leave it as it is."""
    server = _server(tmp_path_factory.mktemp("redis"), PASSWORD)
    yield server
    server.kill()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may kill."""
    server = _server(tmp_path / "redis")
    yield server
    server.kill()
