"""Which port each part gets: the one it had the last time, else its usual one, else the next that is free."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from local_cluster.waiting import can_bind, free_port

USUAL: Final[Mapping[str, int]] = {
    "kafka": 9092,
    "clickhouse": 8123,
    "postgres": 5432,
    "redis": 6379,
    "flink": 8081,
    "api": 8080,
    "ingest": 8090,
    "grpc": 8095,
    "stream": 8100,
    "loader": 8110,
    "alert": 8120,
}
"""Several of one kind are `api-1`, `api-2` …, and look upwards from here."""


class Ports:
    def __init__(self, file: Path, *, any_free: bool = False) -> None:
        """`any_free`: whichever the kernel gives, for tests."""
        self._file, self._any_free = file, any_free
        self._chosen: dict[str, int] = {}
        try:
            self._before: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._before = {}

    def of(self, name: str) -> int:
        if name not in self._chosen:
            self._chosen[name] = self._choose(name)
            self._file.write_text(json.dumps(self._chosen), encoding="utf-8")
        return self._chosen[name]

    def _choose(self, name: str) -> int:
        before = self._before.get(name)
        if before is not None and self._is_free(before):
            return before
        if self._any_free:
            return free_port()
        port = USUAL[name.partition("-")[0]]
        while not self._is_free(port):
            port += 1
        return port

    def _is_free(self, port: int) -> bool:
        return port not in self._chosen.values() and can_bind(port)
