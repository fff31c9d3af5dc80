"""One of Streamgauge's own parts: `streamgauge ingest`, `stream`, `loader` or `api`."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

import httpx

from local_cluster.process import Process

_ANSWER_S_MAX: Final = 2.0


class RoleServer:
    def __init__(self, role: str, config: Path, port: int, log: Path, grpc_port: int | None = None) -> None:
        """`config` names all else; several of one role differ by their ports. `grpc_port`: of a role that has one."""
        self._role, self._config, self.port, self._log, self.grpc_port = role, config, port, log, grpc_port
        self.process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def launch(self) -> None:
        """Without waiting for it."""
        command = [sys.executable, "-m", "streamgauge", self._role, "--config", self._config, "--port", str(self.port)]
        if self.grpc_port is not None:
            command += ["--grpc-port", str(self.grpc_port)]
        self.process = Process(command, self._log)

    def is_ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/readyz", trust_env=False, timeout=_ANSWER_S_MAX).status_code == 200
        return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None
