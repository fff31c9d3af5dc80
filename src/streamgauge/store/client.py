"""Connections to ClickHouse's engine, embedded (`chdb:///folder`) or a server (`clickhouse://host:port/database`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from streamgauge.config import RetentionSettings, StoreSettings
from streamgauge.core.errors import ConfigError
from streamgauge.store.schema import (
    MIGRATIONS,
    VERSIONS_TABLE,
    promoted_column,
    promotion_statement,
    retention_days,
    retention_statement,
)

_log = logging.getLogger(__name__)


class StoreClients:
    """Makes clients of one store. A client is used by one thread at a time; the embedded engine allows many."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError for an address that is neither."""
        self._url = url
        self._arguments = _connection(url)

    def connect(self, settings: Mapping[str, Any] | None = None) -> Client:
        try:
            return clickhouse_connect.get_client(**self._arguments, settings=dict(settings or {}))
        except Exception as error:
            # Each of the two drivers has its own exceptions here, and either way the program can't start.
            raise ConfigError(f"can't open the store {_without_password(self._url)}: {error}") from error


def migrate(client: Client, retention: RetentionSettings, tables: StoreSettings) -> int:
    """Bring the schema up to date; the number of steps that were applied. Safe to repeat after a crash at any point:
    each statement is idempotent, and a step is recorded after its last one."""
    client.command(VERSIONS_TABLE)
    done = {row[0] for row in client.query("SELECT version FROM schema_versions").result_rows}
    newest = MIGRATIONS[-1].version
    if done and max(done) > newest:
        raise ConfigError(
            f"the store was written by a newer version of streamgauge (schema {max(done)}, this one knows {newest})",
            hint="upgrade streamgauge, or choose another data folder",
        )
    missing = [migration for migration in MIGRATIONS if migration.version not in done]
    for migration in missing:
        for statement in migration.statements(retention):
            client.command(statement)
        client.insert("schema_versions", [[migration.version, migration.name]], column_names=["version", "name"])
        _log.debug("schema step %d applied: %s", migration.version, migration.name)
    # Only what differs: the engine writes a table's definition anew for each change, and on a full disk that would
    # leave none.
    for table, days in retention_days(retention).items():
        if f"toIntervalDay({days})" not in _definition(client, table):
            client.command(retention_statement(table, days))
    there = {row[0] for row in client.query(_COLUMNS_OF_METRICS).result_rows}
    for dimension in tables.promoted_dimensions:
        if promoted_column(dimension) not in there:
            client.command(promotion_statement(dimension))
    return len(missing)


_COLUMNS_OF_METRICS: Final = "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'metrics'"
_DEFINITION: Final = (
    "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {table:String}"
)


def _definition(client: Client, table: str) -> str:
    return str(client.query(_DEFINITION, parameters={"table": table}).result_rows[0][0])


def embedded_folder(url: str) -> Path | None:
    """Where an embedded store is; None for a server."""
    # chdb:///data/store is relative to the working folder, chdb:////var/lib/x is absolute, as for sqlite URLs.
    path = url.removeprefix("chdb:///")
    return Path(path) if path != url and path.strip("/") else None


def _connection(url: str) -> dict[str, Any]:
    folder = embedded_folder(url)
    if folder is not None:
        if "?" in str(folder):
            raise ConfigError(
                f"the embedded store can't be in {str(folder)!r}: it reads what follows a question mark as its options",
                hint="choose a data folder without a question mark in its path",
            )
        folder.mkdir(parents=True, exist_ok=True)
        return {"interface": "chdb", "path": str(folder)}
    parts = urlsplit(url)
    if parts.scheme in ("clickhouse", "clickhouses") and parts.hostname:
        return {
            "interface": "https" if parts.scheme == "clickhouses" else "http",
            "host": parts.hostname,
            "port": parts.port or (8443 if parts.scheme == "clickhouses" else 8123),
            "username": unquote(parts.username or "default"),
            "password": unquote(parts.password or ""),
            "database": parts.path.strip("/") or "default",
            "autogenerate_session_id": False,
        }
    raise ConfigError(
        f"{_without_password(url)!r} is not a store",
        hint="write chdb:///folder or clickhouse://user:password@host:8123/database",
    )


def _without_password(url: str) -> str:
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":***@") if password else url
