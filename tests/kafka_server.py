"""A Kafka broker of one's own, on free ports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cluster.kafka import KafkaServer


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """Where `make test-cluster` put the broker."""
    folder = os.environ.get("KAFKA_JARS")
    if not folder:
        pytest.skip("KAFKA_JARS names no folder with Kafka's jars: run make test-cluster")
    return Path(folder)


@pytest.fixture(scope="session")
def kafka(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """One broker for all tests that leave it as it is."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"), kafka_jars).start()
    yield server
    server.kill()


@pytest.fixture
def own_kafka(kafka_jars: Path, tmp_path: Path) -> Iterator[KafkaServer]:
    """A broker that the test may kill."""
    server = KafkaServer(tmp_path / "kafka", kafka_jars).start()
    yield server
    server.kill()
