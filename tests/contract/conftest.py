"""Backends for the contract suites."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from contract.log_places import KafkaPlace, LogPlace, NewLogPlace, SqlitePlace
from contract.store_places import StorePlace
from local_cluster.clickhouse import ClickHouseServer
from local_cluster.kafka import KafkaServer
from streamgauge.config import QuerySettings
from streamgauge.log.base import EventLog
from streamgauge.store.reader import ClickHouseReader
from streamgauge.store.writer import ClickHouseWriter


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.cluster)])
async def new_log_place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NewLogPlace]:
    places: list[LogPlace] = []
    kafka: KafkaServer | None = request.getfixturevalue("kafka") if request.param == "kafka" else None

    def new(partitions: int) -> LogPlace:
        folder = tmp_path / f"log-{len(places)}"
        places.append(SqlitePlace(folder, partitions) if kafka is None else KafkaPlace(kafka.url, partitions))
        return places[-1]

    yield new
    for place in places:
        await place.close_all()


@pytest.fixture
def log_place(new_log_place: NewLogPlace) -> LogPlace:
    return new_log_place(4)


@pytest.fixture
async def log(log_place: LogPlace) -> EventLog:
    return await log_place.open()


_SERVERS = {"clickhouse": "", "clickhouse_cluster": "one"}
"""The fixture of the server, and the cluster that it is of."""


@pytest.fixture(scope="session", params=["chdb", *(pytest.param(name, marks=pytest.mark.cluster) for name in _SERVERS)])
def store_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorePlace]:
    if request.param in _SERVERS:
        server: ClickHouseServer = request.getfixturevalue(request.param)
        place = StorePlace(server.url, _SERVERS[request.param])
    else:
        place = StorePlace(f"chdb:///{tmp_path_factory.mktemp('store')}")
    yield place
    place.close()


@pytest.fixture
def empty_store(store_place: StorePlace) -> StorePlace:
    """Without any table."""
    store_place.empty()
    return store_place


@pytest.fixture
def store(empty_store: StorePlace) -> StorePlace:
    """With the tables of now, and nothing in them."""
    empty_store.migrate()
    return empty_store


@pytest.fixture
def writer(store: StorePlace) -> Iterator[ClickHouseWriter]:
    writer = ClickHouseWriter(store.clients)
    yield writer
    writer.close()


@pytest.fixture
def reader(store: StorePlace) -> Iterator[ClickHouseReader]:
    reader = ClickHouseReader(store.clients, QuerySettings())
    yield reader
    reader.close()
