"""A micro-batch on its way through the steps, and how it is made from the log."""

from __future__ import annotations

import io
from typing import Final

import msgspec
import polars as pl

from streamgauge.log.base import LogBatch, OffsetRange

ENVELOPE_SCHEMA: Final = pl.Schema(
    {
        "event_id": pl.String(),
        "event": pl.String(),
        "timestamp": pl.Int64(),
        "received_at": pl.Int64(),
        "user_id": pl.String(),
        "anonymous_id": pl.String(),
        "producer": pl.String(),
        "sequence": pl.Int64(),
        "rejection": pl.Struct({"code": pl.String(), "message": pl.String()}),
        "original": pl.String(),
        "properties": pl.String(),
    }
)
"""`model.Envelope` as columns; `timestamp` and `received_at` in ms since 1970, `properties` as JSON text."""


class Batch(msgspec.Struct, frozen=True):
    """What a step takes and gives.

    `events`: the columns of ENVELOPE_SCHEMA with `log_partition` and `log_offset`, in order of partition and offset.
    `dead_letters`: rows for the dead letter table. `dropped`: events that left for another reason, by reason.
    """

    ranges: tuple[OffsetRange, ...]
    events: pl.DataFrame
    dead_letters: tuple[pl.DataFrame, ...] = ()
    dropped: dict[str, int] = {}

    @property
    def batch_id(self) -> str:
        """Made of the offset ranges alone, so that the same records always have the same id."""
        return ",".join(f"{part.partition}:{part.start}-{part.end}" for part in self.ranges)


def decode(batch: LogBatch) -> Batch:
    """Records to columns. A record that isn't one line of an envelope is a bug of its writer, and raises."""
    events = pl.read_ndjson(
        io.BytesIO(b"\n".join(part.lines for part in batch.slices)), schema=ENVELOPE_SCHEMA, low_memory=False
    )
    if events.height != batch.count:
        raise ValueError(f"{batch.count} records of {batch.ranges} have {events.height} envelopes")
    position = pl.concat(
        [
            pl.DataFrame(
                {
                    "log_partition": pl.repeat(part.partition, part.count, dtype=pl.UInt16, eager=True),
                    "log_offset": pl.int_range(part.start, part.end, dtype=pl.UInt64, eager=True),
                }
            )
            for part in batch.slices
        ]
    )
    return Batch(batch.ranges, events.with_columns(position))
