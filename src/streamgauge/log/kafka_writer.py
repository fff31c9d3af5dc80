"""Appends to Kafka: an idempotent producer that waits for all replicas, and a thread that hears of the deliveries."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer

from streamgauge.config import KafkaSettings
from streamgauge.core.errors import Overloaded
from streamgauge.log.base import LogStats, Record, check_value, partition_of
from streamgauge.log.kafka_cluster import RECORD_BYTES_MAX, Cluster

_POLL_S: Final = 0.1


class KafkaWriter:
    """Appends of one event loop.

    Records are on their way as soon as `submit` returns; its future is done when each of them is acknowledged by all
    replicas in sync, or given up after `delivery_s_max`.
    """

    def __init__(self, cluster: Cluster, settings: KafkaSettings, loop: asyncio.AbstractEventLoop) -> None:
        self._topic = cluster.topic
        self.refusal = cluster.unavailable
        self._partitions = settings.partitions
        self._queue_bytes_max = settings.queue_bytes_max
        self._loop = loop
        self._properties: dict[str, Any] = {
            **cluster.properties,
            "enable.idempotence": True,
            # Nothing overtakes a record that is given up: a producer's numbers only rise, by which its retry is known.
            "enable.gapless.guarantee": True,
            "acks": "all",
            "compression.type": "zstd",
            "linger.ms": 5,
            "message.timeout.ms": round(settings.delivery_s_max * 1_000),
            "message.max.bytes": RECORD_BYTES_MAX,
            # `queue_bytes_max` is the bound; these only have to be above it.
            "queue.buffering.max.kbytes": 2 * settings.queue_bytes_max // 1024 + 2 * RECORD_BYTES_MAX // 1024,
            "queue.buffering.max.messages": 10_000_000,
        }
        self._producer = Producer(self._properties)
        self._is_broken = threading.Event()
        self._changed = threading.Lock()
        self._queue_bytes = 0
        self._stats = LogStats()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._hear, name="log-writer", daemon=True)
        self._thread.start()

    def submit(self, records: Sequence[Record]) -> asyncio.Future[None]:
        """Called in the event loop. Raises Overloaded where the records don't fit in the queue; an empty queue takes
        any one append."""
        for record in records:
            check_value(record.value)
        lines_bytes = sum([len(record.value) for record in records])
        with self._changed:
            if self._queue_bytes and self._queue_bytes + lines_bytes > self._queue_bytes_max:
                raise Overloaded(
                    f"{self._queue_bytes} bytes of events wait for Kafka already",
                    hint="send again later; if it lasts, the brokers are too slow for the load",
                )
            self._queue_bytes += lines_bytes
        append = _Append(self, self._loop.create_future(), len(records), lines_bytes)
        producer = self._producer  # all of them go to one, also where another takes its place meanwhile
        for position, record in enumerate(records):
            try:
                producer.produce(
                    self._topic,
                    record.value,
                    record.key,
                    partition_of(record.key, self._partitions),
                    on_delivery=append.delivered,
                )
            except (BufferError, KafkaException) as error:
                refusal = error.args[0] if isinstance(error, KafkaException) else KafkaError(KafkaError._QUEUE_FULL)
                append.refused(len(records) - position, refusal)
                break
        return append.done

    def stats(self) -> LogStats:
        with self._changed:
            return msgspec.structs.replace(self._stats, queue_bytes=self._queue_bytes)

    def close(self) -> None:
        """Wait for what is on its way."""
        self._producer.flush()
        self._closing.set()
        self._thread.join()

    def ended(self, append: _Append) -> None:
        """All records of an append are acknowledged or given up."""
        error, stats = append.error, self._stats
        if error is not None:
            self._is_broken.set()
        with self._changed:
            self._queue_bytes -= append.lines_bytes
            if error is None:
                self._stats = msgspec.structs.replace(
                    stats,
                    appended_records=stats.appended_records + append.count,
                    lines_bytes=stats.lines_bytes + append.lines_bytes,
                    group_commits=stats.group_commits + 1,
                    problem="",
                )
            else:
                self._stats = msgspec.structs.replace(
                    stats,
                    failed_group_commits=stats.failed_group_commits + 1,
                    problem=self.refusal(error).message,
                    problem_at_s=time.monotonic(),
                )
        with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(append.tell)

    def _hear(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(_POLL_S)
            if self._is_broken.is_set():
                self._begin_anew()

    def _begin_anew(self) -> None:
        """A producer that gave a record up takes no others, so that none overtakes it: go on with a new one, once all
        that the old one had is acknowledged or given up too."""
        broken, self._producer = self._producer, Producer(self._properties)
        self._is_broken.clear()
        broken.purge()
        broken.flush()


class _Append:
    """One call that waits for Kafka."""

    def __init__(self, writer: KafkaWriter, done: asyncio.Future[None], count: int, lines_bytes: int) -> None:
        self.done, self.count, self.lines_bytes = done, count, lines_bytes
        self.error: KafkaError | None = None
        self._writer = writer
        self._waiting = count
        self._lock = threading.Lock()

    def delivered(self, error: KafkaError | None, _: object) -> None:
        """Of one record; in the thread that hears."""
        self._less(1, error)

    def refused(self, count: int, error: KafkaError) -> None:
        """So many records were not even taken."""
        self._less(count, error)

    def tell(self) -> None:
        if self.done.done():
            return
        if self.error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(self._writer.refusal(self.error))

    def _less(self, count: int, error: KafkaError | None) -> None:
        with self._lock:
            self._waiting -= count
            self.error = self.error or error
            is_last = self._waiting == 0
        if is_last:
            self._writer.ended(self)
