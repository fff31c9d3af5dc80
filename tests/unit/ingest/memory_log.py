"""An `EventLog` that is a list in memory, and an `Ingest` that appends to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from streamgauge.config import IngestSettings
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import NotFound, StreamgaugeError, Unavailable
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.ingest.accept import Accepted, Ingest, Numbering
from streamgauge.ingest.identity import EventIds
from streamgauge.ingest.visitor import Sender
from streamgauge.log.base import LogBatch, LogSlice, OffsetRange, Offsets, Record, partition_of
from streamgauge.model import Envelope

NOW_MS = 1_700_000_000_000
JSON = "application/json"
NDJSON = "application/x-ndjson"


class MemoryLog:
    """Keeps what is appended as long as it lives. `refuses_with` is raised by `append` instead."""

    def __init__(self, partitions: int = 4) -> None:
        self.partitions = partitions
        self.refuses_with: StreamgaugeError | None = None
        self._values: list[list[bytes]] = [[] for _ in range(partitions)]
        self._committed: dict[str, dict[int, int]] = {}
        self._records: list[Record] = []
        self._is_closed = False

    @property
    def records(self) -> Sequence[Record]:
        """All records, in the order in which they were appended."""
        return self._records

    async def append(self, records: Sequence[Record]) -> None:
        if self.refuses_with is not None:
            raise self.refuses_with
        if self._is_closed:
            raise Unavailable("the log is closed")
        if any(not record.value or b"\n" in record.value for record in records):
            raise ValueError("a value is one line")
        for record in records:
            self._values[partition_of(record.key, self.partitions)].append(record.value)
        self._records += records

    async def read(self, group: str, start: Offsets | None = None) -> AsyncIterator[LogBatch]:
        """One batch; a test that waits for more would wait for ever."""
        positions = {**await self.committed(group), **(start or {})}
        ends = await self.end_offsets()
        yield await self.fetch([OffsetRange(part, positions[part], ends[part]) for part in sorted(ends)])

    async def fetch(self, ranges: Sequence[OffsetRange]) -> LogBatch:
        slices = []
        for part in ranges:
            values = self._values[part.partition][part.start : part.end]
            if len(values) != part.end - part.start:
                raise NotFound(f"{part} is not in the log")
            if values:
                slices.append(LogSlice(part.partition, part.start, len(values), b"\n".join(values)))
        return LogBatch(tuple(slices))

    async def commit(self, group: str, offsets: Offsets) -> None:
        self._committed.setdefault(group, {}).update(offsets)

    async def committed(self, group: str) -> dict[int, int]:
        return dict.fromkeys(range(self.partitions), 0) | self._committed.get(group, {})

    async def start_offsets(self) -> dict[int, int]:
        return dict.fromkeys(range(self.partitions), 0)

    async def end_offsets(self) -> dict[int, int]:
        return {partition: len(values) for partition, values in enumerate(self._values)}

    async def close(self) -> None:
        self._is_closed = True


class Desk:
    """An `Ingest` with everything it needs, and shorthands to use it."""

    def __init__(self, **limits: Any) -> None:
        self.log = MemoryLog()
        self.clock = ManualClock(NOW_MS)
        self.limits = IngestSettings(**limits)
        self.metrics = SelfMetrics()
        self.ingest = Ingest(self.log, self.clock, self.limits, self.metrics, EventIds("test"))

    async def send(
        self,
        body: bytes,
        content_type: str | None = JSON,
        encoding: str | None = None,
        numbering: Numbering | None = None,
        sender: Sender | None = None,
    ) -> Accepted:
        return await self.ingest.accept(body, content_type, encoding, numbering, sender)

    async def codes(self, body: bytes, content_type: str = JSON) -> list[tuple[int, str]]:
        """Index and code of each rejected item."""
        return [(item.index, item.code) for item in (await self.send(body, content_type)).rejected]

    async def event(self, body: bytes, content_type: str = JSON, sender: Sender | None = None) -> Envelope:
        """What the log has of a body of one event that is accepted."""
        accepted = await self.send(body, content_type, sender=sender)
        assert not accepted.rejected
        assert accepted.count == 1
        return self.envelopes()[-1]

    def envelopes(self) -> list[Envelope]:
        return [Envelope.from_line(record.value) for record in self.log.records]

    def count(self, name: str, **labels: str) -> float:
        """A self-metric; 0 where it doesn't exist yet."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def event_with(name: str, value: Any) -> bytes:
    return msgspec.json.encode({"event": "e", name: value})
