from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.feed.errors import FeedError
from streamgauge.feed.source import LINE_BYTES_MAX, Line, SourceFile


def written(folder: Path, content: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def lines_of(path: Path) -> list[Line]:
    with SourceFile(path) as file:
        return list(file.lines())


def test_lines_are_numbered_from_one_and_keep_their_ends(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path, b"a\r\n\nb")) == [Line(1, b"a\r\n"), Line(2, b"\n"), Line(3, b"b")]


def test_a_gzip_file_is_known_by_its_first_bytes_not_by_its_name(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path, gzip.compress(b"a\nb\n"), "log.txt")) == [Line(1, b"a\n"), Line(2, b"b\n")]
    assert lines_of(written(tmp_path, b"plain\n", "log.gz")) == [Line(1, b"plain\n")]


def test_a_gzip_file_may_have_several_members(tmp_path: Path) -> None:
    content = gzip.compress(b"a\n") + gzip.compress(b"b\n")
    assert [line.data for line in lines_of(written(tmp_path, content))] == [b"a\n", b"b\n"]


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:40] + b"x" * 9 + data[49:]])
def test_a_damaged_gzip_file_is_an_error_that_says_so(tmp_path: Path, damage: object) -> None:
    content = gzip.compress("".join(f"line {number}\n" for number in range(1_000)).encode())
    with pytest.raises(FeedError, match="damaged or cut off"):
        lines_of(written(tmp_path, damage(content)))  # type: ignore[operator]


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="No such file"):
        SourceFile(tmp_path / "none")


def test_an_absurdly_long_line_is_cut_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = written(tmp_path, b"x" * 1_000_000 + b"\nshort\n")
    assert lines_of(path) == [Line(1, b"x" * LINE_BYTES_MAX + b"\n", too_long=True), Line(2, b"short\n")]


def test_a_line_of_just_the_longest_length_is_whole(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path, b"x" * LINE_BYTES_MAX + b"\n"))[0].too_long is False


def test_a_byte_order_mark_is_not_part_of_the_first_line(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path, b"\xef\xbb\xbfa\n")) == [Line(1, b"a\n")]


def test_the_second_reading_ends_where_the_first_one_did(tmp_path: Path) -> None:
    path = written(tmp_path, b"a\nb")
    with SourceFile(path) as file:
        first = list(file.lines())
        with path.open("ab") as log:
            log.write(b"bb\nc\n")
        assert list(file.lines()) == first


def test_a_file_that_became_shorter_between_the_readings_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, b"a\nb\n")
    with SourceFile(path) as file:
        list(file.lines())
        path.write_bytes(b"a\n")
        with pytest.raises(FeedError, match="shorter"):
            list(file.lines())


@given(content=st.binary(max_size=500))
def test_the_digest_is_that_of_the_content_compressed_or_not(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("source")
    if content.startswith(b"\x1f\x8b"):
        return
    for data in (content, gzip.compress(content)):
        digest = hashlib.sha256()
        with SourceFile(written(folder, data)) as file:
            joined = b"".join(line.data for line in file.lines(digest))
            assert file.position_bytes == file.size_bytes
        assert digest.digest() == hashlib.sha256(content).digest()
        assert joined == content.removeprefix(b"\xef\xbb\xbf")
