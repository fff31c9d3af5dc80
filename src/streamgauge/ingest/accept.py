"""The ingest stage: a body goes in, its events are in the log when `accept` returns."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from streamgauge.config import IngestSettings
from streamgauge.core.clock import Clock
from streamgauge.core.errors import BodyTooLarge, InvalidRequest
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.ingest.decode import Format, decompress, format_of, split
from streamgauge.ingest.identity import EventIds
from streamgauge.ingest.validate import EventValidator, ItemError, original_text
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
    """`count` events are durable; each rejected item is durable too, for the dead letter table."""

    count: int
    rejected: tuple[RejectedItem, ...] = ()


class Numbering(msgspec.Struct, frozen=True):
    """Items of a body numbered by their producer: the item at index i is number `first + i`."""

    producer: str
    first: int


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
        self._validator = EventValidator(limits, event_ids)

    async def accept(
        self, body: bytes, content_type: str | None, encoding: str | None, numbering: Numbering | None = None
    ) -> Accepted:
        """Append what the body holds. Raises InvalidRequest, BodyTooLarge, UnsupportedMediaType (nothing was kept)
        and what the log raises (`Overloaded`, `Unavailable`)."""
        format_ = format_of(content_type)
        read = self._read if len(body) <= _LARGE_BODY_BYTES and not encoding else self._read_in_thread
        records, rejected, plain_bytes = await read(body, format_, encoding, numbering)
        await self._log.append(records)
        self._count(len(records) - len(rejected), rejected, plain_bytes)
        return Accepted(len(records) - len(rejected), tuple(rejected))

    async def _read(
        self, body: bytes, format_: Format, encoding: str | None, numbering: Numbering | None
    ) -> tuple[list[Record], list[RejectedItem], int]:
        """Records, rejections, and the size of the body as it was before compression."""
        plain = decompress(body, encoding, self._limits.body_bytes_max)
        return *self._records(plain, format_, numbering), len(plain)

    async def _read_in_thread(
        self, body: bytes, format_: Format, encoding: str | None, numbering: Numbering | None
    ) -> tuple[list[Record], list[RejectedItem], int]:
        """What takes long must not hold up everyone else's requests."""
        plain = await asyncio.to_thread(decompress, body, encoding, self._limits.body_bytes_max)
        return *await asyncio.to_thread(self._records, plain, format_, numbering), len(plain)

    def _records(
        self, body: bytes, format_: Format, numbering: Numbering | None
    ) -> tuple[list[Record], list[RejectedItem]]:
        quick = self._quick_records(body, format_, numbering)
        if quick is not None:
            return quick, []
        raw_items = split(body, format_)
        if len(raw_items) > self._limits.batch_events_max:
            raise BodyTooLarge(
                f"the body has over {self._limits.batch_events_max:,} items",
                hint="send smaller batches, or raise ingest.batch_events_max in the config file",
            )
        return self._careful_records(raw_items, numbering)

    def _quick_records(self, body: bytes, format_: Format, numbering: Numbering | None) -> list[Record] | None:
        """The records of a body in which nothing is wrong; None where something is, or may be."""
        items = self._validator.decode_quickly(body, as_lines=format_ == "ndjson")
        if not items or len(items) > self._limits.batch_events_max:
            return None
        now_ms = self._clock.now_ms()
        envelope, record = self._validator.envelope, self._record
        is_plain = b"\\" not in body  # without escapes JSON's strings have no tab, line feed or backslash either
        try:
            if numbering is None:
                return [record(envelope(item, now_ms), is_plain) for item in items]
            return [
                record(envelope(item, now_ms, numbering.producer, sequence))
                for sequence, item in enumerate(items, numbering.first)
            ]
        except ItemError:
            return None

    def _careful_records(
        self, raw_items: Sequence[bytes], numbering: Numbering | None
    ) -> tuple[list[Record], list[RejectedItem]]:
        now_ms = self._clock.now_ms()
        producer, first = (numbering.producer, numbering.first) if numbering else (None, 0)
        records: list[Record] = []
        rejected: list[RejectedItem] = []
        for index, raw in enumerate(raw_items):
            sequence = first + index if numbering else None
            try:
                item = self._validator.decode_carefully(raw)
                records.append(self._record(self._validator.envelope(item, now_ms, producer, sequence)))
            except ItemError as error:
                rejected.append(RejectedItem(index, error.code, error.message))
                records.append(self._rejection_record(raw, error, now_ms, producer, sequence))
        return records, rejected

    def _record(self, envelope: Envelope, is_plain: bool = False) -> Record:
        line = envelope.to_line(is_plain=is_plain)
        if len(line) > self._event_bytes_max:
            raise ItemError("too_large", f"the event is over {self._event_bytes_max:,} bytes")
        return Record((envelope.user_id or envelope.anonymous_id or envelope.event_id).encode(), line)

    def _rejection_record(
        self, raw: bytes, error: ItemError, now_ms: int, producer: str | None, sequence: int | None
    ) -> Record:
        event_id = self._validator.event_id(producer, sequence)
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
