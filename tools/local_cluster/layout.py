"""What the cluster profile is made of on one machine: every server, by its name, in the order they need each other."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_cluster.clickhouse import ClickHouseServer
from local_cluster.counting import JobManager, TaskManager
from local_cluster.flink import FlinkServer
from local_cluster.kafka import KafkaServer
from local_cluster.ports import Ports
from local_cluster.postgres import PostgresServer
from local_cluster.process import as_user
from local_cluster.profiles import make_profiles
from local_cluster.redis import RedisServer
from local_cluster.role import RoleServer
from local_cluster.settings_file import write_settings
from local_cluster.supervisor import Part

REPLICAS: Final = 2
_FLINK_SLOTS: Final = 2
_CACHE_BYTES: Final = 128 * 1024 * 1024
_SETTINGS: Final = "streamgauge.toml"


@dataclass(frozen=True)
class Layout:
    """`stages`: what starts side by side; `stop_order`: in which they end, the flow's."""

    stages: list[list[Part]]
    stop_order: list[Part]
    settings_file: Path
    kafka: KafkaServer
    clickhouse: ClickHouseServer
    postgres: PostgresServer
    redis: RedisServer
    ingests: list[RoleServer]
    apis: list[RoleServer]
    flink: FlinkServer | None
    """None where the embedded runner counts."""

    @property
    def parts(self) -> Iterator[Part]:
        for stage in self.stages:
            yield from stage


def lay_out(folder: Path, ports: Ports, kafka_jars: Path, flink_home: Path | None) -> Layout:
    """Nothing is started yet; the config file is written. `flink_home`: None where the embedded runner counts. Raises
    NotReady for what isn't installed."""
    logs = folder / "logs"
    flink_port = ports.of("flink")  # also where none runs, so that choosing what counts moves nothing
    kafka = KafkaServer(folder / "kafka", kafka_jars, ports.of("kafka"), logs / "kafka.log")
    clickhouse = ClickHouseServer(folder / "clickhouse", ports.of("clickhouse"), logs / "clickhouse.log")
    postgres = PostgresServer(postgres_folder(folder), ports.of("postgres"), logs / "postgres.log")
    redis = RedisServer(folder / "redis", ports.of("redis"), logs / "redis.log", bytes_max=_CACHE_BYTES)
    servers = [
        Part("kafka", kafka, f"127.0.0.1:{kafka.port}", logs / "kafka.log"),
        Part("clickhouse", clickhouse, f"http://127.0.0.1:{clickhouse.port}", logs / "clickhouse.log"),
        Part(
            "postgres",
            postgres,
            f"127.0.0.1:{postgres.port}",
            logs / "postgres.log",
            lambda: make_profiles(postgres.url),
        ),
        Part("redis", redis, redis.url, logs / "redis.log"),
    ]
    settings_file = folder / _SETTINGS

    def roles(role: str, count: int = REPLICAS) -> list[Part]:
        names = [f"{role}-{number}" for number in range(1, count + 1)]
        grpc = [ports.of(f"grpc-{number}") if role == "ingest" else None for number in range(1, count + 1)]
        opened = [
            (name, RoleServer(role, settings_file, ports.of(name), logs / f"{name}.log", grpc_port))
            for name, grpc_port in zip(names, grpc, strict=True)
        ]
        return [Part(name, server, server.url, logs / f"{name}.log") for name, server in opened]

    flink = None
    if flink_home is not None:
        flink = FlinkServer(folder / "flink", flink_home, slots=_FLINK_SLOTS, port=flink_port, logs=logs)
    ingest, api, alert = roles("ingest"), roles("api"), roles("alert")
    counting = roles("stream") if flink is None else [*_flink_parts(flink, settings_file, logs), *roles("loader", 1)]
    ingests, apis = ([part.server for part in parts if isinstance(part.server, RoleServer)] for parts in (ingest, api))
    write_settings(
        settings_file,
        {
            "data": str(folder / "roles"),
            "log": f"{kafka.url}/events",
            "store": clickhouse.url,
            "profiles": postgres.url,
            "cache": redis.url,
            "state": postgres.url,
            "runner": "embedded" if flink is None else f"flink://{flink.address}",
        },
        {} if flink is None else {"parallelism": _FLINK_SLOTS, "state": f"file://{folder}/flink"},
        _address(ingests[0].port),
    )
    return Layout(
        # Ingest makes the topic of events, so that not all who need it begin by making it.
        stages=[servers, ingest, [*counting, *api, *alert]],
        stop_order=[*ingest, *counting, *alert, *api],
        settings_file=settings_file,
        kafka=kafka,
        clickhouse=clickhouse,
        postgres=postgres,
        redis=redis,
        ingests=ingests,
        apis=apis,
        flink=flink,
    )


def _flink_parts(flink: FlinkServer, settings_file: Path, logs: Path) -> list[Part]:
    manager, where = JobManager(flink, settings_file), f"http://{flink.address}"
    return [
        Part("jobmanager", manager, where, logs / "jobmanager.log", manager.run_job),
        Part("taskmanager", TaskManager(flink), "", logs / "taskmanager.log"),
    ]


def postgres_folder(folder: Path) -> Path:
    """In `folder`, unless PostgreSQL's own user couldn't get there, as in the home of root."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return folder / "postgres"
    reaches = subprocess.run([*as_user("postgres"), "test", "-x", str(folder)], check=False, capture_output=True)
    if reaches.returncode == 0:
        return folder / "postgres"
    return Path("/var/tmp") / f"streamgauge-{hashlib.sha256(bytes(folder)).hexdigest()[:12]}" / "postgres"  # noqa: S108


def _address(port: int) -> str:
    return f"http://localhost:{port}"
