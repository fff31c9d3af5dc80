"""What stands in for a ClickHouse server, for tests of what speaks to one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cluster.clickhouse import ClickHouseServer


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """One server for all tests that leave it as it is."""
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse") / "store").start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def clickhouse_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """The only host of the cluster `one`."""
    server = ClickHouseServer(tmp_path_factory.mktemp("cluster") / "store", cluster="one").start()
    yield server
    server.stop()


@pytest.fixture
def own_clickhouse(tmp_path: Path) -> Iterator[ClickHouseServer]:
    """A server that the test may trouble."""
    server = ClickHouseServer(tmp_path / "clickhouse").start()
    yield server
    server.stop()


@pytest.fixture
def two_clickhouses(tmp_path: Path) -> Iterator[tuple[ClickHouseServer, ClickHouseServer]]:
    one, other = (ClickHouseServer(tmp_path / name).start() for name in ("store-one", "store-other"))
    yield one, other
    one.stop()
    other.stop()
