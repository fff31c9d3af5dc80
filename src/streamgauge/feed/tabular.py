"""CSV with a header line to events, one record each: columns become fields under their own names, or as mapped."""

from __future__ import annotations

import contextlib
import csv
import itertools
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from streamgauge.feed.errors import FeedError, LineError
from streamgauge.feed.format import Parsed, text_of
from streamgauge.feed.source import LINE_BYTES_MAX, Line

_SECONDS_END: Final = 100_000_000_000
"""Numbers below are seconds since 1970 (until the year 5138), others milliseconds (from March 1973)."""

_INTEGER: Final = re.compile(r"[+-]?\d{1,18}")
_TIME_NUMBER: Final = re.compile(r"\d{1,15}(\.\d{1,9})?")


class Columns(NamedTuple):
    """What to make of the columns. `fields` is field → column; numbers and the rest are columns by their names.

    Columns that are not in `fields` are kept under their own names. `event` is the name of events whose field
    `event` is empty or not there."""

    fields: Mapping[str, str]
    event: str | None = None
    numbers: frozenset[str] = frozenset()
    delimiter: str = ","


class _Target(NamedTuple):
    field: str
    column: str
    is_number: bool


class Tabular:
    kind = "csv"
    metric = "events"

    def __init__(self, columns: Columns) -> None:
        if len(columns.delimiter) != 1 or columns.delimiter in '"\r\n':
            raise FeedError(f"{columns.delimiter!r} can't be the delimiter", hint="give one character, or tab")
        self._columns = columns
        self._targets: list[_Target] = []
        self.preamble = b""

    @property
    def identity(self) -> str:
        columns = self._columns
        return msgspec.json.encode(
            [sorted(columns.fields.items()), columns.event, sorted(columns.numbers), columns.delimiter]
        ).decode()

    def records(self, lines: Iterator[Line]) -> Iterator[Line]:
        header = next((line for line in lines if line.data.strip()), None)
        if header is None or header.too_long:
            raise FeedError("there is no header line", hint="the first line must have the names of the columns")
        try:
            names = self._cells(text_of(header.data))
        except LineError as error:
            raise FeedError(f"the header line can't be read: {error.message}") from error
        self._targets = self._targets_of(names)
        self.preamble = header.data.rstrip(b"\r\n") + b"\n"
        return self._joined(lines)

    def _joined(self, lines: Iterator[Line]) -> Iterator[Line]:
        for line in lines:
            if line.too_long or b'"' not in line.data:
                yield line
                continue
            taken: list[bytes] = []
            # The reader asks for another line only while a quoted cell is open; what it makes of them is not used.
            with contextlib.suppress(csv.Error):
                next(csv.reader(_recorded(line, lines, taken), delimiter=self._columns.delimiter), None)
            data = b"".join(taken)
            yield Line(line.number, data, len(data) > LINE_BYTES_MAX)

    def _cells(self, text: str) -> list[str]:
        body = text.removesuffix("\n").removesuffix("\r")
        if '"' not in body:
            return body.split(self._columns.delimiter)
        try:
            return next(csv.reader((body,), delimiter=self._columns.delimiter, strict=True))
        except csv.Error as error:
            raise LineError("malformed", f"this is not valid CSV: {error}") from None

    def _targets_of(self, header: list[str]) -> list[_Target]:
        """Raises FeedError where header and options don't fit each other."""
        columns = self._columns
        names = [name.strip() for name in header]
        there = f"the columns are: {', '.join(names)}"
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated or "" in names:
            what = f"has {', '.join(map(repr, repeated))} twice" if repeated else "has a column without a name"
            raise FeedError(f"the header {what}", hint=there)
        for wanted in (*columns.fields.values(), *sorted(columns.numbers)):
            if wanted not in names:
                raise FeedError(f"there is no column {wanted!r}", hint=there)
        field_of = {column: field for field, column in columns.fields.items()}
        for field in columns.fields:
            if field in names and field not in field_of:
                raise FeedError(
                    f"there is a column {field!r}, and another one is mapped to that name",
                    hint=f"give the first another name too: --map original_{field}={field}",
                )
        fields = [field_of.get(name, name) for name in names]
        if columns.event is None and "event" not in fields:
            raise FeedError(
                "nothing says what the events are called", hint=f"give --event NAME or --map event=COLUMN; {there}"
            )
        return [_Target(field, name, name in columns.numbers) for field, name in zip(fields, names, strict=True)]

    def parse(self, data: bytes, shift_ms: int) -> Parsed:
        cells = self._cells(text_of(data))
        if len(cells) != len(self._targets):
            raise LineError(
                "wrong_number_of_cells", f"it has {len(cells)} cells where the header has {len(self._targets)}"
            )
        event: dict[str, str | int | float] = {}
        if self._columns.event is not None:
            event["event"] = self._columns.event
        time_ms: int | None = None
        for (field, column, is_number), cell in zip(self._targets, cells, strict=True):
            if field == "timestamp":
                event[field] = time_ms = time_of(cell.strip()) + shift_ms
            elif cell != "":
                event[field] = number_of(cell.strip(), column) if is_number else cell
        return Parsed(time_ms, event)


def _recorded(first: Line, following: Iterator[Line], taken: list[bytes]) -> Iterator[str]:
    """The texts of `first` and the lines after it, for as long as they are asked for and a record may be; `taken`
    gets their bytes."""
    size_bytes = 0
    for line in itertools.chain((first,), following):
        taken.append(line.data)
        size_bytes += len(line.data)
        yield text_of(line.data)
        if size_bytes > LINE_BYTES_MAX:
            return


def number_of(text: str, column: str) -> int | float:
    """Raises LineError."""
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value - value != 0:  # neither infinity nor NaN can be sent
        raise LineError("not_a_number", f"{column}: {text[:64]!r} is not a number")
    return value


def time_of(text: str) -> int:
    """ISO 8601 (UTC where there is no offset), seconds or milliseconds since 1970 → milliseconds. Raises LineError."""
    if _TIME_NUMBER.fullmatch(text):
        number = float(text) if "." in text else int(text)
        return round(number * 1_000) if number < _SECONDS_END else round(number)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise LineError("invalid_time", f"{text[:64]!r} is not a time like 2026-01-01T12:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000)
