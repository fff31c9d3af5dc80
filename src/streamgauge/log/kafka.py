"""The log on Apache Kafka: one topic, one Kafka record an event. Any number of processes append and read.

Who does what: `kafka_cluster` finds the brokers and the topic, `kafka_writer` appends, `kafka_reader` reads. This
module makes them one `EventLog`. Records are written outside of transactions, so offsets are dense, as promised.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from streamgauge.config import KafkaSettings
from streamgauge.core.errors import NotFound, Unavailable
from streamgauge.log.base import LogBatch, LogStats, OffsetRange, Offsets, Place, Record
from streamgauge.log.kafka_cluster import Cluster
from streamgauge.log.kafka_reader import KafkaReader
from streamgauge.log.kafka_writer import KafkaWriter

_POLL_S: Final = 0.1
"""How long a reader waits in one call, and so how soon it notices that the log is closed."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class KafkaLog:
    """`EventLog` in a topic. Opened in an event loop, and used in that loop only."""

    @classmethod
    async def open(cls, url: str, settings: KafkaSettings, retention_days: int) -> KafkaLog:
        """Make the topic where there is none.

        Raises ConfigError for an address that can't be one, or when the topic has another number of partitions, and
        Unavailable when no broker answers.
        """
        cluster = Cluster(url)
        await asyncio.to_thread(cluster.found, settings.partitions, retention_days)
        return cls(cluster, settings)

    def __init__(self, cluster: Cluster, settings: KafkaSettings) -> None:
        """Only for `open`."""
        self._cluster = cluster
        self._settings = settings
        self._closed = False
        # Calls of one thread never overlap: neither do two uses of a client.
        self._desk = ThreadPoolExecutor(1, "log-desk")
        self._desk_reader = KafkaReader(cluster, settings.partitions)
        self._readers: set[ThreadPoolExecutor] = set()
        self._writer = KafkaWriter(cluster, settings, asyncio.get_running_loop())

    @property
    def partitions(self) -> int:
        return self._settings.partitions

    async def append(self, records: Sequence[Record]) -> None:
        """As the contract says. What is in several partitions isn't written as a whole: after Unavailable, some of the
        records may be in the log."""
        self._check_open()
        if records:
            await self._writer.submit(records)

    def read(self, group: str, start: Offsets | None = None) -> AsyncIterator[LogBatch]:
        self._check_open()
        return self._read(group, start or {})

    async def _read(self, group: str, start: Offsets) -> AsyncIterator[LogBatch]:
        if not self._closed:
            async for batch in self.read_from({**await self.committed(group), **start}):
                yield batch

    async def read_from(self, positions: Offsets) -> AsyncIterator[LogBatch]:
        """As `read` does, in these partitions only."""
        if self._closed:
            return
        thread = ThreadPoolExecutor(1, "log-reader")
        self._readers.add(thread)
        reader = KafkaReader(self._cluster, self.partitions)
        try:
            await _run(thread, reader.seek, positions)
            while not self._closed:
                batch = await _run(thread, reader.next, self._settings.batch_bytes_max, _POLL_S)
                if batch.slices and not self._closed:
                    yield batch
        finally:
            with contextlib.suppress(RuntimeError):  # the interpreter is shutting down
                thread.submit(reader.close)
            thread.shutdown(wait=False)

    async def fetch(self, ranges: Sequence[OffsetRange]) -> LogBatch:
        self._check_open()
        if len({wanted.partition for wanted in ranges}) != len(ranges) or any(
            not 0 <= wanted.start <= wanted.end for wanted in ranges
        ):
            raise ValueError(f"fetch takes one range a partition, each with 0 <= start <= end: {ranges!r}")
        if any(wanted.partition not in range(self.partitions) for wanted in ranges):
            raise NotFound(f"the log has the partitions 0 to {self.partitions - 1} only")
        wanted = sorted(one for one in ranges if one.start != one.end)
        if not wanted:
            return LogBatch(())
        starts, ends = await self.start_offsets(), await self.end_offsets()
        for one in wanted:
            if one.start < starts[one.partition] or one.end > ends[one.partition]:
                raise NotFound(
                    f"the records [{one.start}, {one.end}) of partition {one.partition} are not all in the log",
                    hint="retention has removed them, or they have not been appended yet",
                )
        return await self._at_desk(self._desk_reader.fetch, wanted)

    async def commit(self, group: str, offsets: Offsets) -> None:
        self._check_open()
        if offsets:
            await self._at_desk(self._cluster.commit, group, dict(offsets))

    async def committed(self, group: str) -> dict[int, int]:
        self._check_open()
        return await self._at_desk(self._cluster.committed, group, self.partitions)

    async def places(self, group: str) -> dict[int, Place]:
        """The committed offset of each partition with the note to it; those without a commit are not named."""
        self._check_open()
        return await self._at_desk(self._cluster.places, group, self.partitions)

    async def start_offsets(self) -> dict[int, int]:
        self._check_open()
        return await self._at_desk(self._cluster.start_offsets, self.partitions)

    async def end_offsets(self) -> dict[int, int]:
        self._check_open()
        return await self._at_desk(self._cluster.end_offsets, self.partitions)

    async def remove_expired(self) -> int:
        """Kafka does it by itself."""
        return 0

    def size_bytes(self) -> int | None:
        """Not known here: the brokers' disks are theirs."""
        return None

    def stats(self) -> LogStats:
        return self._writer.stats()

    async def close(self) -> None:
        """As the contract says. Closing a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._writer.close)
        for thread in self._readers:
            await asyncio.to_thread(thread.shutdown)
        await _run(self._desk, self._desk_reader.close)
        await _run(self._desk, self._cluster.close)
        await asyncio.to_thread(self._desk.shutdown)

    async def _at_desk(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await _run(self._desk, function, *args, **kwargs)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the log is closed", hint="the server is shutting down; send again later")


async def _run(thread: ThreadPoolExecutor, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    return await asyncio.get_running_loop().run_in_executor(thread, lambda: function(*args, **kwargs))
