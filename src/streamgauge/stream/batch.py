"""A micro-batch on its way through the steps, and how it is made from the log."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec
import polars as pl

from streamgauge.log.base import LogBatch, OffsetRange
from streamgauge.model import LINE_COLUMNS, LINE_ESCAPES, MADE_ID_PREFIX, TIME_MS_END, Envelope, Refused, Rejection

_BODY: Final = "properties"
"""The last column of a line: JSON of the properties, or of why the item was refused where the event is null."""

_INTEGERS: Final = ("timestamp", "received_at", "sequence")
_TEXTS: Final = tuple(name for name in LINE_COLUMNS if name not in _INTEGERS)
_LINE: Final = {name: pl.Int64() if name in _INTEGERS else pl.String() for name in LINE_COLUMNS} | {_BODY: pl.String()}
"""`model.Envelope.to_line` as columns; `timestamp` and `received_at` in ms since 1970; null where absent."""

_ALWAYS: Final = ("event_id", "timestamp", "received_at", _BODY)
"""Columns that every envelope has something in."""

_TIMES: Final = ("timestamp", "received_at")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
"""Of an escape that may be half of a character, which columns take and JSON elsewhere doesn't."""

_INTEGER_MAX: Final = 2**63 - 1
_ORIGINAL_BYTES_MAX: Final = 64 * 1024
"""Of an undecodable record, kept in its dead letter."""

OWN_FIELDS: Final = frozenset({"event", "user_id", "anonymous_id", "event_id"})
"""Fields of the envelope that can be dimensions or conditions; all other names are properties."""


class Batch(msgspec.Struct, frozen=True):
    """What a step takes and gives.

    `events`: the columns of an envelope's line with `properties` as JSON text, a String column `p:name` for each field
    that was asked for (see `decode`), `log_partition` and `log_offset`, in order of partition and offset.
    `dead_letters`, `duplicates`: rows for the tables of dead letters and of repeated events.
    `dropped`: events that left, by reason.
    """

    ranges: tuple[OffsetRange, ...]
    events: pl.DataFrame
    dead_letters: tuple[pl.DataFrame, ...] = ()
    duplicates: pl.DataFrame | None = None
    dropped: dict[str, int] = {}

    @property
    def next_offsets(self) -> dict[int, int]:
        return {part.partition: part.end for part in self.ranges}


def decode(batch: LogBatch, fields: Collection[str], now_ms: int = 0) -> Batch:
    """Records to columns, with a column `p:name` for each of `fields`: null where an event has none. A value that is no
    string is its JSON text, where a whole number has no point (404.0 is "404").

    Of no records it is a batch without events.

    A record that isn't one line of an envelope, which others than the ingest API may write to a log that they share, is
    a refused item with the reason `undecodable`, received at `now_ms`.
    """
    if not batch.count:
        return _nothing(fields)
    text = b"\n".join(part.lines for part in batch.slices)
    properties = [name for name in sorted(fields) if name not in OWN_FIELDS]
    try:
        events = _parse(text, batch.count, properties)
    except (pl.exceptions.PolarsError, ValueError):
        events = _parse(_mended(batch, now_ms), batch.count, properties, is_mended=True)
    own = [pl.col(name).alias(f"p:{name}") for name in sorted(fields) if name in OWN_FIELDS]
    return Batch(batch.ranges, events.with_columns(own).hstack(_positions(batch)))


def _nothing(fields: Collection[str]) -> Batch:
    texts = {f"p:{name}": pl.String() for name in sorted(fields)}
    return Batch((), pl.DataFrame(schema={**_LINE, **texts, "log_partition": pl.UInt16(), "log_offset": pl.UInt64()}))


def add_counts(dropped: Mapping[str, int], counts: pl.DataFrame) -> dict[str, int]:
    """`dropped` with `counts` added: rows of a reason and a number."""
    return {**dropped, **{reason: dropped.get(reason, 0) + count for reason, count in counts.iter_rows()}}


def _parse(text: bytes, count: int, properties: Sequence[str], *, is_mended: bool = False) -> pl.DataFrame:
    """Raises PolarsError or ValueError where these are not so many envelopes, or, if not `is_mended`, may not be."""
    lines = pl.read_csv(text, has_header=False, separator="\t", quote_char=None, schema=_LINE)
    if lines.height != count:
        raise ValueError(f"{count} records are {lines.height} lines")
    if not is_mended and (b"\r" in text or _SURROGATE.search(text)):
        raise ValueError("some may be no envelopes")
    if any(lines[name].null_count() for name in _ALWAYS):
        raise ValueError("some are no envelopes")
    for name in _TIMES:
        if count and not lines[name].is_between(0, TIME_MS_END, closed="left").all():
            raise ValueError("a time is out of bounds")
    for body in lines.filter(pl.col("event").is_null())[_BODY]:
        msgspec.json.decode(body, type=Refused)
    escaped = [name for name in _TEXTS if lines[name].str.contains("\\", literal=True).any()]
    lines = lines.with_columns(_unescaped(pl.col(name)).alias(name) for name in escaped)
    if not properties:
        return lines
    bodies = lines[_BODY].str.join("\n").cast(pl.Binary).item()  # as text, it would be decoded and encoded again
    named = pl.read_ndjson(bodies, schema=dict.fromkeys(properties, pl.String()))
    return lines.hstack(named.rename({name: f"p:{name}" for name in properties}))


def _mended(batch: LogBatch, now_ms: int) -> bytes:
    """The lines, with a refused item in the place of each that is no envelope."""
    mended = []
    for part in batch.slices:
        for offset, line in enumerate(part.lines.split(b"\n"), part.start):
            problem = _why_not_envelope(line)
            mended.append(_undecodable(line, problem, f"{part.partition}-{offset}", now_ms) if problem else line)
    return b"\n".join(mended)


def _why_not_envelope(line: bytes) -> str:
    """Empty for a line as `model.line_of` writes it, whose properties may be written by others."""
    try:
        envelope = Envelope.from_line(line)
        rewritten = envelope.to_line()
    except (ValueError, RecursionError) as error:
        return str(error)
    *columns, body = line.split(b"\t", len(LINE_COLUMNS))
    if rewritten.split(b"\t", len(LINE_COLUMNS))[:-1] != columns or not envelope.event_id:
        return "its columns are not those of an envelope"
    if b"\t" in body or b"\r" in body or abs(envelope.sequence or 0) > _INTEGER_MAX:
        return "its properties are not on one line, or a number is too large"
    if not all(0 <= getattr(envelope, name) < TIME_MS_END for name in _TIMES):
        return "a time is not between 1970 and 2099"
    return ""


def _undecodable(line: bytes, problem: str, position: str, now_ms: int) -> bytes:
    return Envelope(
        event_id=f"{MADE_ID_PREFIX}{position}",
        event="",
        timestamp=now_ms,
        received_at=now_ms,
        rejection=Rejection("undecodable", f"the record of the log is no event of the ingest API: {problem[:200]}"),
        original=line[:_ORIGINAL_BYTES_MAX].decode(errors="replace"),
    ).to_line()


def _unescaped(column: pl.Expr) -> pl.Expr:
    for plain, escaped in LINE_ESCAPES.items():
        column = column.str.replace_all(escaped, plain, literal=True)
    return column


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
