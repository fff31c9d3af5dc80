"""The frozen Settings tree: defaults beside the fields, units in the names. Read from one TOML file.

Docs: `docs/guide/configuration.md`; a test holds the two in step.
"""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec

from streamgauge.core.errors import ConfigError
from streamgauge.model import DAY_MS, MINUTE_MS, SESSION_METRICS, Rollup

Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Partitions = Annotated[int, msgspec.Meta(ge=1, le=1_024)]
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

    def __post_init__(self) -> None:
        if self.host == "localhost":
            msgspec.structs.force_setattr(self, "host", "127.0.0.1")
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            raise ValueError(f"the host {self.host!r} is not an IP address: write 127.0.0.1 or ::1") from None


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
    keep_addresses: bool = False
    """Store the property `ip` of events; otherwise it is dropped at the door."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks (`10.0.0.0/8`) whose X-Forwarded-For is believed."""

    def __post_init__(self) -> None:
        for network in self.trusted_proxies:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"trusted_proxies has {network!r}, which is not a network: {error}") from None


class RetentionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    log_days: Positive = 7
    events_days: Positive = 7
    dead_letter_days: Positive = 30
    sessions_days: Positive = 90
    """After the last event of a session was received."""


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
    """Memory of the event ids; where more come within the horizon, the oldest are forgotten early."""
    session_gap_ms: Positive = 30 * MINUTE_MS
    """Events of a user less than this apart are one session."""
    sessions_max: Annotated[int, msgspec.Meta(ge=1_000)] = 4_000_000
    """Sessions in memory, about 200 bytes each: open ones, and closed ones that a late event may still join."""


class ProfileSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the user profile database."""

    columns: tuple[DimensionName, ...] = ("user_country", "plan")
    """What a profile adds to the events of its user, where they have no property of that name."""
    refresh_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    table: DimensionName = "profiles"
    """Of PostgreSQL; in SQLite it is always `profiles`."""


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    promoted_dimensions: tuple[DimensionName, ...] = ("event", "country", "device", "page", "status", "method")
    """Dimensions that get a column of their own, so that filters and breakdowns by them don't read the whole map."""


class QuerySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    threads: Positive = 2
    points_max: Positive = 11_000
    """Of one time series."""
    groups_max: Positive = 10_000
    """Rows of one breakdown."""
    execution_s_max: Positive = 10
    series_max: Positive = 100_000
    """That one selector of PromQL finds in one rollup."""
    series_memory_h: NotNegative = 24
    """So long after its last pane is a series of PromQL there, as zeros."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be chosen. Relative paths are relative to the folder the program was started in."""

    data: str = "data"
    log: str = ""
    """`sqlite:///path` or `kafka://host:9092,host2:9092/topic`; default: `log` in the data folder."""
    store: str = ""
    """`chdb:///path` or `clickhouse://user:password@host:8123/database`; default: `store` in the data folder."""
    profiles: str = ""
    """`sqlite:///file` or `postgresql://…`; default: `profiles.db` in the data folder."""
    server: ServerSettings = ServerSettings()
    ingest: IngestSettings = IngestSettings()
    retention: RetentionSettings = RetentionSettings()
    embedded_log: LogSettings = LogSettings()
    kafka: KafkaSettings = KafkaSettings()
    stream: StreamSettings = StreamSettings()
    profile: ProfileSettings = ProfileSettings()
    store_tables: StoreSettings = StoreSettings()
    query: QuerySettings = QuerySettings()
    rollups: tuple[Rollup, ...] = DEFAULT_ROLLUPS

    def __post_init__(self) -> None:
        names = [rollup.name for rollup in self.rollups]
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise ValueError(f"two rollups have the same name: {', '.join(sorted(repeated))}")
        if taken := sorted(set(names) & set(SESSION_METRICS)):
            raise ValueError(f"the name of rollup {taken[0]!r} is taken: sessions are rolled up under it")

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


def load_settings(file: Path | None, **overrides: Any) -> Settings:
    """Settings from a TOML file (none: the defaults), then `overrides` that are not None: `data`, `host`, `port`.

    Raises ConfigError that names the field, and the file where the fault is there, even in what is overridden.
    """
    content: dict[str, Any] = {}
    if file is not None:
        content = _read(file)
        _settings(content, str(file))
    given = {key: value for key, value in overrides.items() if value is not None}
    if "data" in given:
        content["data"] = str(given.pop("data"))
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
