"""What a batch of rows changed, for whoever looks on."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from streamgauge.model import LIVE_SAMPLE_EVENTS_MAX, MINUTE_MS, EventSample, LiveUpdate

_SAMPLE = ("event", "timestamp", "user_id", "properties")


def live_update(table: str, rows: pa.Table) -> LiveUpdate | None:
    """Of at least one row of `metrics`, `metrics_extremes` or `events`, as `rows.decode` gives them; None for others,
    which are not shown live."""
    if table == "events":
        times = pc.cast(rows["timestamp"], pa.int64())
        return _over(times, events_count=rows.num_rows, sample=tuple(_samples(rows)))
    if table not in ("metrics", "metrics_extremes"):
        return None
    measured = ("value", "sum") if table == "metrics" else ("timestamp", "count")
    counted = rows.group_by("metric_name").aggregate([measured])
    added = zip(counted["metric_name"].to_pylist(), counted["_".join(measured)].to_pylist(), strict=True)
    return _over(pc.multiply(pc.cast(rows["timestamp"], pa.int64()), 1_000), metrics=dict(added))


def _over(
    times_ms: pa.ChunkedArray,
    *,
    events_count: int = 0,
    metrics: dict[str, float] | None = None,
    sample: tuple[EventSample, ...] = (),
) -> LiveUpdate:
    first, last = pc.min(times_ms).as_py(), pc.max(times_ms).as_py()
    from_ms, to_ms = first - first % MINUTE_MS, last - last % MINUTE_MS + MINUTE_MS
    return LiveUpdate(events_count, metrics or {}, from_ms, to_ms, sample)


def _samples(rows: pa.Table) -> Iterator[EventSample]:
    newest = rows.slice(max(0, rows.num_rows - LIVE_SAMPLE_EVENTS_MAX)).select(_SAMPLE)
    newest = newest.set_column(1, "timestamp", pc.cast(newest["timestamp"], pa.int64()))
    for row in newest.to_pylist():
        try:
            properties = msgspec.json.decode(row["properties"], type=dict)
        except (msgspec.DecodeError, RecursionError):
            continue  # a record that somebody else wrote: it is counted all the same
        yield EventSample(row["event"], row["timestamp"], row["user_id"] or None, properties)
