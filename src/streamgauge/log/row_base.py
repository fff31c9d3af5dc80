"""The seam of rows that wait in topics for the store: a member of the group that shares their partitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec

from streamgauge.core.errors import ConfigError
from streamgauge.log.base import Place


class RowPartition(NamedTuple):
    """A partition of the topic of a table's rows (or of `progress`)."""

    table: str
    partition: int


class RowRecord(msgspec.Struct, frozen=True, gc=False):
    """`value` is a row as JSON, as it was written at `written_at_ms`; empty where the record has none."""

    offset: int
    written_at_ms: int
    value: bytes


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is committed with an offset. `topic_id`: of the topic that the offset is of, which another of the same name
    hasn't. `end`: the batch `[offset, end)` may be in the store or not. `complete_up_to_ms`: of `progress` only."""

    topic_id: str = ""
    end: int | None = None
    complete_up_to_ms: int = 0

    def written(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def of(cls, text: str) -> Note:
        """Raises ConfigError where another program committed it: what is planned would not be known."""
        if not text:
            return cls()
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as error:
            raise ConfigError(
                f"an offset of the loader has a note that is not its own: {text!r}",
                hint="commit offsets of its group only with kafka-consumer-groups, while no loader runs",
            ) from error


class Given(msgspec.Struct, frozen=True):
    """A partition that was given to this member. `start`: all before it is loaded. `end`: where it isn't None, the
    batch `[start, end)` may be in the store already, and has to be inserted as this range. `at`: reading begins here,
    after what retention removed. `lost`: so many offsets went with it."""

    topic: str
    topic_id: str
    start: int = 0
    end: int | None = None
    at: int = 0
    lost: int = 0
    complete_up_to_ms: int = 0

    @classmethod
    def resumed(cls, topic: str, topic_id: str, place: Place, kept: tuple[int, int]) -> Given:
        """From what the group committed (offset 0 and no note where it didn't), where the log has `[first, last)`.

        Raises ConfigError where the log ends before that: it isn't the log that was read.
        """
        note, (first, last) = Note.of(place.note), kept
        if note.topic_id not in ("", topic_id):  # a new topic of the same name: nothing of it is loaded
            note, place = Note(), Place(0, "")
        if max(place.offset, note.end or 0) > last:
            raise ConfigError(
                f"the topic {topic!r} ends at {last}, before what was already loaded of it",
                hint="it is not the topic that it was: put it back, or delete it and start the Flink job anew",
            )
        at, end = max(place.offset, first), note.end
        start = place.offset
        if end is None or at >= end:
            start, end = at, None
        return cls(topic, topic_id, start, end, at, at - place.offset, note.complete_up_to_ms)


class Loaded(msgspec.Struct, frozen=True):
    """How far all loaders are. `complete_up_to_ms`: all that Flink counted before is in the store; 0 where nothing was
    noted. `ends`: where the topics ended, rows or not; `loaded`: up to where each partition was loaded since then."""

    complete_up_to_ms: int
    ends: Mapping[RowPartition, int]
    loaded: Mapping[RowPartition, int]

    def waiting(self, table: str) -> int:
        """About so many rows of the table: offsets also count the ends of transactions and what is taken back."""
        return sum(max(0, end - self.loaded.get(one, 0)) for one, end in self.ends.items() if one.table == table)


class Received(msgspec.Struct):
    """What happened in one `poll`, which took place in this order: partitions that were taken, that were given, rows in
    order of offset, and `ends`: everything before that offset was received, or is no row. `is_member`: of the group."""

    taken: set[RowPartition]
    given: dict[RowPartition, Given]
    rows: dict[RowPartition, list[RowRecord]]
    ends: dict[RowPartition, int]
    is_member: bool = True


class RowGroup(Protocol):
    """This process as a member of the group. For one thread at a time. Only committed transactions are read; offsets
    have gaps. What raises `Unavailable` may have been done or not."""

    def poll(self, wait_s: float) -> Received:
        """What has come; waits at most so long for the first of it. To be called at least once a minute, or the
        partitions go to others. Raises Unavailable where this member can't go on, ConfigError."""
        ...

    def hold(self, *, held: bool) -> None:
        """Whether no more rows are to come for now."""
        ...

    def commit(self, places: Mapping[RowPartition, Place]) -> None:
        """Remember durably. Raises Unavailable, also where the brokers don't count this process as a member any more;
        then nothing is changed."""
        ...

    def loaded(self) -> Mapping[RowPartition, int]:
        """Up to where each partition is loaded, whoever loads it. Raises Unavailable."""
        ...

    def ends(self) -> Mapping[RowPartition, int]:
        """One past the last record, committed or not, of each partition of rows. Raises Unavailable."""
        ...

    def leave(self) -> None:
        """Give all partitions back. Raises nothing."""
        ...
