"""A micro-batch on its way through the steps, and how it is made from the log."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec
import polars as pl

from streamgauge.log.base import LogBatch, OffsetRange

_HEADER: Final[dict[str, pl.DataType]] = {
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
}
"""`model.Envelope` as columns; `timestamp` and `received_at` in ms since 1970."""

OWN_FIELDS: Final = frozenset({"event", "user_id", "anonymous_id", "event_id"})
"""Fields of the envelope that can be dimensions or conditions; all other names are properties."""

_PROPERTIES: Final = ',"properties":'
"""Where the last field of an envelope begins. Inside a string its quotes would be escaped."""


class Batch(msgspec.Struct, frozen=True):
    """What a step takes and gives.

    `events`: an envelope's fields with `properties` as JSON text, a String column `p:name` for each field that was
    asked for (see `decode`), `log_partition` and `log_offset`, in order of partition and offset.
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


def decode(batch: LogBatch, fields: Collection[str]) -> Batch:
    """Records to columns, with a column `p:name` for each of `fields`: null where an event has none. A value that is no
    string is its JSON text, where a whole number has no point (404.0 is "404").

    A record that isn't one line of an envelope is a bug of its writer, and raises.
    """
    text = b"\n".join(part.lines for part in batch.slices)
    events = _parse(text, [name for name in sorted(fields) if name not in OWN_FIELDS])
    if events.height != batch.count:
        raise ValueError(f"{batch.count} records of {batch.ranges} have {events.height} envelopes")
    own = [pl.col(name).alias(f"p:{name}") for name in sorted(fields) if name in OWN_FIELDS]
    return Batch(batch.ranges, events.with_columns(own).hstack(_positions(batch)))


def _parse(text: bytes, properties: Sequence[str]) -> pl.DataFrame:
    # The text of all properties is cut out of the line, which costs a tenth of parsing and writing them again.
    after = pl.col("line").str.splitn(_PROPERTIES, 2).struct[1]
    whole = pl.read_lines(text).select(after.str.strip_suffix("}").alias("properties"))
    if not properties:
        return pl.read_ndjson(text, schema=_HEADER).hstack(whole)
    wanted = pl.Struct(dict.fromkeys(properties, pl.String()))
    parsed = pl.read_ndjson(text, schema=_HEADER | {"properties": wanted})
    named = parsed["properties"].struct.unnest().rename({name: f"p:{name}" for name in properties})
    return parsed.drop("properties").hstack(named).hstack(whole)


def _positions(batch: LogBatch) -> pl.DataFrame:
    """Where each record lies in the log: `log_partition`, `log_offset`."""
    return pl.concat(
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
