"""Kafka's brokers, the topic of events, and the offsets that consumer groups have committed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import stamina
from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.log.base import Place
from streamgauge.model import DAY_MS, PROGRESS, ROW_TABLES

RECORD_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of one record, key and value: more than an event may have by any setting of the ingest API."""

TOPIC: Final = "events"

_ROW_SEGMENT_MS: Final = DAY_MS // 4
"""Retention removes whole segments of a topic: shorter ones keep it near to what was said."""

_logger = logging.getLogger(__name__)

T = TypeVar("T")
_ANSWER_S_MAX: Final = 5.0
"""How long a broker may take to answer what isn't an append."""

_METADATA_S_MAX: Final = 1.0

_HINT: Final = "check that the brokers run and can be reached from here"

PASSING: Final = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError._TRANSPORT,
        KafkaError._NOENT,  # no leader is known
    }
)
"""Errors of a cluster that is changing: a topic that was made just now, a broker that went or comes."""


class Cluster:
    """Clients of one Kafka cluster. Used by one thread at a time."""

    def __init__(self, url: str) -> None:
        """`kafka://[user:password@]host:9092[,host2:9092][/topic][?property=value]`, where further properties are
        librdkafka's own. Raises ConfigError."""
        self.properties, self.topic = _parsed(url)
        self._servers = self.properties["bootstrap.servers"]
        self._admin = AdminClient(self._checked(self.properties))
        self._groups: dict[str, Consumer] = {}

    def found(self, partitions: int, retention_days: int) -> None:
        """Make the topic where there is none, with the broker's own default of replicas.

        Raises ConfigError when it has another number of partitions or is compacted, Unavailable when no broker answers.
        """
        with self.refusals():
            known = self._admin.list_topics(timeout=_ANSWER_S_MAX).topics
            if self.topic not in known:
                config = {
                    "cleanup.policy": "delete",
                    "retention.ms": str(retention_days * DAY_MS),
                    "max.message.bytes": str(RECORD_BYTES_MAX),
                }
                self._create(self.topic, partitions, config)
                known = self._admin.list_topics(timeout=_ANSWER_S_MAX).topics
        found = len(known[self.topic].partitions) if self.topic in known else partitions
        if found != partitions:
            raise ConfigError(
                f"the topic {self.topic!r} has {found} partitions, the settings say {partitions}",
                hint=f"set kafka.partitions = {found}: a user's events stay in one partition only while that is kept",
            )
        if (kept := self._topic_config()) is None:
            _logger.warning("for how long the topic %r keeps events is not known: it takes DescribeConfigs", self.topic)
        elif (shortcoming := retention_shortcoming(self.topic, kept, retention_days)) is not None:
            _logger.warning(shortcoming)

    def _topic_config(self) -> dict[str, str] | None:
        """How the topic is set up, defaults of the brokers included; None where this client may not know. Raises
        Unavailable."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, self.topic)

        def described() -> dict[str, str] | None:
            entries = self._admin.describe_configs([resource], request_timeout=_ANSWER_S_MAX)[resource]
            try:
                return {name: str(entry.value) for name, entry in entries.result(_ANSWER_S_MAX).items()}
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    raise
                return None

        return self._patiently(described)

    def start_offsets(self, partitions: int) -> dict[int, int]:
        return self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def end_offsets(self, partitions: int) -> dict[int, int]:
        return self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def commit(self, group: str, offsets: Mapping[int, int]) -> None:
        places = [TopicPartition(self.topic, partition, offset) for partition, offset in offsets.items()]

        def commit() -> None:
            _raise_errors(self._group(group).commit(offsets=places, asynchronous=False))

        self._patiently(commit)

    def committed(self, group: str, partitions: int) -> dict[int, int]:
        return dict.fromkeys(range(partitions), 0) | {
            partition: place.offset for partition, place in self.places(group, partitions).items()
        }

    def places(self, group: str, partitions: int) -> dict[int, Place]:
        """Of the partitions in which something was committed."""
        found = self.places_at(group, [TopicPartition(self.topic, partition) for partition in range(partitions)])
        return {one.partition: Place(one.offset, one.metadata or "") for one in found if one.offset >= 0}

    def places_at(self, group: str, asked: list[TopicPartition]) -> list[TopicPartition]:
        """With a negative offset where nothing was committed."""

        def committed() -> list[TopicPartition]:
            return _raise_errors(self._group(group).committed(asked, timeout=_ANSWER_S_MAX)) if asked else []

        return self._patiently(committed)

    def offsets_at(
        self,
        asked: Mapping[TopicPartition, OffsetSpec],
        level: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
    ) -> dict[TopicPartition, int]:
        def offsets() -> dict[TopicPartition, int]:
            if not asked:
                return {}
            answers = self._admin.list_offsets(dict(asked), request_timeout=_ANSWER_S_MAX, isolation_level=level)
            try:
                found = {place: answer.result(_ANSWER_S_MAX).offset for place, answer in answers.items()}
            except KafkaException:
                # The client goes on asking as it remembers the leaders, or remembers none, until it is made to look.
                for topic in {place.topic for place in asked}:
                    self._admin.list_topics(topic, timeout=_METADATA_S_MAX)
                raise
            if OFFSET_INVALID in found.values():  # so a broker that goes away makes the client answer
                raise KafkaException(KafkaError(KafkaError._TRANSPORT, "a broker didn't say where a partition ends"))
            return found

        return self._patiently(offsets)

    def topic_id(self, topic: str) -> str:
        """That no other topic has, nor had or will have. Raises Unavailable."""

        def described() -> str:
            asked = self._admin.describe_topics(TopicCollection([topic]), request_timeout=_ANSWER_S_MAX)
            return str(asked[topic].result(_ANSWER_S_MAX).topic_id)

        return self._patiently(described)

    def found_compacted(self, topic: str, partitions: int) -> None:
        """Make a topic that keeps the newest record of each key, where there is none. Raises Unavailable, ConfigError
        where it has another number of partitions."""
        with self.refusals():
            known = self._admin.list_topics(timeout=_ANSWER_S_MAX).topics
            if topic not in known:
                config = {"cleanup.policy": "compact", "max.message.bytes": str(RECORD_BYTES_MAX)}
                self._create(topic, partitions, config)
        found = len(known[topic].partitions) if topic in known else partitions
        if found != partitions:
            raise ConfigError(
                f"the topic {topic!r} has {found} partitions, that of the events has {partitions}",
                hint="choose another topic for the log, or delete this one: the stream then begins anew",
            )

    def found_short_lived(self, topic: str, retention_ms: int) -> None:
        """Make a topic with one partition that keeps records for about so long, where there is none. Raises
        Unavailable."""
        age_ms = str(retention_ms)
        with self.refusals():
            if topic not in self._admin.list_topics(timeout=_ANSWER_S_MAX).topics:
                self._create(topic, 1, {"cleanup.policy": "delete", "retention.ms": age_ms, "segment.ms": age_ms})

    def found_rows(self, partitions: int, retention_days: int) -> None:
        """Make the topics of rows where they aren't: one a table of the store, with as many partitions as the log has,
        and the one of progress, with one. Raises ConfigError for another number of partitions, Unavailable."""
        config = {
            "cleanup.policy": "delete",
            "retention.ms": str(retention_days * DAY_MS),
            "segment.ms": str(_ROW_SEGMENT_MS),
            "max.message.bytes": str(RECORD_BYTES_MAX),
        }
        wanted = {self.row_topic(table): partitions for table in ROW_TABLES} | {self.row_topic(PROGRESS): 1}
        with self.refusals():
            known = self._admin.list_topics(timeout=_ANSWER_S_MAX).topics
            missing = wanted.keys() - known.keys()
            for topic in sorted(missing):
                self._create(topic, wanted[topic], config)
            if missing:  # another process may have made them a moment before, otherwise
                known = self._admin.list_topics(timeout=_ANSWER_S_MAX).topics
        for topic in sorted(wanted.keys() & known.keys()):
            if (found := len(known[topic].partitions)) != wanted[topic]:
                raise ConfigError(
                    f"the topic {topic!r} has {found} partitions, not {wanted[topic]}",
                    hint="choose another topic for the log, or stop the Flink job, load all its rows and delete it",
                )

    def row_topic(self, table: str) -> str:
        return f"{self.topic}.{table}"

    def consumer(self, **properties: Any) -> Consumer:
        """A consumer that is given its partitions, and commits nothing by itself."""
        fixed = {"enable.auto.commit": False, "auto.offset.reset": "earliest", "allow.auto.create.topics": False}
        return Consumer({**self.properties, "group.id": "streamgauge", **fixed, **properties})

    def close(self) -> None:
        while self._groups:
            self._groups.popitem()[1].close()

    @contextlib.contextmanager
    def refusals(self) -> Iterator[None]:
        """What the brokers refuse, or don't answer, becomes Unavailable."""
        try:
            yield
        except KafkaException as error:
            raise self.unavailable(error.args[0]) from error
        except TimeoutError as error:
            raise Unavailable(
                f"Kafka at {self._servers} did not answer within {_ANSWER_S_MAX:g} s", hint=_HINT
            ) from error

    def unavailable(self, error: KafkaError) -> Unavailable:
        return Unavailable(f"Kafka at {self._servers} can't be used: {error.str()}", hint=_HINT)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask again while the cluster is changing. Raises Unavailable."""
        with self.refusals():
            for attempt in stamina.retry_context(on=_is_passing, attempts=None, timeout=_ANSWER_S_MAX, wait_max=1.0):
                with attempt:
                    return ask()
        raise AssertionError("an attempt returns or raises")

    def _group(self, group: str) -> Consumer:
        if group not in self._groups:
            self._groups[group] = self.consumer(**{"group.id": group})
        return self._groups[group]

    def _offsets(self, partitions: int, spec: OffsetSpec) -> dict[int, int]:
        places = {TopicPartition(self.topic, partition): spec for partition in range(partitions)}
        return {place.partition: offset for place, offset in self.offsets_at(places).items()}

    def _create(self, name: str, partitions: int, config: Mapping[str, str]) -> None:
        topic = NewTopic(name, num_partitions=partitions, replication_factor=-1, config=dict(config))
        try:
            self._admin.create_topics([topic], operation_timeout=_ANSWER_S_MAX)[name].result(_ANSWER_S_MAX)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process was quicker
                raise

    @staticmethod
    def _checked(properties: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ConfigError for a property that librdkafka doesn't have, or not with that value."""
        try:
            AdminClient(dict(properties))
        except KafkaException as error:
            raise ConfigError(f"Kafka's client refuses the address of the log: {error.args[0].str()}") from error
        return dict(properties)


def retention_shortcoming(topic: str, config: Mapping[str, str], retention_days: int) -> str | None:
    """Why a topic that is set up so may lose events before they are `retention_days` old; None where it doesn't.

    Raises ConfigError for one that is compacted: of each user only the newest event would be kept.
    """
    if "compact" in config["cleanup.policy"].split(","):
        raise ConfigError(
            f"the topic {topic!r} is compacted: it would keep only the newest event of each user",
            hint=f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config "
            "cleanup.policy=delete, or choose another topic in log",
        )
    kept_ms, wanted_ms = int(config["retention.ms"]), retention_days * DAY_MS
    if not 0 <= kept_ms < wanted_ms:
        return None
    return (
        f"the topic {topic!r} keeps events for {kept_ms / DAY_MS:g} days, retention.log_days is {retention_days}: what "
        f"is older can't be counted again. Set its retention.ms to {wanted_ms}, or retention.log_days to what it keeps"
    )


def _is_passing(error: Exception) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in PASSING


def _raise_errors(places: list[TopicPartition]) -> list[TopicPartition]:
    for place in places:
        if place.error is not None:
            raise KafkaException(place.error)
    return places


def _parsed(url: str) -> tuple[dict[str, Any], str]:
    """The properties of a client, and the topic. Raises ConfigError."""
    parts = urlsplit(url)
    credentials, _, servers = parts.netloc.rpartition("@")
    topic = parts.path.strip("/")
    if parts.scheme != "kafka" or not servers or "/" in topic:
        raise ConfigError(
            f"{parts.scheme}://{servers}{parts.path} is not a log on Kafka",
            hint="write kafka://host:9092 or kafka://host:9092,host2:9092/topic",
        )
    properties: dict[str, Any] = {"bootstrap.servers": servers, "client.id": "streamgauge"}
    # What brokers that are away make the client say goes to the log of whoever asks, as an error of that call.
    properties["log_level"] = 0
    properties["reconnect.backoff.max.ms"] = 1_000
    if credentials:
        user, _, password = credentials.partition(":")
        properties |= {"sasl.username": unquote(user), "sasl.password": unquote(password)}
        properties |= {"sasl.mechanism": "PLAIN", "security.protocol": "SASL_PLAINTEXT"}
    return properties | dict(parse_qsl(parts.query)), topic or TOPIC
