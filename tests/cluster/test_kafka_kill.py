"""The system with its log on Kafka, while the broker or the system itself gets SIGKILL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from clients import BATCH, NumberedClient, RetryingClient
from local_cluster.kafka import KafkaServer
from running import RunningSystem, eventually

pytestmark = pytest.mark.cluster

_CONFIG = """
log = "{url}/events"

[kafka]
delivery_s_max = 2.0
"""


@pytest.fixture
def system(own_kafka: KafkaServer, tmp_path: Path) -> Iterator[RunningSystem]:
    with RunningSystem(tmp_path / "data", config=_CONFIG.format(url=own_kafka.url)) as system:
        yield system


def test_a_broker_that_is_killed_and_comes_back_loses_and_doubles_nothing(
    own_kafka: KafkaServer, system: RunningSystem
) -> None:
    rng = random.Random(20_264)
    with RetryingClient(system.url()) as client:
        for _ in range(3):
            goal = client.acknowledged + rng.randrange(BATCH, 2_000)
            eventually(lambda goal=goal: client.acknowledged >= goal, f"{goal} events acknowledged", 60)  # type: ignore[misc]
            own_kafka.kill()
            assert system.is_running, system.output
            own_kafka.start()
        goal = client.acknowledged + BATCH
        eventually(lambda: client.acknowledged >= goal, "events are accepted again", 60)
        client.__exit__()
    eventually(lambda: system.total() >= client.acknowledged, "all that was acknowledged is counted", 60)
    system.wait_until_idle()
    assert system.total() == client.acknowledged
    system.wait_until_counted(97, "sessions")
    assert round(system.total("session_seconds"), 3) == round((system.total() - 97) * 0.097, 3)


def test_while_no_broker_answers_ingest_says_when_to_try_again_and_questions_are_answered(
    own_kafka: KafkaServer, system: RunningSystem
) -> None:
    system.send([{"event": "page_view"}])
    system.wait_until_counted(1)
    own_kafka.kill()
    refused = system.post("/events", json={"event": "page_view"})
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["error"]["code"] == "unavailable"
    assert system.total() == 1
    assert system.get("/readyz").status_code == 503
    own_kafka.start()
    eventually(lambda: system.post("/events", json={"event": "page_view"}).status_code == 202, "accepted again", 60)
    system.wait_until_counted(2)


def test_a_system_on_kafka_that_is_killed_counts_each_event_once(system: RunningSystem) -> None:
    rng = random.Random(20_265)
    with NumberedClient(system.url()) as client:
        for _ in range(3):
            goal = client.acknowledged + rng.randrange(BATCH, 3_000)
            while client.acknowledged < goal:
                assert system.is_running, system.output
            system.kill9()
            system.start()
        client.__exit__()
    system.wait_until_counted(client.acknowledged)
    system.wait_until_idle()
    assert system.total() == client.acknowledged
    assert system.stop() == 0
    system.start()
    assert system.total() == client.acknowledged


def test_records_that_others_write_to_the_topic_are_dead_letters(own_kafka: KafkaServer, system: RunningSystem) -> None:
    producer = Producer({"bootstrap.servers": f"127.0.0.1:{own_kafka.port}"})
    for value in (b'{"event": "page_view"}', b"two\nlines", b"", None, b"\xff\xfe"):
        producer.produce("events", value, b"someone")
    producer.flush(20)
    system.send([{"event": "page_view"}])
    system.wait_until_counted(1)
    eventually(
        lambda: system.self_metric("streamgauge_stream_dropped_total", reason="undecodable") == 5, "five dropped"
    )
    letters = system.get("/dead-letter", params={"reason": "undecodable"}).json()["letters"]
    assert {letter["original"] for letter in letters} >= {'{"event": "page_view"}', "two lines"}
