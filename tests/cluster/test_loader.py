"""Loaders on a real broker: the rows of a transactional producer are in ClickHouse exactly once, whatever is killed."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from confluent_kafka import Producer

from clickhouse_server import ClickHouseServer
from kafka_server import KafkaServer
from running import RunningSystem, eventually

pytestmark = pytest.mark.cluster

PARTITIONS = 3
NOON_S = int(time.time()) // 86_400 * 86_400 - 43_200
"""Of yesterday: the store forgets events after some days."""
_CONFIG = """
log = "{log}/{topic}"
store = "{store}"
runner = "flink://127.0.0.1:8081"

[kafka]
partitions = 3

[loader]
batch_rows_min = 100
batch_s_max = 0.2
"""


class Rows:
    """What Flink's sink does: rows in transactions, of which some are taken back. `written` of each table's rows were
    committed."""

    def __init__(self, kafka: KafkaServer, topic: str, name: str = "one") -> None:
        self._topic = topic
        self._producer = Producer(
            {
                "bootstrap.servers": f"127.0.0.1:{kafka.port}",
                "transactional.id": f"{topic}-{name}",
                "compression.type": "zstd",
                "linger.ms": 1,
            }
        )
        self._producer.init_transactions(30)
        self.written = 0

    def write(self, count: int, *, aborted: bool = False) -> None:
        """So many metrics and events: each metric has the value 1, and numbers say which event it is."""
        self._producer.begin_transaction()
        for number in range(self.written, self.written + count):
            self.send("metrics", metric(number), number)
            self.send("events", event(number), number)
        if aborted:
            self._producer.flush(30)
            self._producer.abort_transaction(30)
        else:
            self._producer.commit_transaction(30)
            self.written += count

    def write_each(self, rows: list[tuple[str, Any]]) -> None:
        self._producer.begin_transaction()
        for number, (table, row) in enumerate(rows):
            self.send(table, row, number)
        self._producer.commit_transaction(30)

    def say_complete(self, up_to_ms: int) -> None:
        self._producer.begin_transaction()
        self._producer.produce(f"{self._topic}.progress", json.dumps({"complete_up_to_ms": up_to_ms}), partition=0)
        self._producer.commit_transaction(30)

    def send(self, table: str, row: Any, number: int) -> None:
        value = row if isinstance(row, bytes | None) else json.dumps(row)
        self._producer.produce(f"{self._topic}.{table}", value, partition=number % PARTITIONS)
        self._producer.poll(0)


def metric(number: int) -> dict[str, Any]:
    # Over two days, so that a batch is two parts in the store.
    at = NOON_S + number % 2 * 43_200
    return {"timestamp": at, "metric_name": "events", "value": 1, "dimensions": {"event": "page_view", "country": "AT"}}


def event(number: int) -> dict[str, Any]:
    return {
        "event_id": f"id-{number}",
        "event": "page_view",
        "timestamp": NOON_S * 1000,
        "received_at": NOON_S * 1000 + number % 2 * 43_200_000,
        "user_id": f"u{number % 97}",
        "anonymous_id": "",
        "properties": "{}",
        "enriched": "",
        "log_partition": number % PARTITIONS,
        "log_offset": number // PARTITIONS,
    }


class Store:
    def __init__(self, server: ClickHouseServer) -> None:
        self._client = clickhouse_connect.get_client(host="127.0.0.1", port=server.port)

    def ask(self, sql: str) -> Any:
        return self._client.query(sql).result_rows[0][0]

    def metrics(self) -> float:
        return float(self.ask("SELECT sum(value) FROM metrics"))

    def events(self) -> tuple[int, int]:
        """Rows, and how many of them are not the same."""
        rows = self._client.query("SELECT count(), uniqExact(event_id) FROM events").result_rows
        return int(rows[0][0]), int(rows[0][1])


@pytest.fixture
def config(kafka: KafkaServer, own_clickhouse: ClickHouseServer, tmp_path: Path) -> str:
    return _CONFIG.format(log=kafka.url, topic=tmp_path.name, store=own_clickhouse.url)


@pytest.fixture
def loader(config: str, tmp_path: Path) -> Iterator[RunningSystem]:
    with RunningSystem(tmp_path / "loader", config=config, command="loader") as loader:
        yield loader


@pytest.fixture
def store(loader: RunningSystem, own_clickhouse: ClickHouseServer) -> Store:
    return Store(own_clickhouse)  # with the tables that the loader makes


def test_committed_rows_are_loaded_and_others_are_not(
    loader: RunningSystem, store: Store, kafka: KafkaServer, tmp_path: Path
) -> None:
    rows = Rows(kafka, tmp_path.name)
    rows.write(1_000)
    rows.write(500, aborted=True)
    rows.write(500)
    eventually(lambda: store.events()[0] >= 1_500 and store.metrics() >= 1_500, "loaded", 90)
    eventually(lambda: loader.self_metric("streamgauge_loader_lag_rows") == 0, "no offset is left, rows or not", 20)
    assert store.metrics() == 1_500
    assert store.events() == (1_500, 1_500)
    assert loader.stop() == 0
    assert " ERROR " not in loader.output


def test_answers_are_complete_up_to_what_a_loader_noted_and_not_to_what_flink_committed(
    loader: RunningSystem, store: Store, config: str, kafka: KafkaServer, tmp_path: Path
) -> None:
    rows = Rows(kafka, tmp_path.name)
    with RunningSystem(tmp_path / "api", config=config, command="api") as api:

        def complete_up_to_s() -> float:
            return float(api.self_metric("streamgauge_stream_complete_up_to_seconds") or 0)

        rows.write(100)
        for second in (1, 2):
            rows.say_complete((NOON_S + second) * 1000)
        eventually(lambda: complete_up_to_s() == NOON_S + 1, "complete up to the first word", 60)
        loader.kill9()
        rows.write(100)
        for second in (10, 11):
            rows.say_complete((NOON_S + second) * 1000)
        eventually(lambda: api.self_metric("streamgauge_loader_waiting_rows", table="events"), "rows wait", 30)
        assert complete_up_to_s() <= NOON_S + 2  # what was said before; none of the new rows
        assert store.metrics() == 100
        stages = api.get("/readyz").json()["stages"]
        assert stages["loader"]["details"]["waiting_rows"] >= 200
        loader.start()
        eventually(lambda: complete_up_to_s() >= NOON_S + 10, "complete up to the word after the rows", 60)
        assert store.metrics() == 200
        eventually(lambda: api.self_metric("streamgauge_loader_waiting_rows", table="events") == 0, "no row waits", 30)
        assert api.stop() == 0


def _writing(rows: Rows, transactions: int, rng: random.Random) -> threading.Thread:
    """In the background: transactions of some rows, one in five of them taken back."""

    def write() -> None:
        for _ in range(transactions):
            rows.write(rng.randrange(20, 300), aborted=rng.random() < 0.2)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def _wait_for(store: Store, rows: Rows) -> None:
    eventually(lambda: min(store.events()[0], store.metrics()) >= rows.written, "all is loaded", 90)
    assert store.metrics() == rows.written
    assert store.events() == (rows.written, rows.written)


def test_a_loader_that_is_killed_again_and_again_loads_every_row_once_though_the_store_refuses_and_loses_answers(
    loader: RunningSystem, store: Store, own_clickhouse: ClickHouseServer, kafka: KafkaServer, tmp_path: Path
) -> None:
    rng = random.Random(20_266)
    rows = Rows(kafka, tmp_path.name)
    own_clickhouse.trouble(refused=0.15, unanswered=0.15)
    writing = _writing(rows, 40, rng)
    for _ in range(4):
        before = store.metrics()
        eventually(lambda before=before: store.metrics() > before or not writing.is_alive(), "some more is loaded", 60)  # type: ignore[misc]
        loader.kill9()
        loader.start()
    writing.join(120)

    def is_troubled_in_both_ways() -> bool:
        rows.write(20)  # after the last kill
        return min(own_clickhouse.troubled().values()) > 0

    eventually(is_troubled_in_both_ways, "inserts are refused, and made without an answer", 90)
    own_clickhouse.trouble(refused=0, unanswered=0)
    _wait_for(store, rows)


def test_two_loaders_share_the_partitions_and_one_that_is_killed_is_replaced_by_the_other(
    loader: RunningSystem, store: Store, config: str, kafka: KafkaServer, tmp_path: Path
) -> None:
    rows = Rows(kafka, tmp_path.name)

    def shared() -> list[int]:
        states = [system.get("/readyz").json()["stages"]["loader"] for system in (loader, other)]
        return [len(state.get("details", {}).get("partitions", [])) for state in states]

    with RunningSystem(tmp_path / "other", config=config, command="loader") as other:
        eventually(lambda: sum(shared()) == 18 and min(shared()) > 5, "both have partitions, and together all", 60)
        writing = _writing(rows, 20, random.Random(20_267))
        eventually(lambda: store.metrics() > 0, "some is loaded", 60)
        loader.kill9()
        writing.join(120)
        _wait_for(store, rows)
        loader.start()
        assert other.stop() == 0
        rows.write(200)
        _wait_for(store, rows)


def test_a_record_that_is_no_row_is_a_dead_letter_with_its_reason(
    loader: RunningSystem, store: Store, kafka: KafkaServer, tmp_path: Path
) -> None:
    rows = Rows(kafka, tmp_path.name)
    rows.write_each([("metrics", b"no row"), ("metrics", metric(1)), ("sessions", None), ("events", event(1))])
    eventually(lambda: store.ask("SELECT count() FROM dead_letter") == 2, "two dead letters", 60)
    assert store.ask("SELECT count() FROM dead_letter WHERE reason = 'undecodable_row' AND original = 'no row'") == 1
    assert loader.self_metric("streamgauge_loader_undecodable_total", table="metrics") == 1
    eventually(lambda: store.metrics() == 1 and store.events() == (1, 1), "the others are loaded", 60)
