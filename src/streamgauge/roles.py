"""The same system in several processes: `ingest`, `stream` and `api`, each as often as wanted, over Kafka and
ClickHouse. The other composition root: what `app` puts into one process, this takes apart.

events ──▶ ingest ──▶ Kafka ──▶ stream ──▶ ClickHouse ──▶ api ──▶ HTTP API, dashboard
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from litestar.handlers import BaseRouteHandler

from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.events import EventsEndpoint
from streamgauge.api.http import Front, create_http
from streamgauge.api.live import LiveHub, live_route
from streamgauge.api.prometheus import prometheus_routes
from streamgauge.api.state import state_routes
from streamgauge.config import Settings
from streamgauge.core.clock import Clock, SystemClock
from streamgauge.core.errors import ConfigError
from streamgauge.core.lifecycle import (
    FolderLock,
    StageState,
    check_port_is_free,
    raise_open_files_limit,
)
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.ingest.accept import Ingest
from streamgauge.ingest.identity import EventIds
from streamgauge.log.base import Offsets
from streamgauge.parts import (
    LOOPBACK_NAMES,
    accepting,
    check_exposure,
    open_kafka,
    open_store,
    pipeline,
    profile_refresher,
    promql_service,
    question_routes,
    server_of,
)
from streamgauge.profiles.table import ProfileTable
from streamgauge.query.selfseries import SAMPLE_INTERVAL_S, SelfSeries
from streamgauge.store.client import StoreClients, embedded_folder
from streamgauge.store.reader import ClickHouseReader
from streamgauge.store.writer import ClickHouseWriter
from streamgauge.stream.embedded import GROUP, EmbeddedRunner
from streamgauge.stream.partitioned import Change, Membership, PartitionedRunner, PartitionRunner
from streamgauge.stream.pipeline import Pipeline
from streamgauge.stream.progress import GroupFreshness

RoleName = Literal["ingest", "stream", "api"]

_IN_FLIGHT_S_MAX: Final = 5.0
_PROFILES_S_MAX: Final = 30.0


class Role(NamedTuple):
    """A part of the system, opened. `work` is what `finish` ends well; `jobs` run until they are cancelled."""

    http: Front
    work: Callable[[], Coroutine[Any, Any, None]] | None
    jobs: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    finish: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


async def serve_role(name: RoleName, settings: Settings, greet: Callable[[], None]) -> None:
    """Run one part until SIGTERM or SIGINT; `greet` is called when it is open.

    Raises AlreadyRunning, ConfigError, Unavailable where it can't start, and what makes it fail later.
    """
    check_exposure(settings.server.host)
    check_port_is_free(settings.server.host, settings.server.port)
    raise_open_files_limit()
    lock = FolderLock(settings.data_path)
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    try:
        role = await _OPENERS[name](settings, SystemClock())
        try:
            await _run(role, settings, stop, greet)
        finally:
            await role.close()
    finally:
        lock.release()


async def _run(role: Role, settings: Settings, stop: asyncio.Event, greet: Callable[[], None]) -> None:
    server = server_of(role.http, settings)
    serving = asyncio.create_task(server.serve(), name="server")
    jobs = [asyncio.create_task(job()) for job in role.jobs]
    work = [asyncio.create_task(role.work())] if role.work is not None else []
    stopping = asyncio.create_task(stop.wait())
    greet()
    await asyncio.wait({serving, stopping, *work, *jobs}, return_when=asyncio.FIRST_COMPLETED)
    server.stop()
    await role.http.drained(_IN_FLIGHT_S_MAX)
    await asyncio.wait({serving}, timeout=_IN_FLIGHT_S_MAX)
    await role.finish()
    if work:
        await asyncio.wait(work, timeout=settings.server.drain_s_max)
    tasks = (serving, stopping, *work, *jobs)
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


async def _open_ingest(settings: Settings, clock: Clock) -> Role:
    log, metrics = await open_kafka(settings), SelfMetrics()
    errors = ErrorAnswers(metrics)
    ingest = Ingest(log, clock, settings.ingest, metrics, EventIds())

    async def stages() -> Mapping[str, StageState]:
        stats = log.stats()
        metrics.log_queue_bytes.set(stats.queue_bytes)
        metrics.log_commits.set(stats.group_commits)
        return {"ingest": accepting(stats), "log": accepting(stats, queue_bytes=stats.queue_bytes)}

    events = EventsEndpoint(ingest, errors, settings.ingest.body_bytes_max)
    http = _http(settings, [*state_routes(stages, metrics)], errors, events=events)
    return Role(http, None, [], _nothing, log.close)


async def _open_stream(settings: Settings, clock: Clock) -> Role:
    from streamgauge.log.kafka_cluster import Cluster  # noqa: PLC0415 - as in parts.open_kafka
    from streamgauge.log.kafka_member import KafkaMember  # noqa: PLC0415
    from streamgauge.log.kafka_partition import KafkaPartition  # noqa: PLC0415
    from streamgauge.stream.state_topic import StateTopic  # noqa: PLC0415

    log, metrics, spec = await open_kafka(settings), SelfMetrics(), pipeline(settings)
    clients = await _open_shared_store(settings)
    cluster = Cluster(settings.log_url)
    state_topic = f"{cluster.topic}.stream-state"
    await asyncio.to_thread(cluster.found_compacted, state_topic, log.partitions)
    profiles = ProfileTable(settings.profile.columns)
    refresher = profile_refresher(settings, profiles, clock)
    members: list[KafkaMember] = []

    def join(given: Change, taken: Change) -> Membership:
        members.append(KafkaMember(cluster, GROUP, given, taken))
        return members[0]

    def open_partition(partition: int) -> PartitionRunner:
        state = StateTopic(cluster.properties, state_topic, partition)
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
            publish=lambda _: None,
            batch_interval_ms=settings.stream.batch_interval_ms,
            partitions=(partition,),
        )
        return PartitionRunner(one, writer.close)

    runner = PartitionedRunner(open_partition, join)

    async def work() -> None:
        await refresher.loaded_within(_PROFILES_S_MAX)
        await runner.run(spec)

    async def stages() -> Mapping[str, StageState]:
        fresh = await runner.freshness()
        metrics.stream_lag_events.set(fresh.lag_events)
        metrics.stream_lag_seconds.set(fresh.lag_ms / 1000)
        metrics.stream_complete_up_to.set(fresh.complete_up_to_ms / 1000)
        metrics.stream_profiles.set(len(profiles))
        return {"stream": runner.state(), "profiles": refresher.state()}

    async def finish() -> None:
        runner.stop()

    return Role(
        _http(settings, [*state_routes(stages, metrics)], ErrorAnswers(metrics)),
        work,
        [refresher.run],
        finish,
        log.close,
    )


async def _open_api(settings: Settings, clock: Clock) -> Role:
    log, metrics = await open_kafka(settings), SelfMetrics()
    clients = await _open_shared_store(settings)
    reader = ClickHouseReader(clients, settings.query)
    group = GroupFreshness(log, lambda: log.places(GROUP), clock, pipeline(settings))
    live = LiveHub(group.freshness, metrics)
    self_series = SelfSeries(metrics.registry)
    promql = promql_service(settings, reader, self_series)

    async def stages() -> Mapping[str, StageState]:
        fresh = await group.freshness()
        metrics.stream_lag_events.set(fresh.lag_events)
        metrics.stream_lag_seconds.set(fresh.lag_ms / 1000)
        metrics.stream_complete_up_to.set(fresh.complete_up_to_ms / 1000)
        return {"store": await reader.state()}

    async def sample() -> None:
        while True:
            await stages()
            self_series.record(clock.now_ms())
            await asyncio.sleep(SAMPLE_INTERVAL_S)

    async def finish() -> None:
        live.close()

    async def close() -> None:
        await log.close()
        await asyncio.to_thread(promql.close)
        await asyncio.to_thread(reader.close)

    errors = ErrorAnswers(metrics)
    routes: list[BaseRouteHandler] = [
        *question_routes(settings, reader, group.freshness, metrics, clock),
        *prometheus_routes(promql, group.freshness, metrics, clock),
        live_route(live),
        *state_routes(stages, metrics),
    ]
    return Role(_http(settings, routes, errors, dashboard=True), None, [sample], finish, close)


async def _open_shared_store(settings: Settings) -> StoreClients:
    """Raises ConfigError for an embedded store: no other process could read it."""
    if embedded_folder(settings.store_url) is not None:
        raise ConfigError(
            "parts of the system in processes of their own need a store that they can all reach",
            hint='set store = "clickhouse://host:8123/database" in the config file',
        )
    return await asyncio.to_thread(open_store, settings)


_OPENERS: Final[Mapping[RoleName, Callable[[Settings, Clock], Awaitable[Role]]]] = {
    "ingest": _open_ingest,
    "stream": _open_stream,
    "api": _open_api,
}


def _http(
    settings: Settings,
    routes: Sequence[BaseRouteHandler],
    errors: ErrorAnswers,
    *,
    events: EventsEndpoint | None = None,
    dashboard: bool = False,
) -> Front:
    return create_http(routes, events, errors, (*LOOPBACK_NAMES, settings.server.host), dashboard=dashboard)


async def _nothing() -> None:
    """There is nothing to end."""
