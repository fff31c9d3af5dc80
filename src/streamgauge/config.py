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
from streamgauge.model import Rollup

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


class RetentionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    log_days: Positive = 7
    events_days: Positive = 7
    dead_letter_days: Positive = 30


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the embedded log."""

    partitions: Partitions = 4
    """Fixed when the data folder is made."""
    queue_bytes_max: Positive = 64 * 1024 * 1024
    """Records that wait for the disk; over it the ingest API answers 503 with Retry-After."""
    batch_bytes_max: Positive = 32 * 1024 * 1024
    """Of one read."""


class StreamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    batch_interval_ms: NotNegative = 200
    """The least time from the start of one micro-batch to the next: bounds the number of inserts under load."""
    watermark_delay_ms: NotNegative = 10_000
    idle_partition_ms: Positive = 5_000
    """A partition without new records for so long doesn't hold the watermark back."""
    dimension_chars_max: Positive = 512


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


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be chosen. Relative paths are relative to the folder the program was started in."""

    data: str = "data"
    log: str = ""
    """`sqlite:///path`; default: `log` in the data folder."""
    store: str = ""
    """`chdb:///path` or `clickhouse://user:password@host:8123/database`; default: `store` in the data folder."""
    server: ServerSettings = ServerSettings()
    ingest: IngestSettings = IngestSettings()
    retention: RetentionSettings = RetentionSettings()
    embedded_log: LogSettings = LogSettings()
    stream: StreamSettings = StreamSettings()
    store_tables: StoreSettings = StoreSettings()
    query: QuerySettings = QuerySettings()
    rollups: tuple[Rollup, ...] = DEFAULT_ROLLUPS

    def __post_init__(self) -> None:
        names = [rollup.name for rollup in self.rollups]
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise ValueError(f"two rollups have the same name: {', '.join(sorted(repeated))}")

    @property
    def data_path(self) -> Path:
        return Path(self.data)

    @property
    def log_url(self) -> str:
        return self.log or f"sqlite:///{self.data_path / 'log'}"

    @property
    def store_url(self) -> str:
        return self.store or f"chdb:///{self.data_path / 'store'}"


def load_settings(file: Path | None, **overrides: Any) -> Settings:
    """Settings from a TOML file (none: the defaults), then `overrides` that are not None: `data`, `host`, `port`.

    Raises ConfigError that names the file and the field.
    """
    content: dict[str, Any] = {}
    if file is not None:
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"can't read the config file {file}: {error.strerror}", hint="check the path after --config"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file} is not valid TOML: {error}", hint="see docs/guide/configuration.md") from error
    given = {key: value for key, value in overrides.items() if value is not None}
    if "data" in given:
        content["data"] = str(given.pop("data"))
    if isinstance(server := content.get("server", {}), dict):
        content["server"] = {**server, **given}
    try:
        return msgspec.convert(content, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file or 'the command line'}: {error}", hint="see docs/guide/configuration.md") from error
