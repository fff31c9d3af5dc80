"""The self-metrics of the stream that are asked for rather than counted: how fresh it is, and what it remembers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import Freshness
from streamgauge.stream.pipeline import Pipeline


class Held(Protocol):
    """What is held in memory."""

    def __len__(self) -> int: ...

    @property
    def memory_bytes(self) -> int: ...


def measure_freshness(metrics: SelfMetrics, fresh: Freshness) -> None:
    metrics.stream_lag_events.set(fresh.lag_events)
    metrics.stream_lag_seconds.set(fresh.lag_ms / 1000)
    metrics.stream_complete_up_to.set(fresh.complete_up_to_ms / 1000)


def measure_memory(metrics: SelfMetrics, pipelines: Sequence[Pipeline], profiles: Held) -> None:
    """Of all pipelines of this process together; an id is recognised for as long as the shortest of their horizons."""
    ids, sessions = [known.ids for known in pipelines], [known.sessions for known in pipelines]
    metrics.stream_remembered_ids.set(sum(one.ids for one in ids))
    metrics.stream_open_sessions.set(sum(one.open_count for one in sessions))
    metrics.stream_profiles.set(len(profiles))
    # One that has counted nothing since it was opened has no horizon yet.
    horizons_ms = [one.horizon_ms for one in ids if one.horizon_ms or one.forgotten_early]
    metrics.stream_horizon.set(min(horizons_ms, default=0) / 1000)
    metrics.stream_state_bytes.labels("event_ids").set(sum(one.memory_bytes for one in ids))
    metrics.stream_state_bytes.labels("sessions").set(sum(one.memory_bytes for one in sessions))
    metrics.stream_state_bytes.labels("profiles").set(profiles.memory_bytes)
    metrics.stream_forgotten.labels("event_ids").set(sum(one.forgotten_early for one in ids))
    metrics.stream_forgotten.labels("sessions").set(sum(one.forgotten_early for one in sessions))
