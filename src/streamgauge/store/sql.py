"""Other people's SQL: read-only, within limits, and ended when nobody waits for it.

Three fences, each enforced by the engine, and each sufficient against most of what could be tried:

1. `sql_gate` reads the tree that the engine's own parser made of the text, and lets through one SELECT of four tables.
2. The connection has every limit and `readonly = 1`, set before the text is seen: then no setting can be changed.
3. The connection has no right but to read the four tables: by the role `asker` in the embedded engine, and on a server
   by the user of the setting `sql.store`.

Each query has a connection of its own, so that nothing of one is left for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from streamgauge.config import SqlSettings
from streamgauge.core.errors import InvalidRequest, Overloaded, QueryLimit, Unavailable
from streamgauge.store.base import SqlForm
from streamgauge.store.client import StoreClients
from streamgauge.store.ending import Ended, QueryEnder
from streamgauge.store.sql_errors import is_syntax_error, typed_error
from streamgauge.store.sql_gate import TABLES, Function, SqlGate, not_a_select, reads_tables

_FORMATS: Final[Mapping[SqlForm, str]] = {
    "json": "JSONCompact",
    "csv": "CSVWithNames",
    "ndjson": "JSONEachRow",
    "arrow": "ArrowStream",
}
_ROLE: Final = "asker"
"""Of `embedded/users.xml`."""
_GRACE_S: Final = 2.0
"""After its time the engine has so long to end a query by itself."""
_CANONICAL: Final = "SELECT formatQuerySingleLine({sql:String})"
_CLOSING: Final = "the query service is shutting down"


class ClickHouseSql:
    """`SqlEngine` on ClickHouse's engine."""

    def __init__(self, own: StoreClients, askers: StoreClients, limits: SqlSettings) -> None:
        """`own`: the connections of the system itself, which may end queries; `askers`: those that carry out what is
        asked. The same store."""
        self._own, self._askers, self._limits = own, askers, limits
        self._slots = asyncio.Semaphore(limits.at_once_max)
        self._waiting = 0
        self._threads = ThreadPoolExecutor(limits.at_once_max, thread_name_prefix="sql")
        self._ender = QueryEnder(own)
        self._gate: SqlGate | None = None
        self._gate_lock = threading.Lock()

    async def ask(self, sql: str, parameters: Mapping[str, str], form: SqlForm) -> bytes:
        if len(sql) > self._limits.text_chars_max:
            raise InvalidRequest(
                f"the query has {len(sql):,} characters: at most {self._limits.text_chars_max:,}",
                code="invalid_sql",
                hint="ask for less at once, or raise sql.text_chars_max",
            )
        await self._acquire()
        query_id, ended = f"streamgauge-sql-{secrets.token_hex(8)}", Ended()
        try:
            running = self._threads.submit(self._ask, sql, parameters, form, query_id)
        except RuntimeError as error:
            self._slots.release()
            raise Unavailable(_CLOSING) from error
        loop = asyncio.get_running_loop()

        def over(_: Future[bytes]) -> None:
            ended.set()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for a slot any more
                loop.call_soon_threadsafe(self._slots.release)

        running.add_done_callback(over)
        try:
            async with asyncio.timeout(self._limits.execution_s_max + _GRACE_S):
                return await asyncio.wrap_future(running)
        except TimeoutError:
            raise QueryLimit("execution time", hint="read fewer rows: a shorter range of time, say") from None
        finally:
            if not (running.done() or running.cancel()):
                self._ender.end(ended, lambda: contextlib.nullcontext(query_id))

    def close(self) -> None:
        """Queries under way end by their limits."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._ender.close()

    async def _acquire(self) -> None:
        """A slot. Raises Overloaded where too many wait, or for too long."""
        limits = self._limits
        if self._slots.locked() and self._waiting >= limits.queue_max:
            raise _too_many(limits.at_once_max, self._waiting)
        self._waiting += 1
        try:
            async with asyncio.timeout(limits.queue_s_max):
                await self._slots.acquire()
        except TimeoutError:
            raise _too_many(limits.at_once_max, self._waiting) from None
        finally:
            self._waiting -= 1

    def _ask(self, sql: str, parameters: Mapping[str, str], form: SqlForm, query_id: str) -> bytes:
        try:
            gate = self._known_gate()
            with self._connection(query_id) as client:
                canonical = str(client.query(_CANONICAL, parameters={"sql": sql}).result_rows[0][0])
                gate.check(canonical, tree := _tree(client, canonical, parameters))
                if not reads_tables(tree):
                    # The engine forgets its limits of the result where nothing is read; not around a subquery.
                    canonical = f"SELECT * FROM ({canonical})"
                return client.raw_query(canonical, parameters=dict(parameters), fmt=_FORMATS[form])
        except OperationalError as error:
            raise Unavailable(f"the store did not answer: {error}") from error
        except ClickHouseError as error:
            raise typed_error(error, sql, self._limits) from error

    @contextlib.contextmanager
    def _connection(self, query_id: str) -> Iterator[Client]:
        limits = self._limits
        settings: dict[str, Any] = {
            "log_comment": query_id,
            "max_execution_time": limits.execution_s_max,
            "timeout_overflow_mode": "throw",
            "max_rows_to_read": limits.rows_read_max,
            "read_overflow_mode": "throw",
            "max_memory_usage": limits.memory_bytes_max,
            "max_result_rows": limits.result_rows_max,
            "max_result_bytes": limits.result_bytes_max,
            "result_overflow_mode": "throw",
            "max_threads": limits.cores_max,
            "query_plan_remove_redundant_sorting": 0,
            "optimize_duplicate_order_by_and_distinct": 0,
            "max_ast_depth": 500,
            "max_ast_elements": 10_000,
            "max_subquery_depth": 50,
            "allow_introspection_functions": 0,
            "allow_ddl": 0,
            "use_query_cache": 0,
            "wait_end_of_query": 1,
        }
        client = self._askers.connect(settings)
        try:
            if self._askers.is_embedded:
                client.command(f"SET ROLE {_ROLE}")
            client.set_client_setting("readonly", 1)  # the last one: after it none can be set
            yield client
        finally:
            client.close()

    def _known_gate(self) -> SqlGate:
        """Once: the engine and the tables stay what they are."""
        with self._gate_lock:
            if self._gate is None:
                with contextlib.closing(self._own.connect()) as client:
                    self._gate = _gate_of(client)
            return self._gate


def _tree(client: Client, canonical: str, parameters: Mapping[str, str]) -> list[str]:
    """Lines of the parsed statement. In brackets only a SELECT can stand; as the engine wrote it, no bracket of its own
    is without its match."""
    try:
        tree = client.raw_query(f"EXPLAIN AST SELECT * FROM ({canonical})", parameters=dict(parameters), fmt="TSVRaw")
    except ClickHouseError as error:
        raise (not_a_select(canonical) if is_syntax_error(error) else error) from error
    return tree.decode(errors="replace").rstrip("\n").split("\n")


def _gate_of(client: Client) -> SqlGate:
    functions = client.query(
        "SELECT name, alias_to, toBool(is_aggregate), toBool(case_insensitive), categories FROM system.functions"
    )
    table_functions = client.query("SELECT name FROM system.table_functions")
    stored = client.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    columns = client.query(
        "SELECT DISTINCT name FROM system.columns "
        "WHERE database = currentDatabase() AND table IN {tables:Array(String)}",
        parameters={"tables": list(TABLES)},
    )
    return SqlGate(
        (Function(*row) for row in functions.result_rows),
        [row[0] for row in table_functions.result_rows],
        [row[0] for row in columns.result_rows],
        (row[0] for row in stored.result_rows),
        str(client.database or "default"),
    )


def _too_many(at_once: int, waiting: int) -> Overloaded:
    return Overloaded(
        f"the limit of queries at once is reached: {at_once} under way, {waiting} waiting",
        hint="ask again in a few seconds; sql.at_once_max and sql.queue_max are the limits",
        retry_after_s=2,
    )
