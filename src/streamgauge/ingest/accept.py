"""The ingest stage: a body goes in, its events are in the log when `accept` returns."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec

from streamgauge.config import IngestSettings
from streamgauge.core.clock import Clock
from streamgauge.core.errors import BodyTooLarge, InvalidRequest
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.ingest.decode import Format, decompress, format_of, split
from streamgauge.ingest.identity import BodyIds, EventIds
from streamgauge.ingest.validate import EventValidator, ItemError, event_id_of, original_text
from streamgauge.ingest.visitor import Sender, Visitor, Visitors
from streamgauge.log.base import EventLog, Record
from streamgauge.model import Envelope, Rejection

_PRODUCER: Final = re.compile(r"[A-Za-z0-9._:\-]{1,128}")
_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_LARGE_BODY_BYTES: Final = 256 * 1024
"""From here on a body takes so long to read that other requests would notice."""

_SEQUENCE_MAX: Final = 2**62


class RejectedItem(msgspec.Struct, frozen=True):
    index: int
    code: str
    message: str


class Accepted(msgspec.Struct, frozen=True):
    """`count` events are durable; each rejected item is durable too, for the dead letter table. `without_id_count` of
    the events came neither with a number nor with an id: when they are sent again, nothing tells."""

    count: int
    rejected: tuple[RejectedItem, ...] = ()
    without_id_count: int = 0


class Numbering(msgspec.Struct, frozen=True):
    """Items of a body numbered by their producer: the item at index i is number `first + i`."""

    producer: str
    first: int


class _Origin(msgspec.Struct, frozen=True):
    """What holds for all items of a body."""

    format: Format
    numbering: Numbering | None
    visitor: Visitor | None


class _Found(msgspec.Struct, frozen=True):
    """What a body becomes."""

    records: list[Record]
    rejected: list[RejectedItem]
    without_id_count: int
    plain_bytes: int


class Ingest:
    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        limits: IngestSettings,
        metrics: SelfMetrics,
        event_ids: EventIds,
    ) -> None:
        self._log = log
        self._clock = clock
        self._limits = limits
        self._event_bytes_max = limits.event_bytes_max
        self._metrics = metrics
        self._accepted = metrics.ingest_events.labels("accepted")
        self._event_ids = event_ids
        self._validator = EventValidator(limits)
        self._visitors = Visitors(limits)

    async def accept(
        self,
        body: bytes,
        content_type: str | None,
        encoding: str | None,
        numbering: Numbering | None = None,
        sender: Sender | None = None,
    ) -> Accepted:
        """Append what the body holds. Raises InvalidRequest, BodyTooLarge, UnsupportedMediaType (nothing was kept)
        and what the log raises (`Overloaded`, `Unavailable`)."""
        origin = _Origin(format_of(content_type), numbering, self._visitors.visitor(sender))
        if len(body) <= _LARGE_BODY_BYTES and not encoding:
            found = self._read(body, encoding, origin)
        else:  # what takes long must not hold up everyone else's requests
            found = await asyncio.to_thread(self._read, body, encoding, origin)
        await self._log.append(found.records)
        accepted = len(found.records) - len(found.rejected)
        self._count(accepted, found.rejected, found.plain_bytes)
        return Accepted(accepted, tuple(found.rejected), found.without_id_count)

    def _read(self, body: bytes, encoding: str | None, origin: _Origin) -> _Found:
        plain = decompress(body, encoding, self._limits.body_bytes_max)
        quick = self._quickly(plain, origin)
        if quick is not None:
            return quick
        raw_items = split(plain, origin.format)
        if len(raw_items) > self._limits.batch_events_max:
            raise BodyTooLarge(
                f"the body has over {self._limits.batch_events_max:,} items",
                hint="send smaller batches, or raise ingest.batch_events_max in the config file",
            )
        return self._carefully(raw_items, origin, len(plain))

    def _quickly(self, body: bytes, origin: _Origin) -> _Found | None:
        """Of a body in which nothing is wrong; None where something is, or may be."""
        items = self._validator.decode_quickly(body, as_lines=origin.format == "ndjson")
        if not items or len(items) > self._limits.batch_events_max:
            return None
        now_ms = self._clock.now_ms()
        envelope, record, visitor, ids = (
            self._validator.envelope,
            self._record,
            origin.visitor,
            self._event_ids.of_body(),
        )
        is_plain = b"\\" not in body  # without escapes JSON's strings have no tab, line feed or backslash either
        try:
            if origin.numbering is None:
                records = [record(envelope(item, now_ms, ids), visitor, is_plain) for item in items]
            else:
                producer, first = origin.numbering.producer, origin.numbering.first
                records = [
                    record(envelope(item, now_ms, ids, producer, sequence), visitor)
                    for sequence, item in enumerate(items, first)
                ]
        except ItemError:
            return None
        return _Found(records, [], ids.count, len(body))

    def _carefully(self, raw_items: Sequence[bytes], origin: _Origin, plain_bytes: int) -> _Found:
        now_ms, ids, without_id = self._clock.now_ms(), self._event_ids.of_body(), 0
        producer, first = (origin.numbering.producer, origin.numbering.first) if origin.numbering else (None, 0)
        records: list[Record] = []
        rejected: list[RejectedItem] = []
        for index, raw in enumerate(raw_items):
            sequence = first + index if origin.numbering else None
            ids_before = ids.count
            try:
                item = self._validator.decode_carefully(raw)
                envelope = self._validator.envelope(item, now_ms, ids, producer, sequence)
                records.append(self._record(envelope, origin.visitor))
                without_id += ids.count - ids_before
            except ItemError as error:
                rejected.append(RejectedItem(index, error.code, error.message))
                records.append(self._rejection_record(raw, error, now_ms, ids, producer=producer, sequence=sequence))
        return _Found(records, rejected, without_id, plain_bytes)

    def _record(self, envelope: Envelope, visitor: Visitor | None, is_plain: bool = False) -> Record:
        properties = envelope.properties
        if "ip" in properties or "user_agent" in properties or visitor is not None:
            # The decoded item itself, which nobody else has: the type says that an envelope is not changed later.
            self._visitors.complete(cast("dict[str, Any]", properties), visitor)
        line = envelope.to_line(is_plain=is_plain)
        if len(line) > self._event_bytes_max:
            raise ItemError("too_large", f"the event is over {self._event_bytes_max:,} bytes")
        return Record((envelope.user_id or envelope.anonymous_id or envelope.event_id).encode(), line)

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

    def _count(self, accepted: int, rejected: Sequence[RejectedItem], body_bytes: int) -> None:
        self._metrics.ingest_bytes.inc(body_bytes)
        self._accepted.inc(accepted)
        if rejected:
            self._metrics.ingest_events.labels("rejected").inc(len(rejected))
            for item in rejected:
                self._metrics.ingest_rejected.labels(item.code).inc()


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
