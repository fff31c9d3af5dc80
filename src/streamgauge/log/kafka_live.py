"""Live updates between processes: whoever counts publishes them to a topic of their own, and each process that shows
them reads its end.

Best effort, and nothing waits for it: what can't be sent now is dropped and counted, what was sent while nobody read is
not read later. What is shown was counted, and stays right in the store.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import Any, Final

import msgspec
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from streamgauge.core.errors import Unavailable
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.log.kafka_cluster import PASSING, Cluster
from streamgauge.model import LiveUpdate

_INTERVAL_S: Final = 0.2
"""Of what comes meanwhile one update is made: so often a process sends one, and is shown one, at most."""

_UPDATE_BYTES_MAX: Final = 256 * 1024
"""Of one record. A longer one goes without its sample of events."""

_SEND_S_MAX: Final = 5.0
_LAST_SEND_S_MAX: Final = 1.0
_UPDATES_WAITING_MAX: Final = 100
_READ_UPDATES_MAX: Final = 1_000
_RETENTION_MS: Final = 600_000

_logger = logging.getLogger(__name__)


def _topic(cluster: Cluster) -> str:
    return f"{cluster.topic}.live"


async def _found(cluster: Cluster) -> None:
    """The topic, where it can be made: without it there are no live updates, and all else works."""
    try:
        await asyncio.to_thread(cluster.found_short_lived, _topic(cluster), _RETENTION_MS)
    except Unavailable as error:
        _logger.warning("there may be no live updates: %s", error.message)


class LivePublisher:
    """Publishes what one process counts. By any thread."""

    @classmethod
    async def open(cls, cluster: Cluster, metrics: SelfMetrics) -> LivePublisher:
        await _found(cluster)
        return cls(cluster, metrics)

    def __init__(self, cluster: Cluster, metrics: SelfMetrics) -> None:
        """Only for `open`."""
        self._topic = _topic(cluster)
        self._dropped = metrics.live_dropped
        self._producer = Producer(
            {
                **cluster.properties,
                "acks": 1,
                "compression.type": "zstd",
                "linger.ms": 0,
                "message.timeout.ms": round(_SEND_S_MAX * 1_000),
                "queue.buffering.max.messages": _UPDATES_WAITING_MAX,
            }
        )
        self._lock = threading.Lock()
        self._waiting: LiveUpdate | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-publisher", daemon=True)
        self._thread.start()

    def publish(self, update: LiveUpdate) -> None:
        """Within a moment, together with what comes until then. Returns at once."""
        with self._lock:
            self._waiting = update if self._waiting is None else self._waiting.with_later(update)

    async def close(self) -> None:
        """Send what waits, if that can be done soon."""
        self._closing.set()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while not self._closing.wait(_INTERVAL_S):
            self._send()
            self._producer.poll(0)
        self._send()
        self._producer.flush(_LAST_SEND_S_MAX)

    def _send(self) -> None:
        with self._lock:
            update, self._waiting = self._waiting, None
        if update is None:
            return
        value = msgspec.json.encode(update)
        if len(value) > _UPDATE_BYTES_MAX:
            value = msgspec.json.encode(msgspec.structs.replace(update, sample=()))
        try:
            self._producer.produce(self._topic, value, partition=0, on_delivery=self._delivered)
        except BufferError:
            self._dropped.labels("queue_full").inc()
        except KafkaException:
            self._dropped.labels("refused").inc()

    def _delivered(self, error: KafkaError | None, _: Any) -> None:
        if error is not None:
            self._dropped.labels("undelivered").inc()


class LiveTail:
    """Reads what all processes publish from now on."""

    @classmethod
    async def open(cls, cluster: Cluster, publish: Callable[[LiveUpdate], None], metrics: SelfMetrics) -> LiveTail:
        """`publish` is called on the event loop."""
        await _found(cluster)
        return cls(cluster, publish, metrics)

    def __init__(self, cluster: Cluster, publish: Callable[[LiveUpdate], None], metrics: SelfMetrics) -> None:
        """Only for `open`."""
        self._cluster = cluster
        self._publish = publish
        self._dropped = metrics.live_dropped

    async def run(self) -> None:
        """Until cancelled. Brokers that are away are waited for."""
        consumer = self._cluster.consumer(**{"auto.offset.reset": "latest"})
        consumer.assign([TopicPartition(_topic(self._cluster), 0, OFFSET_END)])
        thread = ThreadPoolExecutor(1, "live-tail")
        try:
            while True:
                update = await asyncio.get_running_loop().run_in_executor(thread, self._next, consumer)
                if update is not None:
                    self._publish(update)
        finally:
            thread.submit(consumer.close)
            thread.shutdown(wait=False)

    def _next(self, consumer: Consumer) -> LiveUpdate | None:
        """What came in an interval, as one."""
        found = []
        for message in consumer.consume(_READ_UPDATES_MAX, _INTERVAL_S):
            if (error := message.error()) is not None:
                if error.code() not in PASSING:
                    _logger.warning("live updates can't be read: %s", error.str())
                continue
            try:
                found.append(msgspec.json.decode(message.value() or b"", type=LiveUpdate))
            except msgspec.DecodeError:
                self._dropped.labels("undecodable").inc()
        return reduce(LiveUpdate.with_later, found) if found else None
