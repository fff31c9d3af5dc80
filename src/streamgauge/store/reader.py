"""Answers read-only queries on a few threads, each with its own client, within limits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from streamgauge.config import QuerySettings
from streamgauge.core.errors import InvalidRequest, Unavailable
from streamgauge.core.lifecycle import StageState
from streamgauge.store.client import StoreClients

_LIMIT_CODES: Final = {"159": "execution time", "158": "rows", "241": "memory", "396": "rows of the result"}
"""ClickHouse's numbers of the errors by which it enforces limits."""

_CLOSING: Final = "the query service is shutting down"


class ClickHouseReader:
    """`StoreReader` on ClickHouse's engine."""

    def __init__(self, clients: StoreClients, limits: QuerySettings) -> None:
        self._clients = clients
        self._settings = {"max_execution_time": limits.execution_s_max, "max_memory_usage": 2 * 1024**3}
        self._local = threading.local()
        self._opened: list[Client] = []
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="query")

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._query, sql, parameters)
        except RuntimeError as error:
            if "shutdown" in str(error):
                raise Unavailable(_CLOSING) from error
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise Unavailable(_CLOSING) from None  # it waited for a thread, and `close` took it off the queue

    async def state(self) -> StageState:
        try:
            await self.query("SELECT 1", {})
        except Unavailable as error:
            return StageState("degraded", error.message)
        return StageState("ready")

    def _query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        try:
            rows = self._client().query(sql, parameters=dict(parameters)).result_rows
        except ClickHouseError as error:
            for number, limit in _LIMIT_CODES.items():
                if f"Code: {number}." in str(error):
                    raise InvalidRequest(
                        f"the query is over the limit of {limit}", code="query_limit", hint="ask for a shorter range"
                    ) from error
            raise Unavailable(f"the store did not answer: {error}") from error
        return [tuple(row) for row in rows]

    def _client(self) -> Client:
        if not hasattr(self._local, "client"):
            self._local.client = self._clients.connect(self._settings)
            self._opened.append(self._local.client)
        client: Client = self._local.client
        return client

    def close(self) -> None:
        """Wait for running queries, then close."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for client in self._opened:
            client.close()
