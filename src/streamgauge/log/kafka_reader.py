"""Reading from Kafka: batches that are fair over partitions, and exact ranges."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Final, cast

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from streamgauge.core.errors import Unavailable
from streamgauge.log.base import LogBatch, LogSlice, OffsetRange, Offsets
from streamgauge.log.kafka_cluster import PASSING, Cluster

_CONSUME_RECORDS: Final = 10_000
"""At most in one call."""

_FETCH_S_MAX: Final = 30.0

_AHEAD: Final = {"queued.max.messages.kbytes": 8 * 1024, "fetch.queue.backoff.ms": 20}
"""What the client fetches before it is asked for it: a process has a reader for each of its partitions. By default it
would be 64 MiB each, and after the limit is reached a partition would rest for a second."""


class KafkaReader:
    """Used by one thread. Knows no group: where to read is said by whoever asks."""

    def __init__(self, cluster: Cluster, partitions: int) -> None:
        self._cluster = cluster
        self._partitions = partitions
        self._consumer: Consumer | None = None
        self._waiting = [_Waiting(partition) for partition in range(partitions)]

    def seek(self, positions: Offsets) -> None:
        """Go on there, in all partitions that are named."""
        if self._consumer is None:
            self._consumer = self._cluster.consumer(**_AHEAD)
        self._waiting = [_Waiting(partition) for partition in range(self._partitions)]
        topic = self._cluster.topic
        with self._cluster.refusals():
            self._consumer.assign([TopicPartition(topic, partition, at) for partition, at in positions.items()])

    def next(self, batch_bytes_max: int, wait_s: float) -> LogBatch:
        """What follows: about `batch_bytes_max` of values; empty where nothing comes for `wait_s`. After `seek`. Raises
        Unavailable."""
        while sum(one.bytes for one in self._waiting) < batch_bytes_max and self._receive(0):
            pass
        if not any(self._waiting):
            self._receive(wait_s)
        slices, bytes_left = [], batch_bytes_max
        # The shortest first: what they leave of their share is for the others.
        order = sorted((one.bytes, partition) for partition, one in enumerate(self._waiting) if one)
        for left, (_, partition) in zip(range(len(order), 0, -1), order, strict=True):
            taken = self._waiting[partition].take(bytes_left // left)
            bytes_left -= len(taken.lines)
            slices.append(taken)
        return LogBatch(tuple(sorted(slices, key=lambda part: part.partition)))

    def fetch(self, ranges: Sequence[OffsetRange]) -> LogBatch:
        """Exactly these records, which are there, one range a partition, none of them empty. Raises Unavailable."""
        self.seek({wanted.partition: wanted.start for wanted in ranges})
        until_s = time.monotonic() + _FETCH_S_MAX
        while any(self._waiting[wanted.partition].end < wanted.end for wanted in ranges):
            if time.monotonic() > until_s:
                raise Unavailable(f"Kafka did not give {ranges} within {_FETCH_S_MAX:g} s", hint="check the brokers")
            self._receive(1.0)
        return LogBatch(tuple(self._waiting[wanted.partition].exactly(wanted) for wanted in sorted(ranges)))

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _receive(self, wait_s: float) -> bool:
        """Take what the client has, and wait for the first record where it has none. Whether any came."""
        if self._consumer is None:
            return False
        with self._cluster.refusals():
            # A call for many waits until it has so many: the wait is for one.
            first = self._consumer.poll(wait_s) if wait_s else None
            messages = ([] if first is None else [first]) + self._consumer.consume(_CONSUME_RECORDS, 0)
            for message in messages:
                if (error := message.error()) is None:
                    self._waiting[cast("int", message.partition())].add(message)
                elif error.code() not in PASSING:
                    raise KafkaException(error)
        return bool(messages)


class _Waiting:
    """Records of one partition that were received and not yet read, in order."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._records: deque[tuple[int, bytes]] = deque()
        self.bytes = 0
        self.end = 0

    def __bool__(self) -> bool:
        return bool(self._records)

    def add(self, message: Message) -> None:
        offset, value = cast("int", message.offset()), _line(message.value())
        self._records.append((offset, value))
        self.bytes += len(value)
        self.end = offset + 1

    def take(self, bytes_max: int) -> LogSlice:
        """About so many bytes of consecutive records, one at least."""
        records, start = self._records, self._records[0][0]
        values: list[bytes] = []
        size = 0
        while records and records[0][0] == start + len(values):
            value = records[0][1]
            if values and size + len(value) > bytes_max:
                break
            records.popleft()
            values.append(value)
            size += len(value)
        self.bytes -= size
        return LogSlice(self._partition, start, len(values), b"\n".join(values))

    def exactly(self, wanted: OffsetRange) -> LogSlice:
        values = [value for offset, value in self._records if wanted.start <= offset < wanted.end]
        return LogSlice(wanted.partition, wanted.start, len(values), b"\n".join(values))


def _line(value: object) -> bytes:
    """A record that others wrote may have no value, or one of several lines: it is made one that is no event."""
    if not isinstance(value, bytes) or not value:
        return b"(no value)"
    return value.replace(b"\n", b" ") if b"\n" in value else value
