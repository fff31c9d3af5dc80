"""Bodies to items: decompress within a limit, then split. Knows nothing of events."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
import zstandard

from streamgauge.core.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType

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
            plain = _gunzip(body, bytes_max)
        case "zstd":
            plain = _unzstd(body, bytes_max)
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
    body = body.strip(_WHITESPACE)
    if not body:
        raise InvalidRequest("the body is empty", code="empty_body", hint='send at least {"event": "page_view"}')
    if format_ == "ndjson":
        return lines(body)
    try:
        if body.startswith(b"["):
            return [bytes(item) for item in _RAW_ITEMS.decode(body)]
        _RAW_ITEM.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if body.startswith(b"{") and b"\n" in body and "trailing characters" in str(error):
            return lines(body)
        raise malformed_body(error) from error
    return [body]


def lines(body: bytes) -> Sequence[bytes]:
    """The lines that are not blank."""
    return [line for line in (line.strip(_WHITESPACE) for line in body.split(b"\n")) if line]


def malformed_body(error: Exception) -> InvalidRequest:
    if isinstance(error, RecursionError):
        return InvalidRequest("the body is nested too deeply", code="malformed_body", hint="flatten the properties")
    return InvalidRequest(
        f"the body is not valid JSON: {error}", code="malformed_body", hint="send one object, an array, or NDJSON"
    )


def _gunzip(body: bytes, bytes_max: int) -> bytes:
    plain = bytearray()
    rest = body
    try:
        while rest:  # a gzip body may have several members, one after the other
            member = zlib.decompressobj(wbits=31)
            plain += member.decompress(rest, bytes_max + 1 - len(plain))
            if len(plain) > bytes_max:
                raise body_too_large(bytes_max)
            if not member.eof:
                raise InvalidRequest("the gzip body is cut off", code="malformed_body")
            rest = member.unused_data
    except zlib.error as error:
        raise InvalidRequest(f"the body is not valid gzip: {error}", code="malformed_body") from error
    return bytes(plain)


def _unzstd(body: bytes, bytes_max: int) -> bytes:
    plain = bytearray()
    try:
        # The window is what a decoder must keep in memory: a small frame can ask for gigabytes.
        decompressor = zstandard.ZstdDecompressor(max_window_size=32 * 1024 * 1024)
        with decompressor.stream_reader(body, read_across_frames=True) as reader:
            while chunk := reader.read(min(1024 * 1024, bytes_max + 1 - len(plain))):
                plain += chunk
                if len(plain) > bytes_max:
                    raise body_too_large(bytes_max)
    except zstandard.ZstdError as error:
        raise InvalidRequest(f"the body is not valid zstd: {error}", code="malformed_body") from error
    return bytes(plain)
