"""What a single event added to the rollups, told after the fact by the functions that added it."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from streamgauge.log.base import LogBatch, LogSlice
from streamgauge.model import Envelope, Pane, Rollup
from streamgauge.stream.batch import decode
from streamgauge.stream.pipeline import wanted_fields
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.window import panes


def panes_of(event: Envelope, enriched: Mapping[str, str], spec: PipelineSpec) -> list[Pane]:
    """The panes that an event is counted in. `enriched` is what the profile of its user added to it then.

    Dimensions stand as the event has them: which values were over the limit of cardinality, only the state of that
    time knew.
    """
    record = LogSlice(partition=0, start=0, count=1, lines=event.to_line())
    events = decode(LogBatch((record,)), wanted_fields(spec)).events
    events = events.with_columns(
        pl.col(f"p:{name}").fill_null(pl.lit(value, pl.String))
        for name, value in enriched.items()
        if f"p:{name}" in events.columns
    )
    return [
        _pane(rollup, row)
        for rollup in spec.rollups
        for row in panes(events, rollup, spec.dimension_chars_max).iter_rows(named=True)
    ]


def _pane(rollup: Rollup, row: Mapping[str, object]) -> Pane:
    start_ms = int(str(row["timestamp"]))
    return Pane(
        metric=rollup.name,
        kind=rollup.measured.kind,
        start_ms=start_ms,
        end_ms=start_ms + rollup.window_ms,
        dimensions={name: str(row[f"p:{name}"]) for name in rollup.dimensions},
        value=float(str(row["value"])),
    )
