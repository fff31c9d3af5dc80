CREATE TABLE IF NOT EXISTS streamgauge.schema_versions ON CLUSTER gauges
(
    `version` UInt32,
    `name` String,
    `applied_at` DateTime('UTC') DEFAULT now()
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/streamgauge/schema_versions', '{shard}-{replica}')
ORDER BY version;

CREATE TABLE IF NOT EXISTS streamgauge.metrics_local ON CLUSTER gauges
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value` Float64,
    `dimensions` Map(LowCardinality(String), String),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{shard}/streamgauge/metrics_local', '{replica}', value)
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, replicated_deduplication_window = 50000, replicated_deduplication_window_seconds = 2592000;

CREATE TABLE IF NOT EXISTS streamgauge.metrics ON CLUSTER gauges AS streamgauge.metrics_local
ENGINE = Distributed('gauges', 'streamgauge', 'metrics_local', cityHash64(metric_name, timestamp, mapKeys(dimensions), mapValues(dimensions)));

CREATE TABLE IF NOT EXISTS streamgauge.metrics_extremes_local ON CLUSTER gauges
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value_min` SimpleAggregateFunction(min, Float64),
    `value_max` SimpleAggregateFunction(max, Float64),
    `dimensions` SimpleAggregateFunction(any, Map(String, String)),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/streamgauge/metrics_extremes_local', '{replica}')
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, replicated_deduplication_window = 50000, replicated_deduplication_window_seconds = 2592000;

CREATE TABLE IF NOT EXISTS streamgauge.metrics_extremes ON CLUSTER gauges AS streamgauge.metrics_extremes_local
ENGINE = Distributed('gauges', 'streamgauge', 'metrics_extremes_local', cityHash64(metric_name, timestamp, mapKeys(dimensions), mapValues(dimensions)));

CREATE TABLE IF NOT EXISTS streamgauge.events_local ON CLUSTER gauges
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
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/streamgauge/events_local', '{replica}')
PARTITION BY toYYYYMMDD(received_at)
ORDER BY (log_partition, log_offset)
TTL toDateTime(received_at) + toIntervalDay(7)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, replicated_deduplication_window = 50000, replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS streamgauge.events ON CLUSTER gauges AS streamgauge.events_local
ENGINE = Distributed('gauges', 'streamgauge', 'events_local', cityHash64(log_partition, log_offset));

CREATE TABLE IF NOT EXISTS streamgauge.dead_letter_local ON CLUSTER gauges
(
    `received_at` DateTime64(3, 'UTC'),
    `reason` LowCardinality(String),
    `message` String,
    `event_id` String,
    `original` String CODEC(ZSTD(1)),
    `log_partition` UInt16,
    `log_offset` UInt64
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/streamgauge/dead_letter_local', '{replica}')
PARTITION BY toYYYYMMDD(received_at)
ORDER BY (reason, received_at)
TTL toDateTime(received_at) + toIntervalDay(30)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, replicated_deduplication_window = 50000, replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS streamgauge.dead_letter ON CLUSTER gauges AS streamgauge.dead_letter_local
ENGINE = Distributed('gauges', 'streamgauge', 'dead_letter_local', cityHash64(log_partition, log_offset));

CREATE TABLE IF NOT EXISTS streamgauge.sessions_local ON CLUSTER gauges
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/streamgauge/sessions_local', '{replica}', version, is_deleted)
PARTITION BY toYYYYMMDD(opened_at)
ORDER BY (user_id, is_anonymous, opened_at)
TTL toDateTime(received_at) + toIntervalDay(90)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, replicated_deduplication_window = 50000, replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS streamgauge.sessions ON CLUSTER gauges AS streamgauge.sessions_local
ENGINE = Distributed('gauges', 'streamgauge', 'sessions_local', cityHash64(user_id, is_anonymous));

CREATE TABLE IF NOT EXISTS streamgauge.duplicates_local ON CLUSTER gauges
(
    `received_at` DateTime64(3, 'UTC'),
    `event_id` String,
    `log_partition` UInt16,
    `log_offset` UInt64
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/streamgauge/duplicates_local', '{replica}')
PARTITION BY toYYYYMMDD(received_at)
ORDER BY (event_id, received_at)
TTL toDateTime(received_at) + toIntervalDay(7)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, replicated_deduplication_window = 50000, replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS streamgauge.duplicates ON CLUSTER gauges AS streamgauge.duplicates_local
ENGINE = Distributed('gauges', 'streamgauge', 'duplicates_local', cityHash64(log_partition, log_offset));

CREATE TABLE IF NOT EXISTS streamgauge.metrics_rebuilt_local ON CLUSTER gauges
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value` Float64,
    `dimensions` Map(LowCardinality(String), String),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{shard}/streamgauge/metrics_rebuilt_local', '{replica}', value)
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, replicated_deduplication_window = 50000, replicated_deduplication_window_seconds = 2592000;

CREATE TABLE IF NOT EXISTS streamgauge.metrics_rebuilt ON CLUSTER gauges AS streamgauge.metrics_rebuilt_local
ENGINE = Distributed('gauges', 'streamgauge', 'metrics_rebuilt_local', cityHash64(metric_name, timestamp, mapKeys(dimensions), mapValues(dimensions)));

CREATE TABLE IF NOT EXISTS streamgauge.metrics_extremes_rebuilt_local ON CLUSTER gauges
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value_min` SimpleAggregateFunction(min, Float64),
    `value_max` SimpleAggregateFunction(max, Float64),
    `dimensions` SimpleAggregateFunction(any, Map(String, String)),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/streamgauge/metrics_extremes_rebuilt_local', '{replica}')
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, replicated_deduplication_window = 50000, replicated_deduplication_window_seconds = 2592000;

CREATE TABLE IF NOT EXISTS streamgauge.metrics_extremes_rebuilt ON CLUSTER gauges AS streamgauge.metrics_extremes_rebuilt_local
ENGINE = Distributed('gauges', 'streamgauge', 'metrics_extremes_rebuilt_local', cityHash64(metric_name, timestamp, mapKeys(dimensions), mapValues(dimensions)));

ALTER TABLE streamgauge.events_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `enriched` String);

ALTER TABLE streamgauge.events ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `enriched` String);

ALTER TABLE streamgauge.events_local ON CLUSTER gauges
    (ADD INDEX IF NOT EXISTS event_id_bloom event_id TYPE bloom_filter(0.01) GRANULARITY 1);

ALTER TABLE streamgauge.dead_letter_local ON CLUSTER gauges
    (ADD INDEX IF NOT EXISTS event_id_bloom event_id TYPE bloom_filter(0.01) GRANULARITY 1);

ALTER TABLE streamgauge.events_local ON CLUSTER gauges
    (MODIFY SETTING merge_selector_base = 10);

ALTER TABLE streamgauge.duplicates_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `user_id` String);

ALTER TABLE streamgauge.duplicates ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `user_id` String);

ALTER TABLE streamgauge.duplicates_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `anonymous_id` String);

ALTER TABLE streamgauge.duplicates ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `anonymous_id` String);

CREATE TABLE IF NOT EXISTS streamgauge.metrics_hours_local ON CLUSTER gauges
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value` Float64,
    `dimensions` Map(LowCardinality(String), String),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{shard}/streamgauge/metrics_hours_local', '{replica}', value)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, replicated_deduplication_window = 50000, replicated_deduplication_window_seconds = 2592000;

CREATE TABLE IF NOT EXISTS streamgauge.metrics_hours ON CLUSTER gauges AS streamgauge.metrics_hours_local
ENGINE = Distributed('gauges', 'streamgauge', 'metrics_hours_local', cityHash64(metric_name, timestamp, mapKeys(dimensions), mapValues(dimensions)));

CREATE TABLE IF NOT EXISTS streamgauge.metrics_days_local ON CLUSTER gauges
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value` Float64,
    `dimensions` Map(LowCardinality(String), String),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{shard}/streamgauge/metrics_days_local', '{replica}', value)
PARTITION BY toYear(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, replicated_deduplication_window = 50000, replicated_deduplication_window_seconds = 2592000;

CREATE TABLE IF NOT EXISTS streamgauge.metrics_days ON CLUSTER gauges AS streamgauge.metrics_days_local
ENGINE = Distributed('gauges', 'streamgauge', 'metrics_days_local', cityHash64(metric_name, timestamp, mapKeys(dimensions), mapValues(dimensions)));

CREATE TABLE IF NOT EXISTS streamgauge.metrics_extremes_hours_local ON CLUSTER gauges
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value_min` SimpleAggregateFunction(min, Float64),
    `value_max` SimpleAggregateFunction(max, Float64),
    `dimensions` SimpleAggregateFunction(any, Map(String, String)),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/streamgauge/metrics_extremes_hours_local', '{replica}')
PARTITION BY toYYYYMM(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, replicated_deduplication_window = 50000, replicated_deduplication_window_seconds = 2592000;

CREATE TABLE IF NOT EXISTS streamgauge.metrics_extremes_hours ON CLUSTER gauges AS streamgauge.metrics_extremes_hours_local
ENGINE = Distributed('gauges', 'streamgauge', 'metrics_extremes_hours_local', cityHash64(metric_name, timestamp, mapKeys(dimensions), mapValues(dimensions)));

CREATE TABLE IF NOT EXISTS streamgauge.metrics_extremes_days_local ON CLUSTER gauges
(
    `timestamp` DateTime('UTC'),
    `metric_name` LowCardinality(String),
    `value_min` SimpleAggregateFunction(min, Float64),
    `value_max` SimpleAggregateFunction(max, Float64),
    `dimensions` SimpleAggregateFunction(any, Map(String, String)),
    `dimensions_hash` UInt64 MATERIALIZED cityHash64(mapKeys(dimensions), mapValues(dimensions))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/streamgauge/metrics_extremes_days_local', '{replica}')
PARTITION BY toYear(timestamp)
ORDER BY (metric_name, timestamp, dimensions_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, replicated_deduplication_window = 50000, replicated_deduplication_window_seconds = 2592000;

CREATE TABLE IF NOT EXISTS streamgauge.metrics_extremes_days ON CLUSTER gauges AS streamgauge.metrics_extremes_days_local
ENGINE = Distributed('gauges', 'streamgauge', 'metrics_extremes_days_local', cityHash64(metric_name, timestamp, mapKeys(dimensions), mapValues(dimensions)));

CREATE MATERIALIZED VIEW IF NOT EXISTS streamgauge.metrics_hours_view ON CLUSTER gauges TO streamgauge.metrics_hours_local
AS SELECT
    toDateTime(intDiv(toUnixTimestamp(timestamp), 3600) * 3600, 'UTC') AS timestamp,
    metric_name,
    sum(value) AS value,
    dimensions
FROM streamgauge.metrics_local
GROUP BY
    timestamp,
    metric_name,
    dimensions;

CREATE MATERIALIZED VIEW IF NOT EXISTS streamgauge.metrics_days_view ON CLUSTER gauges TO streamgauge.metrics_days_local
AS SELECT
    toDateTime(intDiv(toUnixTimestamp(timestamp), 86400) * 86400, 'UTC') AS timestamp,
    metric_name,
    sum(value) AS value,
    dimensions
FROM streamgauge.metrics_local
GROUP BY
    timestamp,
    metric_name,
    dimensions;

CREATE MATERIALIZED VIEW IF NOT EXISTS streamgauge.metrics_extremes_hours_view ON CLUSTER gauges TO streamgauge.metrics_extremes_hours_local
AS SELECT
    toDateTime(intDiv(toUnixTimestamp(timestamp), 3600) * 3600, 'UTC') AS timestamp,
    metric_name,
    min(value_min) AS value_min,
    max(value_max) AS value_max,
    dimensions
FROM streamgauge.metrics_extremes_local
GROUP BY
    timestamp,
    metric_name,
    dimensions;

CREATE MATERIALIZED VIEW IF NOT EXISTS streamgauge.metrics_extremes_days_view ON CLUSTER gauges TO streamgauge.metrics_extremes_days_local
AS SELECT
    toDateTime(intDiv(toUnixTimestamp(timestamp), 86400) * 86400, 'UTC') AS timestamp,
    metric_name,
    min(value_min) AS value_min,
    max(value_max) AS value_max,
    dimensions
FROM streamgauge.metrics_extremes_local
GROUP BY
    timestamp,
    metric_name,
    dimensions;

SYSTEM SYNC REPLICA ON CLUSTER gauges streamgauge.metrics_local;

SYSTEM SYNC REPLICA ON CLUSTER gauges streamgauge.metrics_extremes_local;

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

ALTER TABLE streamgauge.sessions_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `identified_user_id` String);

ALTER TABLE streamgauge.sessions ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `identified_user_id` String);

ALTER TABLE streamgauge.events_local ON CLUSTER gauges
    (MODIFY TTL toDateTime(received_at) + toIntervalDay(7));

ALTER TABLE streamgauge.duplicates_local ON CLUSTER gauges
    (MODIFY TTL toDateTime(received_at) + toIntervalDay(7));

ALTER TABLE streamgauge.dead_letter_local ON CLUSTER gauges
    (MODIFY TTL toDateTime(received_at) + toIntervalDay(30));

ALTER TABLE streamgauge.sessions_local ON CLUSTER gauges
    (MODIFY TTL toDateTime(received_at) + toIntervalDay(90));

ALTER TABLE streamgauge.metrics_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_event` LowCardinality(String) MATERIALIZED dimensions['event']);

ALTER TABLE streamgauge.metrics ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_event` LowCardinality(String) MATERIALIZED dimensions['event']);

ALTER TABLE streamgauge.metrics_hours_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_event` LowCardinality(String) MATERIALIZED dimensions['event']);

ALTER TABLE streamgauge.metrics_hours ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_event` LowCardinality(String) MATERIALIZED dimensions['event']);

ALTER TABLE streamgauge.metrics_days_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_event` LowCardinality(String) MATERIALIZED dimensions['event']);

ALTER TABLE streamgauge.metrics_days ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_event` LowCardinality(String) MATERIALIZED dimensions['event']);

ALTER TABLE streamgauge.metrics_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_country` LowCardinality(String) MATERIALIZED dimensions['country']);

ALTER TABLE streamgauge.metrics ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_country` LowCardinality(String) MATERIALIZED dimensions['country']);

ALTER TABLE streamgauge.metrics_hours_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_country` LowCardinality(String) MATERIALIZED dimensions['country']);

ALTER TABLE streamgauge.metrics_hours ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_country` LowCardinality(String) MATERIALIZED dimensions['country']);

ALTER TABLE streamgauge.metrics_days_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_country` LowCardinality(String) MATERIALIZED dimensions['country']);

ALTER TABLE streamgauge.metrics_days ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_country` LowCardinality(String) MATERIALIZED dimensions['country']);

ALTER TABLE streamgauge.metrics_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_device` LowCardinality(String) MATERIALIZED dimensions['device']);

ALTER TABLE streamgauge.metrics ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_device` LowCardinality(String) MATERIALIZED dimensions['device']);

ALTER TABLE streamgauge.metrics_hours_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_device` LowCardinality(String) MATERIALIZED dimensions['device']);

ALTER TABLE streamgauge.metrics_hours ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_device` LowCardinality(String) MATERIALIZED dimensions['device']);

ALTER TABLE streamgauge.metrics_days_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_device` LowCardinality(String) MATERIALIZED dimensions['device']);

ALTER TABLE streamgauge.metrics_days ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_device` LowCardinality(String) MATERIALIZED dimensions['device']);

ALTER TABLE streamgauge.metrics_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_page` LowCardinality(String) MATERIALIZED dimensions['page']);

ALTER TABLE streamgauge.metrics ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_page` LowCardinality(String) MATERIALIZED dimensions['page']);

ALTER TABLE streamgauge.metrics_hours_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_page` LowCardinality(String) MATERIALIZED dimensions['page']);

ALTER TABLE streamgauge.metrics_hours ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_page` LowCardinality(String) MATERIALIZED dimensions['page']);

ALTER TABLE streamgauge.metrics_days_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_page` LowCardinality(String) MATERIALIZED dimensions['page']);

ALTER TABLE streamgauge.metrics_days ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_page` LowCardinality(String) MATERIALIZED dimensions['page']);

ALTER TABLE streamgauge.metrics_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_status` LowCardinality(String) MATERIALIZED dimensions['status']);

ALTER TABLE streamgauge.metrics ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_status` LowCardinality(String) MATERIALIZED dimensions['status']);

ALTER TABLE streamgauge.metrics_hours_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_status` LowCardinality(String) MATERIALIZED dimensions['status']);

ALTER TABLE streamgauge.metrics_hours ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_status` LowCardinality(String) MATERIALIZED dimensions['status']);

ALTER TABLE streamgauge.metrics_days_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_status` LowCardinality(String) MATERIALIZED dimensions['status']);

ALTER TABLE streamgauge.metrics_days ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_status` LowCardinality(String) MATERIALIZED dimensions['status']);

ALTER TABLE streamgauge.metrics_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_method` LowCardinality(String) MATERIALIZED dimensions['method']);

ALTER TABLE streamgauge.metrics ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_method` LowCardinality(String) MATERIALIZED dimensions['method']);

ALTER TABLE streamgauge.metrics_hours_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_method` LowCardinality(String) MATERIALIZED dimensions['method']);

ALTER TABLE streamgauge.metrics_hours ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_method` LowCardinality(String) MATERIALIZED dimensions['method']);

ALTER TABLE streamgauge.metrics_days_local ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_method` LowCardinality(String) MATERIALIZED dimensions['method']);

ALTER TABLE streamgauge.metrics_days ON CLUSTER gauges
    (ADD COLUMN IF NOT EXISTS `d_method` LowCardinality(String) MATERIALIZED dimensions['method']);
