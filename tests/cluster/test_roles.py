"""The system in processes of its own: ingest, several streams and api, over Kafka and ClickHouse."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients import Asker, BalancedClient, RetryingClient
from local_cluster.clickhouse import ClickHouseServer
from local_cluster.kafka import KafkaServer
from running import RunningSystem, eventually

pytestmark = pytest.mark.cluster

_CONFIG = """
log = "{log}/{topic}"
store = "{store}"
profiles = "sqlite:///{folder}/profiles.db"

[kafka]
partitions = 6
"""

_ANSWER_S_MAX = 5
"""Of a part that waits for no other that is away. The slowest asks two of them, a second each."""


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


class OneOfEach:
    """Over a broker that the test may kill."""

    def __init__(self, folder: Path, config: str) -> None:
        self.ingest, self.stream, self.api = (
            RunningSystem(folder / name, config=config, command=name) for name in ("ingest", "stream", "api")
        )


@pytest.fixture
def roles(kafka: KafkaServer, own_clickhouse: ClickHouseServer, tmp_path: Path) -> Iterator[Roles]:
    config = _CONFIG.format(log=kafka.url, topic=tmp_path.name, store=own_clickhouse.url, folder=tmp_path)
    roles = Roles(tmp_path, config)
    with roles.api, roles.ingest, roles.one, roles.other:
        yield roles


@pytest.fixture
def one_of_each(own_kafka: KafkaServer, own_clickhouse: ClickHouseServer, tmp_path: Path) -> Iterator[OneOfEach]:
    config = _CONFIG.format(log=own_kafka.url, topic="events", store=own_clickhouse.url, folder=tmp_path)
    one = OneOfEach(tmp_path, config)
    with one.api, one.ingest, one.stream:
        yield one


def test_streams_hand_partitions_over_exactly_though_they_are_killed_and_stopped_at_random(roles: Roles) -> None:
    eventually(roles.share_all, "both streams have partitions, and together all", 40)
    rng = random.Random(4_104)
    with RetryingClient(roles.ingest.url()) as client:
        for _ in range(6):
            goal = client.acknowledged + rng.randrange(100, 600)
            eventually(lambda goal=goal: client.acknowledged >= goal, f"{goal} events acknowledged", 60)  # type: ignore[misc]
            stream = rng.choice(roles.streams)
            rng.choice([stream.kill9, stream.stop])()
            stream.start()
            eventually(roles.share_all, "the partitions are shared again", 40)
        client.__exit__()
    eventually(lambda: roles.api.total() >= client.acknowledged, "all that was acknowledged is counted", 60)
    eventually(lambda: roles.api.self_metric("streamgauge_stream_lag_events") == 0, "nothing waits in the log", 60)
    assert roles.api.total() == client.acknowledged


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


def test_what_one_process_counts_another_shows_live_also_after_the_broker_was_killed(
    one_of_each: OneOfEach, own_kafka: KafkaServer
) -> None:
    shown = _shown_live(one_of_each, "before")
    assert shown["metrics"]["events"] == shown["events_count"]
    assert {event["event"] for event in shown["sample"]} == {"before"}
    own_kafka.kill()
    own_kafka.start()
    _shown_live(one_of_each, "after")


def test_each_part_is_ready_only_while_it_can_do_its_work(
    one_of_each: OneOfEach, own_kafka: KafkaServer, own_clickhouse: ClickHouseServer
) -> None:
    ingest, stream, api = one_of_each.ingest, one_of_each.stream, one_of_each.api

    def ready() -> list[bool]:
        return [_is_ready(system) for system in (ingest, stream, api)]

    assert ready() == [True, True, True]
    own_kafka.kill()
    eventually(lambda: ready() == [False, False, True], "without Kafka only questions are answered")
    for _ in range(3):
        api.get("/metrics", params={"name": "events", "range": "1h"}, timeout=_ANSWER_S_MAX).raise_for_status()
    own_kafka.start()
    eventually(lambda: ready() == [True, True, True], "all work again", 60)
    own_clickhouse.stop()
    ingest.send([{"event": "page_view"}])
    eventually(lambda: ready() == [True, False, False], "without the store events are still taken")
    own_clickhouse.start()
    eventually(lambda: ready() == [True, True, True], "all work again", 60)
    api.wait_until_counted(1)


def test_each_ingest_stream_and_api_is_restarted_while_events_come_and_questions_are_asked(
    roles: Roles, tmp_path: Path
) -> None:
    config = (tmp_path / "ingest.toml").read_text(encoding="utf-8")
    ingests = [roles.ingest, RunningSystem(tmp_path / "ingest-2", config=config, command="ingest")]
    apis = [roles.api, RunningSystem(tmp_path / "api-2", config=config, command="api")]
    eventually(roles.share_all, "both streams have partitions, and together all", 40)
    with ExitStack() as stack:
        for system in (ingests[1], apis[1]):
            stack.enter_context(system)
        client = stack.enter_context(BalancedClient([system.url() for system in ingests]))
        asker = stack.enter_context(Asker([system.url() for system in apis], "/metrics?name=events&range=7d"))
        for system in (*ingests, *roles.streams, *apis):
            _restart(system)
            eventually(roles.share_all, "the partitions are shared", 40)
            goal, answers = client.acknowledged + 100, asker.answered + 3
            eventually(lambda goal=goal: client.acknowledged >= goal, "events come", 60)  # type: ignore[misc]
            eventually(lambda answers=answers: asker.answered >= answers, "questions are answered", 60)  # type: ignore[misc]
        client.__exit__()
        asker.__exit__()
        assert (client.failures, asker.failures) == ([], [])
        eventually(lambda: roles.api.total() >= client.acknowledged, "all that was acknowledged is counted", 60)
        eventually(lambda: roles.api.self_metric("streamgauge_stream_lag_events") == 0, "nothing waits in the log", 60)
        assert roles.api.total() == client.acknowledged


def _is_ready(system: RunningSystem) -> bool:
    """As whoever probes takes it: no answer is a no."""
    try:
        return system.get("/readyz", timeout=_ANSWER_S_MAX).status_code == 200
    except httpx.TimeoutException:
        return False


def _restart(system: RunningSystem) -> None:
    """As a supervisor does it that replaces one after the other."""
    system.signal(signal.SIGTERM)

    def says_so() -> bool:
        answer = system.get("/readyz")
        states = {stage["state"] for stage in answer.json()["stages"].values()}
        return (answer.status_code, "stopping" in states) == (503, True)

    eventually(says_so, "it says that it goes, while it still answers", 2)
    assert system.wait() == 0, system.output
    assert not any(bad in system.output for bad in (" ERROR ", "Traceback")), system.output
    system.start()


def _shown_live(one: OneOfEach, name: str) -> dict[str, Any]:
    """The first update that shows an event of that name, of which one is sent every second until then."""
    end_s = time.monotonic() + 60
    with one.api.live() as told:
        for kind, content in told:
            if kind == "update" and any(event["event"] == name for event in content["sample"]):
                return dict(content)
            assert time.monotonic() < end_s, one.stream.output
            if kind != "update":
                one.ingest.post("/events", json={"event": name})
    pytest.fail("the live view ended")
