"""The register of imports in a compacted Kafka topic of one partition, for ingest in several processes.

There are two kinds of records. A claim says how a sequence begins; `reached` says how far it was accepted, and the
greatest counts. Who registers a sequence that has no claim writes one, under a key that nobody else has, and reads the
topic again to its end: the claim that comes first in it holds, whoever wrote it, and compaction keeps it there.

How far a sequence is, is written a moment after it was accepted. A process that is killed in this moment makes a client
send again what is there already, with the same numbers: the stream counts no number of a producer twice.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from functools import partial
from typing import Final, NamedTuple, cast

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from streamgauge.core.errors import Unavailable
from streamgauge.log.kafka_cluster import Cluster

_ANSWER_S_MAX: Final = 10.0
_READ_S_MAX: Final = 60.0
_CONSUME_RECORDS: Final = 1_000


class Registered(NamedTuple):
    """As it was registered first; `next_sequence`: one past the highest number known to be in the log."""

    source: str
    shift_ms: int
    next_sequence: int
    created: bool


class _Claim(msgspec.Struct, frozen=True, array_like=True):
    identity: str
    source: str
    shift_ms: int


class _Known:
    """What is in the topic."""

    def __init__(self) -> None:
        self.claims: dict[str, _Claim] = {}
        self.reached: dict[str, int] = {}
        self.end = 0
        """One past the offset that was read last."""

    def take(self, message: Message) -> None:
        kind, producer, *_ = msgspec.json.decode(cast("bytes", message.key()), type=tuple[str, ...])
        value = message.value() or b""
        if kind == "claim":
            self.claims.setdefault(producer, msgspec.json.decode(value, type=_Claim))
        elif kind == "reached":  # of two runs of one import, one may be behind
            self.reached[producer] = max(int(value), self.reached.get(producer, 0))
        self.end = (message.offset() or 0) + 1


class KafkaImports:
    """Its methods may be called from any thread."""

    def __init__(self, cluster: Cluster) -> None:
        """Make the topic where there is none. Raises Unavailable, ConfigError."""
        self._cluster, self._topic = cluster, f"{cluster.topic}.imports"
        cluster.found_compacted(self._topic, 1)
        self._one_at_a_time, self._noting = threading.Lock(), threading.Lock()
        self._reached: dict[str, int] = {}
        self._writer = Producer({**cluster.properties, "acks": "all", "enable.idempotence": True})

    def register(self, producer: str, source: str, shift_ms: int) -> Registered:
        """Raises Unavailable."""
        mine = _Claim(secrets.token_hex(8), source, shift_ms)
        try:
            with self._one_at_a_time:
                known = self._read()
                if producer not in known.claims:
                    written = self._claim(producer, mine)
                    known = self._read(past=written)
        except KafkaException as error:
            raise self._cluster.unavailable(error.args[0]) from error
        first = known.claims[producer]
        number = max(known.reached.get(producer, 0), self._reached.get(producer, 0))
        return Registered(first.source, first.shift_ms, number, created=first == mine)

    def reached(self, producer: str, next_sequence: int) -> None:
        """All numbers below are in the log. Remembered here until `write`."""
        with self._noting:
            self._reached[producer] = max(next_sequence, self._reached.get(producer, 0))

    def write(self) -> None:
        """What was reached since the last time. Where that fails it is tried again with the next."""
        with self._noting:
            reached, self._reached = self._reached, {}
        unwritten = dict(reached)

        def delivered(producer: str, error: KafkaError | None, _: Message) -> None:
            if error is None:
                unwritten.pop(producer, None)

        for producer, number in reached.items():
            with contextlib.suppress(BufferError, KafkaException):
                value, key = str(number).encode(), _key("reached", producer)
                self._writer.produce(self._topic, value, key, on_delivery=partial(delivered, producer))
        if reached:
            self._writer.flush(_ANSWER_S_MAX)
        for producer, number in unwritten.items():
            self.reached(producer, number)

    def _claim(self, producer: str, claim: _Claim) -> int:
        """The offset at which it was written. Raises Unavailable, KafkaException."""
        answers: list[tuple[KafkaError | None, int]] = []
        self._writer.produce(
            self._topic,
            msgspec.json.encode(claim),
            _key("claim", producer, claim.identity),
            on_delivery=lambda error, message: answers.append((error, message.offset() or 0)),
        )
        self._writer.flush(_ANSWER_S_MAX)
        if not answers:
            raise Unavailable(f"Kafka did not take an import within {_ANSWER_S_MAX:g} s", hint="check the brokers")
        ((error, offset),) = answers
        if error is not None:
            raise KafkaException(error)
        return offset

    def _read(self, past: int = -1) -> _Known:
        """All of the topic, and in any case what is at the offset `past`. Raises Unavailable, KafkaException."""
        consumer = self._cluster.consumer(**{"group.id": f"{self._topic}-reader", "enable.partition.eof": True})
        known = _Known()
        try:
            consumer.assign([TopicPartition(self._topic, 0, 0)])
            until_s = time.monotonic() + _READ_S_MAX
            while time.monotonic() < until_s:
                for message in consumer.consume(_CONSUME_RECORDS, 0.5):
                    if (error := message.error()) is None:
                        known.take(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        if known.end > past:
                            return known
                    elif not error.retriable():
                        raise KafkaException(error)
        finally:
            consumer.close()
        raise Unavailable(f"the topic {self._topic!r} was not read within {_READ_S_MAX:g} s", hint="check the brokers")


def _key(*parts: str) -> bytes:
    return msgspec.json.encode(parts)
