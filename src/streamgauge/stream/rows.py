"""A processed batch to the rows that are written: panes, raw events, dead letters."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import polars as pl
import pyarrow as pa

from streamgauge.model import MINUTE_MS, EventSample, LiveUpdate
from streamgauge.store.base import RowBatch
from streamgauge.stream.batch import Batch
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.window import pane_rows, panes

_SAMPLE_EVENTS_MAX = 10


def rows_of(batch: Batch, spec: PipelineSpec) -> tuple[list[RowBatch], dict[str, float]]:
    """All rows of a batch in the order in which they are written, and what they add to each metric.

    Rollups come first: when raw events can be seen, they have been counted.
    """
    counted: dict[str, float] = {}
    tables: dict[str, list[pa.Table]] = {"metrics": [], "metrics_extremes": []}
    if batch.events.height:
        for rollup in spec.rollups:
            found = panes(batch.events, rollup, spec.dimension_chars_max)
            if not found.height:
                continue
            additive = rollup.measured.kind in ("count", "sum")
            table, columns = ("metrics", ["value"]) if additive else ("metrics_extremes", ["value_min", "value_max"])
            tables[table].append(pane_rows(rollup.name, found, rollup.dimensions, columns))
            counted[rollup.name] = float(found["value"].sum()) if additive else float(found.height)
    batches = [
        RowBatch(table, f"{batch.batch_id}/{table}", pa.concat_tables(parts))
        for table, parts in tables.items()
        if parts
    ]
    batches += [RowBatch(table, f"{batch.batch_id}/{table}", rows) for table, rows in _raw_rows(batch)]
    return batches, counted


def live_update(batch: Batch, counted: dict[str, float]) -> LiveUpdate:
    times = batch.events["timestamp"]
    newest = batch.events.tail(_SAMPLE_EVENTS_MAX).select("event", "timestamp", "user_id", "properties")
    return LiveUpdate(
        events_count=batch.events.height,
        metrics=counted,
        from_ms=_floor_minute(times.min()),
        to_ms=_floor_minute(times.max()) + MINUTE_MS,
        sample=tuple(_sample(row) for row in newest.iter_rows()),
    )


def _raw_rows(batch: Batch) -> Iterator[tuple[str, pa.Table]]:
    if batch.events.height:
        yield (
            "events",
            batch.events.select(
                "event_id",
                "event",
                _moment("timestamp"),
                _moment("received_at"),
                pl.col("user_id").fill_null(""),
                pl.col("anonymous_id").fill_null(""),
                "properties",
                "log_partition",
                "log_offset",
            ).to_arrow(compat_level=pl.CompatLevel.oldest()),
        )
    if batch.dead_letters:
        letters = pl.concat(batch.dead_letters).with_columns(_moment("received_at"))
        yield "dead_letter", letters.to_arrow(compat_level=pl.CompatLevel.oldest())


def _moment(column: str) -> pl.Expr:
    return pl.from_epoch(column, time_unit="ms").dt.replace_time_zone("UTC")


def _floor_minute(time_ms: object) -> int:
    milliseconds = int(str(time_ms))
    return milliseconds - milliseconds % MINUTE_MS


def _sample(row: tuple[str, int, str | None, str]) -> EventSample:
    event, timestamp_ms, user_id, properties = row
    return EventSample(event, timestamp_ms, user_id, msgspec.json.decode(properties))
