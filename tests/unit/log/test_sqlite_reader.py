from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import zstandard

from streamgauge.core.errors import NotFound
from streamgauge.log import sqlite_reader
from streamgauge.log.base import LogBatch, LogSlice, OffsetRange
from streamgauge.log.sqlite_blob import Blob, Part, pack
from streamgauge.log.sqlite_day import DayWriter, create_day, day_path, remove_expired_days
from streamgauge.log.sqlite_reader import LogReader, take_fairly

MONDAY, TUESDAY, WEDNESDAY = date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 25)


def blobs_of(partition: int, *lines_bytes: int) -> Iterator[Blob]:
    return iter([Blob(partition, n, 1, size, b"") for n, size in enumerate(lines_bytes)])


def sizes(taken: dict[int, list[Blob]]) -> dict[int, list[int]]:
    return {partition: [blob.lines_bytes for blob in blobs] for partition, blobs in taken.items()}


def write_day(folder: Path, day: date, base: int, lines: bytes) -> None:
    """A file with one partition, whose records are one blob."""
    create_day(folder, day, [base])
    writer = DayWriter(folder, day)
    writer.append(pack([Part(0, lines.count(b"\n") + 1, lines)], writer.ends, zstandard.ZstdCompressor().compress))
    writer.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three days: records 0 … 2, 3 … 4 and 5."""
    write_day(tmp_path, MONDAY, 0, b"a\nb\nc")
    write_day(tmp_path, TUESDAY, 3, b"d\ne")
    write_day(tmp_path, WEDNESDAY, 5, b"f")
    return tmp_path


def test_a_large_backlog_gets_what_the_others_leave() -> None:
    taken = take_fairly({0: blobs_of(0, *[10] * 100), 1: blobs_of(1, 10), 2: blobs_of(2, 5, 5)}, 100, first=0)
    assert sizes(taken) == {0: [10] * 8, 1: [10], 2: [5, 5]}


def test_partitions_with_more_than_enough_share_equally() -> None:
    taken = take_fairly({0: blobs_of(0, *[10] * 100), 1: blobs_of(1, *[5] * 100)}, 100, first=0)
    assert sizes(taken) == {0: [10] * 5, 1: [5] * 10}


def test_blobs_larger_than_a_batch_come_one_at_a_time_in_turn() -> None:
    served = [
        list(take_fairly({partition: blobs_of(partition, 500) for partition in range(3)}, 100, first=turn))
        for turn in range(4)
    ]
    assert served == [[0], [1], [2], [0]]


def test_nothing_is_taken_where_nothing_is() -> None:
    assert take_fairly({0: blobs_of(0), 1: blobs_of(1)}, 100, first=1) == {}
    assert take_fairly({}, 100, first=0) == {}


def test_a_read_goes_on_over_the_files_of_days(folder: Path) -> None:
    reader = LogReader(folder)
    assert reader.read({0: 1}, 1000) == LogBatch((LogSlice(0, 1, 5, b"b\nc\nd\ne\nf"),))
    assert reader.read({0: 4}, 1000) == LogBatch((LogSlice(0, 4, 2, b"e\nf"),))
    assert reader.read({0: 6}, 1000) == LogBatch(())
    assert reader.read({0: 9}, 1000) == LogBatch(())
    reader.close()


def test_only_the_files_that_were_just_needed_stay_open(folder: Path) -> None:
    reader = LogReader(folder)
    reader.read({0: 0}, 1000)
    assert sorted(reader._open) == [MONDAY, TUESDAY, WEDNESDAY]
    reader.read({0: 6}, 1000)
    assert list(reader._open) == [WEDNESDAY]
    reader.close()
    assert not reader._open


def test_a_fetch_goes_over_the_files_of_days_and_is_exact(folder: Path) -> None:
    reader = LogReader(folder)
    assert reader.fetch([OffsetRange(0, 2, 4)]) == LogBatch((LogSlice(0, 2, 2, b"c\nd"),))
    assert reader.fetch([OffsetRange(0, 1, 2)]) == LogBatch((LogSlice(0, 1, 1, b"b"),))
    reader.close()


def test_what_was_removed_is_skipped_by_read_and_not_found_by_fetch(folder: Path) -> None:
    reader = LogReader(folder)
    assert reader.start_offsets() == [0]
    assert remove_expired_days(folder, 1, WEDNESDAY) == 1
    assert reader.start_offsets() == [3]
    assert reader.read({0: 1}, 1000) == LogBatch((LogSlice(0, 3, 3, b"d\ne\nf"),))
    with pytest.raises(NotFound):
        reader.fetch([OffsetRange(0, 2, 4)])
    reader.close()


def test_a_file_that_goes_away_after_the_days_were_listed_is_passed_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_reader, "list_days", lambda _: [MONDAY, TUESDAY, WEDNESDAY])
    day_path(folder, MONDAY).unlink()
    reader = LogReader(folder)
    assert reader.read({0: 1}, 1000) == LogBatch((LogSlice(0, 3, 3, b"d\ne\nf"),))
    assert reader.start_offsets() == [3]
    reader.close()


def test_a_slice_ends_before_a_day_that_is_missing_in_the_middle(folder: Path) -> None:
    day_path(folder, TUESDAY).unlink()
    reader = LogReader(folder)
    assert reader.read({0: 1}, 1000) == LogBatch((LogSlice(0, 1, 2, b"b\nc"),))
    assert reader.read({0: 3}, 1000) == LogBatch((LogSlice(0, 5, 1, b"f"),))
    with pytest.raises(NotFound):
        reader.fetch([OffsetRange(0, 2, 6)])
    reader.close()
