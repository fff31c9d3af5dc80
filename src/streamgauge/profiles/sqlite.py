"""Profiles in a SQLite file, which `streamgauge profiles import` fills, also while a server reads it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from streamgauge.core.clock import Clock
from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.profiles.base import READ_PROFILES, Chunk, Marker, check_columns, following
from streamgauge.profiles.names import UPDATED_AT, USER_ID

TABLE: Final = "profiles"
VISIBLE_MS_MAX: Final = 5_000
"""So long after its `updated_at` may a change be committed: an import commits every few thousand rows."""

BUSY_MS_MAX: Final = 10_000


class SqliteProfiles:
    """A ProfileSource. `updated_at` is in milliseconds since 1970."""

    def __init__(self, file: Path, columns: Sequence[str], clock: Clock) -> None:
        """Raises ConfigError for names that can't be columns."""
        self._file = file
        self._columns = check_columns(columns)
        self._clock = clock
        self._database: sqlite3.Connection | None = None
        self._closed = False

        self._has_been_there = False

    def read(self, since: Marker | None = None) -> Iterator[Chunk]:
        try:
            with self._opened() as database:
                yield from self._chunks(database, since)
        except sqlite3.Error as error:
            raise Unavailable(f"the profiles in {self._file} can't be read: {error}") from error

    def close(self) -> None:
        self._closed = True
        database = self._database
        if database is not None:
            with contextlib.suppress(sqlite3.Error):
                database.interrupt()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection | None]:
        """None where there is no file yet, and it isn't made. One that was there must not be taken for an empty one."""
        if self._closed:
            raise Unavailable("the profiles are closed")
        if not self._file.exists():
            if self._has_been_there:
                raise Unavailable(f"the profiles were in {self._file}, which is gone")
            yield None
            return
        self._has_been_there = True
        # Without check_same_thread, a generator that is abandoned can be ended in any thread.
        database = sqlite3.connect(
            f"{self._file.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_MS_MAX / 1_000, check_same_thread=False
        )
        self._database = database
        try:
            yield database
        finally:
            self._database = None
            database.close()

    def _chunks(self, database: sqlite3.Connection | None, since: Marker | None) -> Iterator[Chunk]:
        now_ms = self._clock.now_ms()
        newest: int | None = None
        there = set() if database is None else columns_of(database)
        if database is not None and there:
            where, values = _changed(since)
            rows = database.execute(f"{self._query(there)}{where}", values)
            while part := rows.fetchmany(READ_PROFILES):
                *texts, times = zip(*part, strict=True)
                newest = max(newest or 0, min(max(times), now_ms))
                yield Chunk(self._frame(texts), None)
        yield Chunk(self._frame([()] * (1 + len(self._columns))), following(since, newest, now_ms))

    def _query(self, there: set[str]) -> str:
        """Columns that aren't there are null, and so are empty texts."""
        if missing := {USER_ID, UPDATED_AT} - there:
            raise Unavailable(f"the table {TABLE} in {self._file} has no column {', '.join(sorted(missing))}")
        texts = [
            f"nullif(CAST({quoted(name)} AS TEXT), '')" if name.lower() in there else "NULL" for name in self._columns
        ]
        return (
            f"SELECT CAST({USER_ID} AS TEXT), {''.join(f'{text}, ' for text in texts)}"  # noqa: S608
            f"coalesce(CAST({UPDATED_AT} AS INTEGER), 0) FROM {TABLE} WHERE {USER_ID} <> ''"
        )

    def _frame(self, texts: Sequence[Sequence[Any]]) -> pl.DataFrame:
        named = zip((USER_ID, *self._columns), texts, strict=True)
        return pl.DataFrame([pl.Series(name, values, pl.String) for name, values in named])


def _changed(since: Marker | None) -> tuple[str, tuple[int, ...]]:
    """The condition of what is to be read; none for all, which are read faster without the index."""
    if since is None:
        return "", ()
    least = since.newest + 1 if since.settled(VISIBLE_MS_MAX) else since.newest - VISIBLE_MS_MAX
    return f" AND {UPDATED_AT} >= ?", (least,)


def columns_of(database: sqlite3.Connection) -> set[str]:
    """In lower case; none where there is no such table."""
    return {name.lower() for (name,) in database.execute("SELECT name FROM pragma_table_info(?)", (TABLE,))}


def quoted(name: str) -> str:
    """For names that were checked."""
    return f'"{name}"'


def file_of(url: str) -> Path:
    """`sqlite:///file` → file. Raises ConfigError."""
    path = url.removeprefix("sqlite:///")
    if path == url or not path.strip("/"):
        raise ConfigError(
            "the profiles are not at a place that is known", hint="write sqlite:///file or postgresql://…"
        )
    return Path(path)
