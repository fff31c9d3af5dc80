"""Bodies to items: decompress within a limit, then split. Knows nothing of events."""

from __future__ import annotations

import codecs
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, Protocol

import msgspec

from streamgauge.core.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Format = Literal["json", "ndjson"]

_FORMATS: Final[dict[str, Format]] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
}
_RAW_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_RAW_ITEM: Final = msgspec.json.Decoder(msgspec.Raw)
_WHITESPACE: Final = b" \t\r\n"
_OUTLINE: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)
_BRACKET_OR_STRING: Final = re.compile(r'[\[\]{}]|"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_ESCAPE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)
"""Of JSON's strings; the group is half of a surrogate pair alone."""

_ZSTD_OPTIONS: Final[dict[int, int]] = {zstd.DecompressionParameter.window_log_max: 25}
"""The window is what a decoder must keep in memory: a small frame can ask for gigabytes. 32 MiB."""


_DAMAGED_HINT: Final = "compress the whole body and send all of it, or send it plain and without Content-Encoding"


def format_of(content_type: str | None) -> Format:
    """Raises UnsupportedMediaType. There is no default: a browser form on another site can't send these types
    without asking first (CORS), and can send events to a local Streamgauge with all others."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    try:
        return _FORMATS[media_type]
    except KeyError:
        raise UnsupportedMediaType(
            f"the content type {media_type!r} is not accepted" if media_type else "there is no Content-Type header",
            hint="send Content-Type: application/json (one event or an array) or application/x-ndjson",
        ) from None


def decompress(body: bytes, encoding: str | None, bytes_max: int) -> bytes:
    """The body as it was before `Content-Encoding` (none, gzip or zstd). Never makes more than `bytes_max` + 1 bytes
    of a bomb. Raises BodyTooLarge, UnsupportedMediaType, InvalidRequest (damaged or cut off)."""
    match (encoding or "identity").strip().lower():
        case "identity" | "":
            plain = body
        case "gzip" | "x-gzip":
            plain = _unpack(body, bytes_max, "gzip", lambda: zlib.decompressobj(wbits=31))
        case "zstd":
            plain = _unpack(body, bytes_max, "zstd", lambda: zstd.ZstdDecompressor(options=_ZSTD_OPTIONS))
        case other:
            raise UnsupportedMediaType(
                f"the content encoding {other!r} is not accepted", hint="send gzip, zstd or no Content-Encoding"
            )
    if len(plain) > bytes_max:
        raise body_too_large(bytes_max)
    return plain


def body_too_large(bytes_max: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"the body is over {bytes_max:,} bytes (after decompression)",
        hint="send smaller batches, or raise ingest.body_bytes_max in the config file",
    )


def split(body: bytes, format_: Format) -> Sequence[bytes]:
    """The raw JSON of each item, unchecked beyond JSON's outline for arrays, and not at all for NDJSON lines.

    One object that is followed by more lines is read as NDJSON whatever the content type says, since clients
    often get that wrong. Raises InvalidRequest.
    """
    body = body.removeprefix(codecs.BOM_UTF8).strip(_WHITESPACE)  # some editors and shells put one there
    if not body:
        raise InvalidRequest("the body is empty", code="empty_body", hint='send at least {"event": "page_view"}')
    if format_ == "ndjson":
        return lines(body)
    try:
        if body.startswith(b"["):
            return [bytes(item) for item in _RAW_ITEMS.decode(body)]
        _RAW_ITEM.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _split_by_outline(body, error)
    return [body]


def _split_by_outline(body: bytes, refusal: Exception) -> Sequence[bytes]:
    """The items of a body that was refused as a whole: a NaN, half a surrogate pair or a hundred thousand brackets are
    the fault of their own item. Raises InvalidRequest where the outline itself is damaged."""
    text = body.decode("latin-1")  # one character a byte; the outline is ASCII
    try:
        if body.startswith(b"["):
            return list(_array_items(text))
        end = _end_of_value(text, 0)
    except ValueError:
        raise malformed_body(body, refusal) from refusal
    if end == len(body):
        return [body]
    if body.startswith(b"{") and b"\n" in body:
        return lines(body)
    raise malformed_body(body, refusal) from refusal


def members_by_outline(body: bytes) -> dict[str, bytes]:
    """The raw JSON of each member of an object, by its name, checked no further than `split` checks items. Raises
    ValueError."""
    text = body.decode("latin-1").strip()
    members: dict[str, bytes] = {}
    start, separator = _after_blanks(text, 1), text[:1]
    while separator in ("{", ",") and text[start : start + 1] == '"':
        end = _end_of_value(text, start)
        name, colon = text[start + 1 : end - 1], _after_blanks(text, end)
        if text[colon : colon + 1] != ":":
            break
        start = _after_blanks(text, colon + 1)
        end = _end_of_value(text, start)
        members[name] = text[start:end].encode("latin-1")
        end = _after_blanks(text, end)
        separator, start = text[end : end + 1], _after_blanks(text, end + 1)
    if separator != "}" or start < len(text):
        raise ValueError("this is not one object")
    return members


def items_by_outline(array: bytes) -> list[bytes]:
    """Raises ValueError."""
    return list(_array_items(array.decode("latin-1")))


def _array_items(text: str) -> Iterator[bytes]:
    """Raises ValueError."""
    start, separator = 1, ","
    while separator == ",":
        start = _after_blanks(text, start)
        end = _end_of_value(text, start)
        yield text[start:end].encode("latin-1")
        end = _after_blanks(text, end)
        separator, start = text[end : end + 1], end + 1
    if separator != "]" or start != len(text):
        raise ValueError("this is not one array")


def _end_of_value(text: str, start: int) -> int:
    """Raises ValueError."""
    try:
        return _OUTLINE.raw_decode(text, start)[1]
    except RecursionError:
        return _end_of_brackets(text, start)


def _end_of_brackets(text: str, start: int) -> int:
    """Of an array or object of any depth: where as many brackets were closed as opened. Raises ValueError."""
    depth = 0
    for found in _BRACKET_OR_STRING.finditer(text, start):
        bracket = found[0]
        if bracket in "[{":
            depth += 1
        elif bracket in "]}":
            depth -= 1
            if depth == 0:
                return found.end()
    raise ValueError("a bracket is not closed")


def _after_blanks(text: str, start: int) -> int:
    while text[start : start + 1] in (" ", "\t", "\r", "\n"):
        start += 1
    return start


def lines(body: bytes) -> Sequence[bytes]:
    """The lines that are not blank."""
    return [line for line in (line.strip(_WHITESPACE) for line in body.split(b"\n")) if line]


def malformed_body(body: bytes, error: Exception) -> InvalidRequest:
    if isinstance(error, RecursionError):
        return InvalidRequest("the body is nested too deeply", code="malformed_body", hint="flatten the properties")
    return InvalidRequest(
        f"the body is not valid JSON: {why_not_json(body, error)}",
        code="malformed_body",
        hint="send one object, an array, or NDJSON",
    )


def why_not_json(text: bytes, error: Exception) -> str:
    """The parser's words, except for what isn't Unicode: there it counts from the start of the string, or calls half of
    a surrogate pair truncated input."""
    try:
        text.decode()
    except UnicodeDecodeError as refusal:
        return f"byte {refusal.start} (0x{text[refusal.start]:02x}) is not UTF-8"
    for found in _ESCAPE.finditer(text):
        if found[1]:
            return f"{found[1].decode()} at byte {found.start()} is half of a surrogate pair, which is no character"
    return str(error)


class _Unpacker(Protocol):
    """Of one gzip member or zstd frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _unpack(body: bytes, bytes_max: int, encoding: str, new: Callable[[], _Unpacker]) -> bytes:
    """All members or frames, one after the other."""
    plain = bytearray()
    rest = body
    try:
        while rest:
            unpacker = new()
            plain += unpacker.decompress(rest, bytes_max + 1 - len(plain))
            if len(plain) > bytes_max:
                raise body_too_large(bytes_max)
            if not unpacker.eof:
                raise InvalidRequest(f"the {encoding} body is cut off", code="malformed_body", hint=_DAMAGED_HINT)
            rest = unpacker.unused_data
    except (zlib.error, zstd.ZstdError) as error:
        raise InvalidRequest(
            f"the body is not valid {encoding}: {error}", code="malformed_body", hint=_DAMAGED_HINT
        ) from error
    return bytes(plain)
