CREATE TABLE IF NOT EXISTS schema_versions
(
    `version` UInt32,
    `name` String,
    `applied_at` DateTime('UTC') DEFAULT now()
)
ENGINE = MergeTree
ORDER BY version;

CREATE TABLE IF NOT EXISTS metrics
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value` Float64,
    `dimensions` Map(LowCardinality(String), String),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = SummingMergeTree(value)
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 50000;

CREATE TABLE IF NOT EXISTS metrics_extremes
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value_min` SimpleAggregateFunction(min, Float64),
    `value_max` SimpleAggregateFunction(max, Float64),
    `dimensions` SimpleAggregateFunction(any, Map(String, String)),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 50000;

CREATE TABLE IF NOT EXISTS events
(
    `event_id` String,
    `event` LowCardinality(String),
    `timestamp` DateTime64(3, 'UTC'),
    `received_at` DateTime64(3, 'UTC'),
    `user_id` String,
    `anonymous_id` String,
    `properties` String,
    `log_partition` UInt16,
    `log_offset` UInt64,
    INDEX timestamp_range timestamp TYPE minmax GRANULARITY 1,
    INDEX received_at_range received_at TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(received_at)
ORDER BY (log_partition, log_offset)
TTL toDateTime(received_at) + toIntervalDay(7)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 50000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS dead_letter
(
    `received_at` DateTime64(3, 'UTC'),
    `reason` LowCardinality(String),
    `message` String,
    `event_id` String,
    `original` String CODEC(ZSTD(1)),
    `log_partition` UInt16,
    `log_offset` UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(received_at)
ORDER BY (reason, received_at)
TTL toDateTime(received_at) + toIntervalDay(30)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 50000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS sessions
(
    `user_id` String,
    `is_anonymous` Bool,
    `opened_at` DateTime64(3, 'UTC'),
    `started_at` DateTime64(3, 'UTC'),
    `ended_at` DateTime64(3, 'UTC'),
    `duration_s` Float64 MATERIALIZED (toUnixTimestamp64Milli(ended_at) - toUnixTimestamp64Milli(started_at)) / 1000,
    `events` UInt32,
    `page_views` UInt32,
    `entry_page` String,
    `exit_page` String,
    `country` LowCardinality(String),
    `device` LowCardinality(String),
    `bounced` Bool MATERIALIZED events = 1,
    `is_open` Bool,
    `received_at` DateTime64(3, 'UTC'),
    `version` UInt64,
    `is_deleted` UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMMDD(opened_at)
ORDER BY (user_id, is_anonymous, opened_at)
TTL toDateTime(received_at) + toIntervalDay(90)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 50000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS duplicates
(
    `received_at` DateTime64(3, 'UTC'),
    `event_id` String,
    `log_partition` UInt16,
    `log_offset` UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(received_at)
ORDER BY (event_id, received_at)
TTL toDateTime(received_at) + toIntervalDay(7)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 50000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS metrics_rebuilt
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value` Float64,
    `dimensions` Map(LowCardinality(String), String),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = SummingMergeTree(value)
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 50000;

CREATE TABLE IF NOT EXISTS metrics_extremes_rebuilt
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value_min` SimpleAggregateFunction(min, Float64),
    `value_max` SimpleAggregateFunction(max, Float64),
    `dimensions` SimpleAggregateFunction(any, Map(String, String)),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 50000;

ALTER TABLE events
    (ADD COLUMN IF NOT EXISTS `enriched` String);

ALTER TABLE events
    (ADD INDEX IF NOT EXISTS event_id_bloom event_id TYPE bloom_filter(0.01) GRANULARITY 1);

ALTER TABLE dead_letter
    (ADD INDEX IF NOT EXISTS event_id_bloom event_id TYPE bloom_filter(0.01) GRANULARITY 1);

ALTER TABLE events
    (MODIFY SETTING merge_selector_base = 10);

ALTER TABLE duplicates
    (ADD COLUMN IF NOT EXISTS `user_id` String);

ALTER TABLE duplicates
    (ADD COLUMN IF NOT EXISTS `anonymous_id` String);

CREATE TABLE IF NOT EXISTS metrics_hours
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value` Float64,
    `dimensions` Map(LowCardinality(String), String),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = SummingMergeTree(value)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 50000;

CREATE TABLE IF NOT EXISTS metrics_days
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value` Float64,
    `dimensions` Map(LowCardinality(String), String),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = SummingMergeTree(value)
PARTITION BY toYear(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 50000;

CREATE TABLE IF NOT EXISTS metrics_extremes_hours
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value_min` SimpleAggregateFunction(min, Float64),
    `value_max` SimpleAggregateFunction(max, Float64),
    `dimensions` SimpleAggregateFunction(any, Map(String, String)),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 50000;

CREATE TABLE IF NOT EXISTS metrics_extremes_days
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value_min` SimpleAggregateFunction(min, Float64),
    `value_max` SimpleAggregateFunction(max, Float64),
    `dimensions` SimpleAggregateFunction(any, Map(String, String)),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 50000;

CREATE MATERIALIZED VIEW IF NOT EXISTS metrics_hours_view TO metrics_hours
AS SELECT
    toDateTime(intDiv(toUnixTimestamp(timestamp), 3600) * 3600, 'UTC') AS timestamp,
    metric_name,
    sum(value) AS value,
    dimensions
FROM metrics
GROUP BY
    timestamp,
    metric_name,
    dimensions;

CREATE MATERIALIZED VIEW IF NOT EXISTS metrics_days_view TO metrics_days
AS SELECT
    toDateTime(intDiv(toUnixTimestamp(timestamp), 86400) * 86400, 'UTC') AS timestamp,
    metric_name,
    sum(value) AS value,
    dimensions
FROM metrics
GROUP BY
    timestamp,
    metric_name,
    dimensions;

CREATE MATERIALIZED VIEW IF NOT EXISTS metrics_extremes_hours_view TO metrics_extremes_hours
AS SELECT
    toDateTime(intDiv(toUnixTimestamp(timestamp), 3600) * 3600, 'UTC') AS timestamp,
    metric_name,
    min(value_min) AS value_min,
    max(value_max) AS value_max,
    dimensions
FROM metrics_extremes
GROUP BY
    timestamp,
    metric_name,
    dimensions;

CREATE MATERIALIZED VIEW IF NOT EXISTS metrics_extremes_days_view TO metrics_extremes_days
AS SELECT
    toDateTime(intDiv(toUnixTimestamp(timestamp), 86400) * 86400, 'UTC') AS timestamp,
    metric_name,
    min(value_min) AS value_min,
    max(value_max) AS value_max,
    dimensions
FROM metrics_extremes
GROUP BY
    timestamp,
    metric_name,
    dimensions;

INSERT INTO metrics_hours (timestamp, metric_name, value, dimensions)
SETTINGS max_bytes_before_external_group_by = 1073741824, max_partitions_per_insert_block = 0
SELECT
    timestamp,
    metric_name,
    sum(change) AS value,
    any(found)
FROM
(
    SELECT
        toDateTime(intDiv(toUnixTimestamp(minute), 3600) * 3600, 'UTC') AS timestamp,
        metric_name,
        value AS change,
        dimensions AS found,
        dimensions_hash
    FROM
    (
        SELECT
            timestamp AS minute,
            metric_name,
            value,
            dimensions,
            dimensions_hash
        FROM metrics
        WHERE true
    )
    UNION ALL
    SELECT
        timestamp,
        metric_name,
        -value AS change,
        dimensions AS found,
        dimensions_hash
    FROM metrics_hours
    WHERE true
)
GROUP BY
    timestamp,
    metric_name,
    dimensions_hash
HAVING abs(value) > (1e-12 * sum(abs(change)))
SETTINGS max_bytes_before_external_group_by = 1073741824, max_partitions_per_insert_block = 0;

INSERT INTO metrics_days (timestamp, metric_name, value, dimensions)
SETTINGS max_bytes_before_external_group_by = 1073741824, max_partitions_per_insert_block = 0
SELECT
    timestamp,
    metric_name,
    sum(change) AS value,
    any(found)
FROM
(
    SELECT
        toDateTime(intDiv(toUnixTimestamp(minute), 86400) * 86400, 'UTC') AS timestamp,
        metric_name,
        value AS change,
        dimensions AS found,
        dimensions_hash
    FROM
    (
        SELECT
            timestamp AS minute,
            metric_name,
            value,
            dimensions,
            dimensions_hash
        FROM metrics
        WHERE true
    )
    UNION ALL
    SELECT
        timestamp,
        metric_name,
        -value AS change,
        dimensions AS found,
        dimensions_hash
    FROM metrics_days
    WHERE true
)
GROUP BY
    timestamp,
    metric_name,
    dimensions_hash
HAVING abs(value) > (1e-12 * sum(abs(change)))
SETTINGS max_bytes_before_external_group_by = 1073741824, max_partitions_per_insert_block = 0;

INSERT INTO metrics_extremes_hours (timestamp, metric_name, value_min, value_max, dimensions)
SETTINGS max_bytes_before_external_group_by = 1073741824, max_partitions_per_insert_block = 0
SELECT
    toDateTime(intDiv(toUnixTimestamp(timestamp), 3600) * 3600, 'UTC') AS start,
    metric_name,
    min(value_min),
    max(value_max),
    any(dimensions)
FROM metrics_extremes
WHERE true
GROUP BY
    start,
    metric_name,
    dimensions_hash
SETTINGS max_bytes_before_external_group_by = 1073741824, max_partitions_per_insert_block = 0;

INSERT INTO metrics_extremes_days (timestamp, metric_name, value_min, value_max, dimensions)
SETTINGS max_bytes_before_external_group_by = 1073741824, max_partitions_per_insert_block = 0
SELECT
    toDateTime(intDiv(toUnixTimestamp(timestamp), 86400) * 86400, 'UTC') AS start,
    metric_name,
    min(value_min),
    max(value_max),
    any(dimensions)
FROM metrics_extremes
WHERE true
GROUP BY
    start,
    metric_name,
    dimensions_hash
SETTINGS max_bytes_before_external_group_by = 1073741824, max_partitions_per_insert_block = 0;

ALTER TABLE sessions
    (ADD COLUMN IF NOT EXISTS `identified_user_id` String);

ALTER TABLE events
    (MODIFY TTL toDateTime(received_at) + toIntervalDay(7));

ALTER TABLE duplicates
    (MODIFY TTL toDateTime(received_at) + toIntervalDay(7));

ALTER TABLE dead_letter
    (MODIFY TTL toDateTime(received_at) + toIntervalDay(30));

ALTER TABLE sessions
    (MODIFY TTL toDateTime(received_at) + toIntervalDay(90));

ALTER TABLE metrics
    (ADD COLUMN IF NOT EXISTS `d_event` LowCardinality(String) MATERIALIZED dimensions['event']);

ALTER TABLE metrics_hours
    (ADD COLUMN IF NOT EXISTS `d_event` LowCardinality(String) MATERIALIZED dimensions['event']);

ALTER TABLE metrics_days
    (ADD COLUMN IF NOT EXISTS `d_event` LowCardinality(String) MATERIALIZED dimensions['event']);

ALTER TABLE metrics
    (ADD COLUMN IF NOT EXISTS `d_country` LowCardinality(String) MATERIALIZED dimensions['country']);

ALTER TABLE metrics_hours
    (ADD COLUMN IF NOT EXISTS `d_country` LowCardinality(String) MATERIALIZED dimensions['country']);

ALTER TABLE metrics_days
    (ADD COLUMN IF NOT EXISTS `d_country` LowCardinality(String) MATERIALIZED dimensions['country']);

ALTER TABLE metrics
    (ADD COLUMN IF NOT EXISTS `d_device` LowCardinality(String) MATERIALIZED dimensions['device']);

ALTER TABLE metrics_hours
    (ADD COLUMN IF NOT EXISTS `d_device` LowCardinality(String) MATERIALIZED dimensions['device']);

ALTER TABLE metrics_days
    (ADD COLUMN IF NOT EXISTS `d_device` LowCardinality(String) MATERIALIZED dimensions['device']);

ALTER TABLE metrics
    (ADD COLUMN IF NOT EXISTS `d_page` LowCardinality(String) MATERIALIZED dimensions['page']);

ALTER TABLE metrics_hours
    (ADD COLUMN IF NOT EXISTS `d_page` LowCardinality(String) MATERIALIZED dimensions['page']);

ALTER TABLE metrics_days
    (ADD COLUMN IF NOT EXISTS `d_page` LowCardinality(String) MATERIALIZED dimensions['page']);

ALTER TABLE metrics
    (ADD COLUMN IF NOT EXISTS `d_status` LowCardinality(String) MATERIALIZED dimensions['status']);

ALTER TABLE metrics_hours
    (ADD COLUMN IF NOT EXISTS `d_status` LowCardinality(String) MATERIALIZED dimensions['status']);

ALTER TABLE metrics_days
    (ADD COLUMN IF NOT EXISTS `d_status` LowCardinality(String) MATERIALIZED dimensions['status']);

ALTER TABLE metrics
    (ADD COLUMN IF NOT EXISTS `d_method` LowCardinality(String) MATERIALIZED dimensions['method']);

ALTER TABLE metrics_hours
    (ADD COLUMN IF NOT EXISTS `d_method` LowCardinality(String) MATERIALIZED dimensions['method']);

ALTER TABLE metrics_days
    (ADD COLUMN IF NOT EXISTS `d_method` LowCardinality(String) MATERIALIZED dimensions['method']);
