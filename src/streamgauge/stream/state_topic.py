"""A runner's memory in a compacted Kafka topic, so that whichever process is given a partition goes on with it.

The topic has as many partitions as the log. What the runner of partition n remembers is in its partition n: a record a
fact, an offset, the pending batch, a piece of a journal block; the newest record of a key counts, one without value
deletes. Each change is one Kafka transaction.

How a partition is taken over, so that two processes that both think it is theirs harm nothing:

1. The new owner begins to produce under the partition's transactional id. From then on the brokers refuse whatever the
   old one still wants to write, and a transaction that it had open is ended.
2. The partition is read to its end, committed transactions only: that is the memory.
3. A batch that is pending in it is finished first, with the same insert tokens. The old owner may have written any part
   of it to the store, and may still write the rest: the store ignores the tokens that it has.

The old owner can have no batch under way but that one, because a batch is recorded as pending before any of it is
written to the store, and that is refused to it after step 1.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from streamgauge.core.errors import ConfigError, Superseded, Unavailable
from streamgauge.stream.journal import Blocks, StateChange
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.state import Admission, Pending

_VERSION: Final = 1

_PIECE_BYTES: Final = 512 * 1024
"""Of a journal block in one record: brokers refuse records of over 1 MiB by default."""

_ANSWER_S_MAX: Final = 15.0
_TRANSACTION_MS_MAX: Final = 60_000
"""Readers of the topic wait so long at most for an owner that vanished in the middle of one."""

_READ_S_MAX: Final = 600.0
_CONSUME_RECORDS: Final = 1_000

Key = tuple[str, ...]


class _Facts(msgspec.Struct, frozen=True):
    """What changes with every batch."""

    next_offset: int = 0
    batch_number: int = 0
    watermark_ms: int = 0
    session_watermark_ms: int = 0


class StateTopic:
    """`StreamState` of one partition. For one thread at a time. What writes raises `Unavailable` where nothing was
    changed, and `Superseded` where another process has taken the partition over."""

    def __init__(
        self, properties: Mapping[str, Any], topic: str, partition: int, is_given_up: threading.Event | None = None
    ) -> None:
        """Take the partition over. `properties`: of a Kafka client. `topic` is there, and compacted. Raises
        Unavailable, soon when `is_given_up` is set; ConfigError for a state of another version."""
        self._partition = partition
        self._place = (topic, partition)
        self._facts = _Facts()
        self._pending: Pending | None = None
        self._admissions: list[Admission] = []
        self._pieces: dict[tuple[str, int], int] = {}
        """Of each journal block that is kept: step and number → how many pieces."""
        self._producer = Producer(
            {
                **properties,
                "transactional.id": f"{topic}-{partition}",
                "transaction.timeout.ms": _TRANSACTION_MS_MAX,
                "compression.type": "zstd",
                "linger.ms": 0,
            }
        )
        try:
            self._producer.init_transactions(_ANSWER_S_MAX)
            self._restored = self._read(properties, is_given_up or threading.Event())
        except KafkaException as error:
            raise _unavailable(error) from error
        self._resume()

    # What a runner resumes from

    def offsets(self) -> dict[int, int]:
        return {self._partition: self._facts.next_offset}

    def blocks_of(self, step: str) -> Blocks:
        """The journal of a step, oldest block first. Once: it is not kept here."""
        numbers = sorted(number for of, number in self._pieces if of == step)
        return [(number, self._block(step, number)) for number in numbers]

    def batch_number(self) -> int:
        return self._facts.batch_number

    def watermark_ms(self) -> int:
        return self._facts.watermark_ms

    def session_watermark_ms(self) -> int:
        return self._facts.session_watermark_ms

    def pending(self) -> Pending | None:
        return self._pending

    def installation(self) -> str:
        """Tells the insert tokens of this partition's runner apart from all others'."""
        return self._installation

    # What it writes down

    def begin(self, pending: Pending) -> None:
        self._write({("pending",): msgspec.json.encode(pending)})
        self._pending = pending

    def finish(self, pending: Pending, changes: Mapping[str, StateChange], watermark_ms: int) -> None:
        """Offset, what the steps remember more and the end of `pending`, in one transaction."""
        end = next((part.end for part in pending.ranges), self._facts.next_offset)
        facts = _Facts(end, pending.number, watermark_ms, pending.watermark_ms)
        records: dict[Key, bytes | None] = {("facts",): msgspec.json.encode(facts), ("pending",): None}
        pieces = dict(self._pieces)
        for step, change in changes.items():
            for of, number in [block for block in pieces if block[0] == step and block[1] < change.oldest_kept]:
                gone = pieces.pop((of, number))
                records |= {_piece_key(of, number, piece): None for piece in range(gone)}
            cut = list(_cut(change.block))
            pieces[step, change.number] = len(cut)
            records |= {_piece_key(step, change.number, piece): part for piece, part in enumerate(cut)}
        self._write(records)
        self._facts, self._pending, self._pieces = facts, None, pieces

    def admit_by(self, spec: PipelineSpec, offsets: Mapping[int, int]) -> None:
        """As `RunnerState` does."""
        if self._admissions and self._admissions[-1].admits_as(spec):
            return
        admissions = [*self._admissions, Admission.by(spec, offsets if self._admissions else {})]
        self._write({("admissions",): msgspec.json.encode(admissions)})
        self._admissions = admissions

    def close(self) -> None:
        """Nothing is open between two calls; a producer ends with its last reference."""
        self._restored.clear()

    def forget_restored(self) -> None:
        """The steps have resumed: the memory that they came from is not needed any more."""
        self._restored.clear()

    def _resume(self) -> None:
        restored = self._restored
        for key in restored:
            if key[0] == "journal":
                _, step, number, _ = key
                block = (step, int(number))
                self._pieces[block] = self._pieces.get(block, 0) + 1
        origin = restored.get(("origin",))
        if origin is None:
            self._installation = f"{secrets.randbits(62) | 1:x}"
            self._write({("origin",): msgspec.json.encode([_VERSION, self._installation])})
            return
        version, self._installation = msgspec.json.decode(origin, type=tuple[int, str])
        if version != _VERSION:
            raise ConfigError(
                f"the topic {self._place[0]!r} was written by another version of streamgauge "
                f"(state {version}, this one knows {_VERSION})",
                hint="upgrade streamgauge, or choose another topic for the log",
            )
        if (facts := restored.get(("facts",))) is not None:
            self._facts = msgspec.json.decode(facts, type=_Facts)
        if (pending := restored.get(("pending",))) is not None:
            self._pending = msgspec.json.decode(pending, type=Pending)
        if (admissions := restored.get(("admissions",))) is not None:
            self._admissions = msgspec.json.decode(admissions, type=list[Admission])

    def _block(self, step: str, number: int) -> bytes:
        return b"".join(self._restored[_piece_key(step, number, piece)] for piece in range(self._pieces[step, number]))

    def _write(self, records: Mapping[Key, bytes | None]) -> None:
        topic, partition = self._place
        try:
            self._producer.begin_transaction()
            for key, value in records.items():
                self._produce(topic, partition, msgspec.json.encode(key), value)
            self._commit()
        except KafkaException as error:
            cause = error.args[0]
            if cause.fatal() or cause.code() in _FENCED:
                raise Superseded(f"another process goes on with partition {partition}: {cause.str()}") from error
            self._abort()
            raise _unavailable(error) from error

    def _produce(self, topic: str, partition: int, key: bytes, value: bytes | None) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition)
                return
            except BufferError:  # a block of many pieces: let some go
                self._producer.poll(0.1)

    def _commit(self) -> None:
        """A commit that the brokers don't answer may have been done: it is asked for again, and not taken back."""
        until_s = time.monotonic() + _TRANSACTION_MS_MAX / 1000
        while True:
            try:
                self._producer.commit_transaction(_ANSWER_S_MAX)
                return
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > until_s:
                    raise

    def _abort(self) -> None:
        try:
            self._producer.abort_transaction(_ANSWER_S_MAX)
        except KafkaException as error:
            cause = error.args[0]
            if cause.fatal() or not cause.retriable():
                raise Superseded(f"the state of partition {self._partition} can't go on: {cause.str()}") from error

    def _read(self, properties: Mapping[str, Any], is_given_up: threading.Event) -> dict[Key, bytes]:
        """All keys with their newest values."""
        topic, partition = self._place
        consumer = Consumer(
            {
                **properties,
                "group.id": f"{topic}-reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
            }
        )
        found: dict[Key, bytes] = {}
        try:
            consumer.assign([TopicPartition(topic, partition, 0)])
            until_s = time.monotonic() + _READ_S_MAX
            while time.monotonic() < until_s and not is_given_up.is_set():
                for message in consumer.consume(_CONSUME_RECORDS, 0.5):
                    if (error := message.error()) is None:
                        _take(message, found)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        return found
                    elif not error.retriable():
                        raise KafkaException(error)
        finally:
            consumer.close()
        if is_given_up.is_set():
            raise Unavailable(f"partition {partition} of {topic!r} needn't be read any more")
        raise Unavailable(f"the topic {topic!r} was not read within {_READ_S_MAX:g} s", hint="check the brokers")


_FENCED: Final = frozenset({KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED})


def _take(message: Message, found: dict[Key, bytes]) -> None:
    key = msgspec.json.decode(cast("bytes", message.key()), type=tuple[str, ...])
    value = message.value()
    if value is None:
        found.pop(key, None)
    else:
        found[key] = value


def _piece_key(step: str, number: int, piece: int) -> Key:
    return ("journal", step, str(number), str(piece))


def _cut(block: bytes) -> Iterator[bytes]:
    for start in range(0, max(1, len(block)), _PIECE_BYTES):
        yield block[start : start + _PIECE_BYTES]


def _unavailable(error: KafkaException) -> Unavailable:
    return Unavailable(f"Kafka does not take the state of the stream: {error.args[0].str()}", hint="check the brokers")
