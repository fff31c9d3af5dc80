"""The job on Flink as parts of the local cluster: a JobManager that always has it, and a TaskManager."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from local_cluster.flink import FlinkPart, FlinkServer
from local_cluster.process import Process
from local_cluster.waiting import NotReady

_SUBMIT_S_MAX: Final = 300.0


class JobManager:
    """Whenever it has begun, the job goes on from its newest checkpoint; it ends with a savepoint."""

    def __init__(self, flink: FlinkServer, settings_file: Path) -> None:
        self._flink, self._settings_file = flink, settings_file

    @property
    def process(self) -> Process | None:
        return self._flink.jobmanager.process

    def launch(self) -> None:
        self._flink.jobmanager.launch()

    def is_ready(self) -> bool:
        return self._flink.answers()

    def stop(self) -> None:
        if self.is_ready():
            self._command("stop")
        self._flink.jobmanager.stop()

    def run_job(self) -> None:
        """Raises NotReady where it doesn't run and can't be begun now."""
        if not self._flink.has_slots():
            raise NotReady("Flink's TaskManager isn't there yet")
        if self._command("status").returncode == 0:
            return
        submitted = self._command("submit")
        if submitted.returncode != 0:
            raise NotReady(submitted.stdout.strip())

    def _command(self, name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "streamgauge", "flink", name, "--config", str(self._settings_file)],
            env={**os.environ, "STREAMGAUGE_FLINK_JAR": str(self._flink.jar)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SUBMIT_S_MAX,
            check=False,
        )


class TaskManager:
    def __init__(self, flink: FlinkServer) -> None:
        self._flink = flink
        self._part: FlinkPart = flink.taskmanager

    @property
    def process(self) -> Process | None:
        return self._part.process

    def launch(self) -> None:
        self._part.launch()

    def is_ready(self) -> bool:
        return self._flink.has_slots()

    def stop(self) -> None:
        self._part.stop()
