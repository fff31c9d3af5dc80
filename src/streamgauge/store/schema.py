"""The tables, and the numbered steps that make them. A step that was released is never changed: add another.

Columns, keys and retention are here, whatever the layout; how a table is laid out on one server or on a cluster is in
`layout`. Times are UTC. Values come from Settings only as integers or as names that match `model._NAME`, so they can
stand in the text of a definition, which takes no parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from streamgauge.config import RetentionSettings
from streamgauge.store.grains import ADDITIVE, COARSE, EXTREMES, MINUTES, Grain, in_step, views
from streamgauge.store.layout import Layout, Table

_OF_A_PANE: Final = "cityHash64(metric_name, timestamp, mapKeys(dimensions), mapValues(dimensions))"
_OF_A_RECORD: Final = "cityHash64(log_partition, log_offset)"
"""By the place in the log, which no client chooses: one that sends the same id for ever fills all shards alike."""
_OF_A_USER: Final = "cityHash64(user_id, is_anonymous)"


class Migration(msgspec.Struct, frozen=True):
    version: int
    name: str
    statements: Callable[[RetentionSettings, Layout], tuple[str, ...]]


def _panes(grain: Grain) -> str:
    return f"PARTITION BY {grain.partition}(timestamp) ORDER BY (metric_name, timestamp, dimensions_hash)"


_WHOLE_PARTS: Final = "ttl_only_drop_parts = 1"


def _kept(partition: str, order: str, days: int) -> str:
    return f"PARTITION BY {partition} ORDER BY {order} TTL toDateTime(received_at) + toIntervalDay({int(days)})"


def _metrics(name: str = "metrics", grain: Grain = MINUTES) -> Table:
    # Additive rows: those of one (metric_name, timestamp, dimensions) are summed when parts are merged, so that
    # the panes of many micro-batches become one row. The map can't be in the key; its hash can.
    columns = """
        timestamp DateTime('UTC'),
        metric_name LowCardinality(String),
        value Float64,
        dimensions Map(LowCardinality(String), String),
        dimensions_hash UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
    """
    return Table(name, columns, "SummingMergeTree", _panes(grain), _OF_A_PANE, engine_arguments="value")


def _metrics_extremes(name: str = "metrics_extremes", grain: Grain = MINUTES) -> Table:
    # The same for measures that are not added: the least and the greatest of a window.
    columns = """
        timestamp DateTime('UTC'),
        metric_name LowCardinality(String),
        value_min SimpleAggregateFunction(min, Float64),
        value_max SimpleAggregateFunction(max, Float64),
        dimensions SimpleAggregateFunction(any, Map(String, String)),
        dimensions_hash UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
    """
    return Table(name, columns, "AggregatingMergeTree", _panes(grain), _OF_A_PANE)


def _events(retention: RetentionSettings) -> Table:
    # By day of receipt and in the order of the log: rows come already sorted, and an import of old events makes one
    # part, not one a day of theirs. Times of neighbours are close, so an index of their ranges skips nearly as well.
    columns = """
        event_id String,
        event LowCardinality(String),
        timestamp DateTime64(3, 'UTC'),
        received_at DateTime64(3, 'UTC'),
        user_id String,
        anonymous_id String,
        properties String,
        log_partition UInt16,
        log_offset UInt64,
        INDEX timestamp_range timestamp TYPE minmax GRANULARITY 1,
        INDEX received_at_range received_at TYPE minmax GRANULARITY 1
    """
    clauses = _kept("toYYYYMMDD(received_at)", "(log_partition, log_offset)", retention.events_days)
    return Table("events", columns, "MergeTree", clauses, _OF_A_RECORD, settings=_WHOLE_PARTS)


def _dead_letter(retention: RetentionSettings) -> Table:
    columns = """
        received_at DateTime64(3, 'UTC'),
        reason LowCardinality(String),
        message String,
        event_id String,
        original String CODEC(ZSTD(1)),
        log_partition UInt16,
        log_offset UInt64
    """
    clauses = _kept("toYYYYMMDD(received_at)", "(reason, received_at)", retention.dead_letter_days)
    return Table("dead_letter", columns, "MergeTree", clauses, _OF_A_RECORD, settings=_WHOLE_PARTS)


def _first(retention: RetentionSettings, layout: Layout) -> tuple[str, ...]:
    tables = _metrics(), _metrics_extremes(), _events(retention), _dead_letter(retention)
    return tuple(statement for table in tables for statement in layout.create(table))


def _sessions(retention: RetentionSettings) -> Table:
    # A session is written anew whenever an event joins it: the row of the greatest version is the one that counts, and
    # one that was merged into another is deleted. `opened_at` is the time of the event that it began with, and stays.
    columns = """
        user_id String,
        is_anonymous Bool,
        opened_at DateTime64(3, 'UTC'),
        started_at DateTime64(3, 'UTC'),
        ended_at DateTime64(3, 'UTC'),
        duration_s Float64 MATERIALIZED (toUnixTimestamp64Milli(ended_at) - toUnixTimestamp64Milli(started_at)) / 1000,
        events UInt32,
        page_views UInt32,
        entry_page String,
        exit_page String,
        country LowCardinality(String),
        device LowCardinality(String),
        bounced Bool MATERIALIZED events = 1,
        is_open Bool,
        received_at DateTime64(3, 'UTC'),
        version UInt64,
        is_deleted UInt8
    """
    clauses = _kept("toYYYYMMDD(opened_at)", "(user_id, is_anonymous, opened_at)", retention.sessions_days)
    return Table(
        "sessions",
        columns,
        "ReplacingMergeTree",
        clauses,
        _OF_A_USER,
        engine_arguments="version, is_deleted",
        settings=_WHOLE_PARTS,
    )


def _duplicates(retention: RetentionSettings) -> Table:
    columns = """
        received_at DateTime64(3, 'UTC'),
        event_id String,
        log_partition UInt16,
        log_offset UInt64
    """
    clauses = _kept("toYYYYMMDD(received_at)", "(event_id, received_at)", retention.events_days)
    return Table("duplicates", columns, "MergeTree", clauses, _OF_A_RECORD, settings=_WHOLE_PARTS)


def _second(retention: RetentionSettings, layout: Layout) -> tuple[str, ...]:
    bloom = "ADD INDEX IF NOT EXISTS event_id_bloom event_id TYPE bloom_filter(0.01) GRANULARITY 1"
    return (
        *layout.create(_sessions(retention)),
        *layout.create(_duplicates(retention)),
        # What a replay has counted so far.
        *layout.create(_metrics("metrics_rebuilt")),
        *layout.create(_metrics_extremes("metrics_extremes_rebuilt")),
        # What the user's profile added, one JSON object; empty where it added nothing.
        *layout.add_column("events", "enriched String"),
        layout.alter("events", bloom),
        layout.alter("dead_letter", bloom),
    )


def _third(_: RetentionSettings, layout: Layout) -> tuple[str, ...]:
    # Rows of events come sorted and are never combined: merges only make fewer parts of them. With twice as many parts
    # as by default, a merged row is written less often: about 1 µs of CPU an event under load.
    return (layout.alter("events", "MODIFY SETTING merge_selector_base = 10"),)


def _fourth(_: RetentionSettings, layout: Layout) -> tuple[str, ...]:
    # Two users may have the same event id: whose was repeated?
    return tuple(statement for name in _USER for statement in layout.add_column("duplicates", f"{name} String"))


_USER: Final = ("user_id", "anonymous_id")


def _fifth(_: RetentionSettings, layout: Layout) -> tuple[str, ...]:
    tables = [
        *(_metrics(grain.table(ADDITIVE), grain) for grain in COARSE),
        *(_metrics_extremes(grain.table(EXTREMES), grain) for grain in COARSE),
    ]
    return (
        *(statement for table in tables for statement in layout.create(table)),
        *views(layout),
        # Rows from before the views: all that any replica has.
        *filter(None, map(layout.catch_up, (ADDITIVE, EXTREMES))),
        *(in_step(base, grain) for base in (ADDITIVE, EXTREMES) for grain in COARSE),
    )


def _sixth(_: RetentionSettings, layout: Layout) -> tuple[str, ...]:
    # `user_id` is the visitor's: the anonymous id where `is_anonymous`. This is the user that a visitor is known to be.
    return layout.add_column("sessions", "identified_user_id String")


MIGRATIONS: Final = (
    Migration(1, "metrics, extremes, raw events, dead letter", _first),
    Migration(2, "sessions, duplicates, profiles of events, looking up event ids", _second),
    Migration(3, "fewer merges of raw events", _third),
    Migration(4, "users of duplicates", _fourth),
    Migration(5, "rollups by the hour and by the day", _fifth),
    Migration(6, "users of sessions that began anonymously", _sixth),
)

VERSIONS_TABLE: Final = Table(
    "schema_versions",
    "version UInt32, name String, applied_at DateTime('UTC') DEFAULT now()",
    "MergeTree",
    "ORDER BY version",
)


def retention_days(retention: RetentionSettings) -> dict[str, int]:
    """Days that rows are kept, of each table where that can be chosen."""
    return {
        "events": retention.events_days,
        "duplicates": retention.events_days,
        "dead_letter": retention.dead_letter_days,
        "sessions": retention.sessions_days,
    }


def retention_statement(layout: Layout, table: str, days: int) -> str:
    return layout.alter(table, f"MODIFY TTL toDateTime(received_at) + toIntervalDay({int(days)})")


def promotion_statements(layout: Layout, dimension: str) -> tuple[str, ...]:
    """A column for this dimension, computed from the map; old parts compute it when read."""
    column = f"{promoted_column(dimension)} LowCardinality(String) MATERIALIZED dimensions['{dimension}']"
    return tuple(statement for table in PROMOTED_TABLES for statement in layout.add_column(table, column))


PROMOTED_TABLES: Final = tuple(grain.table(ADDITIVE) for grain in (MINUTES, *COARSE))
"""That have columns for promoted dimensions."""


def promoted_column(dimension: str) -> str:
    """The prefix keeps a dimension called `value` or `timestamp` apart from the table's own columns."""
    return f"d_{dimension}"
