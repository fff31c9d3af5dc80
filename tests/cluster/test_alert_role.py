"""`streamgauge alert` in processes of its own: one of two evaluates, the other takes over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_cluster.clickhouse import ClickHouseServer
from local_cluster.kafka import KafkaServer
from local_cluster.postgres import PostgresServer
from running import RunningSystem, eventually
from state_places import new_postgres_database

pytestmark = pytest.mark.cluster

RULES = "groups: [{name: g, rules: [{alert: Always, expr: vector(1)}]}]"


@pytest.fixture
def config(kafka: KafkaServer, clickhouse: ClickHouseServer, postgres: PostgresServer, tmp_path: Path) -> str:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yml").write_text(RULES, encoding="utf-8")
    return f"""
        log = "{kafka.url}/{tmp_path.name}"
        store = "{clickhouse.url}"
        state = "{new_postgres_database(postgres)}"
        [alerts]
        rules = "{tmp_path / "rules"}"
        interval = "1s"
        patience = "60s"
    """


@pytest.fixture
def both(config: str, tmp_path: Path) -> Iterator[tuple[RunningSystem, RunningSystem]]:
    with (
        RunningSystem(tmp_path / "one", config=config, command="alert") as one,
        RunningSystem(tmp_path / "other", config=config, command="alert") as other,
    ):
        yield one, other


def evaluations(system: RunningSystem) -> float:
    return system.self_metric("streamgauge_alert_evaluations_total")


def firing(system: RunningSystem) -> list[Any]:
    return [one for one in system.get("/alerts").json()["alerts"] if one["state"] == "firing"]


def test_one_of_two_evaluates_both_answer_and_the_other_takes_over_from_one_that_is_killed(
    both: tuple[RunningSystem, RunningSystem],
) -> None:
    eventually(lambda: any(evaluations(system) for system in both), "one evaluates")
    first, second = both if evaluations(both[0]) else reversed(both)
    eventually(lambda: firing(first) and firing(second), "both know what fires")
    assert evaluations(second) == 0
    began = firing(second)[0]["fired_at"]
    first.kill9()
    eventually(lambda: evaluations(second), "the other takes over")
    assert firing(second)[0]["fired_at"] == began
    changes = second.get("/alerts/history").json()["changes"]
    assert [one["to"] for one in changes] == ["firing"]


def test_state_in_sqlite_is_refused_with_what_to_do(
    kafka: KafkaServer, clickhouse: ClickHouseServer, tmp_path: Path
) -> None:
    config = f'log = "{kafka.url}"\nstore = "{clickhouse.url}"'
    system = RunningSystem(tmp_path / "data", config=config, command="alert")
    system.spawn()
    assert system.wait() == 1
    assert "set state = " in system.output
