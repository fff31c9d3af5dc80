"""Where the logs of the contract suite live, one class a backend. A place can open the same log again."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from streamgauge.config import KafkaSettings, LogSettings
from streamgauge.core.clock import ManualClock
from streamgauge.log.base import EventLog
from streamgauge.log.kafka import KafkaLog
from streamgauge.log.sqlite import SqliteLog


class LogPlace(Protocol):
    """Where one log lives. The number of partitions is the same each time it is opened."""

    async def open(self, *, batch_bytes_max: int = 16 * 1024 * 1024) -> EventLog: ...

    async def close_all(self) -> None:
        """Close what is still open."""
        ...


class SqlitePlace:
    def __init__(self, folder: Path, partitions: int) -> None:
        self._folder = folder
        self._partitions = partitions
        self._opened: list[SqliteLog] = []

    async def open(self, *, batch_bytes_max: int = 16 * 1024 * 1024) -> EventLog:
        settings = LogSettings(partitions=self._partitions, batch_bytes_max=batch_bytes_max)
        log = await SqliteLog.open(self._folder, settings, retention_days=7, clock=ManualClock())
        self._opened.append(log)
        return log

    async def close_all(self) -> None:
        while self._opened:
            await self._opened.pop().close()


class KafkaPlace:
    def __init__(self, server_url: str, partitions: int) -> None:
        self._url = f"{server_url}/log-{uuid.uuid4()}"
        self._partitions = partitions
        self._opened: list[KafkaLog] = []

    async def open(self, *, batch_bytes_max: int = 16 * 1024 * 1024) -> EventLog:
        settings = KafkaSettings(partitions=self._partitions, batch_bytes_max=batch_bytes_max)
        log = await KafkaLog.open(self._url, settings, retention_days=7)
        self._opened.append(log)
        return log

    async def close_all(self) -> None:
        while self._opened:
            await self._opened.pop().close()


NewLogPlace = Callable[[int], LogPlace]
"""Number of partitions → a place where there is no log yet."""
