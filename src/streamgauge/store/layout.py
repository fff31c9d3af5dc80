"""How tables are laid out: on one server, or on all hosts of a ClickHouse cluster. See docs/adr/0015.

On a cluster each table is two. `metrics_local` holds a shard's rows, replicated; `metrics` is what is written to and
asked: it sends each row to the shard that its sharding key names, and asks all shards. Every definition is given to all
hosts by `ON CLUSTER`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from streamgauge.config import StoreSettings
from streamgauge.core.errors import ConfigError

_SYNCED: Final = "fsync_after_insert = 1, fsync_part_directory = 1"
_WINDOW: Final = 50_000
"""An insert with the token of one before it is not made again. A token takes one place of the window for each partition
it touches: an import may touch each of the 47,482 days from 1970 to 2099."""
_WINDOW_S: Final = 30 * 86_400
"""Replicated tables forget tokens by time too, an hour old ones by default: a stream that was down for a weekend writes
its last batch again."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Table(msgspec.Struct, frozen=True):
    """A table's definition, apart from where it lies. `sharding_key`: an integer by which rows go to shards, made of
    columns that are inserted; rows of which the engine makes one have the same. Without one, every host has all."""

    name: str
    columns: str
    engine: str
    clauses: str
    sharding_key: str = ""
    engine_arguments: str = ""
    settings: str = ""


class Layout(Protocol):
    """Makes statements. Each does nothing where it was carried out before."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Of the engine, for whoever writes or asks."""
        ...

    def stored(self, table: str) -> str:
        """The name of the table that holds the rows, in this database."""
        ...

    def create(self, table: Table) -> tuple[str, ...]: ...

    def alter(self, table: str, change: str) -> str:
        """Of the rows, or of how they are stored."""
        ...

    def add_column(self, table: str, column: str) -> tuple[str, ...]:
        """`column`: name and type."""
        ...

    def create_view(self, name: str, source: str, target: str, select: str) -> str:
        """Of what is inserted into the rows of one table, into those of another; `{source}` stands in the query."""
        ...

    def catch_up(self, table: str) -> str | None:
        """Makes each replica have what any of them has; None where there is one."""
        ...


def layout_of(tables: StoreSettings, database: str) -> Layout:
    """Raises ConfigError for a database whose name can't stand in the definitions of a cluster."""
    if not tables.cluster:
        return OneServer()
    if not _IDENTIFIER.fullmatch(database):
        raise ConfigError(
            f"the tables of a cluster can't be in the database {database!r}",
            hint="name it with letters, digits and _ in the store's URL: clickhouse://host:8123/database",
        )
    return Cluster(tables.cluster, database, tables.insert_quorum)


class OneServer:
    settings: Mapping[str, Any] = {}

    def stored(self, table: str) -> str:
        return table

    def create(self, table: Table) -> tuple[str, ...]:
        settings = [_SYNCED, f"non_replicated_deduplication_window = {_WINDOW}"] if table.sharding_key else []
        return (_definition(table, table.name, _engine(table.engine, table.engine_arguments), settings),)

    def alter(self, table: str, change: str) -> str:
        return f"ALTER TABLE {table} {change}"

    def add_column(self, table: str, column: str) -> tuple[str, ...]:
        return (self.alter(table, f"ADD COLUMN IF NOT EXISTS {column}"),)

    def create_view(self, name: str, source: str, target: str, select: str) -> str:
        return f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name} TO {target} AS {select.format(source=source)}"

    def catch_up(self, table: str) -> str | None:
        del table
        return None


class Cluster:
    """Names are whole, with the database: hosts that carry a definition out may be in another one by default."""

    def __init__(self, cluster: str, database: str, insert_quorum: int) -> None:
        self._cluster, self._database = cluster, database
        self.settings: Mapping[str, Any] = {
            # An insert is done when all shards have its rows, each on so many replicas.
            "distributed_foreground_insert": 1,
            "insert_quorum": insert_quorum or "auto",
            "insert_quorum_parallel": 1,
            "insert_quorum_timeout": 60_000,
            # Readers ask the replicas that writers write to, so that they see what was written.
            "load_balancing": "in_order",
            "prefer_localhost_replica": 0,
            "max_replica_delay_for_distributed_queries": 5,
            # A changed table is changed on every replica before anybody writes to it.
            "alter_sync": 2,
        }

    def stored(self, table: str) -> str:
        return f"{table}_local"

    def create(self, table: Table) -> tuple[str, ...]:
        if not table.sharding_key:
            return (_definition(table, self._on_cluster(table.name), self._replicated(table, "all"), []),)
        stored = self.stored(table.name)
        window = f"replicated_deduplication_window = {_WINDOW}, replicated_deduplication_window_seconds = {_WINDOW_S}"
        return (
            _definition(table, self._on_cluster(stored), self._replicated(table, "{shard}"), [_SYNCED, window]),
            f"CREATE TABLE IF NOT EXISTS {self._on_cluster(table.name)} AS {self._database}.{stored} "
            f"ENGINE = Distributed('{self._cluster}', '{self._database}', '{stored}', {table.sharding_key})",
        )

    def alter(self, table: str, change: str) -> str:
        return f"ALTER TABLE {self._on_cluster(self.stored(table))} {change}"

    def add_column(self, table: str, column: str) -> tuple[str, ...]:
        # The rows first: what is asked never has a column that they don't have.
        change = f"ADD COLUMN IF NOT EXISTS {column}"
        return self.alter(table, change), f"ALTER TABLE {self._on_cluster(table)} {change}"

    def create_view(self, name: str, source: str, target: str, select: str) -> str:
        # Shard by shard: what one has is put together there, whichever shard would have got it from a writer.
        rows, into = (f"{self._database}.{self.stored(table)}" for table in (source, target))
        return (
            f"CREATE MATERIALIZED VIEW IF NOT EXISTS {self._on_cluster(name)} TO {into} AS {select.format(source=rows)}"
        )

    def catch_up(self, table: str) -> str | None:
        return f"SYSTEM SYNC REPLICA ON CLUSTER '{self._cluster}' {self._database}.{self.stored(table)}"

    def _on_cluster(self, name: str) -> str:
        return f"{self._database}.{name} ON CLUSTER '{self._cluster}'"

    def _replicated(self, table: Table, shard: str) -> str:
        """`shard`: whose replicas of a table are one. Macros of the servers' configuration name them."""
        sharded = bool(table.sharding_key)
        name = self.stored(table.name) if sharded else table.name
        path = f"'/clickhouse/tables/{shard}/{self._database}/{name}'"
        replica = "'{replica}'" if sharded else "'{shard}-{replica}'"
        return _engine(f"Replicated{table.engine}", ", ".join(filter(None, (path, replica, table.engine_arguments))))


def _engine(name: str, arguments: str) -> str:
    return f"{name}({arguments})" if arguments else name


def _definition(table: Table, name: str, engine: str, settings: list[str]) -> str:
    listed = ", ".join([*settings, *filter(None, [table.settings])])
    return (
        f"CREATE TABLE IF NOT EXISTS {name} ({table.columns}) ENGINE = {engine} {table.clauses}"
        f"{f' SETTINGS {listed}' if listed else ''}"
    )
