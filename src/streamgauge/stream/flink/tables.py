"""What the job reads and writes, as tables of Flink SQL: the log, the clock, profiles, and the topics of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from streamgauge.stream.flink.dialect import interval, name, options, text
from streamgauge.stream.spec import PipelineSpec

GROUP: Final = "stream"
"""The consumer group in whose name Flink commits how far it is, for Kafka's tools and for lag."""

TICK: Final = "tick"
"""The event of a row that only says what time it is. No event of a log has this place: its id is null."""


class KafkaPlace(msgspec.Struct, frozen=True):
    """Where the log is, and the topics of rows beside it. `properties`: of Kafka's Java client."""

    topic: str
    properties: Mapping[str, str]


class ProfilePlace(msgspec.Struct, frozen=True):
    """A table of PostgreSQL, its columns texts. `url`: `jdbc:postgresql://…`."""

    url: str
    table: str
    user: str
    password: str
    cache_ms: int
    cache_rows_max: int = 1_000_000


SINKS: Final[Mapping[str, str]] = {
    "metrics": "`timestamp` BIGINT, metric_name STRING, `value` DOUBLE, dimensions MAP<STRING, STRING>",
    "metrics_extremes": (
        "`timestamp` BIGINT, metric_name STRING, value_min DOUBLE, value_max DOUBLE, dimensions MAP<STRING, STRING>"
    ),
    "sessions": (
        "user_id STRING, is_anonymous BOOLEAN, opened_at BIGINT, started_at BIGINT, ended_at BIGINT, events BIGINT, "
        "page_views BIGINT, entry_page STRING, exit_page STRING, country STRING, device STRING, is_open BOOLEAN, "
        "received_at BIGINT, version BIGINT, is_deleted INT, identified_user_id STRING"
    ),
    "events": (
        "event_id STRING, event STRING, `timestamp` BIGINT, received_at BIGINT, user_id STRING, anonymous_id STRING, "
        "properties STRING, log_partition INT, log_offset BIGINT, enriched STRING"
    ),
    "duplicates": (
        "received_at BIGINT, event_id STRING, log_partition INT, log_offset BIGINT, user_id STRING, anonymous_id STRING"
    ),
    "dead_letter": (
        "received_at BIGINT, reason STRING, message STRING, event_id STRING, original STRING, log_partition INT, "
        "log_offset BIGINT"
    ),
}
"""The columns of the store's tables as they stand in topics: times in ms since 1970, of metrics in s."""

PROGRESS: Final = "complete_up_to_ms BIGINT"


def source_of_log(kafka: KafkaPlace, spec: PipelineSpec, group: str = GROUP, *, is_bounded: bool = False) -> str:
    """The log, a line a record. Time is when the record was written; the watermark follows the events' own time."""
    connector = {
        "connector": "kafka",
        "topic": kafka.topic,
        **_client(kafka),
        "properties.group.id": group,
        "properties.isolation.level": "read_committed",
        "scan.startup.mode": "earliest-offset",
        "format": "raw",
    }
    if is_bounded:
        connector["scan.bounded.mode"] = "latest-offset"
    return f"""CREATE TEMPORARY TABLE log (
  record BYTES,
  written TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  log_partition INT METADATA FROM 'partition' VIRTUAL,
  log_offset BIGINT METADATA FROM 'offset' VIRTUAL,
  WATERMARK FOR written AS
    TO_TIMESTAMP_LTZ(event_clock_ms(record, epoch_ms(written)), 3) - {interval(spec.watermark_delay_ms)}
) WITH {options(connector)}"""


def source_of_time(spec: PipelineSpec) -> str:
    """Once a second the time: while no event comes, the watermark follows the clock."""
    connector = {"connector": "datagen", "rows-per-second": "1", "scan.parallelism": "1"}
    return f"""CREATE TEMPORARY TABLE clock (
  number BIGINT,
  ticked AS CURRENT_TIMESTAMP,
  WATERMARK FOR ticked AS ticked - {interval(spec.watermark_delay_ms)}
) WITH {options(connector)}"""


def source_of_profiles(place: ProfilePlace, spec: PipelineSpec) -> str:
    connector = {
        "connector": "jdbc",
        "url": place.url,
        "table-name": place.table,
        "username": place.user,
        "password": place.password,
        "lookup.cache": "PARTIAL",
        "lookup.partial-cache.max-rows": str(place.cache_rows_max),
        "lookup.partial-cache.expire-after-write": f"{place.cache_ms} ms",
        "lookup.partial-cache.cache-missing-key": "true",
    }
    columns = ", ".join(f"{name(column)} STRING" for column in ("user_id", *spec.profile_columns))
    return f"CREATE TEMPORARY TABLE profiles ({columns}) WITH {options(connector)}"


def sink(kafka: KafkaPlace, table: str, columns: str, transaction_ms: int) -> str:
    """A topic of rows, each in it exactly once for who reads what is committed."""
    connector = {
        "connector": "kafka",
        "topic": f"{kafka.topic}.{table}",
        **_client(kafka),
        "properties.compression.type": "zstd",
        "properties.linger.ms": "20",
        "properties.transaction.timeout.ms": str(transaction_ms),
        "format": "json",
        "json.encode.decimal-as-plain-number": "true",
        "sink.delivery-guarantee": "exactly-once",
        "sink.transactional-id-prefix": f"{kafka.topic}-{table}",
    }
    return f"CREATE TEMPORARY TABLE {sink_name(table)} ({columns}) WITH {options(connector)}"


def sink_name(table: str) -> str:
    return f"rows_of_{table}"


def _client(kafka: KafkaPlace) -> dict[str, str]:
    return {f"properties.{key}": value for key, value in kafka.properties.items()}


def masked(statement: str, secrets: Iterable[str]) -> str:
    """The statement as it may be shown."""
    for secret in secrets:
        if secret:
            statement = statement.replace(text(secret), "'***'")
    return statement
