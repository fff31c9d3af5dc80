"""One file per day of receipt: `2026-11-22.db`, with what was appended on that day (UTC).

A file begins with the base offset of each partition, so that offsets go on when all older files have been removed.
The newest file is never removed, and never is a file written that is older than the newest: when the wall clock goes
back over midnight, the newer file is written on until the clock is there again. So offsets are in order over files.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

from streamgauge.log.sqlite_blob import Blob
from streamgauge.log.sqlite_medium import connect, sync_folder, transaction
from streamgauge.model import DAY_MS

PAGE_BYTES = 16 * 1024
"""Blobs are tens of kilobytes and more: with 4 KiB pages a group commit took a third longer."""

_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})\.db(.*)")
_SCHEMA = (
    "CREATE TABLE bases (partition INTEGER PRIMARY KEY, start INTEGER NOT NULL)",
    "CREATE TABLE blobs (partition INTEGER NOT NULL, start INTEGER NOT NULL, count INTEGER NOT NULL, "
    "lines_bytes INTEGER NOT NULL, compressed BLOB NOT NULL)",
    "CREATE UNIQUE INDEX blobs_by_offset ON blobs (partition, start)",
)


def day_of(now_ms: int) -> date:
    return date(1970, 1, 1) + timedelta(days=now_ms // DAY_MS)


def list_days(folder: Path) -> list[date]:
    """The days that have a file, oldest first."""
    return sorted(day for day, rest, _ in _day_files(folder) if not rest)


def newest_day(folder: Path) -> date:
    """Raises FileNotFoundError where there is no file of a day: a log that has been opened has one."""
    days = list_days(folder)
    if not days:
        raise FileNotFoundError(f"the files of the log are gone from {folder}")
    return days[-1]


def day_path(folder: Path, day: date) -> Path:
    return folder / f"{day.isoformat()}.db"


def create_day(folder: Path, day: date, bases: Sequence[int]) -> None:
    """Make the file of a day, which there must not be. Under another name first: whoever sees it sees it whole."""
    for other, rest, leftover in _day_files(folder):
        if other == day and rest:  # of a crash; SQLite would take a WAL that lies there for the new file's
            leftover.unlink()
    path = day_path(folder, day)
    draft = path.with_name(f"{path.name}.new")
    with contextlib.closing(connect(draft, "rwc")) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        with transaction(connection):
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.executemany("INSERT INTO bases VALUES (?, ?)", enumerate(bases))
        connection.execute("PRAGMA journal_mode = WAL")
    draft.rename(path)
    sync_folder(folder)


def remove_expired_days(folder: Path, retention_days: int, today: date) -> int:
    """Remove the files of days more than `retention_days` before today, and what crashes left of them; how many days.

    The newest day stays, however old: it knows where offsets go on. The `.db` goes first, so that nobody opens it
    without the WAL that belongs to it.
    """
    expired = [day for day in list_days(folder)[:-1] if (today - day).days > retention_days]
    for day in expired:
        day_path(folder, day).unlink(missing_ok=True)
    kept = set(list_days(folder))
    for day, rest, path in _day_files(folder):
        if rest and day not in kept and (today - day).days > retention_days:
            path.unlink(missing_ok=True)
    return len(expired)


def _day_files(folder: Path) -> Iterator[tuple[date, str, Path]]:
    """Each file of a day: the day, what follows `.db` in its name (`-wal`, `-shm`, `.new` …), its path."""
    for path in folder.iterdir():
        found = _DAY.fullmatch(path.name)
        if found is not None:
            with contextlib.suppress(ValueError):  # 2026-13-45.db is not ours
                yield date.fromisoformat(found[1]), found[2], path


class DayWriter:
    """The newest file, opened by the thread that writes it. `ends` is where each partition's next record goes."""

    def __init__(self, folder: Path, day: date) -> None:
        self.day = day
        self._connection = connect(day_path(folder, day), "rw")
        try:
            self.ends: tuple[int, ...] = tuple(_ends(self._connection, _bases(self._connection)))
        except BaseException:
            self._connection.close()
            raise

    def append(self, blobs: Sequence[Blob]) -> None:
        """Durable when it returns; all or nothing. After an error, discard the writer: only the file knows `ends`."""
        rows = [(blob.partition, blob.start, blob.count, blob.lines_bytes, blob.compressed) for blob in blobs]
        with transaction(self._connection):
            self._connection.executemany("INSERT INTO blobs VALUES (?, ?, ?, ?, ?)", rows)
        ends = list(self.ends)
        for blob in blobs:
            ends[blob.partition] = blob.end
        self.ends = tuple(ends)

    def close(self) -> None:
        """Also folds the WAL into the file, unless a reader is at work just now: then it only takes space."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA busy_timeout = 0")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()


class DayReader:
    """A file, opened read-only. It can be read on when retention removes it meanwhile."""

    def __init__(self, folder: Path, day: date) -> None:
        self._connection = connect(day_path(folder, day), "ro")
        try:
            self.bases = _bases(self._connection)
        except BaseException:
            self._connection.close()
            raise

    def ends(self) -> list[int]:
        return _ends(self._connection, self.bases)

    def blobs(self, partition: int, start: int) -> Iterator[Blob]:
        """In order: the blob that holds record `start`, if there is one, and all that follow."""
        cursor = self._connection.execute(
            "SELECT partition, start, count, lines_bytes, compressed FROM blobs WHERE partition = :partition AND start "
            ">= coalesce((SELECT max(start) FROM blobs WHERE partition = :partition AND start <= :start), 0) "
            "ORDER BY start",
            {"partition": partition, "start": start},
        )
        with contextlib.closing(cursor):  # an open cursor would hold the WAL back
            for row in cursor:
                blob = Blob(*row)
                if blob.end > start:
                    yield blob

    def close(self) -> None:
        self._connection.close()


def _bases(connection: sqlite3.Connection) -> list[int]:
    return [start for (start,) in connection.execute("SELECT start FROM bases ORDER BY partition")]


def _ends(connection: sqlite3.Connection, bases: Sequence[int]) -> list[int]:
    last = "SELECT start + count FROM blobs WHERE partition = ? ORDER BY start DESC LIMIT 1"
    return [(connection.execute(last, (partition,)).fetchone() or (base,))[0] for partition, base in enumerate(bases)]
