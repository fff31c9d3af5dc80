"""`streamgauge loader`: rows that Flink wrote, into the store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.state import state_routes
from streamgauge.config import Settings
from streamgauge.core.clock import Clock
from streamgauge.core.lifecycle import (
    StageState,
)
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.load.loader import Loader
from streamgauge.parts import (
    Access,
    open_kafka,
)
from streamgauge.roles.base import Role, open_shared_store, role_http
from streamgauge.store.writer import ClickHouseWriter


async def open_loader(settings: Settings, clock: Clock, metrics: SelfMetrics, access: Access) -> Role:
    from streamgauge.log.kafka_cluster import Cluster  # noqa: PLC0415 - as in parts.open_kafka
    from streamgauge.log.kafka_live import LivePublisher  # noqa: PLC0415
    from streamgauge.log.kafka_row_group import KafkaRowGroup  # noqa: PLC0415

    log = await open_kafka(settings)
    partitions = log.partitions
    await log.close()  # it was to be found or made, and to have these partitions
    clients = await open_shared_store(settings)
    cluster = Cluster(settings.log_url)
    await asyncio.to_thread(cluster.found_rows, partitions, settings.retention.log_days)
    writer = ClickHouseWriter(clients)
    live = await LivePublisher.open(cluster, metrics)
    loader = Loader(lambda: KafkaRowGroup(cluster, partitions), writer, metrics, settings.loader, publish=live.publish)

    async def stages() -> Mapping[str, StageState]:
        metrics.loader_lag_rows.set(loader.lag_rows)
        return {"loader": loader.state(), "keys": access.keys.keyring.state()}

    async def finish() -> None:
        loader.stop()

    async def close() -> None:
        await live.close()
        await asyncio.to_thread(cluster.close)
        await asyncio.to_thread(writer.close)

    http = role_http(settings, [*state_routes(stages, metrics)], ErrorAnswers(metrics), access)
    return Role(http, loader.run, [], finish, close)
