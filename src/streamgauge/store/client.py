"""Connections to ClickHouse's engine, embedded (`chdb:///folder`) or servers (`clickhouse://host:port/database`)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from streamgauge.config import StoreSettings
from streamgauge.core.errors import ConfigError
from streamgauge.store.layout import Layout, layout_of

_log = logging.getLogger(__name__)

_CONNECT_S_MAX: Final = 3
"""Of several hosts: then the next one is tried."""

_EMBEDDED: Final = Path(__file__).parent / "embedded"
_EMBEDDED_OPTIONS: Final = {
    "config-file": str(_EMBEDDED / "engine.xml"),
    "users_config": str(_EMBEDDED / "users.xml"),
}
"""The same for every connection of a process: the engine is there once, and is as the first one made it."""

_Answer = TypeVar("_Answer")


class StoreClients:
    """Makes clients of one store. A client is used by one thread at a time; the embedded engine allows many."""

    def __init__(self, url: str, tables: StoreSettings | None = None) -> None:
        """Raises ConfigError for an address that is neither, and for a cluster where there can't be one."""
        self._url = url
        self._addresses = _addresses(url)
        tables = tables or StoreSettings()
        if tables.cluster and embedded_folder(url) is not None:
            raise ConfigError(
                "the embedded store is no cluster",
                hint='set store = "clickhouse://host:8123/database", or leave store_tables.cluster empty',
            )
        self.layout: Layout = layout_of(tables, str(self._addresses[0].get("database", "")))

    @property
    def hosts(self) -> int:
        return len(self._addresses)

    @property
    def is_embedded(self) -> bool:
        return embedded_folder(self._url) is not None

    def connect(self, settings: Mapping[str, Any] | None = None) -> Client:
        """To the first host that answers. Raises ConfigError where none does."""
        return self.connect_from(0, settings)[0]

    def connect_from(self, first: int, settings: Mapping[str, Any] | None = None) -> tuple[Client, int]:
        """Likewise, trying host number `first` first; and the number of the one that answered."""
        all_settings = {**self.layout.settings, **(settings or {})}
        failures = []
        for number in range(first, first + self.hosts):
            address = self._addresses[number % self.hosts]
            try:
                return clickhouse_connect.get_client(**address, settings=all_settings), number % self.hosts
            except Exception as error:
                failures.append(error)
        # Whichever it was, the program can't start.
        raise ConfigError(f"can't open the store {_without_password(self._url)}: {failures[-1]}") from failures[-1]

    def open(self, settings: Mapping[str, Any] | None = None) -> StoreConnection:
        """Raises ConfigError where no host answers."""
        return StoreConnection(self, settings or {})


class StoreConnection:
    """A client that goes over to another host where its own is gone. Used by one thread at a time. Raises what the
    client raises; after that the next call may succeed."""

    def __init__(self, clients: StoreClients, settings: Mapping[str, Any]) -> None:
        self._clients, self._settings = clients, settings
        self._client, self._host = clients.connect_from(0, settings)

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        rows = self._again(lambda client: client.query(sql, parameters=dict(parameters)).result_rows)
        return [tuple(row) for row in rows]

    def query_arrow(self, sql: str, parameters: Mapping[str, Any], settings: Mapping[str, Any]) -> pa.Table:
        return self._again(
            lambda client: client.query_arrow(
                sql, parameters=dict(parameters), settings=dict(settings), use_strings=True
            )
        )

    def insert_arrow(self, table: str, rows: pa.Table, token: str) -> None:
        """Once, whichever of the hosts takes it."""
        settings = {"insert_deduplicate": 1, "insert_deduplication_token": token}
        self._again(lambda client: client.insert_arrow(table, rows, settings=settings))

    def command(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """What may not be repeated without a look is not: it raises, and the next call goes to another host."""
        try:
            self._client.command(sql, parameters=dict(parameters))
        except OperationalError:
            self._go_over()
            raise

    def close(self) -> None:
        self._client.close()

    def _again(self, call: Callable[[Client], _Answer]) -> _Answer:
        try:
            return call(self._client)
        except OperationalError:  # no answer came: what a server refuses is another error
            if not self._go_over():
                raise
        except Exception:
            self._forget_rows()
            raise
        return call(self._client)

    def _forget_rows(self) -> None:
        """The embedded engine keeps what a query had given before it failed, and begins the next answer of the same
        connection with it: another question's rows."""
        if self._clients.is_embedded:
            self._client.close()
            self._client, self._host = self._clients.connect_from(self._host, self._settings)

    def _go_over(self) -> bool:
        """Whether there is another host, and it answers."""
        if self._clients.hosts == 1:
            return False  # the client connects again by itself
        try:
            client, host = self._clients.connect_from(self._host + 1, self._settings)
        except ConfigError:
            return False
        _log.warning("a host of the store doesn't answer; now asking number %d of %d", host + 1, self._clients.hosts)
        with contextlib.suppress(ClickHouseError, OSError):
            self._client.close()
        self._client, self._host = client, host
        return True


def embedded_folder(url: str) -> Path | None:
    """Where an embedded store is; None for a server."""
    # chdb:///data/store is relative to the working folder, chdb:////var/lib/x is absolute, as for sqlite URLs.
    path = url.removeprefix("chdb:///")
    return Path(path) if path != url and path.strip("/") else None


def store_identity(url: str) -> str:
    """Of a server: the same for all who use the same database of it, whoever they are to it."""
    parts = urlsplit(url)
    hosts = sorted(f"{host.name}:{host.port or ''}" for host in _hosts(parts.netloc.rpartition("@")[2]))
    return f"{','.join(hosts)}/{parts.path.strip('/') or 'default'}"


class _Host(NamedTuple):
    name: str
    port: int | None


def _addresses(url: str) -> list[dict[str, Any]]:
    """Arguments of the driver, for each host."""
    folder = embedded_folder(url)
    if folder is not None:
        if "?" in str(folder):
            raise ConfigError(
                f"the embedded store can't be in {str(folder)!r}: it reads what follows a question mark as its options",
                hint="choose a data folder without a question mark in its path",
            )
        folder.mkdir(parents=True, exist_ok=True)
        return [{"interface": "chdb", "path": str(folder), "chdb_options": _EMBEDDED_OPTIONS}]
    parts = urlsplit(url)
    hosts = _hosts(parts.netloc.rpartition("@")[2])
    if parts.scheme not in ("clickhouse", "clickhouses") or not hosts:
        raise ConfigError(
            f"{_without_password(url)!r} is not a store",
            hint="write chdb:///folder or clickhouse://user:password@host:8123,host2:8123/database",
        )
    is_secure = parts.scheme == "clickhouses"
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    return [
        {
            "interface": "https" if is_secure else "http",
            "host": host.name,
            "port": host.port or (8443 if is_secure else 8123),
            "username": unquote(user) or "default",
            "password": unquote(password),
            "database": parts.path.strip("/") or "default",
            "autogenerate_session_id": False,
            **({"connect_timeout": _CONNECT_S_MAX} if len(hosts) > 1 else {}),
        }
        for host in hosts
    ]


def _hosts(text: str) -> list[_Host]:
    """None where one of them is not a host."""
    found = []
    for one in text.split(","):
        parts = urlsplit(f"//{one}")
        try:
            found.append(_Host(parts.hostname or "", parts.port))
        except ValueError:  # the port is not a number
            return []
    return found if all(host.name for host in found) else []


def _without_password(url: str) -> str:
    user, at, hosts = urlsplit(url).netloc.rpartition("@")
    name, colon, password = user.partition(":")
    return url.replace(f"{user}@{hosts}", f"{name}:***@{hosts}") if at and colon and password else url
