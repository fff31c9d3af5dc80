"""Answers read-only queries on a few threads, each with its own client, within limits."""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError

from streamgauge.config import QuerySettings
from streamgauge.core.errors import InvalidRequest, Overloaded, QueryLimit, StreamgaugeError, Unavailable
from streamgauge.core.lifecycle import StageState
from streamgauge.store.base import Check, never
from streamgauge.store.client import StoreClients, StoreConnection
from streamgauge.store.ending import Ended, QueryEnder

_BAD_PATTERN_CODE: Final = "427"
_COLUMNS: Final = {"output_format_arrow_low_cardinality_as_dictionary": 1}

_CHECK_S: Final = 0.1
_CLOSING: Final = "the query service is shutting down"

_Answer = TypeVar("_Answer")


class _Worker:
    """A thread's connection. `busy_with` is the query that it carries out, and changes under the lock alone."""

    def __init__(self, connection: StoreConnection, query_id: str) -> None:
        self.connection = connection
        self.query_id = query_id
        self.busy_with: _Query | None = None
        self.lock = threading.Lock()


class _Query:
    """One that was asked. `worker`: who carries it out, as soon as somebody does."""

    def __init__(self) -> None:
        self.worker: _Worker | None = None
        self.ended = Ended()


class ClickHouseReader:
    """`StoreReader` on ClickHouse's engine."""

    def __init__(self, clients: StoreClients, limits: QuerySettings) -> None:
        self._clients, self._limits = clients, limits
        self._settings = {
            "max_execution_time": limits.execution_s_max,
            "max_memory_usage": limits.memory_bytes_max,
            "max_rows_to_read": limits.rows_read_max,
        }
        self._local = threading.local()
        self._opened: list[StoreConnection] = []
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="query")
        self._ender = QueryEnder(clients)
        self._under_way = 0
        self._counting = threading.Lock()

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        query = _Query()
        running = self._submit(query, lambda connection: connection.query(sql, parameters))
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                self._give_up(query, running)
                raise
            raise Unavailable(_CLOSING) from None  # it waited for a thread, and `close` took it off the queue

    async def state(self) -> StageState:
        try:
            await self.query("SELECT 1", {})
        except Unavailable as error:
            return StageState("degraded", error.message)
        except Overloaded:
            return StageState("ready")  # it answers others
        return StageState("ready")

    def table(self, sql: str, parameters: Mapping[str, Any], seconds_max: float, check: Check = never) -> pa.Table:
        seconds = min(self._limits.execution_s_max, max(1, math.ceil(seconds_max)))
        settings = {**_COLUMNS, "max_execution_time": seconds}
        query = _Query()
        running = self._submit(query, lambda connection: connection.query_arrow(sql, parameters, settings))
        try:
            while not running.done():
                with contextlib.suppress(TimeoutError):
                    return running.result(_CHECK_S)
                check()
            return running.result()
        except CancelledError as error:
            raise Unavailable(_CLOSING) from error
        finally:
            self._give_up(query, running)

    def close(self) -> None:
        """Wait for running queries, then close."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._ender.close()
        for connection in self._opened:
            connection.close()

    def _submit(self, query: _Query, ask: Callable[[StoreConnection], _Answer]) -> Future[_Answer]:
        """Raises Overloaded where too many wait."""
        limits = self._limits
        with self._counting:
            if self._under_way >= limits.threads + limits.queue_max:
                raise Overloaded(
                    f"{limits.queue_max} queries wait for the store already (query.queue_max)",
                    hint="ask again in a second",
                )
            self._under_way += 1
        try:
            running = self._threads.submit(self._carry_out, query, ask)
        except RuntimeError as error:
            self._over()
            raise Unavailable(_CLOSING) from error
        running.add_done_callback(lambda _: self._over())
        return running

    def _over(self) -> None:
        with self._counting:
            self._under_way -= 1

    def _carry_out(self, query: _Query, ask: Callable[[StoreConnection], _Answer]) -> _Answer:
        try:
            worker = self._worker()
            with worker.lock:
                worker.busy_with, query.worker = query, worker
            try:
                return ask(worker.connection)
            finally:
                with worker.lock:
                    worker.busy_with = None
        except ClickHouseError as error:
            raise _typed(error, self._limits) from error
        finally:
            query.ended.set()

    def _give_up(self, query: _Query, running: Future[Any]) -> None:
        """What has not begun doesn't, what has begun is ended."""
        if running.done() or running.cancel():
            return
        self._ender.end(query.ended, lambda: _named(query))

    def _worker(self) -> _Worker:
        if not hasattr(self._local, "worker"):
            query_id = f"streamgauge-query-{secrets.token_hex(8)}"
            connection = self._clients.open({**self._settings, "log_comment": query_id})
            self._opened.append(connection)
            self._local.worker = _Worker(connection, query_id)
        worker: _Worker = self._local.worker
        return worker


@contextlib.contextmanager
def _named(query: _Query) -> Iterator[str | None]:
    """Its id, while its worker is at it; the worker does not go on to another one meanwhile."""
    worker = query.worker
    if worker is None:
        yield None
        return
    with worker.lock:
        yield worker.query_id if worker.busy_with is query else None


def _typed(error: ClickHouseError, limits: QuerySettings) -> StreamgaugeError:
    text = str(error)
    named = {
        "159": ("execution time", f"{limits.execution_s_max} s (query.execution_s_max)"),
        "158": ("rows to read", f"{limits.rows_read_max:,} (query.rows_read_max)"),
        "241": ("memory", f"{limits.memory_bytes_max:,} bytes (query.memory_bytes_max)"),
        "396": ("rows of the result", ""),
    }
    for code, (limit, allowed) in named.items():
        if f"Code: {code}." in text:
            return QueryLimit(limit, allowed, hint="ask for a shorter range, a longer step or fewer groups")
    if f"Code: {_BAD_PATTERN_CODE}." in text:
        return InvalidRequest("not a regular expression of RE2", code="invalid_pattern", hint="use RE2's syntax")
    return Unavailable(f"the store did not answer: {error}")
