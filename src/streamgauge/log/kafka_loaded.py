"""How far the topics of rows are loaded, for those who only look on."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from streamgauge.log.base import Place
from streamgauge.log.kafka_cluster import Cluster
from streamgauge.log.kafka_row_topics import PROGRESS_PARTITION, RowTopics
from streamgauge.log.row_base import Loaded, Note, RowPartition


class KafkaLoaded:
    """With clients and a thread of its own. Asked on an event loop."""

    def __init__(self, url: str, partitions: int) -> None:
        """Raises ConfigError."""
        self._cluster = Cluster(url)
        self._topics = RowTopics(self._cluster, partitions)
        self._partitions = partitions
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="loaded")
        self._ids: dict[str, str] = {}

    async def found(self, retention_days: int) -> None:
        """Make the topics where they aren't. Raises ConfigError, Unavailable."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._cluster.found_rows, self._partitions, retention_days)

    async def ask(self) -> Loaded:
        """Raises Unavailable, ConfigError where another program committed for the loaders."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._cluster.close)
        await asyncio.to_thread(self._thread.shutdown)

    def _ask(self) -> Loaded:
        self._ids = self._ids or self._topics.ids()
        ends = self._topics.ends(self._topics.rows)  # before what is loaded: what comes between must not look loaded
        places = self._topics.places((*self._topics.rows, PROGRESS_PARTITION))
        own = {one: (place, note) for one, place in places.items() if (note := self._own(one, place)) is not None}
        complete_up_to_ms = own[PROGRESS_PARTITION][1].complete_up_to_ms if PROGRESS_PARTITION in own else 0
        return Loaded(complete_up_to_ms, ends, {one: place.offset for one, (place, _) in own.items()})

    def _own(self, which: RowPartition, place: Place) -> Note | None:
        """None where it was said of an earlier topic of the same name."""
        note = Note.of(place.note)
        return note if note.topic_id in ("", self._ids[which.table]) else None
