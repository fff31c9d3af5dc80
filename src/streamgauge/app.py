"""The composition root: Settings → a running system. Only this module chooses adapters.

events ──▶ ingest ──▶ log ──▶ runner ──▶ store ──▶ query ──▶ HTTP API, dashboard
                                └──────── live ──────────────┘
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Mapping
from typing import Final, NamedTuple

from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.events import EventsEndpoint, import_route
from streamgauge.api.http import create_http
from streamgauge.api.live import LiveHub, live_route
from streamgauge.api.prometheus import prometheus_routes
from streamgauge.api.replays import replay_routes
from streamgauge.api.state import state_routes
from streamgauge.config import Settings
from streamgauge.core.clock import Clock, SystemClock
from streamgauge.core.errors import Unavailable
from streamgauge.core.lifecycle import (
    FolderLock,
    StageState,
    check_port_is_free,
    check_space,
    raise_open_files_limit,
)
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.ingest.accept import Ingest
from streamgauge.ingest.identity import EventIds
from streamgauge.ingest.imports import ImportRegistry
from streamgauge.log.base import EventLog
from streamgauge.model import Freshness
from streamgauge.parts import (
    LOOPBACK_NAMES,
    accepting,
    check_exposure,
    open_log,
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
from streamgauge.store.rebuild import ClickHouseRebuild
from streamgauge.store.tokens import forget_tokens_without_rows
from streamgauge.store.writer import ClickHouseWriter
from streamgauge.stream.embedded import EmbeddedRunner
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
        return cls(settings, _Opened(log, state, clients, profiles, resumed), clock)

    def __init__(self, settings: Settings, opened: _Opened, clock: Clock) -> None:
        """The picture, drawn once."""
        log, state, clients, profiles, resumed = opened
        data, metrics = settings.data_path, SelfMetrics()
        self._settings, self._log, self._metrics = settings, log, metrics
        self._writer = ClickHouseWriter(clients, state.installation())
        self._reader = ClickHouseReader(clients, settings.query)
        self._state = state
        self._live = LiveHub(self._freshness, metrics)
        self._profiles = profiles
        self._refresher = profile_refresher(settings, self._profiles, clock)
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
        self._replays = Replays(
            log,
            self._runner,
            state,
            pipeline(settings),
            profiles=self._profiles,
            open_store=lambda: (ClickHouseWriter(clients), ClickHouseRebuild(clients)),
        )
        self._imports = ImportRegistry(data / "imports.db", self._runner.next_sequence)
        ingest = Ingest(log, clock, settings.ingest, metrics, EventIds())
        self._clock, self._self_series = clock, SelfSeries(metrics.registry)
        self._promql = promql_service(settings, self._reader, self._self_series)
        errors = ErrorAnswers(metrics)
        routes = [
            import_route(self._imports),
            *question_routes(settings, self._reader, self._freshness, metrics, clock),
            *replay_routes(self._replays),
            *prometheus_routes(self._promql, self._freshness, metrics, clock),
            live_route(self._live),
            *state_routes(self._stages, metrics),
        ]
        events = EventsEndpoint(ingest, errors, settings.ingest.body_bytes_max)
        self._http = create_http(routes, events, errors, (*LOOPBACK_NAMES, settings.server.host))

    async def run(self, stop: asyncio.Event, beside: Beside) -> None:
        """Serve until `stop` is set or a part fails, then end in the order of the flow: no new requests, those under
        way, what the log holds. Raises what made a part fail."""
        server = server_of(self._http, self._settings)
        tasks = {
            serving := asyncio.create_task(server.serve(), name="server"),
            asyncio.create_task(self._refresher.run(), name="profiles"),
            runner := asyncio.create_task(self._run_pipeline(), name="runner"),
            asyncio.create_task(self._replays.run(), name="replays"),
            asyncio.create_task(self._keep_retention(), name="retention"),
            asyncio.create_task(self._sample_self_metrics(), name="self-metrics"),
            asyncio.create_task(beside(stop), name="beside"),
        }
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        server.stop()
        self._live.close()
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
        await self._log.close()
        self._imports.close()
        self._state.close()
        await asyncio.to_thread(self._promql.close)
        await asyncio.to_thread(self._reader.close)
        await asyncio.to_thread(self._writer.close)

    async def _keep_retention(self) -> None:
        """The log expires files as days begin with events; this is for days without any."""
        while True:
            await asyncio.sleep(_RETENTION_CHECK_S)
            try:
                await self._log.remove_expired()
            except Unavailable as error:
                _logger.warning("expired files of the log are still there: %s", error.message)

    def _measure_pipeline(self) -> None:
        known, metrics = self._runner.pipeline(), self._metrics
        metrics.stream_open_sessions.set(known.sessions.open_count)
        metrics.stream_remembered_ids.set(known.ids.ids)
        metrics.stream_horizon.set(known.ids.horizon_ms / 1000)
        metrics.stream_profiles.set(len(self._profiles))
        metrics.stream_state_bytes.labels("sessions").set(known.sessions.memory_bytes)
        metrics.stream_state_bytes.labels("event_ids").set(known.ids.memory_bytes)
        metrics.stream_state_bytes.labels("profiles").set(self._profiles.memory_bytes)
        metrics.stream_forgotten.labels("sessions").set(known.sessions.forgotten_early)
        metrics.stream_forgotten.labels("event_ids").set(known.ids.forgotten_early)

    async def _sample_self_metrics(self) -> None:
        while True:
            await self._stages()
            self._self_series.record(self._clock.now_ms())
            await asyncio.sleep(SAMPLE_INTERVAL_S)

    async def _freshness(self) -> Freshness:
        return await self._runner.freshness()

    async def _stages(self) -> Mapping[str, StageState]:
        """The state of each stage; brings the gauges up to date on the way."""
        fresh, stats, metrics = await self._runner.freshness(), self._log.stats(), self._metrics
        metrics.stream_lag_events.set(fresh.lag_events)
        metrics.stream_lag_seconds.set(fresh.lag_ms / 1000)
        metrics.stream_complete_up_to.set(fresh.complete_up_to_ms / 1000)
        self._measure_pipeline()
        metrics.log_queue_bytes.set(stats.queue_bytes)
        metrics.log_size_bytes.set(self._log.size_bytes() or 0)
        metrics.log_commits.set(stats.group_commits)
        return {
            "ingest": accepting(stats),
            "log": accepting(stats, queue_bytes=stats.queue_bytes),
            "stream": self._runner.state(),
            "profiles": self._refresher.state(),
            "store": await self._reader.state(),
        }


async def serve(settings: Settings, beside: Beside) -> None:
    """Run the embedded system until SIGTERM or SIGINT, with `beside` from when it is ready; it ends by the event.

    Raises AlreadyRunning, ConfigError, Unavailable where it can't start.
    """
    check_exposure(settings.server.host)
    check_port_is_free(settings.server.host, settings.server.port)
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
