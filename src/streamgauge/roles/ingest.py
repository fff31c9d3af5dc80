"""`streamgauge ingest`: events into the log."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.events import import_route
from streamgauge.api.state import state_routes
from streamgauge.config import Settings
from streamgauge.core.clock import Clock
from streamgauge.core.lifecycle import (
    StageState,
)
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.ingest.accept import Ingest
from streamgauge.ingest.identity import EventIds
from streamgauge.ingest.imports import SharedImports
from streamgauge.parts import (
    Access,
    accepting,
    events_endpoint,
    grpc_server,
    open_kafka,
    segment_endpoint,
)
from streamgauge.roles.base import Role, nothing, role_http
from streamgauge.stream.ends import LogEnds

_REACHED_S: Final = 1.0
"""How long it may take until other processes know how far a numbered sequence is."""


async def open_ingest(settings: Settings, clock: Clock, metrics: SelfMetrics, access: Access) -> Role:
    from streamgauge.log.kafka_cluster import Cluster  # noqa: PLC0415 - as in parts.open_kafka
    from streamgauge.log.kafka_imports import KafkaImports  # noqa: PLC0415

    log = await open_kafka(settings)
    errors = ErrorAnswers(metrics)
    ends = LogEnds(log, clock)
    imports = await asyncio.to_thread(KafkaImports, Cluster(settings.log_url))
    ingest = Ingest(log, clock, settings.ingest, metrics, EventIds(), on_numbered=imports.reached)

    async def stages() -> Mapping[str, StageState]:
        stats = log.stats()
        metrics.log_queue_bytes.set(stats.queue_bytes)
        metrics.log_commits.set(stats.group_commits)
        log_state = accepting(stats, queue_bytes=stats.queue_bytes)
        if log_state.works and await ends.ask() is None:
            log_state = StageState("degraded", "Kafka doesn't answer")
        keys = access.keys.keyring.state()
        own = {"ingest": http.state(), "log": log_state, "keys": keys}
        return own if grpc is None else {**own, "grpc": grpc.state()}

    async def write_reached() -> None:
        while True:
            await asyncio.sleep(_REACHED_S)
            await asyncio.to_thread(imports.write)

    async def close() -> None:
        await log.close()
        await asyncio.to_thread(imports.write)

    events = events_endpoint(ingest, errors, access.gate, settings.ingest)
    grpc = grpc_server(settings, ingest, metrics, log, access.gate)
    routes = [import_route(SharedImports(imports.register)), *state_routes(stages, metrics)]
    segment = segment_endpoint(ingest, errors, access.gate, settings)
    http = role_http(settings, routes, errors, access, events=events, segment=segment)
    return Role(http, None, [write_reached], nothing, close, grpc)
