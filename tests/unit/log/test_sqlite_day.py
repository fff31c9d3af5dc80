from __future__ import annotations

import sqlite3
from datetime import date
from pathlib import Path

import pytest

from streamgauge.log.sqlite_blob import Blob
from streamgauge.log.sqlite_day import (
    DayReader,
    DayWriter,
    create_day,
    day_of,
    day_path,
    list_days,
    newest_day,
    remove_expired_days,
)
from streamgauge.model import DAY_MS

MONDAY, TUESDAY, FRIDAY = date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 27)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_day_is_utc() -> None:
    assert day_of(0) == date(1970, 1, 1)
    assert day_of(DAY_MS - 1) == date(1970, 1, 1)
    assert day_of(DAY_MS) == date(1970, 1, 2)


def test_days_are_listed_in_order_and_other_files_are_not_ours(tmp_path: Path) -> None:
    for name in ("2026-11-24.db", "2026-11-23.db", "2026-11-25.db.new", "2026-11-23.db-wal", "2026-13-45.db", "a.db"):
        (tmp_path / name).touch()
    assert list_days(tmp_path) == [MONDAY, TUESDAY]
    assert newest_day(tmp_path) == TUESDAY


def test_no_file_of_a_day_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        newest_day(tmp_path)


def test_a_new_file_begins_at_its_bases(tmp_path: Path) -> None:
    create_day(tmp_path, MONDAY, [5, 0])
    assert names(tmp_path) == ["2026-11-23.db"]
    reader = DayReader(tmp_path, MONDAY)
    assert reader.bases == reader.ends() == [5, 0]
    reader.close()


def test_what_a_crash_left_of_making_the_file_does_not_get_into_it(tmp_path: Path) -> None:
    for rest in (".new", ".new-journal", ".new-wal", "-wal", "-shm"):
        (tmp_path / f"2026-11-23.db{rest}").write_bytes(b"left by a crash")
    create_day(tmp_path, MONDAY, [0])
    assert names(tmp_path) == ["2026-11-23.db"]


def test_the_file_is_in_wal_mode_with_large_pages_and_each_commit_is_synced(tmp_path: Path) -> None:
    create_day(tmp_path, MONDAY, [0])
    writer = DayWriter(tmp_path, MONDAY)
    pragmas = {
        name: writer._connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "page_size", "synchronous")
    }
    writer.close()
    assert pragmas == {"journal_mode": "wal", "page_size": 16384, "synchronous": 2}


def test_closing_folds_the_wal_into_the_file_though_a_reader_has_it_open(tmp_path: Path) -> None:
    create_day(tmp_path, MONDAY, [0])
    writer, reader = DayWriter(tmp_path, MONDAY), DayReader(tmp_path, MONDAY)
    writer.append([Blob(0, 0, 1, 5, b"a" * 100_000)])
    assert reader.ends() == [1]
    writer.close()
    assert (tmp_path / "2026-11-23.db-wal").stat().st_size == 0
    assert reader.ends() == [1]
    reader.close()


def test_a_failed_append_leaves_nothing(tmp_path: Path) -> None:
    create_day(tmp_path, MONDAY, [0])
    writer = DayWriter(tmp_path, MONDAY)
    writer.append([Blob(0, 0, 3, 5, b"a")])
    with pytest.raises(sqlite3.IntegrityError):
        writer.append([Blob(0, 3, 1, 1, b"b"), Blob(0, 0, 1, 1, b"c")])
    assert writer.ends == (3,)
    writer.close()
    writer = DayWriter(tmp_path, MONDAY)
    assert writer.ends == (3,)
    writer.close()


def test_a_reader_goes_on_in_a_file_that_is_removed_meanwhile(tmp_path: Path) -> None:
    create_day(tmp_path, MONDAY, [0])
    writer = DayWriter(tmp_path, MONDAY)
    blobs = [Blob(0, n, 1, 5, b"%d" % n * 100_000) for n in range(20)]
    writer.append(blobs)
    writer.close()
    create_day(tmp_path, FRIDAY, [20])
    reader = DayReader(tmp_path, MONDAY)
    source = reader.blobs(0, 0)
    read = [next(source)]
    assert remove_expired_days(tmp_path, 1, FRIDAY) == 1
    assert [*read, *source] == blobs
    reader.close()


def test_a_file_expires_when_its_day_is_more_than_the_retention_ago(tmp_path: Path) -> None:
    for day in (MONDAY, TUESDAY, FRIDAY):
        create_day(tmp_path, day, [0])
    assert remove_expired_days(tmp_path, 3, FRIDAY) == 1
    assert remove_expired_days(tmp_path, 3, FRIDAY) == 0
    assert list_days(tmp_path) == [TUESDAY, FRIDAY]


def test_the_newest_file_never_expires(tmp_path: Path) -> None:
    create_day(tmp_path, MONDAY, [0])
    assert remove_expired_days(tmp_path, 0, date(2030, 1, 1)) == 0
    assert list_days(tmp_path) == [MONDAY]


def test_what_belongs_to_an_expired_file_goes_with_it(tmp_path: Path) -> None:
    for day in (MONDAY, FRIDAY):
        create_day(tmp_path, day, [0])
        for rest in ("-wal", "-shm"):
            (tmp_path / f"{day_path(tmp_path, day).name}{rest}").touch()
    (tmp_path / "2026-11-24.db.new").touch()
    remove_expired_days(tmp_path, 1, FRIDAY)
    assert names(tmp_path) == ["2026-11-27.db", "2026-11-27.db-shm", "2026-11-27.db-wal"]
