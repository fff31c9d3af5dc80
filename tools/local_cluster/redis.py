"""A Redis that keeps nothing on disk: after a start it is empty."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
from pathlib import Path
from typing import Final
from urllib.parse import quote

from local_cluster.process import Process
from local_cluster.waiting import NotReady, free_port, until

_START_S_MAX: Final = 20.0


class RedisServer:
    """Raises NotReady where Redis isn't installed."""

    def __init__(
        self, folder: Path, port: int | None = None, log: Path | None = None, *, password: str = "", bytes_max: int = 0
    ) -> None:
        """`bytes_max`: of its memory, 0 for all there is; what was not used for longest makes room."""
        if shutil.which("redis-server") is None:
            raise NotReady("Redis is not installed (Debian: apt-get install redis-server)")
        self.port, self._folder, self._password = port or free_port(), folder.resolve(), password
        self._log, self._bytes_max = log or self._folder / "redis.log", bytes_max
        self.process: Process | None = None

    @property
    def url(self) -> str:
        user = f":{quote(self._password, safe='')}@" if self._password else ""
        return f"redis://{user}127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        """Until it takes connections. Raises NotReady."""
        self.launch()
        until(self._is_up, f"Redis takes connections: {self._log}", _START_S_MAX)
        return self

    def launch(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        options += ["--maxmemory", str(self._bytes_max), "--maxmemory-policy", "allkeys-lru"]
        if self._password:
            options += ["--requirepass", self._password]
        self.process = Process(["redis-server", *options, "--dir", str(self._folder)], self._log)

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return self.ask("PING").startswith(b"+PONG")
        return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

    def kill(self) -> None:
        """SIGKILL, as a machine that loses its power does it to its processes."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def freeze(self) -> None:
        """It takes connections and says nothing, until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def ask(self, *words: str) -> bytes:
        """The beginning of the answer to a command, as the protocol has it."""
        with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            if self._password:
                connection.sendall(_command("AUTH", self._password))
                connection.recv(1024)
            connection.sendall(_command(*words))
            return connection.recv(65_536)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.signal(number)

    def _is_up(self) -> bool:
        if self.process is None or not self.process.is_running:
            raise NotReady(f"Redis ended by itself: {self._log}")
        return self.is_ready()


def _command(*words: str) -> bytes:
    parts = [b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(parts)
