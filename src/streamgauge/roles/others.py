"""How fresh answers are where others count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from streamgauge.config import Settings
from streamgauge.core.clock import Clock
from streamgauge.core.lifecycle import (
    StageState,
)
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.erasure.service import Counted, all_of
from streamgauge.load.freshness import LoadedFreshness
from streamgauge.log.base import Offsets
from streamgauge.model import Freshness
from streamgauge.parts import (
    pipeline,
)
from streamgauge.roles.base import nothing
from streamgauge.store.reader import ClickHouseReader
from streamgauge.stream.embedded import GROUP
from streamgauge.stream.flink.tables import GROUP as FLINK_GROUP
from streamgauge.stream.progress import GroupFreshness

if TYPE_CHECKING:
    from streamgauge.log.kafka import KafkaLog


class OthersFreshness(NamedTuple):
    """`stages`: of those who count elsewhere, where they are to be seen from here."""

    freshness: Callable[[], Awaitable[Freshness]]
    stages: Callable[[], Mapping[str, StageState]]
    close: Callable[[], Awaitable[None]]
    log_of_now: Callable[[], Awaitable[Counted]]


async def freshness_of_others(
    settings: Settings, log: KafkaLog, reader: ClickHouseReader, metrics: SelfMetrics, clock: Clock
) -> OthersFreshness:
    """Of answers to what the runners of `streamgauge stream` count, or Flink and the loaders."""
    if not settings.flink_counts:
        group = GroupFreshness(log, lambda: log.places(GROUP), clock, pipeline(settings))

        async def counted() -> Offsets:
            return {partition: place.offset for partition, place in (await log.places(GROUP)).items()}

        return OthersFreshness(group.freshness, dict, nothing, partial(all_of, log, counted))
    from streamgauge.log.kafka_loaded import KafkaLoaded  # noqa: PLC0415 - as in parts.open_kafka

    rows, flink = KafkaLoaded(settings.log_url, log.partitions), settings.flink
    await rows.found(settings.retention.log_days)
    fresh = LoadedFreshness(
        log,
        lambda: log.places(FLINK_GROUP),
        rows.ask,
        reader,
        clock,
        delay_ms=settings.stream.watermark_delay_ms,
        settle_ms=flink.pane_ms + flink.checkpoint_ms,
    )

    def stages() -> Mapping[str, StageState]:
        for table, waiting in fresh.waiting_rows().items():
            metrics.loader_waiting_rows.labels(table).set(waiting)
        return fresh.states()

    async def close() -> None:
        await fresh.close()
        await rows.close()

    async def nothing_waits() -> bool:
        return not (await fresh.freshness()).lag_events

    async def log_of_now() -> Counted:
        return nothing_waits

    return OthersFreshness(fresh.freshness, stages, close, log_of_now)
