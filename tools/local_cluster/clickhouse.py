"""What stands in for a ClickHouse server: its HTTP interface over chDB, which is the same engine."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx

from local_cluster.process import Process
from local_cluster.waiting import NotReady, free_port, until

_START_S_MAX: Final = 30.0
_TOOLS: Final = str(Path(__file__).resolve().parents[1])

_CLUSTER: Final = """
<clickhouse>
  <tcp_port>9000</tcp_port>
  <macros><shard>01</shard><replica>one</replica></macros>
  <remote_servers><{name}>
    <shard>
      <internal_replication>true</internal_replication>
      <replica><host>127.0.0.1</host><port>9000</port></replica>
    </shard>
  </{name}></remote_servers>
</clickhouse>
"""


class ClickHouseServer:
    """In a process of its own: chDB opens one folder a process. See `clickhouse_http`. `cluster`: of which it is the
    only host."""

    def __init__(self, folder: Path, port: int | None = None, log: Path | None = None, *, cluster: str = "") -> None:
        self._folder, self._cluster, self.port = folder.resolve(), cluster, port or free_port()
        self._log = log or self._folder.with_name(f"{self._folder.name}.output")
        self.process: Process | None = None

    @property
    def url(self) -> str:
        return f"clickhouse://127.0.0.1:{self.port}"

    def start(self) -> ClickHouseServer:
        """Until it answers. Raises NotReady."""
        self.launch()
        until(self._is_up, f"the store's server answers: {self._log}", _START_S_MAX)
        return self

    def launch(self) -> None:
        """Without waiting for it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join(filter(None, (_TOOLS, os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-m", "local_cluster.clickhouse_http", self._folder, str(self.port)]
        self.process = Process(command, self._log, environment={"PYTHONPATH": path}, folder=self._configuration())

    def _configuration(self) -> Path:
        """The folder that the engine looks for its configuration in."""
        folder = self._folder.with_name(f"{self._folder.name}.configuration")
        folder.mkdir(exist_ok=True)
        if self._cluster:
            (folder / "config.xml").write_text(_CLUSTER.format(name=self._cluster), encoding="utf-8")
        return folder

    def is_ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self._http("/ping"), trust_env=False).status_code == 200
        return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def trouble(self, *, refused: float = 0.0, unanswered: float = 0.0) -> None:
        """From now on: the share of inserts that are refused, and of those that are made and not answered."""
        httpx.post(self._http("/-/trouble"), params={"refused": refused, "unanswered": unanswered}, trust_env=False)

    def troubled(self) -> Mapping[str, int]:
        """How many inserts were refused and how many not answered."""
        answer: dict[str, int] = httpx.get(self._http("/-/trouble"), trust_env=False).json()
        return answer

    def _http(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def _is_up(self) -> bool:
        if self.process is None or not self.process.is_running:
            raise NotReady(f"the store's server ended by itself: {self._log}")
        return self.is_ready()
