"""The tables' definitions on one server and on a cluster: every statement is one that the engine can read."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from contract.store_places import StorePlace
from streamgauge.config import RetentionSettings, StoreSettings
from streamgauge.core.errors import ConfigError
from streamgauge.store.client import StoreClients
from streamgauge.store.grains import ADDITIVE, COARSE, EXTREMES, MINUTES
from streamgauge.store.layout import Cluster, Layout, OneServer, layout_of
from streamgauge.store.schema import (
    MIGRATIONS,
    VERSIONS_TABLE,
    promotion_statements,
    retention_days,
    retention_statement,
)

_GOLDEN = Path(__file__).parents[1] / "golden" / "schema"
_LAYOUTS = {"one_server": OneServer(), "cluster": Cluster("gauges", "streamgauge", 0)}
_ROLLUPS = tuple(grain.table(base) for base in (ADDITIVE, EXTREMES) for grain in (MINUTES, *COARSE))
_SHARDED = (*_ROLLUPS, "events", "dead_letter", "sessions", "duplicates")


def definitions(layout: Layout) -> list[str]:
    """All that a new store is given, and what Settings may change later."""
    retention = RetentionSettings()
    return [
        *layout.create(VERSIONS_TABLE),
        *chain.from_iterable(step.statements(retention, layout) for step in MIGRATIONS),
        *(retention_statement(layout, table, days) for table, days in retention_days(retention).items()),
        *chain.from_iterable(promotion_statements(layout, name) for name in StoreSettings().promoted_dimensions),
    ]


def read_by_the_engine(store: StorePlace, statement: str) -> str:
    """As the engine writes it down. Raises where it can't read it."""
    ((text,),) = store.admin.query("SELECT formatQuery({sql:String})", parameters={"sql": statement}).result_rows
    return str(text)


@pytest.mark.parametrize("name", list(_LAYOUTS))
def test_the_definitions_of_a_layout_are_those_that_are_written_down(store_place: StorePlace, name: str) -> None:
    """Stores that exist were made by these: if this fails, a released step was changed. Add one, with its text."""
    made = [f"{read_by_the_engine(store_place, statement)};\n" for statement in definitions(_LAYOUTS[name])]
    assert "\n".join(made) == (_GOLDEN / f"{name}.sql").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", [*_SHARDED, "metrics_rebuilt", "metrics_extremes_rebuilt"])
def test_what_a_replay_does_on_a_cluster_can_be_read(store_place: StorePlace, table: str) -> None:
    cluster = _LAYOUTS["cluster"]
    removed = read_by_the_engine(store_place, cluster.alter(table, "DELETE WHERE metric_name IN {m:Array(String)}"))
    assert removed.startswith(f"ALTER TABLE streamgauge.{table}_local ON CLUSTER gauges")
    caught_up = read_by_the_engine(store_place, cluster.catch_up(table) or "")
    assert caught_up == f"SYSTEM SYNC REPLICA ON CLUSTER gauges streamgauge.{table}_local"
    assert OneServer().catch_up(table) is None


@pytest.mark.parametrize("table", _SHARDED)
def test_what_is_asked_has_the_columns_of_what_is_stored(store: StorePlace, table: str) -> None:
    columns = (
        "SELECT name, type, default_kind, default_expression FROM system.columns "
        "WHERE database = currentDatabase() AND table = '{}' ORDER BY position"
    )
    asked = store.rows(columns.format(table))
    assert len(asked) >= 5
    assert asked == store.rows(columns.format(store.stored(table)))


def test_each_statement_of_a_cluster_names_its_database_and_every_host() -> None:
    filled_in = [one for one in definitions(_LAYOUTS["cluster"]) if one.strip().startswith("INSERT INTO")]
    assert len(filled_in) == 4  # rows go to the shards that writers would send them to
    for statement in definitions(_LAYOUTS["cluster"]):
        if statement in filled_in:
            continue
        assert " ON CLUSTER 'gauges'" in statement
        for name in ("metrics", "events", "sessions", "duplicates", "dead_letter"):
            assert f" {name}" not in statement.partition("(")[0].replace("IF NOT EXISTS ", "")


def test_rows_that_become_one_are_on_one_shard(store: StorePlace) -> None:
    """Each shard merges its own rows only, and answers of shards are put together without looking at versions."""
    key = _key_of("sessions")
    store.admin.command(f"CREATE TABLE shard_0 AS {store.stored('sessions')}")
    store.admin.command(f"CREATE TABLE shard_1 AS {store.stored('sessions')}")
    store.admin.command("CREATE TABLE shards AS shard_0 ENGINE = Merge(currentDatabase(), '^shard_[01]$')")
    columns = "user_id, is_anonymous, opened_at, started_at, ended_at, events, received_at, version, is_deleted"
    for version in (1, 2, 3):
        rows = (
            f"SELECT toString(number % 40) AS user_id, number % 2 = 1 AS is_anonymous, now64(3) AS received_at, "
            f"toDateTime64('2026-01-01 12:00:00', 3, 'UTC') + number AS opened_at, "
            f"opened_at - {version} AS started_at, opened_at + {version} AS ended_at, {version} AS events, "
            f"{version} AS version, toUInt8({version} = 3 AND number = 7) AS is_deleted FROM numbers(60)"
        )
        store.admin.command(f"INSERT INTO {store.stored('sessions')} ({columns}) SELECT {columns} FROM ({rows})")
        for shard in (0, 1):
            store.admin.command(
                f"INSERT INTO shard_{shard} ({columns}) SELECT {columns} FROM ({rows}) WHERE {key} % 2 = {shard}"
            )
    asked = "SELECT user_id, opened_at, events, version FROM {} FINAL ORDER BY ALL"
    whole = store.rows(asked.format(store.stored("sessions")))
    assert len(whole) == 59
    assert store.rows(asked.format("shards")) == whole
    assert all(count > 10 for (count,) in store.rows("SELECT count() FROM shards GROUP BY _table"))


def _key_of(table: str) -> str:
    """By which rows of a table go to shards."""
    wanted = f"CREATE TABLE IF NOT EXISTS streamgauge.{table} ON CLUSTER"
    (statement,) = [one for one in definitions(_LAYOUTS["cluster"]) if one.startswith(wanted)]
    return statement.partition(f"'{table}_local', ")[2].removesuffix(")")


@pytest.mark.parametrize("database", ["a-b", "1a", "a b", "a`b", "a'b", "ä"])
def test_a_database_whose_name_is_no_plain_one_can_not_have_a_cluster(database: str) -> None:
    assert isinstance(layout_of(StoreSettings(), database), OneServer)
    with pytest.raises(ConfigError, match="can't be in the database"):
        layout_of(StoreSettings(cluster="c"), database)


def test_an_embedded_store_is_no_cluster(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no cluster"):
        StoreClients(f"chdb:///{tmp_path}", StoreSettings(cluster="c"))


def test_a_cluster_is_written_to_and_asked_so_that_what_was_written_is_seen() -> None:
    settings = layout_of(StoreSettings(cluster="c"), "db").settings
    assert settings["distributed_foreground_insert"] == 1
    assert settings["insert_quorum"] == "auto"
    assert (settings["load_balancing"], settings["prefer_localhost_replica"]) == ("in_order", 0)
    assert layout_of(StoreSettings(cluster="c", insert_quorum=1), "db").settings["insert_quorum"] == 1
