"""The tables, and the numbered steps that make them. A step that was released is never changed: add another.

Times are UTC. Values come from Settings only as integers or as names that match `model._NAME`, so they can stand in
the text of a definition, which takes no parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from streamgauge.config import RetentionSettings

_DURABLE: Final = "fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 50000"
"""An insert is on disk when it returns, and an insert with the token of one before it is not made again. A token takes
one place of the window for each partition it touches: an import may touch each of the 47,482 days from 1970 to 2099."""


class Migration(msgspec.Struct, frozen=True):
    version: int
    name: str
    statements: Callable[[RetentionSettings], tuple[str, ...]]


def _metrics(name: str = "metrics") -> str:
    # Additive rows: those of one (metric_name, timestamp, dimensions) are summed when parts are merged, so that
    # the panes of many micro-batches become one row. The map can't be in the key; its hash can.
    return f"""
    CREATE TABLE IF NOT EXISTS {name} (
        timestamp DateTime('UTC'),
        metric_name LowCardinality(String),
        value Float64,
        dimensions Map(LowCardinality(String), String),
        dimensions_hash UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
    )
    ENGINE = SummingMergeTree(value)
    PARTITION BY toYYYYMMDD(timestamp)
    ORDER BY (metric_name, timestamp, dimensions_hash)
    SETTINGS {_DURABLE}
    """


def _metrics_extremes(name: str = "metrics_extremes") -> str:
    # The same for measures that are not added: the least and the greatest of a window.
    return f"""
    CREATE TABLE IF NOT EXISTS {name} (
        timestamp DateTime('UTC'),
        metric_name LowCardinality(String),
        value_min SimpleAggregateFunction(min, Float64),
        value_max SimpleAggregateFunction(max, Float64),
        dimensions SimpleAggregateFunction(any, Map(String, String)),
        dimensions_hash UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
    )
    ENGINE = AggregatingMergeTree
    PARTITION BY toYYYYMMDD(timestamp)
    ORDER BY (metric_name, timestamp, dimensions_hash)
    SETTINGS {_DURABLE}
    """


def _events(retention: RetentionSettings) -> str:
    # By day of receipt and in the order of the log: rows come already sorted, and an import of old events makes one
    # part, not one a day of theirs. Times of neighbours are close, so an index of their ranges skips nearly as well.
    return f"""
    CREATE TABLE IF NOT EXISTS events (
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
    )
    ENGINE = MergeTree
    PARTITION BY toYYYYMMDD(received_at)
    ORDER BY (log_partition, log_offset)
    TTL toDateTime(received_at) + toIntervalDay({int(retention.events_days)})
    SETTINGS {_DURABLE}, ttl_only_drop_parts = 1
    """


def _dead_letter(retention: RetentionSettings) -> str:
    return f"""
    CREATE TABLE IF NOT EXISTS dead_letter (
        received_at DateTime64(3, 'UTC'),
        reason LowCardinality(String),
        message String,
        event_id String,
        original String CODEC(ZSTD(1)),
        log_partition UInt16,
        log_offset UInt64
    )
    ENGINE = MergeTree
    PARTITION BY toYYYYMMDD(received_at)
    ORDER BY (reason, received_at)
    TTL toDateTime(received_at) + toIntervalDay({int(retention.dead_letter_days)})
    SETTINGS {_DURABLE}, ttl_only_drop_parts = 1
    """


def _first(retention: RetentionSettings) -> tuple[str, ...]:
    return _metrics(), _metrics_extremes(), _events(retention), _dead_letter(retention)


def _sessions(retention: RetentionSettings) -> str:
    # A session is written anew whenever an event joins it: the row of the greatest version is the one that counts, and
    # one that was merged into another is deleted. `opened_at` is the time of the event that it began with, and stays.
    return f"""
    CREATE TABLE IF NOT EXISTS sessions (
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
    )
    ENGINE = ReplacingMergeTree(version, is_deleted)
    PARTITION BY toYYYYMMDD(opened_at)
    ORDER BY (user_id, is_anonymous, opened_at)
    TTL toDateTime(received_at) + toIntervalDay({int(retention.sessions_days)})
    SETTINGS {_DURABLE}, ttl_only_drop_parts = 1
    """


def _duplicates(retention: RetentionSettings) -> str:
    return f"""
    CREATE TABLE IF NOT EXISTS duplicates (
        received_at DateTime64(3, 'UTC'),
        event_id String,
        log_partition UInt16,
        log_offset UInt64
    )
    ENGINE = MergeTree
    PARTITION BY toYYYYMMDD(received_at)
    ORDER BY (event_id, received_at)
    TTL toDateTime(received_at) + toIntervalDay({int(retention.events_days)})
    SETTINGS {_DURABLE}, ttl_only_drop_parts = 1
    """


def _second(retention: RetentionSettings) -> tuple[str, ...]:
    return (
        _sessions(retention),
        _duplicates(retention),
        # What a replay has counted so far.
        _metrics("metrics_rebuilt"),
        _metrics_extremes("metrics_extremes_rebuilt"),
        # What the user's profile added, one JSON object; empty where it added nothing.
        "ALTER TABLE events ADD COLUMN IF NOT EXISTS enriched String",
        "ALTER TABLE events ADD INDEX IF NOT EXISTS event_id_bloom event_id TYPE bloom_filter(0.01) GRANULARITY 1",
        "ALTER TABLE dead_letter ADD INDEX IF NOT EXISTS event_id_bloom event_id TYPE bloom_filter(0.01) GRANULARITY 1",
    )


def _third(_: RetentionSettings) -> tuple[str, ...]:
    # Rows of events come sorted and are never combined: merges only make fewer parts of them. With twice as many parts
    # as by default, a merged row is written less often: about 1 µs of CPU an event under load.
    return ("ALTER TABLE events MODIFY SETTING merge_selector_base = 10",)


def _fourth(_: RetentionSettings) -> tuple[str, ...]:
    # Two users may have the same event id: whose was repeated?
    return tuple(f"ALTER TABLE duplicates ADD COLUMN IF NOT EXISTS {name} String" for name in _USER)


_USER: Final = ("user_id", "anonymous_id")

MIGRATIONS: Final = (
    Migration(1, "metrics, extremes, raw events, dead letter", _first),
    Migration(2, "sessions, duplicates, profiles of events, looking up event ids", _second),
    Migration(3, "fewer merges of raw events", _third),
    Migration(4, "users of duplicates", _fourth),
)

VERSIONS_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS schema_versions (version UInt32, name String, applied_at DateTime('UTC') DEFAULT now())
    ENGINE = MergeTree ORDER BY version
"""


def retention_days(retention: RetentionSettings) -> dict[str, int]:
    """Days that rows are kept, of each table where that can be chosen."""
    return {
        "events": retention.events_days,
        "duplicates": retention.events_days,
        "dead_letter": retention.dead_letter_days,
        "sessions": retention.sessions_days,
    }


def retention_statement(table: str, days: int) -> str:
    return f"ALTER TABLE {table} MODIFY TTL toDateTime(received_at) + toIntervalDay({int(days)})"


def promotion_statement(dimension: str) -> str:
    """A column of `metrics` for this dimension, computed from the map; old parts compute it when read."""
    return (
        f"ALTER TABLE metrics ADD COLUMN IF NOT EXISTS {promoted_column(dimension)} "
        f"LowCardinality(String) MATERIALIZED dimensions['{dimension}']"
    )


def promoted_column(dimension: str) -> str:
    """The prefix keeps a dimension called `value` or `timestamp` apart from the table's own columns."""
    return f"d_{dimension}"
