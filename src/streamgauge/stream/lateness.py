"""What comes too late, or too far ahead of its time, is set aside: the dead letter is an output.

How late an event is, is told by its own record: the time of its receipt less its own time. So the answer is the same
however the log is cut into batches, after a restart, in a replay and in another engine, and an event that was accepted
in time is counted however long the stream was behind. See docs/adr/0008.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import polars as pl

from streamgauge.model import DAY_MS
from streamgauge.stream.batch import Batch, add_counts
from streamgauge.stream.spec import PipelineSpec

_ENVELOPE: Final = ("event_id", "event", "timestamp", "user_id", "anonymous_id")


class SetLateAside:
    """Numbered items are history that someone brings on purpose: no time is too late for them."""

    name = "set_late_aside"

    def apply(self, batch: Batch, spec: PipelineSpec) -> Batch:
        late_ms = pl.col("received_at") - pl.col("timestamp")
        reasons = batch.events.select(
            pl.when((late_ms > spec.allowed_lateness_ms) & pl.col("producer").is_null())
            .then(pl.lit("too_late"))
            .when(late_ms < -spec.future_ms_max)
            .then(pl.lit("too_far_ahead"))
            .alias("reason")
        )["reason"]
        if reasons.null_count() == reasons.len():
            return batch
        is_late = reasons.is_not_null()
        late = batch.events.with_columns(reasons).filter(is_late)
        return msgspec.structs.replace(
            batch,
            events=batch.events.filter(~is_late),
            dead_letters=(*batch.dead_letters, _letters(late, spec)),
            dropped=add_counts(batch.dropped, late["reason"].value_counts()),
        )

    def changes(self) -> None:
        return None


def _letters(late: pl.DataFrame, spec: PipelineSpec) -> pl.DataFrame:
    rows = late.select(*_ENVELOPE, "received_at", "reason", "properties", "log_partition", "log_offset")
    return pl.DataFrame(
        [_letter(row, spec) for row in rows.iter_rows(named=True)],
        schema={
            "received_at": pl.Int64(),
            "reason": pl.String(),
            "message": pl.String(),
            "event_id": pl.String(),
            "original": pl.String(),
            "log_partition": pl.UInt16(),
            "log_offset": pl.UInt64(),
        },
        orient="row",
    )


def _letter(row: dict[str, Any], spec: PipelineSpec) -> tuple[object, ...]:
    seconds = (row["received_at"] - row["timestamp"]) / 1000
    message = (
        f"it was received {seconds:,.0f} s after its own time; {spec.allowed_lateness_ms / 1000:,.0f} s are allowed"
        if row["reason"] == "too_late"
        else f"its own time is {-seconds:,.0f} s after it was received; {spec.future_ms_max / 1000:,.0f} s are allowed"
    )
    if _is_seconds(row):
        message += f"; {row['timestamp']} looks like seconds, and milliseconds are meant"
    fields = {name: row[name] for name in _ENVELOPE if row[name] is not None}
    original = msgspec.json.encode(fields | msgspec.json.decode(row["properties"])).decode()
    place = (row["log_partition"], row["log_offset"])
    return row["received_at"], row["reason"], message, row["event_id"], original, *place


def _is_seconds(row: dict[str, Any]) -> bool:
    """Whether it would be in time if its time had been given in seconds: within a day of its receipt."""
    return bool(abs(row["received_at"] - row["timestamp"] * 1000) < DAY_MS)
