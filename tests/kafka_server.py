"""A Kafka broker of one's own, in KRaft mode, on free ports: started, killed and started again on the same data."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from running import eventually, free_port

_START_S_MAX = 60.0

_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={folder}
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""


class KafkaServer:
    """`jars` is a folder with the broker and what it needs (`make` fills it)."""

    def __init__(self, folder: Path, jars: Path) -> None:
        self.port, controller = free_port(), free_port()
        self._folder, self._classes = folder, f"{jars}/*"
        self._file = folder / "server.properties"
        folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text(_PROPERTIES.format(port=self.port, controller=controller, folder=folder / "data"))
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._java("kafka.tools.StorageTool", "format", "-t", identity, "-c", str(self._file)).wait(_START_S_MAX)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Without a topic."""
        return f"kafka://127.0.0.1:{self.port}"

    def start(self) -> KafkaServer:
        """Until it takes connections."""
        self._process = self._java("kafka.Kafka", str(self._file))
        eventually(self._listens, f"Kafka: {self._log_file()}", _START_S_MAX)
        return self

    def kill(self) -> None:
        """SIGKILL, as a machine that loses its power does it to its processes."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _java(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        options = ["-Xmx400m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        with self._log_file().open("ab") as log:
            return _spawn([os.environ.get("JAVA", "java"), *options, "-cp", self._classes, name, *arguments], log)

    def _log_file(self) -> Path:
        return self._folder / "kafka.log"

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


def _spawn(command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


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
