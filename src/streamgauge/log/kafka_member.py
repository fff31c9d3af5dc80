"""Membership in Kafka's consumer group of the stream: which partitions this process works on, as the brokers say.

The consumer of this module only keeps the membership and commits; what is read of a partition is read by its runner.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streamgauge.core.errors import Unavailable
from streamgauge.log.base import Offsets
from streamgauge.log.kafka_cluster import PASSING, Cluster

_POLL_S: Final = 0.1
_HAND_OVER_S_MAX: Final = 60.0
"""Less than the brokers' patience, which is `max.poll.interval.ms`."""

_logger = logging.getLogger(__name__)

Change = Callable[[Sequence[int]], Coroutine[Any, Any, None]]


class KafkaMember:
    """One member of a consumer group. `given` is awaited for partitions that come; `taken` for those that go, before
    another member is given them.

    Only the thread that polls uses the consumer: a commit by another one would wait for a hand-over to end, and the
    hand-over for what makes the commit.
    """

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
                "on_commit": self._answered,
            }
        )
        self._lock = threading.Lock()
        self._reached: dict[int, TopicPartition | None] = {}
        """Of each partition that is this member's: how far it is, as was said last."""
        self._unsaid: set[int] = set()
        """Partitions whose place the brokers haven't been told."""
        self._waits_for_answer = False
        self._refusal = ""
        self.is_member = False
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
        """Tell the group how far these partitions are, and a note to each: within a moment, and again where the brokers
        don't take it. By any thread. Partitions that are not this member's any more are passed over: whoever has them
        says more than was known here."""
        with self._lock:
            for partition, offset in offsets.items():
                if partition in self._reached:
                    self._reached[partition] = TopicPartition(self._topic, partition, offset, note)
                    self._unsaid.add(partition)

    def _poll(self) -> None:
        with self._cluster.refusals():
            if not self._waits_for_answer:  # or an older place might be taken last
                self._say()
            message = self._consumer.poll(_POLL_S)
        if message is not None and (error := message.error()) is not None and error.code() not in PASSING:
            _logger.warning("the consumer group: %s", error.str())

    def _say(self) -> None:
        with self._lock:
            places = [place for partition in self._unsaid if (place := self._reached.get(partition)) is not None]
            self._unsaid.clear()
        if not places:
            return
        self._waits_for_answer = True
        try:
            self._consumer.commit(offsets=places, asynchronous=True)
        except KafkaException as error:
            self._answered(error.args[0], places)

    def _answered(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        """What wasn't taken is said again, as it is by then."""
        self._waits_for_answer = False
        refusals = {place.partition: error or place.error for place in places if error or place.error}
        with self._lock:
            self._unsaid |= refusals.keys() & self._reached.keys()
        refusal = ", ".join(sorted({str(reason) for reason in refusals.values()}))
        if refusal and refusal != self._refusal:
            _logger.info("the group isn't told how far it is, and will be told again: %s", refusal)
        self._refusal = refusal

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.incremental_assign(places)
        consumer.pause(places)  # their runners read them
        with self._lock:
            self._reached |= dict.fromkeys((place.partition for place in places), None)
        self.is_member = True
        self._wait_for(self._given([place.partition for place in places]))

    def _revoked(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._wait_for(self._taken([place.partition for place in places]))
        self._say()  # on the way before the partitions are given back
        self._give_back(consumer, places)

    def _lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """They may be another member's already."""
        self.is_member = False
        self._wait_for(self._taken([place.partition for place in places]))
        self._give_back(consumer, places)

    def _give_back(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        with self._lock:
            for place in places:
                self._reached.pop(place.partition, None)
                self._unsaid.discard(place.partition)
        consumer.incremental_unassign(places)

    def _wait_for(self, change: Coroutine[Any, Any, None]) -> None:
        """What fails is told to whoever runs this: the client would pass it over."""
        changing = asyncio.run_coroutine_threadsafe(change, self._loop)
        try:
            changing.result(_HAND_OVER_S_MAX)
        except TimeoutError:
            changing.cancel()
            self._failure = Unavailable(
                f"partitions were not handed over within {_HAND_OVER_S_MAX:g} s", hint="check the store and the brokers"
            )
        except Exception as error:
            self._failure = error
