"""A Flink session cluster of one's own: a JobManager and a TaskManager from the wheel of apache-flink."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any, Final

from local_cluster.process import Process
from local_cluster.waiting import free_port, until

_START_S_MAX: Final = 120.0

_CONFIG = """
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: {rpc}
jobmanager.bind-host: 127.0.0.1
jobmanager.memory.process.size: 1100m
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {port}
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: {slots}
taskmanager.memory.process.size: {memory_mb}m
taskmanager.memory.network.fraction: 0.2
blob.server.port: 0
metrics.internal.query-service.port: 0
heartbeat.interval: 2000
heartbeat.timeout: 60000
web.tmpdir: {folder}/web
io.tmp.dirs: {folder}/tmp
execution.checkpointing.dir: file://{folder}/checkpoints
execution.checkpointing.savepoint-dir: file://{folder}/savepoints
"""


class FlinkPart:
    """A JobManager or a TaskManager: a process of Flink's own scripts."""

    def __init__(self, name: str, flink: Path, folder: Path, log: Path) -> None:
        """`flink`: the wheel's folder; `folder` has conf/ and logs/."""
        self._command = [flink / "bin" / f"{name}.sh", "start-foreground"]
        self._environment = {
            "FLINK_HOME": str(flink),
            "FLINK_CONF_DIR": str(folder / "conf"),
            "FLINK_LOG_DIR": str(folder / "logs"),
        }
        self._log = log
        self.process: Process | None = None

    def launch(self) -> None:
        """Without waiting for it. The script ends as the Java process, so that a signal to it reaches Flink."""
        self.process = Process(self._command, self._log, environment=self._environment)

    def stop(self) -> None:
        """SIGTERM; jobs that run are left in their checkpoints."""
        if self.process is not None:
            self.process.stop()
            self.process = None

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process = None


class FlinkServer:
    """`home`: what tools/require.sh flink printed: venv/ with the wheel, and the job's jar."""

    def __init__(
        self,
        folder: Path,
        home: Path,
        *,
        slots: int = 4,
        memory_mb: int = 2_400,
        port: int = 0,
        logs: Path | None = None,
    ) -> None:
        self.port = port or free_port()
        self.folder, self.slots = folder, slots
        self.jar = home / "streamgauge-flink.jar"
        (self._flink,) = (home / "venv" / "lib").glob("python*/site-packages/pyflink")
        for name in ("conf", "web", "tmp", "logs", "checkpoints", "savepoints"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        config = _CONFIG.format(port=self.port, rpc=free_port(), slots=slots, memory_mb=memory_mb, folder=folder)
        (folder / "conf" / "config.yaml").write_text(self._java_options() + config, encoding="utf-8")
        for name in ("log4j-console.properties", "log4j.properties"):
            (folder / "conf" / name).write_bytes((self._flink / "conf" / name).read_bytes())
        self.jobmanager, self.taskmanager = (
            FlinkPart(part, self._flink, folder, (logs or folder / "logs") / f"{part}.log")
            for part in ("jobmanager", "taskmanager")
        )

    @property
    def address(self) -> str:
        """Of the REST API, and of Flink's own pages."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> FlinkServer:
        """Until the TaskManager's slots are there."""
        self.jobmanager.launch()
        self.taskmanager.launch()
        until(self.has_slots, f"Flink's slots: {self.folder / 'logs'}", _START_S_MAX)
        return self

    def kill(self) -> None:
        self.taskmanager.kill()
        self.jobmanager.kill()

    def answers(self) -> bool:
        """Whether the JobManager does."""
        return self._overview() is not None

    def has_slots(self) -> bool:
        overview = self._overview()
        return overview is not None and int(overview["slots-total"]) >= self.slots

    def _overview(self) -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(f"http://{self.address}/v1/overview", timeout=2) as answer:
                return dict(json.load(answer))
        except (OSError, ValueError):
            return None

    def _java_options(self) -> str:
        """What Flink's own configuration opens of Java's modules: without it no job can be planned."""
        lines = (self._flink / "conf" / "config.yaml").read_text(encoding="utf-8").splitlines()
        (options,) = [line.strip() for line in lines if line.strip().startswith("all: --add-exports")]
        return f"env.java.opts.{options}\n"
