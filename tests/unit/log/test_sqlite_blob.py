from __future__ import annotations

import pytest
import zstandard

from streamgauge.log.base import Record, partition_of
from streamgauge.log.sqlite_blob import BLOB_BYTES_MAX, Blob, Part, pack, split, trim


def same(data: bytes) -> bytes:
    return data


def test_split_joins_the_values_of_each_partition_in_order() -> None:
    records = [Record(b"user-%d" % (n % 5), b"%d" % n) for n in range(20)]
    for part in split(records, 3):
        mine = [record.value for record in records if partition_of(record.key, 3) == part.partition]
        assert part == Part(part.partition, len(mine), b"\n".join(mine))


def test_split_makes_parts_of_a_bounded_size() -> None:
    records = [Record(b"user", b"%06d" % n + b"x" * 1000) for n in range(5000)]
    parts = split(records, 4)
    assert len(parts) > 4
    assert all(len(part.lines) <= BLOB_BYTES_MAX for part in parts)
    assert b"\n".join(part.lines for part in parts) == b"\n".join(record.value for record in records)


def test_split_leaves_a_record_whole_that_is_larger_than_a_blob() -> None:
    large = b"x" * (2 * BLOB_BYTES_MAX)
    assert [part.count for part in split([Record(b"k", b"a"), Record(b"k", large), Record(b"k", b"b")], 1)] == [1, 1, 1]


@pytest.mark.parametrize("values", [[b""], [b"a", b""], [b"", b"a"], [b"a\nb"], [b"a\n"], [b"\n"], [b"a\n", b""]])
def test_split_refuses_values_that_are_not_one_line(values: list[bytes]) -> None:
    with pytest.raises(ValueError, match="one line"):
        split([Record(b"user", value) for value in values], 2)


def test_pack_gives_offsets_from_the_ends_on() -> None:
    parts = [Part(1, 2, b"a\nb"), Part(0, 1, b"c"), Part(1, 1, b"d")]
    assert pack(parts, (10, 20), same) == [Blob(0, 10, 1, 1, b"c"), Blob(1, 20, 3, 5, b"a\nb\nd")]


def test_pack_begins_a_new_blob_when_one_is_full() -> None:
    half = b"x" * (BLOB_BYTES_MAX // 2)
    blobs = pack([Part(0, 1, half)] * 5, (7,), same)
    assert [(blob.start, blob.count) for blob in blobs] == [(7, 2), (9, 2), (11, 1)]


def test_pack_compresses() -> None:
    (blob,) = pack([Part(0, 1, b"x" * 10_000)], (0,), zstandard.ZstdCompressor().compress)
    assert blob.lines_bytes == 10_000
    assert len(blob.compressed) < 100


@pytest.mark.parametrize(
    ("skip", "keep", "expected"),
    [(0, 1, b"a"), (0, 3, b"a\nb\nc"), (1, 1, b"b"), (1, 2, b"b\nc"), (2, 1, b"c"), (1, 9, b"b\nc")],
)
def test_trim_keeps_the_lines_asked_for(skip: int, keep: int, expected: bytes) -> None:
    assert trim(b"a\nb\nc", skip, keep) == expected
