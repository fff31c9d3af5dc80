"""One partition of a log on Kafka, for the runner of that partition."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from streamgauge.log.base import LogBatch, LogStats, OffsetRange, Offsets, Record
from streamgauge.log.kafka import KafkaLog


class KafkaPartition:
    """`EventLog` that shows a single partition of another one. Its offsets are committed by `commit`, which
    returns at once: brokers take them from members of the group only."""

    def __init__(self, log: KafkaLog, partition: int, commit: Callable[[Offsets], None]) -> None:
        self._log = log
        self._partition = partition
        self._commit = commit

    @property
    def partitions(self) -> int:
        return self._log.partitions

    async def append(self, records: Sequence[Record]) -> None:
        await self._log.append(records)

    async def read(self, group: str, start: Offsets | None = None) -> AsyncIterator[LogBatch]:
        at = (start or {}).get(self._partition)
        if at is None:
            at = (await self.committed(group))[self._partition]
        async for batch in self._log.read_from({self._partition: at}):
            yield batch

    async def fetch(self, ranges: Sequence[OffsetRange]) -> LogBatch:
        return await self._log.fetch(ranges)

    async def commit(self, group: str, offsets: Offsets) -> None:
        self._commit(offsets)

    async def committed(self, group: str) -> dict[int, int]:
        return self._own(await self._log.committed(group))

    async def start_offsets(self) -> dict[int, int]:
        return self._own(await self._log.start_offsets())

    async def end_offsets(self) -> dict[int, int]:
        return self._own(await self._log.end_offsets())

    async def remove_expired(self) -> int:
        return await self._log.remove_expired()

    def size_bytes(self) -> int | None:
        return self._log.size_bytes()

    def stats(self) -> LogStats:
        return self._log.stats()

    async def close(self) -> None:
        """The log is its owner's to close."""

    def _own(self, offsets: Offsets) -> dict[int, int]:
        return {self._partition: offsets[self._partition]}
