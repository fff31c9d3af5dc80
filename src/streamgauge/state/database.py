"""The state database: SQLite in a file, or PostgreSQL, behind SQLAlchemy Core. Blocking work runs in its threads.

Each room that keeps something here defines its tables once, in a `MetaData` of its own, and hands it to `open`:
tables and columns that are missing are added, nothing is ever taken away.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, MetaData, Table, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.schema import CreateColumn

from streamgauge.core.errors import ConfigError, Overloaded, Unavailable

THREADS: Final = 4
WAITING_MAX: Final = 1_000
"""Transactions under way or waiting for a thread."""

BUSY_MS_MAX: Final = 10_000
"""So long may a transaction wait for that of another process."""

CONNECT_S_MAX: Final = 10
STATEMENT_MS_MAX: Final = 30_000
TRIES_MAX: Final = 20
"""Of a transaction that PostgreSQL could not put in a row with others."""

_RETRY_S: Final = 0.01
_ADDING: Final = 7_308_325_591
"""The advisory lock of PostgreSQL under which one process at a time adds tables."""

_NOT_IN_A_ROW: Final = frozenset({"40001", "40P01"})
_POSTGRES_SCHEMES: Final = ("postgresql", "postgres")

T = TypeVar("T")
Work = Callable[[Connection], T]
"""What is to be done in one transaction. It may be called more than once, so it must do nothing else."""


class StateDatabase:
    """Transactions happen as if one after another (serializable), on both kinds. An exception of the work undoes it."""

    @classmethod
    async def open(cls, url: str, tables: Sequence[MetaData]) -> StateDatabase:
        """`url` is `sqlite:///file` or `postgresql://…`. Raises ConfigError, Unavailable."""
        return await asyncio.to_thread(cls, url, tables)

    def __init__(self, url: str, tables: Sequence[MetaData]) -> None:
        """Blocks; see `open`."""
        names = [name for metadata in tables for name in metadata.tables]
        if len(set(names)) < len(names):
            raise ValueError(f"two rooms have a table of the same name: {', '.join(sorted(names))}")
        address = _address(url)
        self._secret = address.password
        self.is_shared = address.get_backend_name() == "postgresql"
        """Whether several processes on several machines may have it."""
        self._engine = _engine(address)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="state")
        self._waiting = 0
        try:
            # Under the lock, what another process added meanwhile is to be seen.
            self._transaction(lambda connection: _add_missing(connection, tables), "IMMEDIATE", is_serial=False)
        except BaseException:
            self.close()
            raise

    async def read(self, work: Work[T]) -> T:
        """One consistent sight of the database. Raises Overloaded, Unavailable, and what `work` raises."""
        return await self._in_thread(lambda: self.read_now(work))

    async def write(self, work: Work[T]) -> T:
        """Returns once it is durable. Raises what `read` does."""
        return await self._in_thread(lambda: self.write_now(work))

    def read_now(self, work: Work[T]) -> T:
        """Blocks; for commands."""
        return self._transaction(work, "DEFERRED")

    def write_now(self, work: Work[T]) -> T:
        """Blocks; for commands."""
        return self._transaction(work, "IMMEDIATE")

    def close(self) -> None:
        """Blocks until transactions under way have ended."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._engine.dispose()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise Overloaded(f"{WAITING_MAX} transactions wait for the state database already")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except RuntimeError as error:
            if "shutdown" in str(error):
                raise Unavailable("the state database is closed") from error
            raise
        finally:
            self._waiting -= 1

    def _transaction(self, work: Work[T], begin: str, *, is_serial: bool = True) -> T:
        options = {"begin": begin}
        if self.is_shared and not is_serial:
            options["isolation_level"] = "READ COMMITTED"
        for tried in range(1, TRIES_MAX + 1):
            try:
                with self._engine.connect() as connection, connection.execution_options(**options).begin():
                    return work(connection)
            except DBAPIError as error:
                if tried == TRIES_MAX or getattr(error.orig, "sqlstate", None) not in _NOT_IN_A_ROW:
                    raise self._unavailable(error) from error
            except NoConnectionFree as error:
                raise self._unavailable(error) from error
            time.sleep(_RETRY_S * tried * random.random())  # noqa: S311 - so that two don't meet again
        raise AssertionError("the last try returns or raises")

    def _unavailable(self, error: SQLAlchemyError) -> Exception:
        """What isn't the database's trouble is a bug, and stays what it is."""
        if isinstance(error, DBAPIError):
            kinds = {kind.__name__ for kind in type(error.orig).__mro__}
            # SQLite says by a bare DatabaseError that the file is none.
            is_trouble = (
                bool(kinds & {"OperationalError", "InternalError"}) or type(error.orig).__name__ == "DatabaseError"
            )
            if not is_trouble and not error.connection_invalidated:
                return error
        message = " ".join(str(getattr(error, "orig", None) or error).split())
        return Unavailable(f"the state database can't be used: {_without(message, self._secret)}")


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        address = None
    backend = "" if address is None else address.drivername.partition("+")[0]
    if address is not None and backend == "sqlite" and address.database:
        return address.set(drivername="sqlite+pysqlite")
    if address is not None and backend in _POSTGRES_SCHEMES and address.host:
        return address.set(drivername="postgresql+psycopg")
    raise ConfigError(
        "the setting state is no database",
        hint="write sqlite:///file or postgresql://user:password@host:5432/database, with special characters as %XX",
    )


def _engine(address: URL) -> Engine:
    if address.get_backend_name() == "sqlite":
        return _sqlite(Path(address.database or ""))
    options = {
        "connect_timeout": CONNECT_S_MAX,
        "application_name": "streamgauge",
        # Nothing is prepared, so that a pooler in between doesn't matter.
        "prepare_threshold": None,
        "options": f"-c statement_timeout={STATEMENT_MS_MAX} -c lock_timeout={BUSY_MS_MAX} -c timezone=UTC",
    }
    try:
        return create_engine(
            address,
            isolation_level="SERIALIZABLE",
            pool_size=THREADS,
            pool_timeout=CONNECT_S_MAX,
            pool_pre_ping=True,
            connect_args=options,
        )
    except ImportError as error:
        raise ConfigError(
            f"the state database is PostgreSQL, whose client can't be loaded: {error}",
            hint="pip install 'streamgauge[postgres]'",
        ) from error


def _sqlite(file: Path) -> Engine:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # It will have the hashes of keys: nobody else on the machine reads it.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigError(
            f"can't use the state database {file}: {error.strerror}", hint="check the setting state"
        ) from error
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(file)),
        pool_size=THREADS,
        pool_timeout=CONNECT_S_MAX,
        connect_args={"timeout": BUSY_MS_MAX / 1_000, "check_same_thread": False},
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says so, not where the driver guesses
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """A writer takes its turn at once: one that read first could find that another wrote in between."""
    kind = connection.get_execution_options().get("begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {kind}")


def _add_missing(connection: Connection, tables: Sequence[MetaData]) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADDING})
    found = inspect(connection)
    there = set(found.get_table_names())
    for table in (table for metadata in tables for table in metadata.sorted_tables):
        if table.name in there:
            _add_columns(connection, table, {column["name"] for column in found.get_columns(table.name)})
    for metadata in tables:
        metadata.create_all(connection)


def _add_columns(connection: Connection, table: Table, there: set[str]) -> None:
    """Of a table from an earlier version. New columns must be nullable or have a `server_default`."""
    prepare = connection.dialect.identifier_preparer
    for column in (column for column in table.columns if column.name not in there):
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {prepare.format_table(table)} ADD COLUMN {definition}")
    for index in table.indexes:
        index.create(connection, checkfirst=True)


def _without(message: str, secret: object) -> str:
    return message.replace(str(secret), "***") if secret else message
