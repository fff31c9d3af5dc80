"""A Kafka broker in KRaft mode: started, killed and started again on the same data."""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from pathlib import Path
from typing import Final

from local_cluster.process import Process
from local_cluster.waiting import NotReady, free_port, listens, until

_START_S_MAX: Final = 60.0

_PROPERTIES: Final = """
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
    """`jars` is a folder with the broker and what it needs (`tools/require.sh kafka` prints it)."""

    def __init__(self, folder: Path, jars: Path, port: int | None = None, log: Path | None = None) -> None:
        self.port, self._controller = port or free_port(), free_port()
        self._folder, self.classes = folder.resolve(), f"{jars}/*"
        self._file, self._log = self._folder / "server.properties", log or self._folder / "kafka.log"
        self.process: Process | None = None

    @property
    def url(self) -> str:
        """Without a topic."""
        return f"kafka://127.0.0.1:{self.port}"

    def start(self) -> KafkaServer:
        """Until it takes connections. Raises NotReady."""
        self.launch()
        until(self._is_up, f"Kafka takes connections: {self._log}", _START_S_MAX)
        return self

    def launch(self) -> None:
        """Without waiting for anything but the first formatting of its folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        data = self._folder / "data"
        self._file.write_text(_PROPERTIES.format(port=self.port, controller=self._controller, folder=data))
        if not (data / "meta.properties").exists():
            self._format()
        self.process = Process(self._java("kafka.Kafka", str(self._file)), self._log)

    def is_ready(self) -> bool:
        return listens(self.port)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

    def kill(self) -> None:
        """SIGKILL, as a machine that loses its power does it to its processes."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def _is_up(self) -> bool:
        if self.process is None or not self.process.is_running:
            raise NotReady(f"Kafka ended by itself: {self._log}")
        return self.is_ready()

    def _format(self) -> None:
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = self._java("kafka.tools.StorageTool", "format", "-t", identity, "-c", str(self._file))
        with self._log.open("ab") as log:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=_START_S_MAX, check=False
            )
        if done.returncode != 0:
            raise NotReady(f"Kafka's folder can't be formatted: {self._log}")

    def _java(self, name: str, *arguments: str) -> list[str]:
        options = ["-Xmx400m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        return [os.environ.get("JAVA", "java"), *options, "-cp", self.classes, name, *arguments]
