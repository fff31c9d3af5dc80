"""Flink counts while what it needs is killed, one after the other: every acknowledged event is counted once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clickhouse_server import ClickHouseServer
from clients import RetryingClient
from flink_server import FlinkJob
from kafka_server import KafkaServer
from local_cluster.flink import FlinkServer
from local_cluster.postgres import PostgresServer
from running import RunningSystem, eventually

pytestmark = pytest.mark.cluster

_RECOVERY_S_MAX = 180.0
_CONFIG = """
log = "{log}/{topic}"
store = "{store}"
profiles = "{profiles}"
runner = "flink://{flink}"

[kafka]
partitions = 2

[flink]
profile_cache_s = 1
state = "file://{folder}/state"
"""


class Counted:
    """The whole way with Flink in it: ingest, job, loader and api."""

    def __init__(self, folder: Path, config: str, flink: FlinkServer) -> None:
        self.job = FlinkJob(flink, folder, config)
        self.ingest, self.loader, self.api = (
            RunningSystem(folder / name, config=config, command=name) for name in ("ingest", "loader", "api")
        )

    def goes_on(self, client: RetryingClient) -> None:
        """Until what is acknowledged now is counted: Flink has recovered."""
        goal = client.acknowledged + 200
        eventually(lambda: client.acknowledged >= goal, f"{goal} events acknowledged", _RECOVERY_S_MAX)
        eventually(lambda: self.api.total() >= goal, f"{goal} events counted: {self.state()}", _RECOVERY_S_MAX)

    def state(self) -> str:
        return f"{self.api.total()} counted; {self.job.run('status')}"


@pytest.fixture
def counted(
    own_kafka: KafkaServer,
    own_clickhouse: ClickHouseServer,
    own_flink: FlinkServer,
    profile_server: PostgresServer,
    tmp_path: Path,
) -> Iterator[Counted]:
    config = _CONFIG.format(
        log=own_kafka.url,
        topic="shop",
        store=own_clickhouse.url,
        profiles=profile_server.url,
        flink=own_flink.address,
        folder=tmp_path,
    )
    counted = Counted(tmp_path, config, own_flink)
    with counted.ingest, counted.job, counted.loader, counted.api:
        yield counted


def test_whatever_is_killed_every_event_is_counted_once(
    counted: Counted, own_kafka: KafkaServer, own_flink: FlinkServer, profile_server: PostgresServer
) -> None:
    def broker() -> None:
        own_kafka.kill()
        own_kafka.start()

    def task_manager() -> None:
        own_flink.taskmanager.kill()
        own_flink.taskmanager.launch()

    def loader() -> None:
        counted.loader.kill9()
        counted.loader.start()

    def profiles() -> None:
        profile_server.stop()
        _wait_for_restart(counted.job)
        profile_server.start()

    def savepoint() -> None:
        counted.job.run("stop")
        counted.job.run("submit")

    troubles: list[Callable[[], None]] = [task_manager, loader, broker, profiles, savepoint, task_manager]
    with RetryingClient(counted.ingest.url()) as client:
        counted.goes_on(client)
        for trouble in troubles:
            trouble()
            counted.goes_on(client)
        client.__exit__()
    done = client.acknowledged
    eventually(lambda: counted.api.total() >= done, f"{done} counted", _RECOVERY_S_MAX)
    eventually(lambda: counted.api.total("sessions") >= 97, "all sessions are closed", _RECOVERY_S_MAX)
    _settle(counted)
    assert counted.api.total() == done
    assert counted.api.total("sessions") == 97
    assert round(counted.api.total("session_seconds"), 3) == round((done - 97) * 0.097, 3)


def _wait_for_restart(job: FlinkJob) -> None:
    """Until Flink has noticed: events of users that it hasn't looked up lately are needed for that."""
    eventually(lambda: "RUNNING" not in job.run("status"), "the job can't go on without profiles", _RECOVERY_S_MAX)


def _settle(counted: Counted) -> None:
    """Until the total has stayed for some commits of Flink: what came twice would come by then."""
    seen, since = counted.api.total(), time.monotonic()

    def is_settled() -> bool:
        nonlocal seen, since
        if (now := counted.api.total()) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > 5

    eventually(is_settled, "the total stays", 60)
