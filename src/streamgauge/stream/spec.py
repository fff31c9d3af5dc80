"""A pipeline as inert data: it can be printed, compared, tested, run by a runner and compiled for another engine."""

from __future__ import annotations

import msgspec

from streamgauge.model import DAY_MS, MINUTE_MS, Rollup


class PipelineSpec(msgspec.Struct, frozen=True):
    """What the stream does with events, whichever engine does it. The defaults are those of `config.StreamSettings`;
    a pending batch that an older version recorded has no more than the first four fields."""

    rollups: tuple[Rollup, ...]
    watermark_delay_ms: int
    idle_partition_ms: int
    dimension_chars_max: int
    cardinality_max: int = 10_000
    allowed_lateness_ms: int = DAY_MS
    future_ms_max: int = 5 * MINUTE_MS
    deduplication_horizon_ms: int = DAY_MS
    deduplication_bytes_max: int = 1024**3
    session_gap_ms: int = 30 * MINUTE_MS
    sessions_max: int = 4_000_000
    profile_columns: tuple[str, ...] = ()
