"""Bodies to items: types, encodings, bombs, lines."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib

import pytest
import zstandard

from streamgauge.core.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType
from streamgauge.ingest.decode import decompress, format_of, split, why_not_json

LIMIT = 10_000
TEXT = b'{"event":"a"}\n' * 20


def zstd(plain: bytes, **options: int) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(plain)


def zstd_with_window(plain: bytes, log2: int) -> bytes:
    """A frame of unknown length that asks its reader for a window of 2^log2 bytes."""
    parameters = zstandard.ZstdCompressionParameters(window_log=log2, write_content_size=False)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return stream.compress(plain) + stream.flush()


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", "json"),
        ("application/json; charset=utf-8", "json"),
        ("  Application/JSON ;charset=x", "json"),
        ("application/x-ndjson", "ndjson"),
        ("application/ndjson", "ndjson"),
        ("application/jsonl", "ndjson"),
    ],
)
def test_a_content_type_is_recognised_with_any_case_and_parameters(content_type: str, expected: str) -> None:
    assert format_of(content_type) == expected


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", ";"],
)
def test_what_a_form_of_another_site_could_send_is_refused(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMediaType):
        format_of(content_type)


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
def test_no_encoding_leaves_the_body_as_it_is(encoding: str | None) -> None:
    assert decompress(TEXT, encoding, LIMIT) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP ", "zstd", "ZSTD"])
def test_an_encoding_is_recognised_with_any_case(encoding: str) -> None:
    compressed = zstd(TEXT) if "z" in encoding.lower()[:1] else gzip.compress(TEXT)
    assert decompress(compressed, encoding, LIMIT) == TEXT


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd2", "gzip;q=1"])
def test_another_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="encoding"):
        decompress(TEXT, encoding, LIMIT)


@pytest.mark.parametrize("encoding", [None, "gzip", "zstd"])
def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not(encoding: str | None) -> None:
    compress = {None: bytes, "gzip": gzip.compress, "zstd": zstd}[encoding]
    assert decompress(compress(b"x" * LIMIT), encoding, LIMIT) == b"x" * LIMIT
    with pytest.raises(BodyTooLarge, match="10,000 bytes"):
        decompress(compress(b"x" * (LIMIT + 1)), encoding, LIMIT)


def test_all_members_of_a_gzip_body_are_read() -> None:
    assert decompress(b"".join(gzip.compress(part) for part in (b"a\n", b"", b"b\n")), "gzip", LIMIT) == b"a\nb\n"


def test_gzip_members_that_are_within_the_limit_each_are_bounded_together() -> None:
    with pytest.raises(BodyTooLarge):
        decompress(gzip.compress(b"x" * LIMIT) + gzip.compress(b"x"), "gzip", LIMIT)
    exactly = gzip.compress(b"x" * (LIMIT - 1)) + gzip.compress(b"x") + gzip.compress(b"")
    assert len(decompress(exactly, "gzip", LIMIT)) == LIMIT


@pytest.mark.parametrize("kept", [1, 5, 10, 17, -1, -4, -8])
def test_a_gzip_body_that_is_cut_off_anywhere_is_malformed(kept: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decompress(gzip.compress(TEXT)[:kept], "gzip", LIMIT)
    assert caught.value.code == "malformed_body"


@pytest.mark.parametrize(
    "body",
    [TEXT, zlib.compress(TEXT), zstd(TEXT), gzip.compress(TEXT) + b"junk", gzip.compress(TEXT)[:-1] + b"\x01"],
    ids=["plain text", "zlib", "zstd", "junk after the end", "wrong length in the trailer"],
)
def test_what_is_not_gzip_is_malformed(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decompress(body, "gzip", LIMIT)
    assert caught.value.code == "malformed_body"


def test_a_wrong_checksum_is_malformed() -> None:
    damaged = bytearray(gzip.compress(TEXT))
    damaged[-5] ^= 1
    with pytest.raises(InvalidRequest) as caught:
        decompress(bytes(damaged), "gzip", LIMIT)
    assert caught.value.code == "malformed_body"


def test_all_frames_of_a_zstd_body_are_read() -> None:
    assert decompress(b"".join(zstd(part) for part in (b"a\n", b"", b"b\n")), "zstd", LIMIT) == b"a\nb\n"


def test_zstd_frames_that_are_within_the_limit_each_are_bounded_together() -> None:
    with pytest.raises(BodyTooLarge):
        decompress(zstd(b"x" * LIMIT) + zstd(b"x"), "zstd", LIMIT)


@pytest.mark.parametrize("kept", [1, 4, 8, -1, -4])
def test_a_zstd_body_that_is_cut_off_anywhere_is_malformed(kept: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decompress(zstd(TEXT)[:kept], "zstd", LIMIT)
    assert caught.value.code == "malformed_body"


def test_a_zstd_body_whose_second_frame_is_cut_off_is_malformed() -> None:
    with pytest.raises(InvalidRequest) as caught:
        decompress(zstd(TEXT) + zstd(TEXT)[:-3], "zstd", LIMIT)
    assert caught.value.code == "malformed_body"


@pytest.mark.parametrize("body", [TEXT, gzip.compress(TEXT), zstd(TEXT) + b"junk"])
def test_what_is_not_zstd_is_malformed(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decompress(body, "zstd", LIMIT)
    assert caught.value.code == "malformed_body"


def test_a_zstd_window_of_32_mib_passes_and_a_larger_one_is_refused() -> None:
    assert decompress(zstd_with_window(TEXT, 25), "zstd", LIMIT) == TEXT
    with pytest.raises(InvalidRequest) as caught:
        decompress(zstd_with_window(TEXT, 26), "zstd", LIMIT)
    assert caught.value.code == "malformed_body"


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_refused_without_being_unpacked(encoding: str) -> None:
    plain_bytes = 200 * 1024 * 1024
    bomb = gzip.compress(bytes(plain_bytes), 1) if encoding == "gzip" else zstd(bytes(plain_bytes))
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            decompress(bomb, encoding, 100_000)
        assert tracemalloc.get_traced_memory()[1] < 10 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("body", [b"", b" ", b"\r\n\t ", b"\n\n"])
@pytest.mark.parametrize("format_", ["json", "ndjson"])
def test_a_body_of_nothing_but_blanks_is_empty(body: bytes, format_: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        split(body, format_)  # type: ignore[arg-type]
    assert caught.value.code == "empty_body"


def test_an_array_is_split_into_its_items() -> None:
    assert split(b' [ {"a": [1, 2]} , 2,"x"]\n', "json") == [b'{"a": [1, 2]}', b"2", b'"x"']


def test_an_empty_array_has_no_items() -> None:
    assert split(b"[]", "json") == []


def test_lines_may_be_blank_and_end_with_crlf() -> None:
    assert split(b'{"a":1}\r\n\r\n  \n\t{"a":2}\n\n', "ndjson") == [b'{"a":1}', b'{"a":2}']


def test_lines_are_not_looked_into() -> None:
    assert split(b"{\n]", "ndjson") == [b"{", b"]"]


def test_one_object_followed_by_lines_is_read_as_lines_whatever_its_type() -> None:
    assert split(b'{"a":1}\n{"a":2}\n{bad', "json") == [b'{"a":1}', b'{"a":2}', b"{bad"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"a":1',
        b"[1,2",
        b"[1,]",
        b"[1] [2]",
        b'[{"a":1}]\n[{"a":2}]',
        b'{"a":1}{"a":2}',
        b'{"a":1},',
        b"nul",
        b"\x00",
        b"\xff",
        b'"\xff',
        b"event=page_view",
        b"<event/>",
    ],
)
def test_what_is_not_json_in_outline_is_malformed(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        split(body, "json")
    assert caught.value.code == "malformed_body"


DEEP = [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000]


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"a":' * 100_000, DEEP[0][:-1], DEEP[1] + b"}", b'["' + DEEP[0] + b"]", b"[" + DEEP[0] + b" 1]"],
    ids=["open lists", "open objects", "a list too few", "a brace too many", "an open string", "no comma"],
)
def test_a_hundred_thousand_levels_of_a_damaged_outline_are_malformed_and_no_crash(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        split(body, "json")
    assert caught.value.code == "malformed_body"


@pytest.mark.parametrize("deep", [*DEEP, b'[["\\"]]]]\\\\"],' + DEEP[0] + b"]"], ids=["lists", "objects", "strings"])
def test_an_item_of_a_hundred_thousand_levels_is_one_item(deep: bytes) -> None:
    assert split(b"[1, " + deep + b" ,2]", "json") == [b"1", deep, b"2"]
    assert split(b"[" + deep + b"]", "json") == [deep]
    if deep.startswith(b"{"):
        assert split(deep, "json") == [deep]


def test_a_string_of_escaped_quotes_that_never_ends_is_looked_at_once() -> None:
    body = b"[" + b"[" * 5_000 + b'"' + b'\\"' * 500_000
    started_s = time.process_time()
    with pytest.raises(InvalidRequest):
        split(body, "json")
    assert time.process_time() - started_s < 2


@pytest.mark.parametrize(
    "body",
    [gzip.compress(TEXT)[:-3], gzip.compress(TEXT)[4:], zstd(TEXT)[:-3], zstd(TEXT)[4:]],
    ids=["gzip cut off", "gzip damaged", "zstd cut off", "zstd damaged"],
)
def test_a_damaged_body_comes_with_a_hint(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decompress(body, "gzip" if body in (gzip.compress(TEXT)[:-3], gzip.compress(TEXT)[4:]) else "zstd", LIMIT)
    assert "without Content-Encoding" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"event":"ab\xff"}', "byte 12 (0xff) is not UTF-8"),
        (b'{"event":"\\ud800"}', "\\ud800 at byte 10 is half of a surrogate pair"),
        (b'{"event":"x\\uDFFFx"}', "\\uDFFF at byte 11 is half of a surrogate pair"),
        (b'{"event":"\\ud83d\\ud83d\\ude00"}', "\\ud83d at byte 10 is half of a surrogate pair"),
        (b'{"event":"\\\\ud800\\ud83d\\ude00" x', "the parser's words"),
    ],
)
def test_what_is_not_unicode_is_named_with_its_place(text: bytes, why: str) -> None:
    assert why_not_json(text, ValueError("the parser's words")).startswith(why)


def test_a_body_that_is_not_utf_8_says_where() -> None:
    with pytest.raises(InvalidRequest, match=r"byte 3 \(0xff\) is not UTF-8"):
        split(b"nul\xff", "json")
