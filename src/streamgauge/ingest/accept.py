"""The ingest stage: a body goes in, its events are in the log when `accept` returns."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec

from streamgauge.config import IngestSettings
from streamgauge.core.clock import Clock
from streamgauge.core.device import device_of
from streamgauge.core.errors import BodyTooLarge, InvalidRequest
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.ingest.decode import Format, body_too_large, decompress, format_of, split
from streamgauge.ingest.identity import BodyIds, EventIds
from streamgauge.ingest.validate import EventValidator, ItemError, event_id_of, original_text
from streamgauge.ingest.visitor import Sender, Visitor, Visitors
from streamgauge.log.base import EventLog, Record
from streamgauge.model import Envelope, Rejection

_PRODUCER: Final = re.compile(r"[A-Za-z0-9._:\-]{1,128}")
_NUMBER: Final = re.compile(r"[0-9]{1,19}")
SOURCE: Final = "source"
SENT_SOURCE: Final = "sent_source"
"""Where a `source` goes that an event said itself and that isn't its own."""

LARGE_BODY_BYTES: Final = 256 * 1024
"""From here on a body takes so long to read that other requests would notice."""

_SEQUENCE_MAX: Final = 2**62


class RejectedItem(msgspec.Struct, frozen=True):
    index: int
    code: str
    message: str


class Accepted(msgspec.Struct, frozen=True):
    """`count` events are durable; each rejected item is durable too, for the dead letter table. `without_id_count` of
    the events came neither with a number nor with an id: when they are sent again, nothing tells. `bots_count` more
    were of bots, and are nowhere."""

    count: int
    rejected: tuple[RejectedItem, ...] = ()
    without_id_count: int = 0
    bots_count: int = 0


class Source(msgspec.Struct, frozen=True):
    """Whose key the events of a body came with: their property `source`. Where it `may_be_stated`, what an event says
    itself goes before."""

    name: str
    may_be_stated: bool = False


class Numbering(msgspec.Struct, frozen=True):
    """Items of a body numbered by their producer: the item at index i is number `first + i`."""

    producer: str
    first: int


Translate = Callable[[dict[str, Any], int], dict[str, Any]]
"""What an item of another protocol, decoded and received at this time, is as an event of `POST /events`. Raises
ItemError."""


class Translated(NamedTuple):
    """A body of another protocol: the JSON of each of its items, and whose key it came with."""

    raw_items: Sequence[bytes]
    event: Translate
    source: Source | None = None


class _Origin(msgspec.Struct, frozen=True):
    """What holds for all items of a body."""

    format: Format
    numbering: Numbering | None
    visitor: Visitor | None
    source: Source | None = None
    translate: Translate | None = None


class _Found(msgspec.Struct, frozen=True):
    """What a body becomes."""

    records: list[Record]
    rejected: list[RejectedItem]
    without_id_count: int
    plain_bytes: int
    bots_count: int = 0


class Ingest:
    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        limits: IngestSettings,
        metrics: SelfMetrics,
        event_ids: EventIds,
        *,
        on_numbered: Callable[[str, int], None] = lambda producer, next_sequence: None,
    ) -> None:
        """`on_numbered` is told of a producer up to which number its items are durable."""
        self._log = log
        self._clock = clock
        self._limits = limits
        self._event_bytes_max = limits.event_bytes_max
        self._drops_bots = limits.drop_bots
        self._metrics = metrics
        self._accepted = metrics.ingest_events.labels("accepted")
        self._event_ids = event_ids
        self._on_numbered = on_numbered
        self._validator = EventValidator(limits)
        self._visitors = Visitors(limits)

    async def accept(
        self,
        body: bytes,
        content_type: str | None,
        encoding: str | None,
        numbering: Numbering | None = None,
        sender: Sender | None = None,
        *,
        source: Source | None = None,
    ) -> Accepted:
        """Append what the body holds. Raises InvalidRequest, BodyTooLarge, UnsupportedMediaType (nothing was kept)
        and what the log raises (`Overloaded`, `Unavailable`)."""
        origin = _Origin(format_of(content_type), numbering, self._visitors.visitor(sender), source)
        found = await _aside(body, encoding, lambda: self._read(body, encoding, origin))
        return await self._keep(found, numbering)

    async def accept_translated(
        self, body: bytes, encoding: str | None, translated: Callable[[bytes], Translated], sender: Sender | None = None
    ) -> Accepted:
        """The same for a body of another protocol. `translated` gets the plain body, in any thread; what it raises is
        raised."""
        visitor = self._visitors.visitor(sender)

        def read() -> _Found:
            plain = decompress(body, encoding, self._limits.body_bytes_max)
            raw_items, event, source = translated(plain)
            if len(raw_items) > self._limits.batch_events_max:
                raise too_many_items(self._limits.batch_events_max)
            return self._carefully(raw_items, _Origin("json", None, visitor, source, event), len(plain), {})

        return await self._keep(await _aside(body, encoding, read), None)

    async def accept_items(
        self, items: Sequence[bytes], damaged: Mapping[int, ItemError], source: Source | None = None
    ) -> Accepted:
        """Append items that came told apart, each as JSON on one line; those at the indexes of `damaged` are as they
        came, and why they are no items is known. Raises BodyTooLarge and what the log raises."""
        if sum(map(len, items)) <= LARGE_BODY_BYTES:
            found = self._read_items(items, damaged, source)
        else:
            found = await asyncio.to_thread(self._read_items, items, damaged, source)
        return await self._keep(found, None)

    async def _keep(self, found: _Found, numbering: Numbering | None) -> Accepted:
        await self._log.append(found.records)
        if numbering is not None:
            self._on_numbered(numbering.producer, numbering.first + len(found.records) + found.bots_count)
        accepted = len(found.records) - len(found.rejected)
        self._count(accepted, found)
        return Accepted(accepted, tuple(found.rejected), found.without_id_count, found.bots_count)

    def _read(self, body: bytes, encoding: str | None, origin: _Origin) -> _Found:
        plain = decompress(body, encoding, self._limits.body_bytes_max)
        quick = self._quickly(plain, origin)
        if quick is not None:
            return quick
        raw_items = split(plain, origin.format)
        if len(raw_items) > self._limits.batch_events_max:
            raise too_many_items(self._limits.batch_events_max)
        return self._carefully(raw_items, origin, len(plain), {})

    def _read_items(self, items: Sequence[bytes], damaged: Mapping[int, ItemError], source: Source | None) -> _Found:
        if len(items) > self._limits.batch_events_max:
            raise too_many_items(self._limits.batch_events_max)
        origin, plain = _Origin("ndjson", None, None, source), b"\n".join(items)
        if len(plain) > self._limits.body_bytes_max:
            raise body_too_large(self._limits.body_bytes_max)
        quick = None if damaged else self._quickly(plain, origin)
        return self._carefully(items, origin, len(plain), damaged) if quick is None else quick

    def _quickly(self, body: bytes, origin: _Origin) -> _Found | None:
        """Of a body in which nothing is wrong; None where something is, or may be."""
        if self._drops_bots and (_is_bot(origin.visitor) or b"user_agent" in body):
            return None
        items = self._validator.decode_quickly(body, as_lines=origin.format == "ndjson")
        if not items or len(items) > self._limits.batch_events_max:
            return None
        now_ms = self._clock.now_ms()
        envelope, record, ids = self._validator.envelope, self._record, self._event_ids.of_body()
        visitor, source = origin.visitor, origin.source
        is_plain = b"\\" not in body  # without escapes JSON's strings have no tab, line feed or backslash either
        try:
            if origin.numbering is None:
                records = [record(envelope(item, now_ms, ids), visitor, source, is_plain) for item in items]
            else:
                producer, first = origin.numbering.producer, origin.numbering.first
                records = [
                    record(envelope(item, now_ms, ids, producer, sequence), visitor, source)
                    for sequence, item in enumerate(items, first)
                ]
        except ItemError:
            return None
        return _Found(records, [], ids.count, len(body))

    def _carefully(
        self, raw_items: Sequence[bytes], origin: _Origin, plain_bytes: int, damaged: Mapping[int, ItemError]
    ) -> _Found:
        now_ms, ids, without_id = self._clock.now_ms(), self._event_ids.of_body(), 0
        producer, first = (origin.numbering.producer, origin.numbering.first) if origin.numbering else (None, 0)
        records: list[Record] = []
        rejected: list[RejectedItem] = []
        bots = 0
        for index, raw in enumerate(raw_items):
            sequence = first + index if origin.numbering else None
            ids_before = ids.count
            try:
                if index in damaged:
                    raise damaged[index]
                item = self._validator.decode_carefully(raw)
                if origin.translate is not None:
                    item = origin.translate(item, now_ms)
                envelope = self._validator.envelope(item, now_ms, ids, producer, sequence)
                if self._drops_bots and _is_of_bot(envelope, origin.visitor):
                    bots += 1
                    continue
                records.append(self._record(envelope, origin.visitor, origin.source))
                without_id += ids.count - ids_before
            except ItemError as error:
                rejected.append(RejectedItem(index, error.code, error.message))
                records.append(self._rejection_record(raw, error, now_ms, ids, producer=producer, sequence=sequence))
        return _Found(records, rejected, without_id, plain_bytes, bots)

    def _record(
        self, envelope: Envelope, visitor: Visitor | None, source: Source | None, is_plain: bool = False
    ) -> Record:
        properties = envelope.properties
        if "ip" in properties or "user_agent" in properties or visitor is not None:
            # The decoded item itself, which nobody else has: the type says that an envelope is not changed later.
            self._visitors.complete(cast("dict[str, Any]", properties), visitor)
        if source is not None:
            _stamp(cast("dict[str, Any]", properties), source)
        line = envelope.to_line(is_plain=is_plain)
        if len(line) > self._event_bytes_max:
            raise ItemError("too_large", f"the event is over {self._event_bytes_max:,} bytes")
        # A visitor who becomes a user keeps the anonymous id, and so the partition: sessions are made in one.
        return Record((envelope.anonymous_id or envelope.user_id or envelope.event_id).encode(), line)

    def _rejection_record(
        self, raw: bytes, error: ItemError, now_ms: int, ids: BodyIds, *, producer: str | None, sequence: int | None
    ) -> Record:
        event_id = event_id_of(ids, producer, sequence)
        envelope = Envelope(
            event_id=event_id,
            event="",
            timestamp=now_ms,
            received_at=now_ms,
            producer=producer,
            sequence=sequence,
            rejection=Rejection(error.code, error.message),
            original=original_text(raw, self._event_bytes_max),
        )
        return Record(event_id.encode(), envelope.to_line())

    def _count(self, accepted: int, found: _Found) -> None:
        self._metrics.ingest_bytes.inc(found.plain_bytes)
        self._accepted.inc(accepted)
        if found.rejected:
            self._metrics.ingest_events.labels("rejected").inc(len(found.rejected))
            for item in found.rejected:
                self._metrics.ingest_rejected.labels(item.code).inc()
        if found.bots_count:
            self._metrics.ingest_events.labels("dropped").inc(found.bots_count)
            self._metrics.ingest_dropped.labels("bot").inc(found.bots_count)


def _stamp(properties: dict[str, Any], source: Source) -> None:
    """Nobody but an admin can say that an event is of another source; what was said is kept under another name."""
    said = properties.get(SOURCE)
    if said not in (None, "", source.name):
        if source.may_be_stated:
            return
        properties.setdefault(SENT_SOURCE, said)
    properties[SOURCE] = source.name


def _is_bot(visitor: Visitor | None) -> bool:
    return visitor is not None and visitor.is_bot


def _is_of_bot(envelope: Envelope, visitor: Visitor | None) -> bool:
    """What the event says itself goes before what its request tells."""
    agent = envelope.properties.get("user_agent")
    return device_of(agent) == "bot" if type(agent) is str and agent else _is_bot(visitor)


async def _aside(body: bytes, encoding: str | None, read: Callable[[], _Found]) -> _Found:
    """In a thread what takes long: it must not hold up everyone else's requests."""
    if len(body) <= LARGE_BODY_BYTES and not encoding:
        return read()
    return await asyncio.to_thread(read)


def too_many_items(items_max: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"the body has over {items_max:,} items",
        hint="send smaller batches, or raise ingest.batch_events_max in the config file",
    )


def numbering_of(producer: str | None, sequence: str | None) -> Numbering | None:
    """The headers of a numbered body; None where there are none. Raises InvalidRequest."""
    if producer is None and sequence is None:
        return None
    if producer is None or sequence is None:
        raise InvalidRequest(
            "Streamgauge-Producer and Streamgauge-Sequence go together", hint="send both headers, or neither"
        )
    if not _PRODUCER.fullmatch(producer):
        raise InvalidRequest(
            "Streamgauge-Producer is not a name", hint="1 to 128 characters of A-Z a-z 0-9 . _ : and -"
        )
    if not (_NUMBER.fullmatch(sequence) and int(sequence) <= _SEQUENCE_MAX):
        raise InvalidRequest("Streamgauge-Sequence is not a number", hint="an integer from 0 to 2^62")
    return Numbering(producer, int(sequence))
