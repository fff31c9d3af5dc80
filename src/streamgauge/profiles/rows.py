"""Files of profiles, CSV, TSV or NDJSON, plain or gzip: one profile a row, with the number of its line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from streamgauge.core.errors import ConfigError
from streamgauge.feed.errors import FeedError
from streamgauge.feed.format import text_of
from streamgauge.feed.source import LINE_BYTES_MAX, SourceFile
from streamgauge.profiles.base import check_columns

COLUMNS_MAX: Final = 256
_DELIMITERS: Final = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_JSON: Final = frozenset({".ndjson", ".jsonl", ".json"})


class Row(NamedTuple):
    """`values` are in the order of `columns`, null where the profile has none; `line` counts from 1."""

    line: int
    user_id: str
    columns: tuple[str, ...]
    values: tuple[str | None, ...]


def profile_rows(file: SourceFile, id_column: str) -> Iterator[Row]:
    """All profiles of the file. What it is shows in its name, without `.gz`.

    Raises FeedError that names the line where the file can't be read: nothing is passed over.
    """
    suffix = _suffix(file.path)
    if suffix in _JSON:
        return _objects(file, id_column)
    if suffix in _DELIMITERS:
        return _table(file, id_column, _DELIMITERS[suffix])
    raise FeedError(
        f"{file.path.name} is of no format that is known",
        hint="name it .csv, .tsv or .ndjson, with .gz after it if it is compressed",
    )


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix not in (".gz", ".gzip")), "")


def _table(file: SourceFile, id_column: str, delimiter: str) -> Iterator[Row]:
    lines = _Lines(file)
    records = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    try:
        for cells in records:
            if not cells or (header is None and not any(cells)):
                lines.begin_record()
                continue
            if header is None:
                header = [name.strip() for name in cells]
                at, columns = _columns_of(header, id_column)
            elif len(cells) != len(header):
                what = f"it has {len(cells)} cells where the header has {len(header)}"
                raise _error(lines.first, what)
            else:
                user_id = cells.pop(at)
                yield Row(lines.first, _checked_id(user_id, lines.first, id_column), columns, _texts(cells))
            lines.begin_record()
    except csv.Error as error:
        raise _error(lines.first, f"this is not valid CSV: {error}") from error
    if header is None:
        raise FeedError("there is no header line", hint="the first line must have the names of the columns")


def _columns_of(header: Sequence[str], id_column: str) -> tuple[int, tuple[str, ...]]:
    """Where the id is, and the other columns."""
    there = f"the columns are: {', '.join(header)}"
    if header.count(id_column) != 1:
        what = "more than one" if id_column in header else "no"
        raise FeedError(f"there is {what} column {id_column!r}", hint=f"give --id-column NAME; {there}")
    at = header.index(id_column)
    return at, _checked_columns([*header[:at], *header[at + 1 :]])


def _checked_columns(names: Sequence[str]) -> tuple[str, ...]:
    if len(names) > COLUMNS_MAX:
        raise FeedError(f"a profile can't have {len(names)} columns", hint=f"leave out what is over {COLUMNS_MAX}")
    try:
        return check_columns(names)
    except ConfigError as error:
        raise FeedError(error.message, hint=error.hint) from error


def _texts(cells: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(cell if cell != "" else None for cell in cells)


def _objects(file: SourceFile, id_column: str) -> Iterator[Row]:
    """A key that an object lacks is a column that stays as it is; null and "" take a value away."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    for line in file.lines():
        if not line.data.strip():
            continue
        _check_length(line.number, too_long=line.too_long)
        try:
            fields = decode(line.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _error(line.number, f"this is not a JSON object: {error}") from error
        user_id = _checked_id(json_text(fields.pop(id_column, None)) or "", line.number, id_column)
        names = tuple(fields)
        if names not in known:
            try:
                known[names] = _checked_columns(names)
            except FeedError as error:
                raise _error(line.number, error.message, error.hint) from error
        yield Row(line.number, user_id, known[names], tuple(map(json_text, fields.values())))


def json_text(value: object) -> str | None:
    """Text as it is; of anything else its JSON, where a whole number has no point: as the stream sees properties."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return msgspec.json.encode(value).decode()


def _checked_id(user_id: str, line: int, id_column: str) -> str:
    if user_id.strip() == "":
        raise _error(line, f"there is no {id_column}", "every profile needs the id of its user")
    return user_id


def _check_length(line: int, *, too_long: bool) -> None:
    if too_long:
        raise _error(line, f"it is over {LINE_BYTES_MAX:,} bytes")


def _error(line: int, message: str, hint: str = "") -> FeedError:
    return FeedError(f"line {line}: {message}", hint=hint or "correct the line, then import the file again")


class _Lines:
    """Lines as texts for a reader of CSV, which may take several for one record; `first` is the number of its first."""

    def __init__(self, file: SourceFile) -> None:
        self._source = file.lines()
        self._number = 0
        self.first = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._source)
        self._number = line.number
        _check_length(line.number, too_long=line.too_long)
        return text_of(line.data)

    def begin_record(self) -> None:
        self.first = self._number + 1
