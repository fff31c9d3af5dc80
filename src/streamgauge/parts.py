"""What Settings choose, opened: each adapter by the URL that names it. For the composition roots alone."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from litestar.handlers import HTTPRouteHandler

from streamgauge.api.dead_letter import dead_letter_routes
from streamgauge.api.explain import explain_route
from streamgauge.api.http import Front
from streamgauge.api.metrics import metrics_routes
from streamgauge.config import Settings
from streamgauge.core.clock import Clock
from streamgauge.core.errors import ConfigError
from streamgauge.core.lifecycle import StageState, is_loopback
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.log.base import EventLog, LogStats
from streamgauge.log.sqlite import SqliteLog
from streamgauge.model import SESSION_ROLLUPS, Freshness
from streamgauge.profiles.base import ProfileSource
from streamgauge.profiles.copy import ProfileCopy
from streamgauge.profiles.postgres import PostgresProfiles
from streamgauge.profiles.refresh import ProfileRefresher
from streamgauge.profiles.sqlite import SqliteProfiles, file_of
from streamgauge.profiles.table import ProfileTable
from streamgauge.query.dead_letter import DeadLetterService
from streamgauge.query.explain import ExplainService
from streamgauge.query.metrics import MetricsService
from streamgauge.query.promql_service import PromqlService
from streamgauge.query.selfseries import SelfSeries
from streamgauge.query.series import RollupSeries
from streamgauge.store.client import StoreClients, migrate
from streamgauge.store.reader import ClickHouseReader
from streamgauge.stream.explain import panes_of
from streamgauge.stream.spec import PipelineSpec

if TYPE_CHECKING:
    from streamgauge.log.kafka import KafkaLog

_CONNECTIONS_MAX: Final = 10_000
"""Further ones wait until one of these ends."""


LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")

_PROBLEM_S_MAX: Final = 10.0


def question_routes(
    settings: Settings,
    reader: ClickHouseReader,
    freshness: Callable[[], Awaitable[Freshness]],
    metrics: SelfMetrics,
    clock: Clock,
) -> list[HTTPRouteHandler]:
    """All that is answered from the store."""
    rollups, promoted = (*settings.rollups, *SESSION_ROLLUPS), settings.store_tables.promoted_dimensions
    queries = MetricsService(reader, rollups, promoted, settings.query, clock)
    explaining = ExplainService(reader, partial(panes_of, spec=pipeline(settings)))
    letters = DeadLetterService(reader, settings.ingest.name_chars_max)
    return [
        *metrics_routes(queries, freshness, metrics),
        explain_route(explaining, freshness, metrics),
        *dead_letter_routes(letters, metrics),
    ]


def promql_service(settings: Settings, reader: ClickHouseReader, self_series: SelfSeries) -> PromqlService:
    """PromQL over the rollups, and over what this process knows of itself."""
    rollups, promoted = (*settings.rollups, *SESSION_ROLLUPS), settings.store_tables.promoted_dimensions
    return PromqlService(RollupSeries(reader, rollups, promoted, settings.query), self_series, settings.query)


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


def profile_refresher(settings: Settings, table: ProfileTable, clock: Clock) -> ProfileRefresher:
    url, profile = settings.profiles_url, settings.profile
    source: ProfileSource
    if url.startswith(("postgresql://", "postgres://")):
        source = PostgresProfiles(url, profile.columns, clock, table=profile.table)
    else:
        source = SqliteProfiles(file_of(url), profile.columns, clock)
    copy = ProfileCopy(settings.data_path / "profiles" / "copy.parquet", source=f"{url} {profile.table}")
    return ProfileRefresher(source, table, clock, interval_s=profile.refresh_s, copy=copy)


def open_store(settings: Settings) -> StoreClients:
    clients = StoreClients(settings.store_url)
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


def server_of(http: Front, settings: Settings) -> Server:
    return Server(
        http,
        address=settings.server.host,
        port=settings.server.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        backpressure=_CONNECTIONS_MAX,
        log_enabled=False,
    )


def check_exposure(host: str) -> None:
    if not is_loopback(host):
        raise ConfigError(
            f"--host {host} would let others on the network send and read events without a key",
            hint="keep the default host and put a proxy that authenticates in front of it",
        )
