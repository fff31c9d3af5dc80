"""The runner's own memory: where it is in the log, what it is writing, what its steps know. One SQLite file.

Every change is one transaction that is on disk when the call returns.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.log.base import OffsetRange
from streamgauge.stream.spec import PipelineSpec

_VERSION: Final = 2
_TABLES: Final = """
    CREATE TABLE IF NOT EXISTS offsets (partition INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS pending (ranges BLOB NOT NULL, spec BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS steps (name TEXT PRIMARY KEY, snapshot BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


class Pending(msgspec.Struct, frozen=True):
    """A micro-batch that is being written: its records, and the pipeline that makes its rows of them."""

    ranges: tuple[OffsetRange, ...]
    spec: PipelineSpec


class RunnerState:
    """For one thread at a time. `begin` and `finish` raise Unavailable where the disk refuses: nothing changes."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        try:
            self._database.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {_TABLES}")
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"{file} can't be used: {error}", hint="put it back, or choose another data folder"
            ) from error
        version = self._fact("version")
        if version not in (None, _VERSION):
            raise ConfigError(
                f"{file} was written by another version of streamgauge (state {version}, this one knows {_VERSION})",
                hint="upgrade streamgauge, or choose another data folder",
            )
        self._set_fact("version", _VERSION)

    def offsets(self) -> dict[int, int]:
        return dict(self._database.execute("SELECT partition, next_offset FROM offsets"))

    def snapshot_of(self, step: str) -> bytes | None:
        row = self._database.execute("SELECT snapshot FROM steps WHERE name = ?", (step,)).fetchone()
        return row[0] if row else None

    def watermark_ms(self) -> int:
        return self._fact("watermark_ms") or 0

    def pending(self) -> Pending | None:
        """What was being written when the process ended; None after a clean end."""
        row = self._database.execute("SELECT ranges, spec FROM pending").fetchone()
        if row is None:
            return None
        ranges = msgspec.json.decode(row[0], type=tuple[OffsetRange, ...])
        return Pending(ranges, msgspec.json.decode(row[1], type=PipelineSpec))

    def begin(self, pending: Pending) -> None:
        """Record what is about to be written."""
        with self._transaction():
            self._database.execute("DELETE FROM pending")
            row = (msgspec.json.encode(pending.ranges), msgspec.json.encode(pending.spec))
            self._database.execute("INSERT INTO pending VALUES (?, ?)", row)

    def finish(self, ranges: tuple[OffsetRange, ...], snapshots: Mapping[str, bytes], watermark_ms: int) -> None:
        """Record that it is written: offsets, the steps' state and the end of `pending`, together."""
        with self._transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO offsets VALUES (?, ?)", [(part.partition, part.end) for part in ranges]
            )
            self._database.executemany("INSERT OR REPLACE INTO steps VALUES (?, ?)", snapshots.items())
            self._set_fact("watermark_ms", watermark_ms)
            self._database.execute("DELETE FROM pending")

    def close(self) -> None:
        self._database.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            with self._database:  # commits, or rolls back what raises
                yield
        except sqlite3.OperationalError as error:
            if self._database.in_transaction:  # it was the commit that failed
                self._database.rollback()
            raise Unavailable(f"the stream's state was not written: {error}") from error

    def _fact(self, name: str) -> int | None:
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _set_fact(self, name: str, value: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
