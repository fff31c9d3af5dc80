"""A processed batch to the rows that are written: panes, raw events, dead letters."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import polars as pl
import pyarrow as pa

from streamgauge.model import (
    LIVE_SAMPLE_EVENTS_MAX,
    MINUTE_MS,
    SESSION_DIMENSIONS,
    SESSION_METRICS,
    EventSample,
    LiveUpdate,
    Rollup,
)
from streamgauge.store.base import RowBatch
from streamgauge.stream.batch import Batch
from streamgauge.stream.cardinality import DimensionValues
from streamgauge.stream.session_rows import SessionChanges
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.state import Pending
from streamgauge.stream.window import known, pane_rows, panes


class Output(msgspec.Struct, frozen=True):
    """`writes` in the order in which they are written: rollups come first, so that what raw events show is counted.
    `counted` is what they add to each metric."""

    writes: tuple[RowBatch, ...]
    counted: dict[str, float]


def rows_of(batch: Batch, pending: Pending, values: DimensionValues, sessions: SessionChanges) -> Output:
    """All rows of a batch."""
    spec, batch_id = pending.spec, pending.batch_id
    counted: dict[str, float] = {}
    tables: dict[str, list[pa.Table]] = {"metrics": [], "metrics_extremes": []}
    for rollup, found in _panes(batch, spec, values):
        additive = rollup.measured.kind in ("count", "sum")
        table, columns = ("metrics", ["value"]) if additive else ("metrics_extremes", ["value_min", "value_max"])
        tables[table].append(pane_rows(rollup.name, found, rollup.dimensions, columns))
        counted[rollup.name] = float(found["value"].sum()) if additive else float(found.height)
    for metric, found in _session_panes(sessions.closed, spec, values):
        tables["metrics"].append(pane_rows(metric, found, SESSION_DIMENSIONS, ["value"]))
        counted[metric] = float(found["value"].sum())
    writes = [
        RowBatch(table, f"{batch_id}/{table}", pa.concat_tables(parts)) for table, parts in tables.items() if parts
    ]
    writes += [RowBatch(table, f"{batch_id}/{table}", rows) for table, rows in _raw_rows(batch, sessions.rows)]
    return Output(tuple(writes), counted)


def _panes(batch: Batch, spec: PipelineSpec, values: DimensionValues) -> Iterator[tuple[Rollup, pl.DataFrame]]:
    if not batch.events.height:
        return
    for rollup in spec.rollups:
        found = panes(batch.events, rollup, spec.dimension_chars_max)
        if found.height:
            yield rollup, values.limit(rollup.name, found, rollup.measured.kind, spec.cardinality_max)


def _session_panes(
    closed: pl.DataFrame, spec: PipelineSpec, values: DimensionValues
) -> Iterator[tuple[str, pl.DataFrame]]:
    dimensions = [known(name, spec.dimension_chars_max) for name in SESSION_DIMENSIONS]
    for metric in SESSION_METRICS:
        found = closed.filter(pl.col(metric) != 0).select("timestamp", pl.col(metric).alias("value"), *dimensions)
        if found.height:
            yield metric, values.limit("sessions", found, "sum", spec.cardinality_max)


def live_update(batch: Batch, counted: dict[str, float]) -> LiveUpdate:
    times = batch.events["timestamp"]
    newest = batch.events.tail(LIVE_SAMPLE_EVENTS_MAX).select("event", "timestamp", "user_id", "properties")
    return LiveUpdate(
        events_count=batch.events.height,
        metrics=counted,
        from_ms=_floor_minute(times.min()),
        to_ms=_floor_minute(times.max()) + MINUTE_MS,
        sample=tuple(_sample(row) for row in newest.iter_rows()),
    )


def _raw_rows(batch: Batch, sessions: pl.DataFrame) -> Iterator[tuple[str, pa.Table]]:
    if sessions.height:
        moments = [_moment(name) for name in ("opened_at", "started_at", "ended_at", "received_at")]
        yield "sessions", sessions.with_columns(moments).to_arrow(compat_level=pl.CompatLevel.oldest())
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
                *(["enriched"] if "enriched" in batch.events.columns else []),
            ).to_arrow(compat_level=pl.CompatLevel.oldest()),
        )
    if batch.duplicates is not None:
        repeated = batch.duplicates.with_columns(_moment("received_at"))
        yield "duplicates", repeated.to_arrow(compat_level=pl.CompatLevel.oldest())
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
