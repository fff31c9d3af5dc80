"""A pipeline as inert data: it can be printed, compared, tested, run by a runner and compiled for another engine."""

from __future__ import annotations

import msgspec

from streamgauge.model import Rollup


class PipelineSpec(msgspec.Struct, frozen=True):
    """What the stream does with events, whichever engine does it."""

    rollups: tuple[Rollup, ...]
    watermark_delay_ms: int
    idle_partition_ms: int
    dimension_chars_max: int
