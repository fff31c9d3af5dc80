"""`streamgauge stream`: the embedded runner over the partitions that its group gives it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Final

from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.state import state_routes
from streamgauge.config import Settings
from streamgauge.core.clock import Clock
from streamgauge.core.errors import ConfigError
from streamgauge.core.lifecycle import (
    StageState,
)
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.log.base import Offsets
from streamgauge.parts import (
    Access,
    open_kafka,
    pipeline,
    profile_refresher,
)
from streamgauge.profiles.table import ProfileTable
from streamgauge.roles.base import Role, open_shared_store, role_http
from streamgauge.store.writer import ClickHouseWriter
from streamgauge.stream.embedded import GROUP, EmbeddedRunner
from streamgauge.stream.measure import measure_freshness, measure_memory
from streamgauge.stream.partitioned import Change, Membership, PartitionedRunner, PartitionRunner
from streamgauge.stream.pipeline import Pipeline

_PROFILES_S_MAX: Final = 30.0


async def open_stream(settings: Settings, clock: Clock, metrics: SelfMetrics, access: Access) -> Role:
    if settings.flink_counts:
        raise ConfigError(
            f"Flink counts, at {settings.runner}: streamgauge stream would count everything a second time",
            hint='run streamgauge loader, or set runner = "embedded" in the config file',
        )
    from streamgauge.log.kafka_cluster import Cluster  # noqa: PLC0415 - as in parts.open_kafka
    from streamgauge.log.kafka_live import LivePublisher  # noqa: PLC0415
    from streamgauge.log.kafka_member import KafkaMember  # noqa: PLC0415
    from streamgauge.log.kafka_partition import KafkaPartition  # noqa: PLC0415
    from streamgauge.stream.state_topic import StateTopic  # noqa: PLC0415

    log, spec = await open_kafka(settings), pipeline(settings)
    clients = await open_shared_store(settings)
    cluster = Cluster(settings.log_url)
    state_topic = f"{cluster.topic}.stream-state"
    await asyncio.to_thread(cluster.found_compacted, state_topic, log.partitions)
    profiles = ProfileTable(settings.profile.columns)
    refresher = profile_refresher(settings, profiles, clock)
    members: list[KafkaMember] = []
    live = await LivePublisher.open(cluster, metrics)

    def join(given: Change, taken: Change) -> Membership:
        members.append(KafkaMember(cluster, GROUP, given, taken))
        return members[0]

    def open_partition(partition: int, is_given_up: threading.Event) -> PartitionRunner:
        state = StateTopic(cluster.properties, state_topic, partition, is_given_up)
        resumed = Pipeline(state.blocks_of, profiles)
        state.forget_restored()
        writer = ClickHouseWriter(clients, state.installation())

        def commit(offsets: Offsets) -> None:
            members[0].commit(offsets, one.progress().note())

        one = EmbeddedRunner(
            KafkaPartition(log, partition, commit),
            writer,
            state,
            clock,
            metrics,
            pipeline=resumed,
            publish=live.publish,
            batch_interval_ms=settings.stream.batch_interval_ms,
            partitions=(partition,),
        )
        return PartitionRunner(one, writer.close)

    runner = PartitionedRunner(open_partition, join)

    async def work() -> None:
        await refresher.loaded_within(_PROFILES_S_MAX)
        await runner.run(spec)

    async def stages() -> Mapping[str, StageState]:
        measure_freshness(metrics, await runner.freshness())
        measure_memory(metrics, [one.pipeline() for one in runner.runners()], profiles)
        return {"stream": runner.state(), "profiles": refresher.state(), "keys": access.keys.keyring.state()}

    async def finish() -> None:
        runner.stop()

    async def close() -> None:
        await live.close()
        await log.close()

    http = role_http(settings, [*state_routes(stages, metrics)], ErrorAnswers(metrics), access)
    return Role(http, work, [refresher.run], finish, close)
