"""What Settings choose, opened: each adapter by the URL that names it. For the composition roots alone."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from streamgauge.access.audit import AuditLog
from streamgauge.access.gate import Gate
from streamgauge.access.register import any_made
from streamgauge.access.service import KeyService
from streamgauge.access.tables import ACCESS_TABLES
from streamgauge.alert.notify.service import Notifications
from streamgauge.alert.notify.tables import NOTIFY_TABLES
from streamgauge.alert.records import TABLES as ALERT_TABLES
from streamgauge.api.access import access_routes
from streamgauge.api.calls import authorizer
from streamgauge.api.cross_origin import CrossOrigin, Endpoint
from streamgauge.api.dead_letter import dead_letter_routes
from streamgauge.api.door import Door
from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.events import EventsEndpoint
from streamgauge.api.explain import explain_route
from streamgauge.api.http import Called, Front
from streamgauge.api.metrics import metrics_routes
from streamgauge.api.notifications import notification_routes
from streamgauge.api.segment import SegmentEndpoint
from streamgauge.api.silences import silence_routes
from streamgauge.api.sql import sql_route
from streamgauge.config import IngestSettings, ServerSettings, Settings
from streamgauge.core.address import Proxies
from streamgauge.core.clock import Clock
from streamgauge.core.errors import ConfigError
from streamgauge.core.lifecycle import StageState, check_port_is_free, is_loopback
from streamgauge.core.origins import allowed_origins
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.erasure.service import Counted, Erasure
from streamgauge.erasure.tombstones import ERASURE_TABLES
from streamgauge.ingest.accept import Ingest
from streamgauge.ingest.grpc.server import GrpcServer
from streamgauge.ingest.grpc.service import IngestService
from streamgauge.log.base import EventLog, LogStats
from streamgauge.log.sqlite import SqliteLog
from streamgauge.model import SESSION_ROLLUPS, Freshness
from streamgauge.profiles.base import ProfileSource
from streamgauge.profiles.copy import ProfileCopy
from streamgauge.profiles.erase import erase_profile
from streamgauge.profiles.keeper import TraitsKeeper
from streamgauge.profiles.postgres import PostgresProfiles
from streamgauge.profiles.refresh import ProfileRefresher
from streamgauge.profiles.sqlite import SqliteProfiles, file_of
from streamgauge.profiles.table import ProfileTable
from streamgauge.profiles.traits import TraitsWriter
from streamgauge.query.cache.answers import AnswerCache
from streamgauge.query.cache.base import Cache
from streamgauge.query.cache.changes import Changes
from streamgauge.query.cache.memory import MemoryCache
from streamgauge.query.dead_letter import DeadLetterService
from streamgauge.query.explain import ExplainService
from streamgauge.query.metrics import MetricsService
from streamgauge.query.promql_service import Beside, PromqlService
from streamgauge.query.selfseries import SelfSeries
from streamgauge.query.series import RollupSeries
from streamgauge.query.sql import SqlService
from streamgauge.state.database import StateDatabase
from streamgauge.state.lease import TABLES as LEASE_TABLES
from streamgauge.store.base import SqlEngine
from streamgauge.store.client import StoreClients, embedded_folder
from streamgauge.store.erase import ClickHouseErase
from streamgauge.store.migrations import migrate
from streamgauge.store.reader import ClickHouseReader
from streamgauge.store.schema import MIGRATIONS
from streamgauge.store.sql import ClickHouseSql
from streamgauge.stream.explain import panes_of
from streamgauge.stream.flink.job import FlinkJob
from streamgauge.stream.flink.places import java_properties, jdbc_place
from streamgauge.stream.flink.tables import KafkaPlace, ProfilePlace
from streamgauge.stream.spec import PipelineSpec

if TYPE_CHECKING:
    from streamgauge.log.kafka import KafkaLog

_CONNECTIONS_MAX: Final = 10_000
"""Further ones wait until one of these ends."""

_HEAD_MS_MAX: Final = 10_000
"""So long may the head of a request take, also the next one of a connection."""


_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")

_PROBLEM_S_MAX: Final = 10.0

STATE_TABLES: Final = (ACCESS_TABLES, ALERT_TABLES, ERASURE_TABLES, LEASE_TABLES, NOTIFY_TABLES)
"""Of every room that keeps something in the state database."""


def question_routes(
    settings: Settings,
    reader: ClickHouseReader,
    freshness: Callable[[], Awaitable[Freshness]],
    metrics: SelfMetrics,
    clock: Clock,
    *,
    cache: AnswerCache,
    sql: SqlEngine,
) -> list[HTTPRouteHandler]:
    """All that is answered from the store."""
    rollups, promoted = (*settings.rollups, *SESSION_ROLLUPS), settings.store_tables.promoted_dimensions
    queries = MetricsService(reader, rollups, promoted, settings.query, clock)
    explaining = ExplainService(reader, partial(panes_of, spec=pipeline(settings)))
    letters = DeadLetterService(reader, settings.ingest.name_chars_max)
    return [
        *metrics_routes(queries, cache, freshness, metrics),
        explain_route(explaining, freshness, metrics),
        *dead_letter_routes(letters, metrics),
        sql_route(SqlService(sql, metrics), freshness, metrics),
    ]


def sql_engine(settings: Settings, clients: StoreClients) -> ClickHouseSql:
    """`clients`: of the store. Raises ConfigError."""
    url = settings.sql.store
    if url and (clients.is_embedded or embedded_folder(url) is not None):
        raise ConfigError(
            "the setting sql.store is for a ClickHouse server: the embedded engine has one user",
            hint="leave sql.store empty; an embedded store takes other people's SQL in a role that can only read",
        )
    askers = StoreClients(url, settings.store_tables) if url else clients
    return ClickHouseSql(clients, askers, settings.sql)


def answer_cache(settings: Settings, metrics: SelfMetrics, changes: Changes, store_id: str) -> AnswerCache:
    """`changes`: what this process writes to the store; `store_id`: what tells the store apart from all others. Raises
    ConfigError."""
    # What was answered with other rollups, another schema or another store is no answer here.
    what = msgspec.json.encode((store_id, MIGRATIONS[-1].version, (*settings.rollups, *SESSION_ROLLUPS)))
    prefix = f"streamgauge:{hashlib.sha256(what).hexdigest()[:16]}:metrics"
    is_only_writer = embedded_folder(settings.store_url) is not None
    cache = _cache_at(settings)
    return AnswerCache(cache, prefix, settings.answer_cache, metrics, changes, is_only_writer=is_only_writer)


def _cache_at(settings: Settings) -> Cache:
    url, limits = settings.cache, settings.answer_cache
    if url == "memory://":
        return MemoryCache(limits.memory_bytes_max, limits.memory_entries_max)
    if not url.startswith(("redis://", "rediss://")):
        raise ConfigError("the setting cache is no cache", hint="write memory:// or redis://user:password@host:6379/0")
    try:
        from streamgauge.query.cache.redis import RedisCache  # noqa: PLC0415 - its client is installed by who needs it
    except ImportError as error:
        raise ConfigError(
            f"the cache is in Redis, whose client can't be loaded: {error}", hint="pip install 'streamgauge[redis]'"
        ) from error
    return RedisCache(url, limits.redis_timeout_ms)


def promql_service(
    settings: Settings, reader: ClickHouseReader, self_series: SelfSeries, beside: Beside
) -> PromqlService:
    """PromQL over the rollups, over what this process knows of itself, and over what is made of them."""
    rollups, promoted = (*settings.rollups, *SESSION_ROLLUPS), settings.store_tables.promoted_dimensions
    return PromqlService(RollupSeries(reader, rollups, promoted, settings.query), self_series, settings.query, beside)


def accepting(stats: LogStats, **details: int) -> StageState:
    """What the log doesn't take, ingest doesn't. After a while without a try it counts as ready again: a server that is
    sent nothing because it isn't ready would never find out that there is space."""
    if stats.problem and time.monotonic() - stats.problem_at_s < _PROBLEM_S_MAX:
        return StageState("degraded", stats.problem, details)
    return StageState("ready", details=details)


def pipeline(settings: Settings) -> PipelineSpec:
    stream = settings.stream
    return PipelineSpec(
        settings.rollups,
        stream.watermark_delay_ms,
        stream.idle_partition_ms,
        stream.dimension_chars_max,
        stream.cardinality_max,
        stream.allowed_lateness_ms,
        stream.future_ms_max,
        stream.deduplication_horizon_ms,
        stream.deduplication_bytes_max,
        stream.session_gap_ms,
        stream.sessions_max,
        settings.profile.columns,
    )


def flink_job(settings: Settings, *, is_bounded: bool = False) -> FlinkJob:
    """The pipeline as a job of Flink. Raises ConfigError for settings that only the embedded runner knows."""
    from streamgauge.log.kafka_cluster import Cluster  # noqa: PLC0415 - as in open_kafka

    flink = settings.flink
    cluster = Cluster(settings.log_url)
    profiles = _profiles_for_flink(settings)
    spec = pipeline(settings)
    if profiles is None:
        spec = msgspec.structs.replace(spec, profile_columns=())
    return FlinkJob(
        spec,
        KafkaPlace(cluster.topic, java_properties(cluster.properties)),
        profiles,
        flink.parallelism or settings.kafka.partitions,
        flink.pane_ms,
        flink.checkpoint_ms,
        flink.transaction_ms,
        flink.state_backend,
        flink.state,
        is_bounded,
    )


def _profiles_for_flink(settings: Settings) -> ProfilePlace | None:
    """None where nothing is to be added to events. A file on this machine is nothing that Flink could read."""
    if not settings.profile.columns or not settings.profiles:
        return None
    if not settings.profiles_url.startswith(("postgresql://", "postgres://")):
        raise ConfigError(
            f"Flink can't read the profiles in {settings.profiles_url!r}",
            hint='set profiles = "postgresql://…", or profile.columns = [] where there are none',
        )
    profile = settings.profile
    return jdbc_place(settings.profiles_url, profile.table, settings.flink.profile_cache_s * 1000)


def profile_refresher(settings: Settings, table: ProfileTable, clock: Clock) -> ProfileRefresher:
    url, profile = settings.profiles_url, settings.profile
    source: ProfileSource
    if url.startswith(("postgresql://", "postgres://")):
        source = PostgresProfiles(url, profile.columns, clock, table=profile.table)
    else:
        source = SqliteProfiles(file_of(url), profile.columns, clock)
    copy = ProfileCopy(settings.data_path / "profiles" / "copy.parquet", source=f"{url} {profile.table}")
    return ProfileRefresher(source, table, clock, interval_s=profile.refresh_s, copy=copy)


def traits_keeper(settings: Settings, log: EventLog, metrics: SelfMetrics, clock: Clock) -> TraitsKeeper | None:
    """None where identify changes no profiles: they are somebody else's, or it is not wanted."""
    if not settings.profile.from_identify or settings.profiles_url.startswith(("postgresql://", "postgres://")):
        return None
    writer = TraitsWriter(file_of(settings.profiles_url), clock, settings.profile.identified_max)
    return TraitsKeeper(log, writer, metrics)


def open_store(settings: Settings) -> StoreClients:
    clients = StoreClients(settings.store_url, settings.store_tables)
    client = clients.connect()
    migrate(client, settings.retention, settings.store_tables)
    client.close()
    return clients


async def open_kafka(settings: Settings) -> KafkaLog:
    """Raises ConfigError where the log is elsewhere, or its client isn't installed; Unavailable."""
    if not settings.log_url.startswith("kafka://"):
        raise ConfigError(
            "parts of the system in processes of their own need a log that they can all reach",
            hint='set log = "kafka://host:9092" in the config file, or run everything in one with streamgauge up',
        )
    try:
        from streamgauge.log.kafka import KafkaLog  # noqa: PLC0415 - its client is installed by who needs it
    except ImportError as error:
        raise ConfigError(
            f"the log is on Kafka, whose client can't be loaded: {error}", hint="pip install 'streamgauge[kafka]'"
        ) from error
    return await KafkaLog.open(settings.log_url, settings.kafka, settings.retention.log_days)


async def open_log(settings: Settings, clock: Clock) -> EventLog:
    url, days = settings.log_url, settings.retention.log_days
    if url.startswith("kafka://"):
        return await open_kafka(settings)
    folder = url.removeprefix("sqlite:///")
    if folder == url or not folder.strip("/"):
        raise ConfigError(f"{url!r} is not a log", hint="write sqlite:///folder or kafka://host:9092")
    return await SqliteLog.open(Path(folder), settings.embedded_log, days, clock)


async def open_state(settings: Settings) -> StateDatabase:
    """What people make and alerts remember. Raises ConfigError, Unavailable."""
    return await StateDatabase.open(settings.state_url, STATE_TABLES)


def notifications_of(settings: Settings, database: StateDatabase, clock: Clock, metrics: SelfMetrics) -> Notifications:
    """Raises ConfigError where a secret of a receiver is missing."""
    url = settings.alerts.dashboard_url
    return Notifications(settings, database, clock, metrics, environment=os.environ, external_url=url)


def alert_routes(notifications: Notifications, clock: Clock) -> list[BaseRouteHandler]:
    """Who is told of alerts, and when not."""
    return [*notification_routes(notifications), *silence_routes(notifications, clock)]


def server_of(http: Front, settings: Settings) -> Server:
    return Server(
        http,
        address=settings.server.host,
        port=settings.server.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEAD_MS_MAX),
        websockets=False,
        backlog=1024,
        backpressure=_CONNECTIONS_MAX,
        log_enabled=False,
    )


def grpc_server(
    settings: Settings, ingest: Ingest, metrics: SelfMetrics, log: EventLog, gate: Gate
) -> GrpcServer | None:
    """None where it is turned off. Raises ConfigError."""
    if not settings.grpc.enabled:
        return None
    host, port = settings.server.host, settings.grpc_port
    authorize = authorizer(gate, Proxies(settings.ingest.trusted_proxies))
    return GrpcServer(
        IngestService(ingest, settings.ingest, settings.grpc, metrics, authorize),
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        settings.grpc,
        body_bytes_max=settings.ingest.body_bytes_max,
        can_accept=lambda: accepting(log.stats()).works,
    )


def check_ports(settings: Settings, *, takes_events: bool = True) -> None:
    """Raises AlreadyRunning, ConfigError."""
    check_port_is_free(settings.server.host, settings.server.port)
    if takes_events and settings.grpc.enabled:
        check_port_is_free(settings.server.host, settings.grpc_port, option="--grpc-port")


class Access(NamedTuple):
    """Who may do what, opened: it has read which keys there are."""

    database: StateDatabase
    keys: KeyService
    audit: AuditLog
    gate: Gate
    door: Door
    routes: list[BaseRouteHandler]


def _is_private(server: ServerSettings) -> bool:
    """Whether nobody reaches the port but those who may do everything."""
    return is_loopback(server.host) or server.trusted_network


async def check_exposure(settings: Settings) -> None:
    """Raises ConfigError where everyone on a network would be let in, Unavailable."""
    if _is_private(settings.server):
        return
    database = await open_state(settings)
    try:
        is_kept = await database.read(any_made)
    finally:
        await asyncio.to_thread(database.close)
    if not is_kept:
        raise ConfigError(
            f"--host {settings.server.host} would let others on the network send and read events without a key",
            hint="make one with: streamgauge keys create admin --scope admin (and the same --config and --data). Or, "
            "where nobody but those who may do everything reaches the port, set server.trusted_network = true",
        )


async def open_access(settings: Settings, database: StateDatabase, clock: Clock, metrics: SelfMetrics) -> Access:
    """Raises Unavailable."""
    keys = KeyService(database, clock, settings.access.session_h)
    await keys.keyring.refresh()
    gate = Gate(
        keys.keyring,
        settings.access,
        metrics,
        is_private=_is_private(settings.server),
        is_allowed_origin=allowed_origins(settings.ingest.allowed_origins),
    )
    audit = AuditLog(database, clock, metrics, settings.retention.audit_days)
    door = Door(gate, Proxies(settings.ingest.trusted_proxies), audit)
    return Access(database, keys, audit, gate, door, access_routes(keys, audit))


def erasure(
    settings: Settings,
    database: StateDatabase,
    clients: StoreClients,
    log_of_now: Callable[[], Awaitable[Counted]],
    clock: Clock,
) -> Erasure:
    return Erasure(
        database,
        clock,
        log_of_now,
        open_store=lambda: ClickHouseErase(clients),
        erase_profile=partial(erase_profile, settings.profiles_url, settings.profile.table),
        log_days=settings.retention.log_days,
        session_gap_ms=settings.stream.session_gap_ms,
    )


def events_endpoint(ingest: Ingest, errors: ErrorAnswers, gate: Gate, settings: IngestSettings) -> Endpoint:
    endpoint = EventsEndpoint(ingest, errors, settings.body_bytes_max)
    return CrossOrigin(endpoint, gate.knows_origin, errors)


def segment_endpoint(ingest: Ingest, errors: ErrorAnswers, gate: Gate, settings: Settings) -> Endpoint:
    """For Segment's SDKs."""
    public_url = settings.server.public_ingest_url
    endpoint = SegmentEndpoint(ingest, errors, settings.ingest.body_bytes_max, public_url=public_url)
    return CrossOrigin(endpoint, gate.knows_origin, errors)


def called(server: ServerSettings) -> Called:
    by_address = server.trusted_network or not is_loopback(server.host)
    return Called((*_LOOPBACK_NAMES, server.host, *server.names), by_address=by_address)
