"""Answers read-only queries on a few threads, each with its own client, within limits."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, Final

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from streamgauge.config import QuerySettings
from streamgauge.core.errors import InvalidRequest, QueryLimit, StreamgaugeError, Unavailable
from streamgauge.core.lifecycle import StageState
from streamgauge.store.client import StoreClients

_LIMIT_CODES: Final = {"159": "execution time", "158": "rows", "241": "memory", "396": "rows of the result"}
"""ClickHouse's numbers of the errors by which it enforces limits."""

_BAD_PATTERN_CODE: Final = "427"
_COLUMNS: Final = {"output_format_arrow_low_cardinality_as_dictionary": 1}

_CLOSING: Final = "the query service is shutting down"


class ClickHouseReader:
    """`StoreReader` on ClickHouse's engine."""

    def __init__(self, clients: StoreClients, limits: QuerySettings) -> None:
        self._clients = clients
        self._execution_s_max = limits.execution_s_max
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

    def table(self, sql: str, parameters: Mapping[str, Any], seconds_max: float) -> pa.Table:
        try:
            return self._threads.submit(self._table, sql, parameters, seconds_max).result()
        except (CancelledError, RuntimeError) as error:
            if isinstance(error, CancelledError) or "shutdown" in str(error):
                raise Unavailable(_CLOSING) from error
            raise

    def _query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        try:
            rows = self._client().query(sql, parameters=dict(parameters)).result_rows
        except ClickHouseError as error:
            raise _typed(error) from error
        return [tuple(row) for row in rows]

    def _table(self, sql: str, parameters: Mapping[str, Any], seconds_max: float) -> pa.Table:
        seconds = min(self._execution_s_max, max(1, math.ceil(seconds_max)))
        settings = {**_COLUMNS, "max_execution_time": seconds}
        try:
            return self._client().query_arrow(sql, parameters=dict(parameters), settings=settings, use_strings=True)
        except ClickHouseError as error:
            raise _typed(error) from error

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


def _typed(error: ClickHouseError) -> StreamgaugeError:
    for number, limit in _LIMIT_CODES.items():
        if f"Code: {number}." in str(error):
            return QueryLimit(limit)
    if f"Code: {_BAD_PATTERN_CODE}." in str(error):
        return InvalidRequest("not a regular expression of RE2", code="invalid_pattern", hint="use RE2's syntax")
    return Unavailable(f"the store did not answer: {error}")
