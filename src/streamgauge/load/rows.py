"""Records of the topics of rows to columns of the store's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
import pyarrow as pa

from streamgauge.log.row_base import RowRecord
from streamgauge.model import TIME_MS_END

UNDECODABLE: Final = "undecodable_row"
"""The reason of their dead letters."""

_ORIGINAL_BYTES_MAX: Final = 64 * 1024

_Seconds = Annotated[int, msgspec.Meta(ge=0, lt=TIME_MS_END // 1000)]
_Millis = Annotated[int, msgspec.Meta(ge=0, lt=TIME_MS_END)]
_UInt16 = Annotated[int, msgspec.Meta(ge=0, lt=2**16)]
_UInt32 = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
_Whole = Annotated[int, msgspec.Meta(ge=0)]


class _Metric(msgspec.Struct, gc=False):
    timestamp: _Seconds
    metric_name: str
    value: float
    dimensions: dict[str, str] | None


class _Extremes(msgspec.Struct, gc=False):
    timestamp: _Seconds
    metric_name: str
    value_min: float
    value_max: float
    dimensions: dict[str, str] | None


class _Session(msgspec.Struct, gc=False):
    user_id: str
    is_anonymous: bool
    opened_at: _Millis
    started_at: _Millis
    ended_at: _Millis
    received_at: _Millis
    events: _UInt32
    page_views: _UInt32
    entry_page: str
    exit_page: str
    country: str
    device: str
    is_open: bool
    version: _Whole
    is_deleted: Literal[0, 1]
    identified_user_id: str = ""
    """Rows of an older job don't have it."""


class _Event(msgspec.Struct, gc=False):
    event_id: str
    event: str
    timestamp: _Millis
    received_at: _Millis
    user_id: str
    anonymous_id: str
    properties: str
    enriched: str
    log_partition: _UInt16
    log_offset: _Whole


class _Duplicate(msgspec.Struct, gc=False):
    received_at: _Millis
    event_id: str
    user_id: str
    anonymous_id: str
    log_partition: _UInt16
    log_offset: _Whole


class _Letter(msgspec.Struct, gc=False):
    received_at: _Millis
    reason: str
    message: str
    event_id: str
    original: str | None
    log_partition: _UInt16
    log_offset: _Whole


_MOMENT: Final = pa.timestamp("ms", tz="UTC")
_TEXT: Final = pa.string()
_IN_LOG: Final = {"log_partition": pa.uint16(), "log_offset": pa.uint64()}
_DIMENSIONS: Final = pa.map_(_TEXT, _TEXT)


class _Table(NamedTuple):
    row: type[msgspec.Struct]
    columns: Mapping[str, Any]
    """Name → type in Arrow."""


_TABLES: Final[Mapping[str, _Table]] = {
    "metrics": _Table(
        _Metric,
        {"timestamp": pa.uint32(), "metric_name": _TEXT, "value": pa.float64(), "dimensions": _DIMENSIONS},
    ),
    "metrics_extremes": _Table(
        _Extremes,
        {"timestamp": pa.uint32(), "metric_name": _TEXT}
        | {"value_min": pa.float64(), "value_max": pa.float64(), "dimensions": _DIMENSIONS},
    ),
    "sessions": _Table(
        _Session,
        {"user_id": _TEXT, "is_anonymous": pa.bool_()}
        | dict.fromkeys(("opened_at", "started_at", "ended_at", "received_at"), _MOMENT)
        | {"events": pa.uint32(), "page_views": pa.uint32()}
        | dict.fromkeys(("entry_page", "exit_page", "country", "device"), _TEXT)
        | {"is_open": pa.bool_(), "version": pa.uint64(), "is_deleted": pa.uint8(), "identified_user_id": _TEXT},
    ),
    "events": _Table(
        _Event,
        {"event_id": _TEXT, "event": _TEXT, "timestamp": _MOMENT, "received_at": _MOMENT}
        | dict.fromkeys(("user_id", "anonymous_id", "properties", "enriched"), _TEXT)
        | _IN_LOG,
    ),
    "duplicates": _Table(
        _Duplicate,
        {"received_at": _MOMENT, "event_id": _TEXT, "user_id": _TEXT, "anonymous_id": _TEXT} | _IN_LOG,
    ),
    "dead_letter": _Table(
        _Letter,
        {"received_at": _MOMENT, "reason": _TEXT, "message": _TEXT, "event_id": _TEXT, "original": _TEXT} | _IN_LOG,
    ),
}

_DECODERS: Final = {name: msgspec.json.Decoder(table.row) for name, table in _TABLES.items()}


class Decoded(msgspec.Struct, frozen=True):
    """`rows` of the table that was asked for, `letters` of `dead_letter`: each None where there are none of them."""

    rows: pa.Table | None
    letters: pa.Table | None


def decode(table: str, topic: str, partition: int, records: Sequence[RowRecord]) -> Decoded:
    """All of the records: a row each, or a dead letter. The same records always give the same."""
    decoder, good, bad = _DECODERS[table], [], []
    for record in records:
        try:
            good.append((record, decoder.decode(record.value)))
        except (msgspec.DecodeError, UnicodeError) as error:
            bad.append((record, str(error)))
    rows, refused = _columns(_TABLES[table], good)
    bad = sorted([*bad, *refused], key=lambda one: one[0].offset)
    return Decoded(rows, _letters(table, topic, partition, bad) if bad else None)


def _columns(table: _Table, good: list[tuple[RowRecord, Any]]) -> tuple[pa.Table | None, list[tuple[RowRecord, str]]]:
    """What can't stand in a column, such as half of a pair of surrogates, is found by trying each by itself."""
    if not good:
        return None, []
    try:
        return _arrow(table, [row for _, row in good]), []
    except (pa.ArrowException, ValueError, OverflowError) as error:
        if len(good) == 1:
            return None, [(good[0][0], str(error))]
    halves = [_columns(table, half) for half in (good[: len(good) // 2], good[len(good) // 2 :])]
    parts = [rows for rows, _ in halves if rows is not None]
    return (pa.concat_tables(parts) if parts else None), [one for _, refused in halves for one in refused]


def _arrow(table: _Table, rows: Sequence[Any]) -> pa.Table:
    def column(name: str, kind: Any) -> Any:
        values = [getattr(row, name) for row in rows]
        if kind is _DIMENSIONS:
            values = [list((value or {}).items()) for value in values]  # SQL has no empty map
        elif name == "original":
            values = [value or "" for value in values]
        return pa.array(values, kind)

    return pa.table({name: column(name, kind) for name, kind in table.columns.items()})


def _letters(table: str, topic: str, partition: int, bad: Sequence[tuple[RowRecord, str]]) -> pa.Table:
    where = f"partition {partition} of the topic {topic}"
    letters = [
        _Letter(
            # Not the time of now: the same letter must fall in the same day when it is inserted again.
            received_at=min(max(record.written_at_ms, 0), TIME_MS_END - 1),
            reason=UNDECODABLE,
            message=f"record {record.offset} of {where} is no row of {table}: {error}",
            event_id="",
            original=record.value[:_ORIGINAL_BYTES_MAX].decode(errors="replace"),
            log_partition=partition,
            log_offset=record.offset,
        )
        for record, error in bad
    ]
    return _arrow(_TABLES["dead_letter"], letters)
