"""Membership in Kafka's consumer group of the stream: which partitions this process works on, as the brokers say.

The consumer of this module only keeps the membership and commits; what is read of a partition is read by its runner.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streamgauge.log.base import Offsets
from streamgauge.log.kafka_cluster import PASSING, Cluster

_POLL_S: Final = 0.1
_HAND_OVER_S_MAX: Final = 60.0
"""Less than the brokers' patience, which is `max.poll.interval.ms`."""

_logger = logging.getLogger(__name__)

Change = Callable[[Sequence[int]], Coroutine[Any, Any, None]]


class KafkaMember:
    """One member of a consumer group. `given` is awaited for partitions that come; `taken` for those that go, before
    another member is given them."""

    def __init__(self, cluster: Cluster, group: str, given: Change, taken: Change) -> None:
        self._topic = cluster.topic
        self._cluster = cluster
        self._given, self._taken = given, taken
        self._loop = asyncio.get_running_loop()
        self._consumer: Consumer = cluster.consumer(
            **{
                "group.id": group,
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 10_000,
                "heartbeat.interval.ms": 1_000,
            }
        )
        self._thread = ThreadPoolExecutor(1, "log-member")
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Until cancelled. What is raised by `given` or `taken` is raised here."""
        self._consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        while True:
            await self._loop.run_in_executor(self._thread, self._poll)
            if self._failure is not None:
                raise self._failure

    async def leave(self) -> None:
        """Give all partitions back: the others needn't wait until this one counts as gone."""
        await self._loop.run_in_executor(self._thread, self._consumer.close)
        self._thread.shutdown(wait=False)

    def commit(self, offsets: Offsets, note: str) -> None:
        """Remember durably how far these partitions are, and a note to each. Raises Unavailable."""
        places = [TopicPartition(self._topic, partition, offset, note) for partition, offset in offsets.items()]
        with self._cluster.refusals():
            for place in self._consumer.commit(offsets=places, asynchronous=False):
                if place.error is not None:
                    raise KafkaException(place.error)

    def _poll(self) -> None:
        message = self._consumer.poll(_POLL_S)
        if message is not None and (error := message.error()) is not None and error.code() not in PASSING:
            _logger.warning("the consumer group: %s", error.str())

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.incremental_assign(places)
        consumer.pause(places)  # their runners read them
        self._wait_for(self._given([place.partition for place in places]))

    def _revoked(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._wait_for(self._taken([place.partition for place in places]))
        consumer.incremental_unassign(places)

    def _lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._revoked(consumer, places)

    def _wait_for(self, change: Coroutine[Any, Any, None]) -> None:
        try:
            asyncio.run_coroutine_threadsafe(change, self._loop).result(_HAND_OVER_S_MAX)
        except Exception as error:  # told to whoever runs this: the client would pass it over
            self._failure = error
