from __future__ import annotations

import msgspec
from prometheus_client import CollectorRegistry

from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import Freshness
from streamgauge.profiles.table import ProfileTable
from streamgauge.stream.measure import measure_freshness, measure_memory
from streamgauge.stream.pipeline import Pipeline, wanted_fields
from streamgauge.stream.state import Pending
from unit.stream.making import NOON_MS, SPEC, decoded, event

_TIGHT = msgspec.structs.replace(SPEC, deduplication_bytes_max=1024 * 1024)
_PROFILES = ProfileTable(("plan",))


def _pipeline(*counts: int) -> Pipeline:
    """That counted a batch for each number: so many events with ids of their own, of as many users, a minute later."""
    pipeline = Pipeline(lambda _: (), _PROFILES)
    for batch, count in enumerate(counts):
        now_ms = NOON_MS + batch * 60_000
        names = [f"{batch}-{number}" for number in range(count)]
        events = [event(event_id=name, user_id=name, at_ms=now_ms) for name in names]
        pipeline.apply(decoded(*events, fields=wanted_fields(_TIGHT)), Pending((), _TIGHT, batch))
    return pipeline


def _value(registry: CollectorRegistry, name: str, of: str | None = None) -> float | None:
    return registry.get_sample_value(f"streamgauge_stream_{name}", {} if of is None else {"of": of})


def test_what_pipelines_remember_is_added_up_and_the_least_of_their_horizons_is_told() -> None:
    metrics = SelfMetrics()
    wide, short, fresh = _pipeline(3), _pipeline(*[12_000] * 3), _pipeline()
    assert 0 < short.ids.horizon_ms < wide.ids.horizon_ms
    measure_memory(metrics, [wide, short, fresh], _PROFILES)
    told = metrics.registry
    assert _value(told, "remembered_ids") == 3 + short.ids.ids
    assert _value(told, "open_sessions") == 3 + short.sessions.open_count
    assert _value(told, "deduplication_horizon_seconds") == short.ids.horizon_ms / 1000
    assert _value(told, "forgotten_early", "event_ids") == short.ids.forgotten_early > 0
    assert _value(told, "forgotten_early", "sessions") == 0
    assert _value(told, "state_bytes", "event_ids") == wide.ids.memory_bytes + short.ids.memory_bytes
    assert _value(told, "state_bytes", "sessions") == sum(one.sessions.memory_bytes for one in (wide, short, fresh))
    assert _value(told, "state_bytes", "profiles") == _PROFILES.memory_bytes


def test_where_no_partition_is_this_process_s_nothing_is_remembered() -> None:
    metrics = SelfMetrics()
    measure_memory(metrics, [_pipeline(3)], _PROFILES)
    measure_memory(metrics, [], _PROFILES)
    assert [_value(metrics.registry, one) for one in ("remembered_ids", "deduplication_horizon_seconds")] == [0, 0]


def test_freshness_is_told_in_events_and_seconds() -> None:
    metrics = SelfMetrics()
    measure_freshness(metrics, Freshness(NOON_MS, 1_500, 7))
    names = ("lag_events", "lag_seconds", "complete_up_to_seconds")
    assert [_value(metrics.registry, one) for one in names] == [7, 1.5, NOON_MS / 1000]
