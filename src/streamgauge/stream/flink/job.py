"""The whole job as statements of Flink SQL, in order: settings, functions, tables, views, and one set of inserts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote

import msgspec

from streamgauge.stream.flink.dialect import text
from streamgauge.stream.flink.tables import (
    PROGRESS,
    SINKS,
    KafkaPlace,
    ProfilePlace,
    masked,
    sink,
    source_of_log,
    source_of_profiles,
    source_of_time,
)
from streamgauge.stream.flink.views import Views
from streamgauge.stream.spec import PipelineSpec

FUNCTIONS: Final[Mapping[str, str]] = {
    "envelope": "Envelope",
    "event_clock_ms": "EventClock",
    "epoch_ms": "EpochMs",
    "measured": "Measured",
    "enrichment": "Enrichment",
    "late_letter": "LateLetter",
    "above_highest": "AboveHighest",
    "sessions": "Sessions",
    "told_apart": "ToldApart",
}
"""Of SQL → the class of `java/flink` that it is."""


_ROCKSDB: Final[Mapping[str, str]] = {
    # Nearly every event id is a new one: without filters each is looked for in all files. They are kept in memory
    # before other blocks, and in parts: whole ones would be read from disk and checked again for each id.
    "state.backend.rocksdb.use-bloom-filter": "true",
    "state.backend.rocksdb.memory.partitioned-index-filters": "true",
    "state.backend.rocksdb.memory.high-prio-pool-ratio": "0.3",
    # A checkpoint a second makes a small file a second; by levels, every fourth would rewrite all there is.
    "state.backend.rocksdb.compaction.style": "UNIVERSAL",
}
"""All of it is passed over where the state is in the heap."""

_CHECKPOINT_MS_MAX: Final = 300_000
"""Well below any `transaction_ms`, which the job has beyond it to come back and commit."""

_FOLDERS: Final = (("dir", "checkpoints"), ("savepoint-dir", "savepoints"))


class FlinkJob(msgspec.Struct, frozen=True):
    """What to compile. `profiles` is None where events are not enriched. `is_bounded`: the job ends where the log ended
    when it began."""

    spec: PipelineSpec
    kafka: KafkaPlace
    profiles: ProfilePlace | None
    parallelism: int
    pane_ms: int
    checkpoint_ms: int
    transaction_ms: int
    state_backend: str
    state_url: str = ""
    is_bounded: bool = False

    @property
    def name(self) -> str:
        return f"streamgauge {self.kafka.topic}"

    @property
    def folder(self) -> str:
        """Of its checkpoints and savepoints, a URL: its own, since no other log may go on from them. Empty: Flink's."""
        return f"{self.state_url.rstrip('/')}/{self.kafka.topic}" if self.state_url else ""


def statements(job: FlinkJob) -> Iterator[str]:
    """Without semicolons."""
    spec = job.spec
    for key, value in _settings(job).items():
        yield f"SET {text(key)} = {text(value)}"
    for function, class_name in FUNCTIONS.items():
        yield f"CREATE TEMPORARY SYSTEM FUNCTION {function} AS 'streamgauge.flink.{class_name}' LANGUAGE JAVA"
    yield source_of_log(job.kafka, spec, is_bounded=job.is_bounded)
    yield source_of_time(spec)
    if job.profiles is not None:
        yield source_of_profiles(job.profiles, spec)
    for table, columns in {**SINKS, "progress": PROGRESS}.items():
        yield sink(job.kafka, table, columns, job.transaction_ms)
    views = Views(spec, job.pane_ms, has_profiles=job.profiles is not None)
    for view, query in views.views():
        yield f"CREATE TEMPORARY VIEW {view} AS\n{query}"
    inserts = ";\n\n".join(views.inserts())
    yield f"EXECUTE STATEMENT SET BEGIN\n{inserts};\nEND"


def script(job: FlinkJob, *, with_secrets: bool = False) -> str:
    """All statements as one text, to read: Flink's SQL client would not take it (ADR 12). Passwords are masked, unless
    they are asked for."""
    whole = "".join(f"{statement};\n\n" for statement in statements(job))
    return whole if with_secrets else masked(whole, _secrets(job))


def _secrets(job: FlinkJob) -> Sequence[str]:
    found = [value for key, value in job.kafka.properties.items() if key == "sasl.jaas.config"]
    if job.profiles is not None:
        found.append(job.profiles.password)
        if "password=" in unquote(job.profiles.url).lower():  # such as that of a key, which only the address can have
            found.append(job.profiles.url)
    return found


def _settings(job: FlinkJob) -> dict[str, str]:
    spec = job.spec
    kept = {f"execution.checkpointing.{kind}": f"{job.folder}/{name}" for kind, name in _FOLDERS}
    return {
        **(kept if job.folder else {}),
        "pipeline.name": job.name,
        "parallelism.default": str(job.parallelism),
        "execution.checkpointing.interval": f"{job.checkpoint_ms} ms",
        # Where a checkpoint takes long, the job still has half of the time for events.
        "execution.checkpointing.min-pause": f"{job.checkpoint_ms} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.incremental": "true",
        "state.backend.type": job.state_backend,
        **_ROCKSDB,
        "pipeline.object-reuse": "true",
        "execution.checkpointing.timeout": f"{_CHECKPOINT_MS_MAX} ms",
        "execution.checkpointing.tolerable-failed-checkpoints": "10",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "30 s",
        "table.local-time-zone": "UTC",
        # A partition without new events doesn't hold the watermark back.
        "table.exec.source.idle-timeout": f"{spec.idle_partition_ms} ms",
        # For how long event ids are remembered; the functions of java/flink keep their own state as long as they say.
        "table.exec.state.ttl": f"{spec.deduplication_horizon_ms} ms",
    }
