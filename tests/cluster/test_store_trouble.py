"""A store on a server that refuses inserts, or makes them and loses the answer, under a system that is killed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from clients import BATCH, RetryingClient
from local_cluster.clickhouse import ClickHouseServer
from running import RunningSystem, eventually

pytestmark = pytest.mark.cluster

_ROUNDS = 5


def test_whatever_the_store_refuses_or_leaves_unanswered_every_event_is_counted_exactly_once(
    tmp_path: Path, own_clickhouse: ClickHouseServer
) -> None:
    rng = random.Random(20_265)
    config = f'store = "{own_clickhouse.url}"\n'
    with RunningSystem(tmp_path / "data", config=config) as system, RetryingClient(system.url()) as client:
        own_clickhouse.trouble(refused=0.3, unanswered=0.3)
        for already in range(_ROUNDS):
            goal = client.acknowledged + rng.randrange(BATCH, 3_000)
            eventually(
                lambda goal=goal, already=already: (  # type: ignore[misc]
                    client.acknowledged >= goal and min(own_clickhouse.troubled().values()) > already
                ),
                f"{goal} events are acknowledged, and one more insert failed in each way",
            )
            system.kill9()
            system.start()
        client.__exit__()
        own_clickhouse.trouble(refused=0, unanswered=0)
        system.wait_until_idle()
        assert system.total() == client.acknowledged
        system.wait_until_counted(97, "sessions")
        assert round(system.total("session_seconds"), 3) == round((client.acknowledged - 97) * 0.097, 3)


def test_a_store_that_is_gone_stops_counting_and_not_ingest_and_all_goes_on_when_it_is_back(
    tmp_path: Path, own_clickhouse: ClickHouseServer
) -> None:
    with RunningSystem(tmp_path / "data", config=f'store = "{own_clickhouse.url}"\n') as system:
        system.send([{"event": "before"}] * 10)
        system.wait_until_counted(10)
        own_clickhouse.stop()
        system.send([{"event": "during"}] * 10)
        answer = system.get("/metrics", params={"name": "events", "range": "1h"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        eventually(lambda: system.get("/readyz").status_code == 503, "it says that its store is gone")
        own_clickhouse.start()
        system.wait_until_counted(20)
        eventually(lambda: system.get("/readyz").status_code == 200, "every stage is ready again")
