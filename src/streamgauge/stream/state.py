"""The runner's own memory: where it is in the log, what it is writing, what its steps know. One SQLite file.

Every change is one transaction that is on disk when the call returns.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.log.base import OffsetRange
from streamgauge.model import Rollup
from streamgauge.stream.journal import Blocks, StateChange
from streamgauge.stream.spec import PipelineSpec

_VERSION: Final = 3
"""2 kept one snapshot of each step instead of a journal."""

_TABLES: Final = """
    CREATE TABLE IF NOT EXISTS offsets (partition INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS pending (
        ranges BLOB NOT NULL, spec BLOB NOT NULL,
        number INTEGER NOT NULL DEFAULT 0, watermark_ms INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS journal (
        step TEXT NOT NULL, number INTEGER NOT NULL, block BLOB NOT NULL, PRIMARY KEY (step, number)
    );
    CREATE TABLE IF NOT EXISTS rollups (name TEXT PRIMARY KEY, definition BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS replays (request BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS admissions (number INTEGER PRIMARY KEY, admission BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


class Pending(msgspec.Struct, frozen=True):
    """A micro-batch that is being written: its records, and all else that its rows are made of. `number` counts the
    batches of a data folder; one without records closes sessions that the watermark has passed."""

    ranges: tuple[OffsetRange, ...]
    spec: PipelineSpec
    number: int = 0
    watermark_ms: int = 0

    @property
    def batch_id(self) -> str:
        """Made of the offset ranges alone where there are any, so that the same records always have the same id."""
        ranges = ",".join(f"{part.partition}:{part.start}-{part.end}" for part in self.ranges)
        return ranges or f"batch:{self.number}"


class ReplayRequest(msgspec.Struct, frozen=True):
    """Rollups to rebuild, in `[from_ms, to_ms)`, whole windows."""

    from_ms: int
    to_ms: int
    metrics: tuple[str, ...]


class Admission(msgspec.Struct, frozen=True):
    """The limits that decided which records are in time, from these offsets on, 0 of a partition that isn't named.
    A replay goes by the same: what was set aside stays set aside, and what was counted stays counted."""

    allowed_lateness_ms: int
    future_ms_max: int
    offsets: dict[int, int] = {}

    @classmethod
    def by(cls, spec: PipelineSpec, offsets: Mapping[int, int]) -> Admission:
        return cls(spec.allowed_lateness_ms, spec.future_ms_max, dict(offsets))

    def admits_as(self, spec: PipelineSpec) -> bool:
        return (self.allowed_lateness_ms, self.future_ms_max) == (spec.allowed_lateness_ms, spec.future_ms_max)

    def applied_to(self, spec: PipelineSpec) -> PipelineSpec:
        limits = {"allowed_lateness_ms": self.allowed_lateness_ms, "future_ms_max": self.future_ms_max}
        return msgspec.structs.replace(spec, **limits)


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
        if version is None:
            self._set_fact("installation", secrets.randbits(62) | 1)
        if version == 2:
            self._upgrade_from_2()
        elif version not in (None, _VERSION):
            raise ConfigError(
                f"{file} was written by another version of streamgauge (state {version}, this one knows {_VERSION})",
                hint="upgrade streamgauge, or choose another data folder",
            )
        self._set_fact("version", _VERSION)

    def offsets(self) -> dict[int, int]:
        return dict(self._database.execute("SELECT partition, next_offset FROM offsets"))

    def blocks_of(self, step: str) -> Blocks:
        """The journal of a step, oldest block first."""
        return self._database.execute(
            "SELECT number, block FROM journal WHERE step = ? ORDER BY number", (step,)
        ).fetchall()

    def batch_number(self) -> int:
        """Of the last batch that was finished; 0 before the first."""
        return self._fact("batch_number") or 0

    def watermark_ms(self) -> int:
        return self._fact("watermark_ms") or 0

    def installation(self) -> str:
        """Tells this state's insert tokens apart from those of another state that writes to the same store: offsets
        begin at 0 in each. Empty for a state of before there was this, whose tokens stay as they were."""
        number = self._fact("installation") or 0
        return f"{number:x}" if number else ""

    def session_watermark_ms(self) -> int:
        """Up to which the last finished batch closed sessions: its own watermark, not that after it."""
        found = self._fact("session_watermark_ms")
        return self.watermark_ms() if found is None else found

    def pending(self) -> Pending | None:
        """What was being written when the process ended; None after a clean end."""
        row = self._database.execute("SELECT ranges, spec, number, watermark_ms FROM pending").fetchone()
        if row is None:
            return None
        ranges, spec, number, watermark_ms = row
        return Pending(
            msgspec.json.decode(ranges, type=tuple[OffsetRange, ...]),
            msgspec.json.decode(spec, type=PipelineSpec),
            number,
            watermark_ms,
        )

    def begin(self, pending: Pending) -> None:
        """Record what is about to be written."""
        with self._transaction():
            self._database.execute("DELETE FROM pending")
            row = (msgspec.json.encode(pending.ranges), msgspec.json.encode(pending.spec))
            numbers = (pending.number, pending.watermark_ms)
            self._database.execute("INSERT INTO pending VALUES (?, ?, ?, ?)", (*row, *numbers))

    def finish(self, pending: Pending, changes: Mapping[str, StateChange], watermark_ms: int) -> None:
        """Record that it is written: offsets, the steps' state and the end of `pending`, together."""
        with self._transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO offsets VALUES (?, ?)", [(part.partition, part.end) for part in pending.ranges]
            )
            for step, change in changes.items():
                self._database.execute("DELETE FROM journal WHERE step = ? AND number < ?", (step, change.oldest_kept))
                self._database.execute("INSERT INTO journal VALUES (?, ?, ?)", (step, change.number, change.block))
            self._set_fact("watermark_ms", watermark_ms)
            self._set_fact("session_watermark_ms", pending.watermark_ms)
            self._set_fact("batch_number", pending.number)
            self._database.execute("DELETE FROM pending")

    def admissions(self) -> list[Admission]:
        """Oldest first; none before the first run."""
        rows = self._database.execute("SELECT admission FROM admissions ORDER BY number").fetchall()
        return [msgspec.json.decode(row, type=Admission) for (row,) in rows]

    def admit_by(self, spec: PipelineSpec, offsets: Mapping[int, int]) -> None:
        """From these offsets on, events are in time by the limits of this pipeline. A state of before this was written
        down has always had the limits that it is first told."""
        known = self.admissions()
        if known and known[-1].admits_as(spec):
            return
        admission = msgspec.json.encode(Admission.by(spec, offsets if known else {}))
        with self._transaction():
            self._database.execute("INSERT INTO admissions VALUES (?, ?)", (len(known), admission))

    def known_rollups(self) -> dict[str, Rollup] | None:
        """Those that were counted until now; None where that was never written down."""
        rows = self._database.execute("SELECT name, definition FROM rollups").fetchall()
        if not rows and self._fact("knows_rollups") is None:
            return None
        return {name: msgspec.json.decode(definition, type=Rollup) for name, definition in rows}

    def know_rollups(self, rollups: Sequence[Rollup], replay: ReplayRequest | None) -> None:
        """Write down what is counted from now on, and what is to be rebuilt because of it."""
        with self._transaction():
            self._database.execute("DELETE FROM rollups")
            rows = [(rollup.name, msgspec.json.encode(rollup)) for rollup in rollups]
            self._database.executemany("INSERT INTO rollups VALUES (?, ?)", rows)
            self._set_fact("knows_rollups", 1)
            self._set_replay(replay)

    def requested_replay(self) -> ReplayRequest | None:
        """What is to be rebuilt, or is being."""
        row = self._database.execute("SELECT request FROM replays").fetchone()
        return msgspec.json.decode(row[0], type=ReplayRequest) if row else None

    def request_replay(self, request: ReplayRequest) -> None:
        with self._transaction():
            self._set_replay(request)

    def end_replay(self) -> None:
        with self._transaction():
            self._set_replay(None)

    def _set_replay(self, request: ReplayRequest | None) -> None:
        self._database.execute("DELETE FROM replays")
        if request is not None:
            self._database.execute("INSERT INTO replays VALUES (?)", (msgspec.json.encode(request),))

    def close(self) -> None:
        self._database.close()

    def _upgrade_from_2(self) -> None:
        with self._transaction():
            for column in ("number", "watermark_ms"):
                self._database.execute(f"ALTER TABLE pending ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
            self._database.execute("INSERT INTO journal SELECT name, 0, snapshot FROM steps")
            self._database.execute("DROP TABLE steps")
            self._set_fact("version", _VERSION)

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
