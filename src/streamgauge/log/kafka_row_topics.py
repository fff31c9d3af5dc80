"""The topics of rows, seen from outside: where they begin and end, and how far the group has loaded them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from streamgauge.log.base import Place
from streamgauge.log.kafka_cluster import Cluster
from streamgauge.log.row_base import RowPartition
from streamgauge.model import PROGRESS, ROW_TABLES

PROGRESS_PARTITION: Final = RowPartition(PROGRESS, 0)


class RowTopics:
    """For one thread at a time. All of it may raise Unavailable."""

    def __init__(self, cluster: Cluster, partitions: int) -> None:
        self._cluster = cluster
        self.rows: Final = tuple(RowPartition(table, number) for table in ROW_TABLES for number in range(partitions))

    @property
    def group(self) -> str:
        """The consumer group of the loaders of this log."""
        return f"{self._cluster.topic}.loader"

    @property
    def names(self) -> dict[str, str]:
        """Topic → table."""
        return {self._cluster.row_topic(table): table for table in (*ROW_TABLES, PROGRESS)}

    def ids(self) -> dict[str, str]:
        """Table → the id that its topic has for its life."""
        return {table: self._cluster.topic_id(topic) for topic, table in self.names.items()}

    def places(self, partitions: Collection[RowPartition]) -> dict[RowPartition, Place]:
        """What was committed, of those in which something was."""
        found = self._cluster.places_at(self.group, [self.at(one) for one in partitions])
        return {self._named(one): Place(one.offset, one.metadata or "") for one in found if one.offset >= 0}

    def starts(self, partitions: Collection[RowPartition]) -> dict[RowPartition, int]:
        return self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def ends(self, partitions: Collection[RowPartition], *, stable: bool = False) -> dict[RowPartition, int]:
        """One past the last record. `stable`: before the first one whose transaction is still open."""
        level = IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED
        return self._offsets(partitions, OffsetSpec.latest(), level)  # type: ignore[no-untyped-call]

    def at(self, which: RowPartition, offset: int = -1, note: str = "") -> TopicPartition:
        topic = self._cluster.row_topic(which.table)
        return TopicPartition(topic, which.partition, offset, note)

    def _offsets(
        self,
        partitions: Collection[RowPartition],
        spec: OffsetSpec,
        level: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
    ) -> dict[RowPartition, int]:
        found = self._cluster.offsets_at({self.at(one): spec for one in partitions}, level)
        return {self._named(place): offset for place, offset in found.items()}

    def _named(self, place: TopicPartition) -> RowPartition:
        return RowPartition(self.names[place.topic], place.partition)
