"""Numbered imports where several `ingest` processes share one register on Kafka."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cluster.kafka import KafkaServer
from running import RunningSystem, eventually
from streamgauge.log.kafka_cluster import Cluster
from streamgauge.log.kafka_imports import KafkaImports, Registered

pytestmark = pytest.mark.cluster


@pytest.fixture
def cluster(kafka: KafkaServer, tmp_path: Path) -> Cluster:
    return Cluster(f"{kafka.url}/{tmp_path.name}")


def test_an_import_stays_as_it_was_registered_first_whichever_process_is_asked(cluster: Cluster) -> None:
    one, other = KafkaImports(cluster), KafkaImports(cluster)
    assert one.register("p", "a.log", 7) == Registered("a.log", 7, 0, created=True)
    assert other.register("p", "b.log", 9) == Registered("a.log", 7, 0, created=False)
    assert other.register("q", "b.log", 9) == Registered("b.log", 9, 0, created=True)


def test_of_many_who_register_the_same_at_once_one_is_first(cluster: Cluster) -> None:
    registers = [KafkaImports(cluster) for _ in range(4)]
    answers: list[Registered] = []
    threads = [
        threading.Thread(target=lambda number=number, one=one: answers.append(one.register("p", "file", number)))
        for number, one in enumerate(registers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({answer.shift_ms for answer in answers}) == 1
    assert sorted(answer.created for answer in answers) == [False, False, False, True]


def test_what_one_process_accepted_is_known_to_the_others_and_never_less(cluster: Cluster) -> None:
    one, other = KafkaImports(cluster), KafkaImports(cluster)
    one.register("p", "file", 0)
    one.reached("p", 500)
    one.write()
    assert other.register("p", "file", 0).next_sequence == 500
    other.reached("p", 20)  # a second run of the same import, which is behind
    other.write()
    assert one.register("p", "file", 0).next_sequence == 500


@pytest.fixture
def ingests(kafka: KafkaServer, tmp_path: Path) -> Iterator[tuple[RunningSystem, RunningSystem]]:
    config = f'log = "{kafka.url}/{tmp_path.name}"\n'
    one, other = (RunningSystem(tmp_path / name, config=config, command="ingest") for name in ("one", "other"))
    with one, other:
        yield one, other


def test_an_import_goes_on_at_another_ingest_where_it_stopped(ingests: tuple[RunningSystem, RunningSystem]) -> None:
    one, other = ingests
    wanted = {"producer": "p", "source": "file", "shift_ms": 3}
    assert one.post("/imports", json=wanted).json()["created"] is True
    headers = {"Streamgauge-Producer": "p", "Streamgauge-Sequence": "10"}
    assert one.post("/events", json=[{"event": "numbered"}] * 5, headers=headers).status_code == 202
    eventually(
        lambda: other.post("/imports", json={**wanted, "shift_ms": 9}).json()["next_sequence"] == 15, "15 is known"
    )
    found = other.post("/imports", json={**wanted, "shift_ms": 9}).json()
    assert found == {**wanted, "next_sequence": 15, "created": False}
