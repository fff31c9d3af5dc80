"""The program's own counters, in Prometheus' terms, kept in one registry that `/-/metrics` exposes.

Stages receive a `SelfMetrics` and use its fields; nothing else creates a self-metric.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class SelfMetrics:
    """One registry and all that is in it."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.ingest_events = Counter(
            "streamgauge_ingest_events", "Items received, by outcome.", ["outcome"], registry=registry
        )
        self.ingest_rejected = Counter(
            "streamgauge_ingest_rejected", "Items rejected, by reason.", ["code"], registry=registry
        )
        self.ingest_bytes = Counter(
            "streamgauge_ingest_bytes", "Bytes of bodies received, after decompression.", registry=registry
        )
        self.http_errors = Counter(
            "streamgauge_http_errors", "Requests answered with an error, by code.", ["code"], registry=registry
        )
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
        self.query_seconds = Histogram(
            "streamgauge_query_seconds",
            "Time to answer, by endpoint.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.live_clients = Gauge("streamgauge_live_clients", "Open live connections.", registry=registry)
        self.live_skipped = Counter(
            "streamgauge_live_skipped", "Live updates that a slow reader missed.", registry=registry
        )

    def exposition(self) -> bytes:
        """All self-metrics in Prometheus' text format, version 0.0.4."""
        return generate_latest(self.registry)
