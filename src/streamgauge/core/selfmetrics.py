"""The program's own counters, in Prometheus' terms, kept in one registry that `/-/metrics` exposes.

Stages receive a `SelfMetrics` and use its fields; nothing else creates a self-metric.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class SelfMetrics:
    """One registry and all that is in it."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._add_refusals(registry)
        ProcessCollector(registry=registry)  # process_cpu_seconds_total and its like
        self._of_alerts(registry)
        self.ingest_events = Counter(
            "streamgauge_ingest_events", "Items received, by outcome.", ["outcome"], registry=registry
        )
        self.ingest_bytes = Counter(
            "streamgauge_ingest_bytes", "Bytes of bodies received, after decompression.", registry=registry
        )
        self.http_errors = Counter(
            "streamgauge_http_errors", "Requests answered with an error, by code.", ["code"], registry=registry
        )
        self.grpc_calls = Counter(
            "streamgauge_grpc_calls", "Calls of gRPC that ended, by status.", ["method", "status"], registry=registry
        )
        self.grpc_events = Counter(
            "streamgauge_grpc_events", "Of the items received, those by gRPC.", ["outcome"], registry=registry
        )
        self.grpc_seconds = Histogram(
            "streamgauge_grpc_seconds",
            "Time until a batch is answered.",
            ["method"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.grpc_streams = Gauge("streamgauge_grpc_streams", "Streams of gRPC open now.", registry=registry)
        self.log_queue_bytes = Gauge("streamgauge_log_queue_bytes", "Records waiting for the disk.", registry=registry)
        self.log_size_bytes = Gauge("streamgauge_log_size_bytes", "Disk use of the log.", registry=registry)
        self.log_commits = Gauge("streamgauge_log_group_commits", "Group commits since the start.", registry=registry)
        self.stream_events = Counter("streamgauge_stream_events", "Events processed and committed.", registry=registry)
        self.stream_dropped = Counter(
            "streamgauge_stream_dropped", "Events that were not counted, by reason.", ["reason"], registry=registry
        )
        self.stream_other = Counter(
            "streamgauge_stream_other_values",
            "Values over the cardinality limit of a dimension, counted as (other).",
            ["rollup", "dimension"],
            registry=registry,
        )
        self.stream_open_sessions = Gauge("streamgauge_stream_open_sessions", "Sessions open now.", registry=registry)
        self.stream_state_bytes = Gauge(
            "streamgauge_stream_state_bytes", "Memory of what the stream remembers.", ["of"], registry=registry
        )
        self.stream_forgotten = Gauge(
            "streamgauge_stream_forgotten_early",
            "What was forgotten before its time since the start, because of a limit of memory.",
            ["of"],
            registry=registry,
        )
        self.stream_remembered_ids = Gauge(
            "streamgauge_stream_remembered_ids", "Event ids that would be recognised.", registry=registry
        )
        self.stream_horizon = Gauge(
            "streamgauge_stream_deduplication_horizon_seconds",
            "For how long event ids are remembered now.",
            registry=registry,
        )
        self.stream_profiles = Gauge("streamgauge_stream_profiles", "User profiles in memory.", registry=registry)
        self.profile_traits = Counter(
            "streamgauge_profile_traits",
            "Traits of identify events, by what became of them in the profiles.",
            ["outcome"],
            registry=registry,
        )
        self.stream_retries = Counter(
            "streamgauge_stream_retries",
            "Reads and writes of the stream that were refused and tried again.",
            registry=registry,
        )
        self.stream_batch_seconds = Histogram(
            "streamgauge_stream_batch_seconds", "Time of a micro-batch.", ["part"], buckets=_SECONDS, registry=registry
        )
        self.stream_lag_events = Gauge(
            "streamgauge_stream_lag_events", "Events accepted, not yet queryable.", registry=registry
        )
        self.stream_lag_seconds = Gauge(
            "streamgauge_stream_lag_seconds", "Age of the oldest event that is not yet queryable.", registry=registry
        )
        self.stream_complete_up_to = Gauge(
            "streamgauge_stream_complete_up_to_seconds", "The watermark, Unix time.", registry=registry
        )
        self.loader_rows = Counter("streamgauge_loader_rows", "Rows loaded, by table.", ["table"], registry=registry)
        self.loader_batches = Counter("streamgauge_loader_batches", "Inserts of rows.", ["table"], registry=registry)
        self.loader_insert_seconds = Histogram(
            "streamgauge_loader_insert_seconds", "Time of an insert.", ["table"], buckets=_SECONDS, registry=registry
        )
        self.loader_retries = Counter(
            "streamgauge_loader_retries", "Inserts and commits that were refused and tried again.", registry=registry
        )
        self.loader_undecodable = Counter(
            "streamgauge_loader_undecodable", "Records that are no rows of their table.", ["table"], registry=registry
        )
        self.loader_expired = Counter(
            "streamgauge_loader_expired_offsets",
            "Offsets that retention removed before they were loaded.",
            ["table"],
            registry=registry,
        )
        self.loader_lag_rows = Gauge(
            "streamgauge_loader_lag_rows", "Rows of this loader's partitions not yet loaded.", registry=registry
        )
        self.loader_waiting_rows = Gauge(
            "streamgauge_loader_waiting_rows",
            "Offsets of all topics of rows that no loader has loaded yet, by table.",
            ["table"],
            registry=registry,
        )
        self._answers(registry)
        self.live_clients = Gauge("streamgauge_live_clients", "Open live connections.", registry=registry)
        self.live_skipped = Counter(
            "streamgauge_live_skipped", "Live updates that a slow reader missed.", registry=registry
        )
        self.live_dropped = Counter(
            "streamgauge_live_dropped",
            "Live updates that one process didn't get to another.",
            ["reason"],
            registry=registry,
        )

    def _answers(self, registry: CollectorRegistry) -> None:
        """Those of the query service."""
        self.query_seconds = Histogram(
            "streamgauge_query_seconds",
            "Time to answer, by endpoint.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.sql_refused = Counter(
            "streamgauge_sql_refused", "Questions in SQL that were not answered, by code.", ["code"], registry=registry
        )
        self.cache_answers = Counter(
            "streamgauge_cache_answers",
            "Questions that may be answered from the cache, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.cache_errors = Counter(
            "streamgauge_cache_errors", "Times that the cache was of no use.", ["operation"], registry=registry
        )
        self.cache_up = Gauge("streamgauge_cache_up", "Whether the cache can be used.", registry=registry)
        self.cache_entries = Gauge("streamgauge_cache_entries", "Answers in memory://.", registry=registry)
        self.cache_bytes = Gauge("streamgauge_cache_bytes", "Memory of memory://.", registry=registry)
        self.cache_evictions = Gauge(
            "streamgauge_cache_evictions", "Answers that made room for others since the start.", registry=registry
        )

    def _of_alerts(self, registry: CollectorRegistry) -> None:
        self.alert_round_seconds = Histogram(
            "streamgauge_alert_round_seconds",
            "Time of one evaluation of all rules.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.alert_evaluations = Counter(
            "streamgauge_alert_evaluations", "Evaluations of single rules.", registry=registry
        )
        self.alert_failures = Counter(
            "streamgauge_alert_failures",
            "Evaluations that failed: of a rule, or a whole round.",
            ["of"],
            registry=registry,
        )
        self.alert_missed = Counter(
            "streamgauge_alert_missed_evaluations", "Times that were passed over, being too late.", registry=registry
        )
        self.alert_rules = Gauge("streamgauge_alert_rules", "Rules that are evaluated.", registry=registry)
        self.alert_problems = Gauge(
            "streamgauge_alert_problems", "Rules, and files of rules, that can't be used.", registry=registry
        )
        self.alert_alerts = Gauge("streamgauge_alert_alerts", "Alerts, by state.", ["state"], registry=registry)
        self.alert_held_rules = Gauge(
            "streamgauge_alert_held_rules", "Rules that wait for complete data.", registry=registry
        )
        self.alert_held_seconds = Gauge(
            "streamgauge_alert_held_seconds", "For how long an evaluation has been overdue.", registry=registry
        )
        self.notifications = Counter(
            "streamgauge_notifications",
            "Notifications by receiver and what became of them: sent, refused, expired, superseded, dropped.",
            ["receiver", "outcome"],
            registry=registry,
        )
        self.notification_tries_failed = Counter(
            "streamgauge_notification_tries_failed",
            "Tries to deliver a notification that failed and are made again, by receiver.",
            ["receiver"],
            registry=registry,
        )
        self.notifications_waiting = Gauge(
            "streamgauge_notifications_waiting",
            "Notifications that a receiver has not taken yet.",
            ["receiver"],
            registry=registry,
        )
        self.notifications_oldest_seconds = Gauge(
            "streamgauge_notifications_oldest_seconds",
            "Age of the oldest notification that a receiver has not taken yet.",
            ["receiver"],
            registry=registry,
        )
        self.alerts_untold = Counter(
            "streamgauge_alerts_untold",
            "Alerts over the limit of those that receivers are told of, at each evaluation.",
            registry=registry,
        )

    def _add_refusals(self, registry: CollectorRegistry) -> None:
        """What is not taken, and for what reason."""
        self.ingest_rejected = Counter(
            "streamgauge_ingest_rejected", "Items rejected, by reason.", ["code"], registry=registry
        )
        self.ingest_dropped = Counter(
            "streamgauge_ingest_dropped", "Events that were not kept, by reason.", ["reason"], registry=registry
        )
        self.access_refused = Counter(
            "streamgauge_access_refused",
            "Requests refused for what they may not do, by reason.",
            ["reason"],
            registry=registry,
        )
        self.access_limited = Counter(
            "streamgauge_access_limited",
            "Requests refused because there were too many, by limit.",
            ["limit"],
            registry=registry,
        )
        self.audit_failures = Counter(
            "streamgauge_audit_failures", "Admin actions that could not be written to the audit log.", registry=registry
        )
        self.audit_refusals_unwritten = Counter(
            "streamgauge_audit_refusals_unwritten",
            "Admin actions that a key may not do, over those of a minute that are in the audit log.",
            registry=registry,
        )

    def exposition(self) -> bytes:
        """All self-metrics in Prometheus' text format, version 0.0.4."""
        return generate_latest(self.registry)
