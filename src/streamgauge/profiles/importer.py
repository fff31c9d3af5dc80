"""Puts profiles into the SQLite file, also while a server reads it. An import that ends half-way can be run again."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from streamgauge.core.clock import Clock
from streamgauge.core.errors import Unavailable
from streamgauge.profiles.names import UPDATED_AT, USER_ID
from streamgauge.profiles.rows import Row
from streamgauge.profiles.sqlite import BUSY_MS_MAX, TABLE, columns_of, quoted

CHUNK_PROFILES: Final = 20_000
"""Of one transaction."""


class ImportSummary(msgspec.Struct):
    """How many rows were about a new profile, changed one, or said what was known already."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0

    @property
    def rows(self) -> int:
        return self.new + self.changed + self.unchanged


class ProfileWriter:
    """The SQLite file for one who writes. Raises Unavailable where it can't be written or isn't a database."""

    def __init__(self, file: Path, clock: Clock) -> None:
        self._file, self._clock = file, clock
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(file, isolation_level=None, timeout=BUSY_MS_MAX / 1_000)
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(f"the profiles in {file} can't be written: {error}") from error
        try:
            with self._writing():
                prepare(self._database)
        except Unavailable:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def upsert(self, rows: Sequence[Row], summary: ImportSummary) -> None:
        """All rows in one transaction, in their order. Columns that the table lacks are added; `updated_at` is now,
        of the profiles that are new or changed. Counts are added to `summary` once it is on disk."""
        counts = ImportSummary()
        with self._writing(), transaction(self._database):
            now_ms = self._clock.now_ms()
            for columns, part in itertools.groupby(rows, key=lambda row: row.columns):
                self._add_columns(columns)
                self._merge(columns, list(part), now_ms, counts)
        summary.new += counts.new
        summary.changed += counts.changed
        summary.unchanged += counts.unchanged

    def _add_columns(self, columns: Iterable[str]) -> None:
        there = columns_of(self._database)
        for name in columns:
            if name.lower() not in there:
                self._database.execute(f"ALTER TABLE {TABLE} ADD COLUMN {quoted(name)} TEXT")

    def _merge(self, columns: Sequence[str], rows: Sequence[Row], now_ms: int, counts: ImportSummary) -> None:
        database, names = self._database, [quoted(name) for name in columns]
        listed = ", ".join([USER_ID, *names])
        marks = ", ".join("?" * (1 + len(names)))
        database.execute(f"CREATE TEMP TABLE incoming ({', '.join([f'{USER_ID} TEXT PRIMARY KEY', *names])})")
        database.executemany(
            f"INSERT OR REPLACE INTO incoming ({listed}) VALUES ({marks})",  # noqa: S608
            ((row.user_id, *row.values) for row in rows),
        )
        distinct, known = database.execute(
            f"SELECT count(*), count(p.{USER_ID}) FROM incoming AS i LEFT JOIN {TABLE} AS p USING ({USER_ID})"  # noqa: S608
        ).fetchone()
        written = database.execute(_upsert_from_incoming(names, listed), (now_ms,)).rowcount
        database.execute("DROP TABLE incoming")
        counts.new += distinct - known
        counts.changed += written - (distinct - known)
        counts.unchanged += len(rows) - written

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise Unavailable(
                f"the profiles in {self._file} can't be written: {error}", hint="check the disk and the file's owner"
            ) from error


def prepare(database: sqlite3.Connection) -> None:
    """The table, where it isn't there yet."""
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes, the next import brings
    database.execute("PRAGMA temp_store = MEMORY")
    database.execute(
        f"CREATE TABLE IF NOT EXISTS {TABLE} "
        f"({USER_ID} TEXT PRIMARY KEY NOT NULL, {UPDATED_AT} INTEGER NOT NULL) WITHOUT ROWID"
    )
    database.execute(f"CREATE INDEX IF NOT EXISTS {TABLE}_{UPDATED_AT} ON {TABLE} ({UPDATED_AT})")


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        with database:
            yield
    finally:
        if database.in_transaction:  # it was the commit that failed
            database.rollback()


def _upsert_from_incoming(names: Sequence[str], listed: str) -> str:
    """Writes only what is new or differs, so that what is unchanged keeps its `updated_at`."""
    insert = f"INSERT INTO {TABLE} ({listed}, {UPDATED_AT}) SELECT {listed}, ? FROM incoming WHERE true"  # noqa: S608
    if not names:
        return f"{insert} ON CONFLICT ({USER_ID}) DO NOTHING"
    changes = ", ".join(f"{name} = excluded.{name}" for name in names)
    differs = " OR ".join(f"{name} IS NOT excluded.{name}" for name in names)
    return (
        f"{insert} ON CONFLICT ({USER_ID}) DO UPDATE SET {changes}, {UPDATED_AT} = excluded.{UPDATED_AT} "
        f"WHERE {differs}"
    )


def import_profiles(rows: Iterator[Row], writer: ProfileWriter, on_chunk: Callable[[ImportSummary], None]) -> None:
    """All rows, in chunks; `on_chunk` is told after each how many there were so far.

    Raises FeedError, Unavailable; what was told of is in the file then.
    """
    summary = ImportSummary()
    on_chunk(summary)
    while True:
        chunk: list[Row] = []
        try:
            chunk.extend(itertools.islice(rows, CHUNK_PROFILES))
        finally:
            if chunk:  # also what came before a line that can't be read
                writer.upsert(chunk, summary)
                on_chunk(summary)
        if not chunk:
            return
