"""The composition root: Settings → a running system. Only this module chooses adapters.

events ──▶ ingest ──▶ log ──▶ runner ──▶ store ──▶ query ──▶ HTTP API, dashboard
                                └──────── live ──────────────┘
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Final, NamedTuple

from streamgauge.alert.notify.service import Notifications
from streamgauge.alert_parts import alerting, rules_of
from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.events import import_route
from streamgauge.api.http import create_http
from streamgauge.api.live import LiveHub, live_route
from streamgauge.api.prometheus import prometheus_routes
from streamgauge.api.replays import replay_routes
from streamgauge.api.state import state_routes
from streamgauge.api.users import users_route
from streamgauge.config import Settings
from streamgauge.core.clock import Clock, SystemClock
from streamgauge.core.errors import Unavailable
from streamgauge.core.lifecycle import (
    FolderLock,
    StageState,
    check_space,
    raise_open_files_limit,
)
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.erasure.service import all_of
from streamgauge.ingest.accept import Ingest
from streamgauge.ingest.identity import EventIds
from streamgauge.ingest.imports import ImportRegistry
from streamgauge.log.base import EventLog, Offsets
from streamgauge.model import Freshness
from streamgauge.parts import (
    Access,
    accepting,
    alert_routes,
    answer_cache,
    called,
    check_exposure,
    check_ports,
    erasure,
    events_endpoint,
    grpc_server,
    notifications_of,
    open_access,
    open_log,
    open_state,
    open_store,
    pipeline,
    profile_refresher,
    promql_service,
    question_routes,
    segment_endpoint,
    server_of,
    sql_engine,
    traits_keeper,
)
from streamgauge.profiles.table import ProfileTable
from streamgauge.query.cache.changes import Changes
from streamgauge.query.selfseries import SelfSeries
from streamgauge.state.database import StateDatabase
from streamgauge.store.client import StoreClients, embedded_folder
from streamgauge.store.noted import NotedRebuild, NotedWriter
from streamgauge.store.reader import ClickHouseReader
from streamgauge.store.rebuild import ClickHouseRebuild
from streamgauge.store.tokens import forget_tokens_without_rows
from streamgauge.store.writer import ClickHouseWriter
from streamgauge.stream.embedded import EmbeddedRunner
from streamgauge.stream.measure import measure_freshness, measure_memory
from streamgauge.stream.pipeline import Pipeline
from streamgauge.stream.replay import Replays
from streamgauge.stream.state import RunnerState

_logger = logging.getLogger(__name__)

_IN_FLIGHT_S_MAX: Final = 5.0
_PROFILES_S_MAX: Final = 30.0
"""How long the stream waits for the first profiles."""

_RETENTION_CHECK_S: Final = 3_600.0

Beside = Callable[[asyncio.Event], Coroutine[None, None, None]]
"""What runs in the same process as the system, until the event is set."""


class _Kept(NamedTuple):
    """What is in the state database, and who uses it."""

    database: StateDatabase
    notifications: Notifications
    access: Access


class _Opened(NamedTuple):
    """What takes time to open. `pipeline` remembers what it did before the restart, and looks profiles up in
    `profiles`."""

    log: EventLog
    state: RunnerState
    clients: StoreClients
    profiles: ProfileTable
    pipeline: Pipeline


class System:
    """The embedded system behind one port: made by `open`, running in `run`, gone after `close`."""

    @classmethod
    async def open(cls, settings: Settings, clock: Clock) -> System:
        """Raises ConfigError, Unavailable."""
        metrics, database = SelfMetrics(), await open_state(settings)
        try:
            notifications = notifications_of(settings, database, clock, metrics)
            access = await open_access(settings, database, clock, metrics)
            kept = _Kept(database, notifications, access)
            return cls(settings, kept, await cls._open(settings, clock), clock, metrics)
        except BaseException:
            await asyncio.to_thread(database.close)
            raise

    @staticmethod
    async def _open(settings: Settings, clock: Clock) -> _Opened:
        state = RunnerState(settings.data_path / "stream" / "state.db")
        store_folder = embedded_folder(settings.store_url)
        if store_folder is not None and state.pending() is not None:  # the last process ended while it wrote
            await asyncio.to_thread(forget_tokens_without_rows, store_folder)
        profiles = ProfileTable(settings.profile.columns)
        # Side by side: of ten million event ids, resuming alone takes two seconds.
        clients, resumed = await asyncio.gather(
            asyncio.to_thread(open_store, settings), asyncio.to_thread(Pipeline, state.blocks_of, profiles)
        )
        log = await open_log(settings, clock)
        return _Opened(log, state, clients, profiles, resumed)

    def __init__(self, settings: Settings, kept: _Kept, opened: _Opened, clock: Clock, metrics: SelfMetrics) -> None:
        """The picture, drawn once."""
        self._database, self._notifications, self._access = kept
        log, state, clients, profiles, resumed = opened
        data = settings.data_path
        self._settings, self._log, self._metrics = settings, log, metrics
        changes = Changes()
        self._writer = NotedWriter(ClickHouseWriter(clients, state.installation()), changes.note)
        self._reader = ClickHouseReader(clients, settings.query)
        self._sql = sql_engine(settings, clients)
        self._cache = answer_cache(settings, metrics, changes, state.installation())
        self._state = state
        self._live = LiveHub(self._freshness, metrics)
        self._profiles = profiles
        self._refresher = profile_refresher(settings, self._profiles, clock)
        self._traits = traits_keeper(settings, log, metrics, clock)
        self._runner = EmbeddedRunner(
            log,
            self._writer,
            self._state,
            clock,
            metrics,
            pipeline=resumed,
            publish=self._live.publish,
            batch_interval_ms=settings.stream.batch_interval_ms,
        )
        self._erasure = erasure(settings, self._database, clients, partial(all_of, log, self._counted_offsets), clock)
        self._replays = Replays(
            log,
            self._runner,
            state,
            pipeline(settings),
            profiles=self._profiles,
            open_store=lambda: (ClickHouseWriter(clients), NotedRebuild(ClickHouseRebuild(clients), changes.note)),
            erased=self._erasure.erased,
        )
        self._imports = ImportRegistry(data / "imports.db", self._runner.next_sequence)
        ingest = Ingest(log, clock, settings.ingest, metrics, EventIds())
        self._clock, self._self_series = clock, SelfSeries(metrics.registry)
        rules = rules_of(settings, self._database)
        self._promql = promql_service(settings, self._reader, self._self_series, rules.series)
        self._alerting = alerting(
            settings,
            rules,
            self._promql,
            self._freshness,
            self._database,
            metrics=metrics,
            clock=clock,
            notifications=self._notifications,
        )
        errors = ErrorAnswers(metrics)
        routes = [
            import_route(self._imports),
            *question_routes(settings, self._reader, self._freshness, metrics, clock, cache=self._cache, sql=self._sql),
            *replay_routes(self._replays),
            *prometheus_routes(self._promql, self._freshness, metrics, clock),
            live_route(self._live),
            *alert_routes(self._notifications, clock),
            *self._alerting.routes,
            *self._access.routes,
            users_route(self._erasure),
            *state_routes(self._stages, metrics),
        ]
        events = events_endpoint(ingest, errors, self._access.gate, settings.ingest)
        self._grpc = grpc_server(settings, ingest, metrics, log, self._access.gate)
        self._http = create_http(
            routes,
            events,
            errors,
            called(settings.server),
            self._access.door,
            segment=segment_endpoint(ingest, errors, self._access.gate, settings),
            ingest_url=settings.server.public_ingest_url,
        )

    async def run(self, stop: asyncio.Event, beside: Beside) -> None:
        """Serve until `stop` is set or a part fails, then end in the order of the flow: no new requests, those under
        way, what the log holds. Raises what made a part fail."""
        server = server_of(self._http, self._settings)
        if self._grpc is not None:
            await self._grpc.start()
        tasks = {
            serving := asyncio.create_task(server.serve(), name="server"),
            asyncio.create_task(self._refresher.run(), name="profiles"),
            asyncio.create_task(self._keep_traits(stop), name="traits"),
            runner := asyncio.create_task(self._run_pipeline(), name="runner"),
            asyncio.create_task(self._replays.run(), name="replays"),
            asyncio.create_task(self._keep_retention(), name="retention"),
            *(asyncio.create_task(job(), name="alerts") for job in self._alerting.jobs),
            asyncio.create_task(self._access.keys.keyring.run(), name="keys"),
            asyncio.create_task(self._erasure.run(), name="erasure"),
            asyncio.create_task(self._self_series.run(self._clock, self._stages), name="self-metrics"),
            asyncio.create_task(beside(stop), name="beside"),
            *([asyncio.create_task(self._grpc.run(), name="grpc")] if self._grpc is not None else ()),
        }
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        server.stop()
        self._live.close()
        if self._grpc is not None:
            await self._grpc.stop(_IN_FLIGHT_S_MAX)
        await self._http.drained(_IN_FLIGHT_S_MAX)
        await asyncio.wait({serving}, timeout=_IN_FLIGHT_S_MAX)
        self._runner.stop()
        await asyncio.wait({runner}, timeout=self._settings.server.drain_s_max)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    async def _run_pipeline(self) -> None:
        """Not before the profiles are known: events would be counted without them. Nor too late, where their database
        doesn't answer."""
        await self._refresher.loaded_within(_PROFILES_S_MAX)
        await self._runner.run(pipeline(self._settings))

    async def close(self) -> None:
        await asyncio.to_thread(self._replays.close)
        await self._notifications.close()
        await self._log.close()
        self._imports.close()
        self._state.close()
        await self._cache.close()
        await asyncio.to_thread(self._promql.close)
        await asyncio.to_thread(self._sql.close)
        await asyncio.to_thread(self._reader.close)
        await asyncio.to_thread(self._writer.close)
        await self._alerting.close()
        await asyncio.to_thread(self._database.close)

    async def _keep_traits(self, stop: asyncio.Event) -> None:
        if self._traits is not None:
            await self._traits.run()
        await stop.wait()

    async def _keep_retention(self) -> None:
        """The log expires files as days begin with events; this is for days without any."""
        while True:
            await asyncio.sleep(_RETENTION_CHECK_S)
            try:
                await self._log.remove_expired()
            except Unavailable as error:
                _logger.warning("expired files of the log are still there: %s", error.message)

    async def _counted_offsets(self) -> Offsets:
        return self._runner.next_offsets

    async def _freshness(self) -> Freshness:
        return await self._runner.freshness()

    async def _stages(self) -> Mapping[str, StageState]:
        """The state of each stage; brings the gauges up to date on the way."""
        fresh, stats, metrics = await self._runner.freshness(), self._log.stats(), self._metrics
        measure_freshness(metrics, fresh)
        measure_memory(metrics, [self._runner.pipeline()], self._profiles)
        metrics.log_queue_bytes.set(stats.queue_bytes)
        metrics.log_size_bytes.set(self._log.size_bytes() or 0)
        metrics.log_commits.set(stats.group_commits)
        return {
            "ingest": accepting(stats),
            **({"grpc": self._grpc.state()} if self._grpc is not None else {}),
            "log": accepting(stats, queue_bytes=stats.queue_bytes),
            "stream": self._runner.state(),
            "profiles": self._refresher.state(),
            **({"traits": self._traits.state()} if self._traits is not None else {}),
            "store": await self._reader.state(),
            "cache": await self._cache.state(),
            "notifications": await self._notifications.state(),
            "alerts": self._alerting.state(),
            "keys": self._access.keys.keyring.state(),
        }


async def serve(settings: Settings, beside: Beside) -> None:
    """Run the embedded system until SIGTERM or SIGINT, with `beside` from when it is ready; it ends by the event.

    Raises AlreadyRunning, ConfigError, Unavailable where it can't start.
    """
    await check_exposure(settings)
    check_ports(settings)
    raise_open_files_limit()
    lock = FolderLock(settings.data_path)
    check_space(settings.data_path)
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    try:
        system = await System.open(settings, SystemClock())
        try:
            await system.run(stop, beside)
        finally:
            await system.close()
    finally:
        lock.release()
