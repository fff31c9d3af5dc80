"""The frozen Settings tree: defaults beside the fields, units in the names. Read from one TOML file.

Docs: `docs/guide/configuration.md`; a test holds the two in step.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from streamgauge.core.errors import ConfigError
from streamgauge.model import DAY_MS, MINUTE_MS, SESSION_METRICS, Rollup, parse_duration_ms
from streamgauge.notify_settings import InhibitionSettings, MaintenanceSettings, NotificationSettings, ReceiverSettings

Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Partitions = Annotated[int, msgspec.Meta(ge=1, le=1_024)]
Origin = Annotated[
    str, msgspec.Meta(pattern=r"^(\*|[a-z][a-z0-9+.-]*://(\*\.)?([A-Za-z0-9_.-]+|\[[0-9a-fA-F:]+\])(:([0-9]+|\*))?)\Z")
]
"""`https://shop.example`, `https://*.example.com`, `http://localhost:*` or `*`."""

HostName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252})\Z")]
ClusterName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{0,64}\Z")]
DimensionName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}\Z")]

DEFAULT_ROLLUPS = (
    Rollup(name="page_views", event="page_view", dimensions=("country", "device", "page")),
    Rollup(name="events", dimensions=("event", "country", "device")),
    Rollup(name="requests", event="request", dimensions=("page", "status", "method", "device")),
)


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    """The IP address to listen at; `localhost` is 127.0.0.1."""
    port: Port = 8080
    drain_s_max: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    """How long a shutdown may take to work off the log; what is left is worked off at the next start."""
    trusted_network: bool = False
    """Without keys whoever reaches the port may send and read everything. This says that nobody else does, so that
    `host` need not be loopback until there are keys."""
    names: tuple[HostName, ...] = ()
    """Further names that requests may call the server by, as in `http://name:8080`."""
    leave_notice_s: Annotated[float, msgspec.Meta(ge=0)] = 2.0
    """How long a part in a process of its own serves on after SIGTERM while /readyz says that it goes, so that a load
    balancer sends to the others by then."""
    public_ingest_url: str = ""
    """Where events are sent, as the dashboard shows it: `https://events.example.com`; default: its own address."""

    def __post_init__(self) -> None:
        if self.host == "localhost":
            msgspec.structs.force_setattr(self, "host", "127.0.0.1")
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            raise ValueError(f"the host {self.host!r} is not an IP address: write 127.0.0.1 or ::1") from None
        if self.public_ingest_url and not self.public_ingest_url.startswith(("http://", "https://")):
            raise ValueError(f"public_ingest_url {self.public_ingest_url!r} must begin with http:// or https://")


class IngestSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    body_bytes_max: Positive = 10 * 1024 * 1024
    """Of one request, after decompression."""
    batch_events_max: Positive = 100_000
    """Of one request. Tiny items take many times their own bytes of memory, in the log and in the dead letter table."""
    event_bytes_max: Positive = 64 * 1024
    nesting_depth_max: Positive = 16
    properties_max: Positive = 256
    string_chars_max: Positive = 16 * 1024
    name_chars_max: Positive = 256
    """Of event names and ids."""
    derive_device: bool = True
    """Events without `device` get that of their user agent."""
    derive_country: bool = True
    """Events without `country` get that of their address."""
    keep_addresses: bool | Literal["truncated"] = False
    """Store the property `ip` of events, whole or its network alone; otherwise it is dropped at the door."""
    drop_bots: bool = False
    """Events of crawlers, monitors and scripts, by the user agent, are counted in a self-metric and not kept."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks (`10.0.0.0/8`) whose X-Forwarded-For is believed."""
    allowed_origins: tuple[Origin, ...] = ("http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*")
    """Origins whose pages may send events from a browser; `*`: all."""

    def __post_init__(self) -> None:
        for network in self.trusted_proxies:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"trusted_proxies has {network!r}, which is not a network: {error}") from None


class GrpcSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of ingest by gRPC. It listens at `server.host`."""

    enabled: bool = True
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    """0: the one after `server.port`, which is 8081."""
    tls_certificate: str = ""
    """File of the certificate chain, PEM; with `tls_key`, calls must come by TLS."""
    tls_key: str = ""
    """File of the private key, PEM."""
    tls_client_ca: str = ""
    """File of certificate authorities, PEM: callers must have a certificate of one of them."""
    calls_max: Positive = 4_096
    """At the same time, streams too."""
    connection_calls_max: Positive = 128
    """Of one connection."""
    keepalive_s: Annotated[float, msgspec.Meta(ge=10)] = 60.0
    """A connection on which nothing came for so long is asked whether it is still there."""
    keepalive_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    """So long may it take to say so."""
    stream_idle_s_max: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    """A stream on which no batch came for so long is ended."""
    stream_age_s_max: Annotated[float, msgspec.Meta(gt=0)] = 3_600.0
    """A stream is ended after so long, when what was read of it is answered."""

    def __post_init__(self) -> None:
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("tls_certificate and tls_key of [grpc] go together: set both, or neither")
        if self.tls_client_ca and not self.tls_certificate:
            raise ValueError("tls_client_ca of [grpc] needs tls_certificate and tls_key")


class AccessSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of keys, and of what each may do. Limits of rates hold where keys are needed."""

    session_h: Positive = 12
    """So long is a browser signed in."""
    key_requests_per_s: NotNegative = 5_000
    """Of each key that has no limit of its own; twice as many at once. 0: no limit."""
    address_requests_per_s: NotNegative = 500
    """Of each address, of IPv6 each /64; twice as many at once. 0: no limit."""
    address_requests_max: NotNegative = 200
    """Under way at the same time, of each address: live connections and slow senders too. 0: no limit."""


class RetentionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    log_days: Positive = 7
    events_days: Positive = 7
    dead_letter_days: Positive = 30
    sessions_days: Positive = 90
    """After the last event of a session was received."""
    audit_days: Positive = 365


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the embedded log."""

    partitions: Partitions = 4
    """Fixed when the data folder is made."""
    queue_bytes_max: Positive = 64 * 1024 * 1024
    """Records that wait for the disk; over it the ingest API answers 503 with Retry-After."""
    batch_bytes_max: Positive = 32 * 1024 * 1024
    """Of one read."""


class KafkaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the log on Kafka."""

    partitions: Partitions = 4
    """Of the topic when it is made; of a topic that is there, what it has."""
    queue_bytes_max: Positive = 64 * 1024 * 1024
    """Records that wait for the brokers; over it the ingest API answers 503 with Retry-After."""
    batch_bytes_max: Positive = 32 * 1024 * 1024
    """Of one read."""
    delivery_s_max: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    """So long may the brokers take to acknowledge; then the ingest API answers 503 with Retry-After."""


class StreamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    batch_interval_ms: NotNegative = 200
    """The least time from the start of one micro-batch to the next: bounds the number of inserts under load."""
    watermark_delay_ms: NotNegative = 10_000
    idle_partition_ms: Positive = 5_000
    """A partition without new records for so long doesn't hold the watermark back."""
    dimension_chars_max: Positive = 512
    cardinality_max: Positive = 10_000
    """Values of one dimension of one rollup and day; further ones are counted as `(other)`."""
    allowed_lateness_ms: NotNegative = DAY_MS
    """An event that was received later than this after its own time goes to the dead letter table."""
    future_ms_max: NotNegative = 5 * MINUTE_MS
    """So far ahead of its receipt may an event's own time be."""
    deduplication_horizon_ms: Positive = DAY_MS
    """A repeated event id is recognised for at least so long after the first."""
    deduplication_bytes_max: Annotated[int, msgspec.Meta(ge=1024 * 1024)] = 1024**3
    """Memory of the event ids; where more come within the horizon, the oldest are forgotten early. `streamgauge stream`
    takes so much for each partition that it has."""
    session_gap_ms: Positive = 30 * MINUTE_MS
    """Events of a user less than this apart are one session."""
    sessions_max: Annotated[int, msgspec.Meta(ge=1_000)] = 4_000_000
    """Sessions in memory, about 250 bytes each: open ones, and closed ones that a late event may still join. In
    `streamgauge stream` so many of each partition."""


class LoaderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `streamgauge loader`, where Flink counts."""

    batch_rows_min: Positive = 1_000
    """So many rows of one partition are inserted at once, and those that wait with them."""
    batch_s_max: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Fewer rows don't wait longer than this."""
    batch_bytes_max: Positive = 8 * 1024 * 1024
    """Of one insert, as Kafka has the rows."""
    queue_bytes_max: Positive = 64 * 1024 * 1024
    """Rows that wait in memory; over it no more are fetched."""


class FlinkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the job on Flink, where `runner` is one."""

    parallelism: NotNegative = 0
    """Of the job; 0: as many as the log has partitions. Not more than there are slots."""
    checkpoint_ms: Annotated[int, msgspec.Meta(ge=100)] = 1_000
    """How often the job commits: rows are seen after the next one."""
    pane_ms: Annotated[int, msgspec.Meta(ge=100)] = 1_000
    """How long events are added up before the job gives a row."""
    transaction_ms: Annotated[int, msgspec.Meta(ge=600_000)] = 900_000
    """How long a transaction on Kafka may be open: rows are lost where the job is away for longer between a checkpoint
    and its commit. Not more than the brokers' `transaction.max.timeout.ms`, which is this unless they are told."""
    profile_cache_s: Positive = 300
    """So long is a profile believed that PostgreSQL was asked for."""
    state_backend: Literal["rocksdb", "hashmap"] = "rocksdb"
    """Where the job has its state while it runs. `rocksdb`: on disk, and a checkpoint writes what has changed;
    `hashmap`: in the heap, about 500 bytes an event id of the horizon, all of which each checkpoint writes."""
    state: str = ""
    """Where Flink keeps checkpoints and savepoints: a URL that all of its machines can write to, such as
    `file:///mnt/flink` or `s3://bucket/flink`; default: what Flink itself is set up for."""


class ProfileSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the user profile database."""

    columns: tuple[DimensionName, ...] = ("user_country", "plan")
    """What a profile adds to the events of its user, where they have no property of that name."""
    refresh_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    from_identify: bool = True
    """Traits of `identify` events change the profiles of their users, where these are in SQLite."""
    identified_max: Positive = 5_000_000
    """Where there are so many profiles, `identify` adds no others."""
    table: DimensionName = "profiles"
    """Of PostgreSQL; in SQLite it is always `profiles`."""


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    promoted_dimensions: tuple[DimensionName, ...] = ("event", "country", "device", "page", "status", "method")
    """Dimensions that get a column of their own, so that filters and breakdowns by them don't read the whole map."""
    cluster: ClusterName = ""
    """Of ClickHouse servers, over whose hosts the tables are replicated and sharded; without one, all is on one."""
    insert_quorum: NotNegative = 0
    """Of a cluster: so many replicas of a shard have rows before they count as written; 0: most of them."""


class SqlSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `POST /sql`."""

    store: str = ""
    """`clickhouse://asker:password@host:8123/database`: the same store as another user, who may do nothing but read the
    tables that can be asked; default: as the user of `store`. The embedded engine has such a role by itself."""
    at_once_max: Positive = 1
    """Queries; further ones wait."""
    queue_max: NotNegative = 8
    """Queries that wait; over it the answer is 503 with Retry-After."""
    queue_s_max: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    """So long does one wait before it is answered 503."""
    cores_max: Positive = 1
    """Of one query."""
    execution_s_max: Positive = 10
    rows_read_max: Positive = 1_000_000_000
    memory_bytes_max: Positive = 1024**3
    result_rows_max: Positive = 100_000
    result_bytes_max: Positive = 32 * 1024 * 1024
    """Of the result in the engine; as text it may be larger."""
    text_chars_max: Positive = 32 * 1024
    """Of one query."""


class QuerySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    threads: Positive = 2
    queue_max: NotNegative = 200
    """Queries of the store that wait for a thread; over it the answer is 503 with Retry-After."""
    rows_read_max: Positive = 2_000_000_000
    """Of one query, as the next."""
    memory_bytes_max: Positive = 2 * 1024**3
    points_max: Positive = 11_000
    """Of one time series."""
    groups_max: Positive = 10_000
    """Rows of one breakdown."""
    execution_s_max: Positive = 10
    series_max: Positive = 100_000
    """That one selector of PromQL finds in one rollup."""
    series_memory_h: NotNegative = 24
    """So long after its last pane is a series of PromQL there, as zeros."""


class CacheSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the cache of answers."""

    ttl_s: Positive = 60
    """The greatest age of an answer: so long may a late event stay unseen where another process counts it."""
    edge_ttl_ms: Positive = 1_000
    """The greatest age of one that reaches what is still filling, where another process counts."""
    value_bytes_max: Positive = 4 * 1024 * 1024
    """A greater answer is not kept."""
    memory_bytes_max: Positive = 64 * 1024 * 1024
    """Of `memory://`, as the next."""
    memory_entries_max: Positive = 10_000
    redis_timeout_ms: Positive = 200
    """So long may Redis take; then the store is asked, and for a second nobody asks Redis."""


class AlertSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of rules and alerts."""

    rules: str = "rules"
    """The folder of rule files, `*.yml` and `*.yaml`; read anew when one changes. It need not be there."""
    interval: str = "60s"
    """How often rules are evaluated: a whole number of seconds that divides a day."""
    patience: str = "60s"
    """So long may data take to be complete after a rule should have been evaluated; then it is held."""
    held_alert_s: Positive = 300
    """Rules that are held for longer than this are an alert of their own."""
    history_days: Positive = 90
    """So long is it known what alerts were."""
    dashboard_url: str = ""
    """Where people reach the dashboard, for links in notifications: `https://gauge.example.com`."""

    def __post_init__(self) -> None:
        if self.interval_ms < 1_000 or DAY_MS % self.interval_ms:
            raise ValueError(f"interval {self.interval!r} must divide a day and be at least a second, like '60s'")
        _ = self.patience_ms

    @property
    def interval_ms(self) -> int:
        return parse_duration_ms(self.interval)

    @property
    def patience_ms(self) -> int:
        return parse_duration_ms(self.patience)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be chosen. Relative paths are relative to the folder the program was started in."""

    data: str = "data"
    log: str = ""
    """`sqlite:///path` or `kafka://host:9092,host2:9092/topic`; default: `log` in the data folder."""
    store: str = ""
    """`chdb:///path` or `clickhouse://user:password@host:8123,host2:8123/database`; default: `store` in the data
    folder."""
    profiles: str = ""
    """`sqlite:///file` or `postgresql://…`; default: `profiles.db` in the data folder."""
    state: str = ""
    """`sqlite:///file` or `postgresql://…`: what people make, such as rules; default: `state.db` in the data folder."""
    runner: str = "embedded"
    """What counts: `embedded`, or a Flink cluster by the address of its REST API, `flink://host:8081`."""
    cache: str = "memory://"
    """`memory://` or `redis://user:password@host:6379/0` (`rediss://`: with TLS)."""
    server: ServerSettings = ServerSettings()
    ingest: IngestSettings = IngestSettings()
    grpc: GrpcSettings = GrpcSettings()
    access: AccessSettings = AccessSettings()
    retention: RetentionSettings = RetentionSettings()
    embedded_log: LogSettings = LogSettings()
    kafka: KafkaSettings = KafkaSettings()
    stream: StreamSettings = StreamSettings()
    loader: LoaderSettings = LoaderSettings()

    flink: FlinkSettings = FlinkSettings()
    profile: ProfileSettings = ProfileSettings()
    store_tables: StoreSettings = StoreSettings()
    query: QuerySettings = QuerySettings()
    sql: SqlSettings = SqlSettings()
    answer_cache: CacheSettings = CacheSettings()
    alerts: AlertSettings = AlertSettings()
    notifications: NotificationSettings = NotificationSettings()
    receivers: tuple[ReceiverSettings, ...] = ()
    inhibitions: tuple[InhibitionSettings, ...] = ()
    maintenance: tuple[MaintenanceSettings, ...] = ()
    rollups: tuple[Rollup, ...] = DEFAULT_ROLLUPS

    def __post_init__(self) -> None:
        if self.grpc.enabled and self.grpc_port in (self.server.port, 65_536):
            raise ValueError(f"there is no port for gRPC beside {self.server.port}: set another grpc.port")
        names = [rollup.name for rollup in self.rollups]
        _check_unique("rollups", names)
        if taken := sorted(set(names) & set(SESSION_METRICS)):
            raise ValueError(f"the name of rollup {taken[0]!r} is taken: sessions are rolled up under it")
        _check_unique("receivers", [one.name for one in self.receivers])
        _check_unique("maintenance windows", [one.name for one in self.maintenance])
        if self.runner != "embedded" and not _is_flink(self.runner):
            raise ValueError(f"{self.runner!r} is not a runner: write embedded or flink://host:8081")

    @property
    def grpc_port(self) -> int:
        return self.grpc.port or self.server.port + 1

    @property
    def flink_counts(self) -> bool:
        return self.runner != "embedded"

    @property
    def data_path(self) -> Path:
        return Path(self.data)

    @property
    def log_url(self) -> str:
        return self.log or f"sqlite:///{self.data_path / 'log'}"

    @property
    def store_url(self) -> str:
        return self.store or f"chdb:///{self.data_path / 'store'}"

    @property
    def profiles_url(self) -> str:
        return self.profiles or f"sqlite:///{self.data_path / 'profiles.db'}"

    @property
    def state_url(self) -> str:
        return self.state or f"sqlite:///{self.data_path / 'state.db'}"


def _check_unique(what: str, names: Sequence[str]) -> None:
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f"two {what} have the same name: {', '.join(sorted(repeated))}")


def _is_flink(url: str) -> bool:
    parts = urlsplit(url)
    try:
        return parts.scheme == "flink" and bool(parts.hostname) and parts.port != 0 and not parts.path.strip("/")
    except ValueError:  # of a port that is none
        return False


def load_settings(file: Path | None, **overrides: Any) -> Settings:
    """Settings from a TOML file (none: the defaults), then `overrides` that are not None: `data`, `host`, `port`,
    `grpc_port`.

    Raises ConfigError that names the field, and the file where the fault is there, even in what is overridden.
    """
    content: dict[str, Any] = {}
    if file is not None:
        content = _read(file)
        _settings(content, str(file))
    given = {key: value for key, value in overrides.items() if value is not None}
    if "data" in given:
        content["data"] = str(given.pop("data"))
    if "grpc_port" in given:
        content["grpc"] = {**content.get("grpc", {}), "port": given.pop("grpc_port")}
    content["server"] = {**content.get("server", {}), **given}
    return _settings(content, "the command line")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"can't read the config file {file}: {error.strerror}", hint="check the path after --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}", hint="see docs/guide/configuration.md") from error


def _settings(content: dict[str, Any], source: str) -> Settings:
    try:
        return msgspec.convert(content, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {error}", hint="see docs/guide/configuration.md") from error
