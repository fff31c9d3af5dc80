"""The system in processes of its own: ingest, several streams and api, over Kafka and ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clickhouse_server import ClickHouseServer
from clients import RetryingClient
from kafka_server import KafkaServer
from running import RunningSystem, eventually

pytestmark = pytest.mark.cluster

_CONFIG = """
log = "{log}/{topic}"
store = "{store}"
profiles = "sqlite:///{folder}/profiles.db"

[kafka]
partitions = 6
"""


class Roles:
    def __init__(self, folder: Path, config: str) -> None:
        self.ingest, self.one, self.other, self.api = (
            RunningSystem(folder / name, config=config, command=command)
            for name, command in (("ingest", "ingest"), ("one", "stream"), ("other", "stream"), ("api", "api"))
        )

    @property
    def streams(self) -> tuple[RunningSystem, RunningSystem]:
        return self.one, self.other

    def partitions(self) -> list[list[int]]:
        """That each of the streams works on."""
        found = []
        for system in self.streams:
            state = system.get("/readyz").json()["stages"]["stream"]
            found.append(state.get("details", {}).get("partitions", []) if state["state"] == "ready" else [])
        return found

    def share_all(self) -> bool:
        one, other = self.partitions()
        return bool(one) and bool(other) and sorted(one + other) == list(range(6))


@pytest.fixture
def roles(kafka: KafkaServer, own_clickhouse: ClickHouseServer, tmp_path: Path) -> Iterator[Roles]:
    config = _CONFIG.format(log=kafka.url, topic=tmp_path.name, store=own_clickhouse.url, folder=tmp_path)
    roles = Roles(tmp_path, config)
    with roles.api, roles.ingest, roles.one, roles.other:
        yield roles


def test_a_stream_that_is_killed_loses_and_doubles_nothing_to_the_one_that_takes_over(roles: Roles) -> None:
    eventually(roles.share_all, "both streams have partitions, and together all", 40)
    with RetryingClient(roles.ingest.url()) as client:
        eventually(lambda: client.acknowledged >= 1_000, "1,000 events acknowledged", 60)
        roles.one.kill9()
        roles.ingest.kill9()
        roles.ingest.start()
        goal = client.acknowledged + 1_000
        eventually(lambda: client.acknowledged >= goal, f"{goal} events acknowledged", 60)
        client.__exit__()
    eventually(lambda: roles.api.total() >= client.acknowledged, "all that was acknowledged is counted", 60)
    eventually(lambda: roles.api.self_metric("streamgauge_stream_lag_events") == 0, "nothing waits in the log", 60)
    assert roles.api.total() == client.acknowledged
    eventually(lambda: roles.api.total("sessions") >= 97, "all sessions are closed", 60)
    assert roles.api.total("sessions") == 97
    assert round(roles.api.total("session_seconds"), 3) == round((client.acknowledged - 97) * 0.097, 3)


def test_an_answer_says_how_fresh_it_is_though_another_process_counts(roles: Roles) -> None:
    roles.ingest.send([{"event": "page_view", "user_id": "ada"}])
    roles.api.wait_until_counted(1)
    question = {"name": "events", "range": "1h"}
    # Counted is before noted: what a stream has committed the others learn a moment later.
    eventually(
        lambda: roles.api.get("/metrics", params=question).headers["Streamgauge-Lag-Ms"] == "0", "no lag is left", 20
    )
    for stream in roles.streams:
        stream.kill9()
    roles.ingest.send([{"event": "page_view", "user_id": user} for user in ("ada", "bob", "eve")])
    eventually(lambda: roles.api.self_metric("streamgauge_stream_lag_events") == 3, "the three are known to wait", 20)
    complete = roles.api.get("/metrics", params=question).headers["Streamgauge-Complete-Up-To"]
    roles.one.start()
    roles.api.wait_until_counted(4)
    assert roles.api.get("/metrics", params=question).headers["Streamgauge-Complete-Up-To"] >= complete
