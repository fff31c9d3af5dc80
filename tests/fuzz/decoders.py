"""All that reads what strangers write, each as a function of bytes. What they refuse, they refuse with an error of the
project; any other exception is a bug."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from fuzz.corpus import texts_in
from grpc_client import request_with
from streamgauge.core.errors import StreamgaugeError
from streamgauge.feed.access_log import AccessLog
from streamgauge.feed.errors import LineError
from streamgauge.feed.format import Format
from streamgauge.feed.ndjson import Ndjson
from streamgauge.feed.source import Line
from streamgauge.feed.tabular import Columns, Tabular
from streamgauge.ingest.accept import Translated
from streamgauge.ingest.grpc.translate import request_of
from streamgauge.ingest.segment import KINDS, event_of
from streamgauge.ingest.segment_body import messages_of
from streamgauge.query.filters import parse_filter
from streamgauge.query.promql.parse import parse
from unit.ingest.memory_log import Desk
from unit.ingest.test_decode import zstd

REFUSALS: Final = (StreamgaugeError, LineError)
_SEGMENT_KINDS: Final = (*KINDS, None)


class Decoder(NamedTuple):
    name: str
    corpus: Sequence[bytes]
    decode: Callable[[Desk, bytes], Awaitable[Any]]


async def _json(desk: Desk, data: bytes) -> None:
    await desk.send(data)


async def _ndjson(desk: Desk, data: bytes) -> None:
    await desk.send(data, "application/x-ndjson")


async def _gzip(desk: Desk, data: bytes) -> None:
    await desk.send(data, encoding="gzip")


async def _zstd(desk: Desk, data: bytes) -> None:
    await desk.send(data, encoding="zstd")


async def _segment(desk: Desk, data: bytes) -> None:
    kind = _SEGMENT_KINDS[len(data) % len(_SEGMENT_KINDS)]

    def translated(body: bytes) -> Translated:
        messages = messages_of(body, kind, data[:64].decode("latin-1"))
        return Translated(messages.raw, lambda message, at_ms: event_of(message, messages.shared, at_ms))

    await desk.ingest.accept_translated(data, None, translated)


async def _grpc(desk: Desk, data: bytes) -> None:
    request = request_of(data, desk.limits)
    if request.items is None:
        await desk.send(request.json)
    else:
        await desk.ingest.accept_items(request.items.lines, request.items.damaged)


def _lines(format_: Callable[[], Format]) -> Callable[[Desk, bytes], Awaitable[Any]]:
    async def decode(_: Desk, data: bytes) -> None:
        one = format_()
        lines = (Line(number, line) for number, line in enumerate(data.splitlines(keepends=True), 1))
        for record in one.records(lines):
            try:
                one.parse(record.data, 0)
            except LineError:
                continue

    return decode


def _text(read: Callable[[str], object]) -> Callable[[Desk, bytes], Awaitable[Any]]:
    async def decode(_: Desk, data: bytes) -> None:
        read(data.decode("utf-8", "replace"))

    return decode


def decoders() -> list[Decoder]:
    bodies = texts_in("unit/ingest/test_*.py")
    messages = [
        request_with([{"event": "e", "user_id": "u", "n": 1, "deep": [{"a": None, "b": 0.5}], "timestamp": 1}] * 2, 7),
        request_with([{"event": "e", "anonymous_id": "a", "event_id": "i", "text": "ü"}]),
    ]
    return [
        Decoder("REST JSON", bodies, _json),
        Decoder("REST NDJSON", bodies, _ndjson),
        Decoder("gzip", [gzip.compress(body, mtime=0) for body in bodies], _gzip),
        Decoder("zstd", [zstd(body) for body in bodies], _zstd),
        Decoder("Segment", [*bodies, *texts_in("unit/api/test_segment.py")], _segment),
        Decoder("gRPC", [one.SerializeToString() for one in messages] + [b"\x12\x0f" + b'{"event":"abc"}'], _grpc),
        Decoder("access log", texts_in("unit/feed/test_access_log.py"), _lines(AccessLog)),
        Decoder("CSV", texts_in("unit/feed/test_tabular.py"), _lines(lambda: Tabular(Columns({}, event="row")))),
        Decoder("NDJSON file", texts_in("unit/feed/test_ndjson.py"), _lines(Ndjson)),
        Decoder("PromQL", texts_in("unit/query/promql/test_*.py"), _text(parse)),
        Decoder("filter", texts_in("unit/query/test_filters.py"), _text(parse_filter)),
    ]
