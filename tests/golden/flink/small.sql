SET 'pipeline.name' = 'streamgauge events';

SET 'parallelism.default' = '4';

SET 'execution.checkpointing.interval' = '1000 ms';

SET 'execution.checkpointing.min-pause' = '1000 ms';

SET 'execution.checkpointing.mode' = 'EXACTLY_ONCE';

SET 'execution.checkpointing.incremental' = 'true';

SET 'state.backend.type' = 'rocksdb';

SET 'state.backend.rocksdb.use-bloom-filter' = 'true';

SET 'state.backend.rocksdb.memory.partitioned-index-filters' = 'true';

SET 'state.backend.rocksdb.memory.high-prio-pool-ratio' = '0.3';

SET 'state.backend.rocksdb.compaction.style' = 'UNIVERSAL';

SET 'pipeline.object-reuse' = 'true';

SET 'execution.checkpointing.timeout' = '300000 ms';

SET 'execution.checkpointing.tolerable-failed-checkpoints' = '10';

SET 'execution.checkpointing.externalized-checkpoint-retention' = 'RETAIN_ON_CANCELLATION';

SET 'restart-strategy.type' = 'exponential-delay';

SET 'restart-strategy.exponential-delay.initial-backoff' = '1 s';

SET 'restart-strategy.exponential-delay.max-backoff' = '30 s';

SET 'table.local-time-zone' = 'UTC';

SET 'table.exec.source.idle-timeout' = '5000 ms';

SET 'table.exec.state.ttl' = '86400000 ms';

CREATE TEMPORARY SYSTEM FUNCTION envelope AS 'streamgauge.flink.Envelope' LANGUAGE JAVA;

CREATE TEMPORARY SYSTEM FUNCTION event_clock_ms AS 'streamgauge.flink.EventClock' LANGUAGE JAVA;

CREATE TEMPORARY SYSTEM FUNCTION epoch_ms AS 'streamgauge.flink.EpochMs' LANGUAGE JAVA;

CREATE TEMPORARY SYSTEM FUNCTION measured AS 'streamgauge.flink.Measured' LANGUAGE JAVA;

CREATE TEMPORARY SYSTEM FUNCTION enrichment AS 'streamgauge.flink.Enrichment' LANGUAGE JAVA;

CREATE TEMPORARY SYSTEM FUNCTION late_letter AS 'streamgauge.flink.LateLetter' LANGUAGE JAVA;

CREATE TEMPORARY SYSTEM FUNCTION above_highest AS 'streamgauge.flink.AboveHighest' LANGUAGE JAVA;

CREATE TEMPORARY SYSTEM FUNCTION sessions AS 'streamgauge.flink.Sessions' LANGUAGE JAVA;

CREATE TEMPORARY SYSTEM FUNCTION told_apart AS 'streamgauge.flink.ToldApart' LANGUAGE JAVA;

CREATE TEMPORARY TABLE log (
  record BYTES,
  written TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  log_partition INT METADATA FROM 'partition' VIRTUAL,
  log_offset BIGINT METADATA FROM 'offset' VIRTUAL,
  WATERMARK FOR written AS
    TO_TIMESTAMP_LTZ(event_clock_ms(record, epoch_ms(written)), 3) - INTERVAL '0 00:00:10.000' DAY TO SECOND(3)
) WITH (
  'connector' = 'kafka',
  'topic' = 'events',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.group.id' = 'stream',
  'properties.isolation.level' = 'read_committed',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'raw'
);

CREATE TEMPORARY TABLE clock (
  number BIGINT,
  ticked AS CURRENT_TIMESTAMP,
  WATERMARK FOR ticked AS ticked - INTERVAL '0 00:00:10.000' DAY TO SECOND(3)
) WITH (
  'connector' = 'datagen',
  'rows-per-second' = '1',
  'scan.parallelism' = '1'
);

CREATE TEMPORARY TABLE rows_of_metrics (`timestamp` BIGINT, metric_name STRING, `value` DOUBLE, dimensions MAP<STRING, STRING>) WITH (
  'connector' = 'kafka',
  'topic' = 'events.metrics',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.compression.type' = 'zstd',
  'properties.linger.ms' = '20',
  'properties.transaction.timeout.ms' = '900000',
  'format' = 'json',
  'json.encode.decimal-as-plain-number' = 'true',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = 'events-metrics'
);

CREATE TEMPORARY TABLE rows_of_metrics_extremes (`timestamp` BIGINT, metric_name STRING, value_min DOUBLE, value_max DOUBLE, dimensions MAP<STRING, STRING>) WITH (
  'connector' = 'kafka',
  'topic' = 'events.metrics_extremes',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.compression.type' = 'zstd',
  'properties.linger.ms' = '20',
  'properties.transaction.timeout.ms' = '900000',
  'format' = 'json',
  'json.encode.decimal-as-plain-number' = 'true',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = 'events-metrics_extremes'
);

CREATE TEMPORARY TABLE rows_of_sessions (user_id STRING, is_anonymous BOOLEAN, opened_at BIGINT, started_at BIGINT, ended_at BIGINT, events BIGINT, page_views BIGINT, entry_page STRING, exit_page STRING, country STRING, device STRING, is_open BOOLEAN, received_at BIGINT, version BIGINT, is_deleted INT, identified_user_id STRING) WITH (
  'connector' = 'kafka',
  'topic' = 'events.sessions',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.compression.type' = 'zstd',
  'properties.linger.ms' = '20',
  'properties.transaction.timeout.ms' = '900000',
  'format' = 'json',
  'json.encode.decimal-as-plain-number' = 'true',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = 'events-sessions'
);

CREATE TEMPORARY TABLE rows_of_events (event_id STRING, event STRING, `timestamp` BIGINT, received_at BIGINT, user_id STRING, anonymous_id STRING, properties STRING, log_partition INT, log_offset BIGINT, enriched STRING) WITH (
  'connector' = 'kafka',
  'topic' = 'events.events',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.compression.type' = 'zstd',
  'properties.linger.ms' = '20',
  'properties.transaction.timeout.ms' = '900000',
  'format' = 'json',
  'json.encode.decimal-as-plain-number' = 'true',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = 'events-events'
);

CREATE TEMPORARY TABLE rows_of_duplicates (received_at BIGINT, event_id STRING, log_partition INT, log_offset BIGINT, user_id STRING, anonymous_id STRING) WITH (
  'connector' = 'kafka',
  'topic' = 'events.duplicates',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.compression.type' = 'zstd',
  'properties.linger.ms' = '20',
  'properties.transaction.timeout.ms' = '900000',
  'format' = 'json',
  'json.encode.decimal-as-plain-number' = 'true',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = 'events-duplicates'
);

CREATE TEMPORARY TABLE rows_of_dead_letter (received_at BIGINT, reason STRING, message STRING, event_id STRING, original STRING, log_partition INT, log_offset BIGINT) WITH (
  'connector' = 'kafka',
  'topic' = 'events.dead_letter',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.compression.type' = 'zstd',
  'properties.linger.ms' = '20',
  'properties.transaction.timeout.ms' = '900000',
  'format' = 'json',
  'json.encode.decimal-as-plain-number' = 'true',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = 'events-dead_letter'
);

CREATE TEMPORARY TABLE rows_of_progress (complete_up_to_ms BIGINT) WITH (
  'connector' = 'kafka',
  'topic' = 'events.progress',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.compression.type' = 'zstd',
  'properties.linger.ms' = '20',
  'properties.transaction.timeout.ms' = '900000',
  'format' = 'json',
  'json.encode.decimal-as-plain-number' = 'true',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = 'events-progress'
);

CREATE TEMPORARY VIEW item AS
SELECT `event_id`, `event`, `timestamp_ms`, `received_ms`, `user_id`, `anonymous_id`, `producer`, `sequence`, `properties`, `code`, `message`, `original`, `fields`, `log_partition`, `log_offset`, `written`
FROM log, LATERAL TABLE(envelope(record, epoch_ms(written), log_partition, log_offset, ARRAY['country', 'device', 'page'])) AS e(`event_id`, `event`, `timestamp_ms`, `received_ms`, `user_id`, `anonymous_id`, `producer`, `sequence`, `properties`, `code`, `message`, `original`, `fields`);

CREATE TEMPORARY VIEW plain AS
SELECT `event_id`, `event`, `timestamp_ms`, `received_ms`, `user_id`, `anonymous_id`, `producer`, `sequence`, `properties`, `code`, `message`, `original`, `fields`, `log_partition`, `log_offset`, `written`, CASE WHEN code IS NOT NULL THEN code
  WHEN producer IS NULL AND received_ms - timestamp_ms > 86400000 THEN 'too_late'
  WHEN received_ms - timestamp_ms < -300000 THEN 'too_far_ahead' END AS reason,
  COALESCE(anonymous_id, user_id, '') AS whose,
  anonymous_id IS NOT NULL OR user_id IS NULL AS is_anonymous, COALESCE(event_id = producer || ':' || CAST(`sequence` AS STRING), event_id LIKE 'sg-%') AS is_made
FROM item WHERE producer IS NULL;

CREATE TEMPORARY VIEW item_numbered AS
SELECT `event_id`, `event`, `timestamp_ms`, `received_ms`, `user_id`, `anonymous_id`, `producer`, `sequence`, `properties`, `code`, `message`, `original`, `fields`, `log_partition`, `log_offset`, `written`, producer || ' ' || CAST(log_partition AS STRING) AS who FROM item WHERE producer IS NOT NULL;

CREATE TEMPORARY VIEW numbered AS
SELECT `event_id`, `event`, `timestamp_ms`, `received_ms`, `user_id`, `anonymous_id`, `producer`, `sequence`, `properties`, `code`, `message`, `original`, `fields`, `log_partition`, `log_offset`, rowtime AS written, CASE WHEN code IS NOT NULL THEN code
  WHEN producer IS NULL AND received_ms - timestamp_ms > 86400000 THEN 'too_late'
  WHEN received_ms - timestamp_ms < -300000 THEN 'too_far_ahead' END AS reason,
  COALESCE(anonymous_id, user_id, '') AS whose,
  anonymous_id IS NOT NULL OR user_id IS NULL AS is_anonymous, COALESCE(event_id = producer || ':' || CAST(`sequence` AS STRING), event_id LIKE 'sg-%') AS is_made
FROM above_highest(TABLE item_numbered PARTITION BY who, DESCRIPTOR(written), 'above_highest');

CREATE TEMPORARY VIEW looked_at AS
SELECT `event_id`, `event`, `timestamp_ms`, `received_ms`, `user_id`, `anonymous_id`, `producer`, `sequence`, `properties`, `code`, `message`, `original`, `fields`, `log_partition`, `log_offset`, `written`, whose, is_anonymous, COUNT(*) OVER (PARTITION BY event_id, whose, is_anonymous ORDER BY proc
  ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS times
FROM (SELECT *, PROCTIME() AS proc FROM (SELECT `event_id`, `event`, `timestamp_ms`, `received_ms`, `user_id`, `anonymous_id`, `producer`, `sequence`, `properties`, `code`, `message`, `original`, `fields`, `log_partition`, `log_offset`, `written`, whose, is_anonymous FROM plain WHERE reason IS NULL AND NOT is_made UNION ALL SELECT `event_id`, `event`, `timestamp_ms`, `received_ms`, `user_id`, `anonymous_id`, `producer`, `sequence`, `properties`, `code`, `message`, `original`, `fields`, `log_partition`, `log_offset`, `written`, whose, is_anonymous FROM numbered WHERE reason IS NULL AND NOT is_made));

CREATE TEMPORARY VIEW told AS
SELECT `event_id`, `event`, `timestamp_ms`, `received_ms`, `user_id`, `anonymous_id`, `producer`, `sequence`, `properties`, `code`, `message`, `original`, `fields`, `log_partition`, `log_offset`, `written`, whose, is_anonymous FROM looked_at WHERE times = 1
UNION ALL
SELECT `event_id`, `event`, `timestamp_ms`, `received_ms`, `user_id`, `anonymous_id`, `producer`, `sequence`, `properties`, `code`, `message`, `original`, `fields`, `log_partition`, `log_offset`, `written`, whose, is_anonymous FROM plain WHERE reason IS NULL AND is_made
UNION ALL
SELECT `event_id`, `event`, `timestamp_ms`, `received_ms`, `user_id`, `anonymous_id`, `producer`, `sequence`, `properties`, `code`, `message`, `original`, `fields`, `log_partition`, `log_offset`, `written`, whose, is_anonymous FROM numbered WHERE reason IS NULL AND is_made;

CREATE TEMPORARY VIEW counted AS
SELECT `event_id`, `event`, `timestamp_ms`, `received_ms`, `user_id`, `anonymous_id`, `producer`, `sequence`, `properties`, `code`, `message`, `original`, `fields`, `log_partition`, `log_offset`, `written`, whose, is_anonymous, '' AS enriched FROM told;

CREATE TEMPORARY VIEW beat AS
SELECT CASE WHEN whose <> '' THEN IF(is_anonymous, 'a', 'u') || whose END AS who, event, timestamp_ms,
  received_ms, log_offset, written, SUBSTRING(fields[3], 1, 512) AS page, SUBSTRING(fields[1], 1, 512) AS country, SUBSTRING(fields[2], 1, 512) AS device,
  IF(is_anonymous, user_id, CAST(NULL AS STRING)) AS identified
FROM counted
UNION ALL
SELECT CAST(NULL AS STRING), 'tick', epoch_ms(ticked), epoch_ms(ticked), CAST(0 AS BIGINT), ticked, CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING) FROM clock;

CREATE TEMPORARY VIEW session_change AS
SELECT * FROM sessions(TABLE beat PARTITION BY who, CAST(1800000 AS BIGINT), CAST(86400000 AS BIGINT),
  CAST(5000 AS BIGINT), DESCRIPTOR(written), 'sessions');

CREATE TEMPORARY VIEW measured_page_views AS
SELECT timestamp_ms - MOD(timestamp_ms, 60000) AS window_ms, PROCTIME() AS proc
  FROM counted
  WHERE event = 'page_view';

CREATE TEMPORARY VIEW panes_page_views AS
SELECT window_ms AS timestamp_ms, CAST(COUNT(*) AS DOUBLE) AS `value`, window_ms / 86400000 AS `day`
FROM TABLE(TUMBLE(TABLE measured_page_views, DESCRIPTOR(proc), INTERVAL '0 00:00:01.000' DAY TO SECOND(3)))
GROUP BY window_start, window_end, window_ms;

CREATE TEMPORARY VIEW limited_page_views AS
SELECT timestamp_ms, `value` FROM panes_page_views;

CREATE TEMPORARY VIEW closed_sessions AS
SELECT timestamp_ms AS window_ms, CASE WHEN country IS NULL OR country = '' THEN '(unknown)' WHEN CHAR_LENGTH(country) > 512 THEN SUBSTRING(country, 1, 511) || '…' ELSE country END AS d0, CASE WHEN device IS NULL OR device = '' THEN '(unknown)' WHEN CHAR_LENGTH(device) > 512 THEN SUBSTRING(device, 1, 511) || '…' ELSE device END AS d1, CASE WHEN entry_page IS NULL OR entry_page = '' THEN '(unknown)' WHEN CHAR_LENGTH(entry_page) > 512 THEN SUBSTRING(entry_page, 1, 511) || '…' ELSE entry_page END AS d2, CAST(sessions AS DOUBLE) AS measured, PROCTIME() AS proc
  FROM session_change WHERE kind = 'rollup' AND sessions <> 0;

CREATE TEMPORARY VIEW panes_session_sessions AS
SELECT window_ms AS timestamp_ms, ARRAY[d0, d1, d2] AS dims, SUM(measured) AS `value`, window_ms / 86400000 AS `day`
FROM TABLE(TUMBLE(TABLE closed_sessions, DESCRIPTOR(proc), INTERVAL '0 00:00:01.000' DAY TO SECOND(3)))
GROUP BY window_start, window_end, window_ms, d0, d1, d2;

CREATE TEMPORARY VIEW limited_session_sessions AS
SELECT timestamp_ms, dims, `value` FROM told_apart(TABLE panes_session_sessions PARTITION BY `day`, 10000, DEFAULT, 'told_apart_session_sessions');

CREATE TEMPORARY VIEW closed_session_seconds AS
SELECT timestamp_ms AS window_ms, CASE WHEN country IS NULL OR country = '' THEN '(unknown)' WHEN CHAR_LENGTH(country) > 512 THEN SUBSTRING(country, 1, 511) || '…' ELSE country END AS d0, CASE WHEN device IS NULL OR device = '' THEN '(unknown)' WHEN CHAR_LENGTH(device) > 512 THEN SUBSTRING(device, 1, 511) || '…' ELSE device END AS d1, CASE WHEN entry_page IS NULL OR entry_page = '' THEN '(unknown)' WHEN CHAR_LENGTH(entry_page) > 512 THEN SUBSTRING(entry_page, 1, 511) || '…' ELSE entry_page END AS d2, CAST(session_seconds AS DOUBLE) AS measured, PROCTIME() AS proc
  FROM session_change WHERE kind = 'rollup' AND session_seconds <> 0;

CREATE TEMPORARY VIEW panes_session_session_seconds AS
SELECT window_ms AS timestamp_ms, ARRAY[d0, d1, d2] AS dims, SUM(measured) AS `value`, window_ms / 86400000 AS `day`
FROM TABLE(TUMBLE(TABLE closed_session_seconds, DESCRIPTOR(proc), INTERVAL '0 00:00:01.000' DAY TO SECOND(3)))
GROUP BY window_start, window_end, window_ms, d0, d1, d2;

CREATE TEMPORARY VIEW limited_session_session_seconds AS
SELECT timestamp_ms, dims, `value` FROM told_apart(TABLE panes_session_session_seconds PARTITION BY `day`, 10000, DEFAULT, 'told_apart_session_session_seconds');

CREATE TEMPORARY VIEW closed_bounces AS
SELECT timestamp_ms AS window_ms, CASE WHEN country IS NULL OR country = '' THEN '(unknown)' WHEN CHAR_LENGTH(country) > 512 THEN SUBSTRING(country, 1, 511) || '…' ELSE country END AS d0, CASE WHEN device IS NULL OR device = '' THEN '(unknown)' WHEN CHAR_LENGTH(device) > 512 THEN SUBSTRING(device, 1, 511) || '…' ELSE device END AS d1, CASE WHEN entry_page IS NULL OR entry_page = '' THEN '(unknown)' WHEN CHAR_LENGTH(entry_page) > 512 THEN SUBSTRING(entry_page, 1, 511) || '…' ELSE entry_page END AS d2, CAST(bounces AS DOUBLE) AS measured, PROCTIME() AS proc
  FROM session_change WHERE kind = 'rollup' AND bounces <> 0;

CREATE TEMPORARY VIEW panes_session_bounces AS
SELECT window_ms AS timestamp_ms, ARRAY[d0, d1, d2] AS dims, SUM(measured) AS `value`, window_ms / 86400000 AS `day`
FROM TABLE(TUMBLE(TABLE closed_bounces, DESCRIPTOR(proc), INTERVAL '0 00:00:01.000' DAY TO SECOND(3)))
GROUP BY window_start, window_end, window_ms, d0, d1, d2;

CREATE TEMPORARY VIEW limited_session_bounces AS
SELECT timestamp_ms, dims, `value` FROM told_apart(TABLE panes_session_bounces PARTITION BY `day`, 10000, DEFAULT, 'told_apart_session_bounces');

EXECUTE STATEMENT SET BEGIN
INSERT INTO rows_of_metrics
SELECT timestamp_ms / 1000, 'page_views', `value`, CAST(NULL AS MAP<STRING, STRING>) FROM limited_page_views
UNION ALL
SELECT timestamp_ms / 1000, 'sessions', `value`, MAP['country', dims[1], 'device', dims[2], 'entry_page', dims[3]] FROM limited_session_sessions
UNION ALL
SELECT timestamp_ms / 1000, 'session_seconds', `value`, MAP['country', dims[1], 'device', dims[2], 'entry_page', dims[3]] FROM limited_session_session_seconds
UNION ALL
SELECT timestamp_ms / 1000, 'bounces', `value`, MAP['country', dims[1], 'device', dims[2], 'entry_page', dims[3]] FROM limited_session_bounces;

INSERT INTO rows_of_sessions
SELECT SUBSTRING(who, 2), who LIKE 'a%', opened_at, started_at, ended_at, events, page_views, entry_page, exit_page, country, device, is_open, received_at, version, is_deleted,
  IF(who LIKE 'a%', identified, SUBSTRING(who, 2))
FROM session_change WHERE kind = 'row';

INSERT INTO rows_of_events
SELECT event_id, event, timestamp_ms, received_ms, COALESCE(user_id, ''), COALESCE(anonymous_id, ''), properties, log_partition, log_offset, enriched FROM counted;

INSERT INTO rows_of_duplicates
SELECT received_ms, event_id, log_partition, log_offset, COALESCE(user_id, ''), COALESCE(anonymous_id, '') FROM looked_at WHERE times > 1;

INSERT INTO rows_of_dead_letter
SELECT received_ms, code, message, event_id, original, log_partition, log_offset
FROM plain WHERE code IS NOT NULL
UNION ALL
SELECT received_ms, code, message, event_id, original, log_partition, log_offset
FROM numbered WHERE code IS NOT NULL
UNION ALL
SELECT received_ms, reason, late_message, event_id, late_original, log_partition, log_offset
FROM plain, LATERAL TABLE(late_letter(reason, event_id, event, timestamp_ms, received_ms, user_id, anonymous_id, properties, CAST(86400000 AS BIGINT), CAST(300000 AS BIGINT))) AS l(late_message, late_original)
WHERE code IS NULL AND reason IS NOT NULL
UNION ALL
SELECT received_ms, reason, late_message, event_id, late_original, log_partition, log_offset
FROM numbered, LATERAL TABLE(late_letter(reason, event_id, event, timestamp_ms, received_ms, user_id, anonymous_id, properties, CAST(86400000 AS BIGINT), CAST(300000 AS BIGINT))) AS l(late_message, late_original)
WHERE code IS NULL AND reason IS NOT NULL;

INSERT INTO rows_of_progress
SELECT epoch_ms(CAST(window_end AS TIMESTAMP_LTZ(3)))
FROM TABLE(TUMBLE(TABLE beat, DESCRIPTOR(written), INTERVAL '1' SECOND))
GROUP BY window_start, window_end;
END;

