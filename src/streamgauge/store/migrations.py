"""Brings a store's tables up to date."""

from __future__ import annotations

import logging
from typing import Final

import stamina
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from streamgauge.config import RetentionSettings, StoreSettings
from streamgauge.core.errors import ConfigError
from streamgauge.store.layout import Layout, layout_of
from streamgauge.store.schema import (
    MIGRATIONS,
    PROMOTED_TABLES,
    VERSIONS_TABLE,
    promoted_column,
    promotion_statements,
    retention_days,
    retention_statement,
)

_log = logging.getLogger(__name__)

_MEANWHILE_CODES: Final = ("57", "253", "517")
"""The table is there; the replica is there; the table was altered by another: all meanwhile."""


def migrate(client: Client, retention: RetentionSettings, tables: StoreSettings) -> int:
    """Bring the schema up to date; the number of steps that were applied. Safe to repeat after a crash at any point,
    and safe in several processes at once: each statement does nothing where it was carried out before, and a step is
    recorded after its last one. Where nothing is missing, nothing is asked of the engine but what there is: a start
    needs no host of a cluster but one.

    Raises ConfigError for a store of a newer version.
    """
    layout = layout_of(tables, str(client.database))
    if not _definition(client, VERSIONS_TABLE.name):
        _carry_out(client, layout.create(VERSIONS_TABLE))
    done = {row[0] for row in client.query("SELECT version FROM schema_versions").result_rows}
    newest = MIGRATIONS[-1].version
    if done and max(done) > newest:
        raise ConfigError(
            f"the store was written by a newer version of streamgauge (schema {max(done)}, this one knows {newest})",
            hint="upgrade streamgauge, or choose another data folder",
        )
    missing = [migration for migration in MIGRATIONS if migration.version not in done]
    for migration in missing:
        _carry_out(client, migration.statements(retention, layout))
        client.insert("schema_versions", [[migration.version, migration.name]], column_names=["version", "name"])
        _log.debug("schema step %d applied: %s", migration.version, migration.name)
    _follow_settings(client, layout, retention, tables)
    return len(missing)


def _follow_settings(client: Client, layout: Layout, retention: RetentionSettings, tables: StoreSettings) -> None:
    """Only what differs: the engine writes a table's definition anew for each change, and on a full disk that would
    leave none."""
    for table, days in retention_days(retention).items():
        if f"toIntervalDay({days})" not in _definition(client, layout.stored(table)):
            _carry_out(client, (retention_statement(layout, table, days),))
    names = {"tables": [name for table in PROMOTED_TABLES for name in (table, layout.stored(table))]}
    there = {row[0] for row in client.query(_COLUMNS, parameters=names).result_rows}
    for dimension in tables.promoted_dimensions:
        if promoted_column(dimension) not in there:
            _carry_out(client, promotion_statements(layout, dimension))


def _carry_out(client: Client, statements: tuple[str, ...]) -> None:
    for statement in statements:
        for attempt in stamina.retry_context(on=_was_meanwhile, attempts=10, timeout=60.0):
            with attempt:
                client.command(statement)


def _was_meanwhile(error: Exception) -> bool:
    """Whether another process that brings the same store up to date was in the way."""
    return isinstance(error, ClickHouseError) and any(f"Code: {code}." in str(error) for code in _MEANWHILE_CODES)


_COLUMNS: Final = """
    SELECT name FROM system.columns WHERE database = currentDatabase() AND table IN {tables:Array(String)}
    GROUP BY name HAVING count() = length(arrayDistinct({tables:Array(String)}))
"""
"""That each of the tables has."""
_DEFINITION: Final = (
    "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {table:String}"
)


def _definition(client: Client, table: str) -> str:
    """Empty where it isn't there."""
    rows = client.query(_DEFINITION, parameters={"table": table}).result_rows
    return str(rows[0][0]) if rows else ""
