"""A member of the consumer group that loads the topics of rows, by Kafka's own rules of membership.

Offsets are committed by the subscribed consumer, so with the generation of the group in which this member has its
partitions: a process that slept while they were given to others is refused.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.log.base import Place
from streamgauge.log.kafka_cluster import PASSING, Cluster
from streamgauge.log.kafka_row_topics import RowTopics
from streamgauge.log.row_base import Given, Received, RowPartition, RowRecord

_RECORDS_MAX: Final = 5_000
"""In one poll."""

_logger = logging.getLogger(__name__)


class KafkaRowGroup:
    """`RowGroup` on Kafka. Made, used and left in one thread."""

    def __init__(self, cluster: Cluster, partitions: int) -> None:
        self._cluster = cluster
        self._topics = RowTopics(cluster, partitions)
        self._names = self._topics.names
        self._own: set[RowPartition] = set()
        self._held = False
        self._received = Received(set(), {}, {}, {})
        self._failure: Exception | None = None
        self._consumer: Consumer = cluster.consumer(
            **{
                "group.id": self._topics.group,
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 10_000,
                "heartbeat.interval.ms": 1_000,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                # Begun anew, rows would be loaded a second time, in other batches.
                "auto.offset.reset": "error",
                "queued.max.messages.kbytes": 2_048,
            }
        )
        self._consumer.subscribe(
            list(self._names), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def poll(self, wait_s: float) -> Received:
        """A call for many messages at once could mix those from before and after partitions were taken and given: one
        at a time can't."""
        received = self._received = Received(set(), {}, {}, {})
        message = self._consumer.poll(wait_s)
        for _ in range(_RECORDS_MAX):
            if message is None or self._failure is not None:
                break
            self._take(message)
            message = self._consumer.poll(0)
        else:
            if message is not None:
                self._take(message)
        if self._failure is not None:
            raise self._failure
        received.is_member = bool(self._consumer.memberid())
        return received

    def hold(self, *, held: bool) -> None:
        if held != self._held:
            self._held = held
            places = [self._topics.at(one) for one in self._own]
            if held:
                self._consumer.pause(places)
            else:
                self._consumer.resume(places)

    def commit(self, places: Mapping[RowPartition, Place]) -> None:
        """Of partitions that are this member's own; others were reported as taken."""
        wanted = [self._topics.at(one, place.offset, place.note) for one, place in places.items() if one in self._own]
        if not wanted:
            return
        if not self._consumer.memberid():  # a commit without a member's id is not held to the generation
            raise Unavailable("the brokers have put this loader out of its group", hint="it joins again by itself")
        with self._cluster.refusals():
            for place in self._consumer.commit(offsets=wanted, asynchronous=False):
                if place.error is not None:
                    raise KafkaException(place.error)

    def loaded(self) -> Mapping[RowPartition, int]:
        return {one: place.offset for one, place in self._topics.places(self._topics.rows).items()}

    def ends(self) -> Mapping[RowPartition, int]:
        return self._topics.ends(self._topics.rows)

    def leave(self) -> None:
        started_s = time.monotonic()
        self._consumer.close()
        _logger.debug("left the group in %.1f s", time.monotonic() - started_s)

    def _take(self, message: Message) -> None:
        error = message.error()
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            self._received.ends[RowPartition(self._names[str(topic)], int(str(partition)))] = int(str(offset))
        elif error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
            # Retention was quicker. Taking the partition anew says how much of it is lost.
            self._failure = Unavailable(f"what comes next of {topic}/{partition} is not in the log: {error.str()}")
        elif error is not None:
            if error.code() not in PASSING:
                _logger.warning("the consumer group: %s", error.str())
        else:
            which = RowPartition(self._names[str(topic)], int(str(partition)))
            value = message.value()
            record = RowRecord(int(str(offset)), message.timestamp()[1], value if isinstance(value, bytes) else b"")
            self._received.rows.setdefault(which, []).append(record)

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        try:
            given = self._given([RowPartition(self._names[place.topic], place.partition) for place in places])
        except (Unavailable, ConfigError, KafkaException) as error:  # told by `poll`: the client would pass it over
            self._failure = error if not isinstance(error, KafkaException) else self._cluster.unavailable(error.args[0])
            return
        consumer.incremental_assign([self._topics.at(one, found.at) for one, found in given.items()])
        if self._held:
            consumer.pause([self._topics.at(one) for one in given])
        self._own |= given.keys()
        self._received.given |= given

    def _revoked(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        gone = {RowPartition(self._names[place.topic], place.partition) for place in places}
        self._own -= gone
        self._received.taken |= gone
        for one in gone:
            for found in (self._received.given, self._received.rows, self._received.ends):
                found.pop(one, None)
        consumer.incremental_unassign(places)

    def _given(self, partitions: list[RowPartition]) -> dict[RowPartition, Given]:
        ids = self._topics.ids()
        places, starts = self._topics.places(partitions), self._topics.starts(partitions)
        ends = self._topics.ends(partitions)
        topics = {table: topic for topic, table in self._names.items()}
        return {
            one: Given.resumed(
                topics[one.table], ids[one.table], places.get(one, Place(0, "")), (starts[one], ends[one])
            )
            for one in partitions
        }
