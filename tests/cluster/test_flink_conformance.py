"""The same recorded stream through the embedded runner and through Flink: equal rows in every table."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from clickhouse_server import ClickHouseServer
from flink_server import FlinkJob
from kafka_server import KafkaServer
from local_cluster.flink import FlinkServer
from local_cluster.postgres import PostgresServer
from running import RunningSystem, eventually
from streamgauge.config import KafkaSettings
from streamgauge.log.base import Record
from streamgauge.log.kafka import KafkaLog
from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS, Envelope, Rejection

pytestmark = pytest.mark.cluster

PARTITIONS = 2
_GAP_MS = 30 * MINUTE_MS
_CONFIG = """
log = "{log}/{topic}"
store = "{store}"
profiles = "{profiles}"
runner = "{runner}"

[kafka]
partitions = 2

[[rollups]]
name = "page_views"
event = "page_view"
dimensions = ["country", "page", "user_country"]

[[rollups]]
name = "events"
dimensions = ["event", "device", "plan"]

[[rollups]]
name = "revenue"
event = "purchase"
measure = {{ sum = "price" }}
where = {{ currency = ["EUR", "it's"], paid = true, rate = 1.5 }}
dimensions = ["country"]

[[rollups]]
name = "dearest"
event = "purchase"
measure = {{ max = "price" }}
window = "1h"

[[rollups]]
name = "cheapest"
measure = {{ min = "price" }}
dimensions = ["odd"]
window = "5m"
"""

_TABLES = {
    "metrics": """
        SELECT timestamp, metric_name, dimensions, round(sum(value), 6) AS total FROM metrics
        GROUP BY ALL HAVING total != 0 ORDER BY ALL""",
    "metrics_extremes": """
        SELECT timestamp, metric_name, dimensions, if(metric_name = 'dearest', max(value_max), min(value_min))
        FROM metrics_extremes GROUP BY ALL ORDER BY ALL""",
    # Not `opened_at`, by which a session is known: the time of the first event that came, in a batch, or alone.
    "sessions": """
        SELECT user_id, is_anonymous, started_at, ended_at, events, page_views, entry_page, exit_page,
            country, device, is_open, received_at, identified_user_id FROM sessions FINAL ORDER BY ALL""",
    # Of a record that is no event there is no time in it, and each says in its own words what is wrong.
    "dead_letter": """
        SELECT reason, if(reason = 'undecodable', substring(message, 1, 50), message) AS why, event_id, original,
            log_partition, log_offset, if(reason = 'undecodable', NULL, received_at) AS received
        FROM dead_letter ORDER BY ALL""",
    "duplicates": "SELECT * FROM duplicates ORDER BY ALL",
    "events": """
        SELECT event_id, event, timestamp, received_at, user_id, anonymous_id, properties, enriched, log_partition,
            log_offset FROM events ORDER BY ALL""",
}


class Recording:
    """Some thousand records: repeated, late, out of order, numbered, refused and broken ones; sessions that late events
    extend, open again and join, and such as are exactly a gap apart."""

    def __init__(self, seed: int, count: int = 4_000) -> None:
        self._random = random.Random(seed)
        self._now_ms = int(time.time() * 1000) // 1000 * 1000
        self.records = [self._any(number) for number in range(count)]
        self.records += [self._numbered(number) for number in (0, 1, 2, 3, 1, 2, 3, 4)]
        self.records += self._chain()

    def _any(self, number: int) -> Record:
        rng, now = self._random, self._now_ms - 4_000 + number
        kind = rng.random()
        if kind < 0.01:
            return Record(b"?", rng.choice([b"garbage", b"\t\t\t", b'{"event": "page_view"}', "Zoë".encode()]))
        if kind < 0.02:
            refused = Envelope(
                f"r{number}", "", now, now, rejection=Rejection("no_event", "why"), original='{"a":"\\t"}'
            )
            return Record(b"?", refused.to_line())
        user = f"u{rng.randrange(60)}"
        anonymous = rng.random() < 0.2
        # So few moments and ids that many are the same.
        at = now - HOUR_MS - rng.choice([0, 1, 2, 3, 8, 9]) * 10 * MINUTE_MS - rng.randrange(3) * MINUTE_MS
        at = rng.choice([at] * 30 + [now - 2 * DAY_MS, now // 1000, now + HOUR_MS, at - 20 * HOUR_MS])
        envelope = Envelope(
            f"id{rng.randrange(3_500)}",
            rng.choice(["page_view"] * 3 + ["purchase", "click"]),
            at,
            now,
            user_id=None if anonymous else user,
            anonymous_id=rng.choice([user, "a\tb"]) if anonymous else rng.choice([None, None, user, "x"]),
            properties=self._properties(),
        )
        return Record((envelope.anonymous_id or envelope.user_id or "").encode(), envelope.to_line())

    def _properties(self) -> dict[str, Any]:
        rng = self._random
        choices: dict[str, Sequence[Any]] = {
            "country": ["DE", "AT", "", None, "Côte d'Ivoire", 7],
            "page": ["/", "/a", "/b?q=\\", "/" + "ä" * 600, 404.0, True],
            "device": ["mobile", "desktop", None],
            "price": [1, 2.25, "3.5", "x", 1e101, -4, None, "", "1e3", "inf"],
            "currency": ["EUR", "it's", "USD"],
            "paid": [True, False, "true"],
            "rate": [1.5, "1.5", 2],
            "odd": [{"a": [1, "é"]}, [1, 2.0], "(other)", 12345678901234567890, -0.0, "tab\tnewline\n"],
            "user_country": ["own", None],
        }
        names = [name for name in choices if rng.random() < 0.8]
        return {name: rng.choice(choices[name]) for name in names}

    def _numbered(self, number: int) -> Record:
        """Of an import: no time is too late for it, and its numbers only rise."""
        at = self._now_ms - 3 * DAY_MS + number * 1000
        envelope = Envelope(
            f"import:{number}", "page_view", at, self._now_ms, "importer", producer="import", sequence=number
        )
        return Record(b"importer", envelope.to_line())

    def _chain(self) -> list[Record]:
        """Exactly a gap apart, a millisecond less, and a late one that joins what was apart."""
        start = self._now_ms - 5 * HOUR_MS
        moments = {
            "exact": [0, _GAP_MS, 2 * _GAP_MS],
            "touching": [0, _GAP_MS - 1],
            "joined": [0, _GAP_MS + 5, 3 * _GAP_MS, _GAP_MS - 1, 2 * _GAP_MS + 4],
        }
        return [
            Record(user.encode(), Envelope(f"{user}{at}", "page_view", start + at, self._now_ms, user).to_line())
            for user, ats in moments.items()
            for at in ats
        ]


def write(url: str, records: Sequence[Record]) -> None:
    """In the order in which they are given, in several appends."""

    async def append() -> None:
        log = await KafkaLog.open(url, KafkaSettings(partitions=PARTITIONS), 7)
        for start in range(0, len(records), 500):
            await log.append(records[start : start + 500])
        await log.close()

    asyncio.run(append())


def rows(server: ClickHouseServer, table: str) -> list[tuple[Any, ...]]:
    client = clickhouse_connect.get_client(host="127.0.0.1", port=server.port)
    try:
        return [tuple(row) for row in client.query(_TABLES[table]).result_rows]
    finally:
        client.close()


def test_flink_makes_the_rows_of_the_embedded_runner(
    kafka: KafkaServer,
    flink: FlinkServer,
    profile_server: PostgresServer,
    two_clickhouses: tuple[ClickHouseServer, ClickHouseServer],
    tmp_path: Path,
) -> None:
    recording = Recording(seed=4_126)
    embedded_store, flink_store = two_clickhouses
    one, other = f"{tmp_path.name}-embedded", f"{tmp_path.name}-flink"
    for topic in (one, other):
        write(f"{kafka.url}/{topic}", recording.records)

    def config(topic: str, store: ClickHouseServer, runner: str) -> str:
        return _CONFIG.format(log=kafka.url, topic=topic, store=store.url, profiles=profile_server.url, runner=runner)

    by_flink = config(other, flink_store, f"flink://{flink.address}")
    with (
        FlinkJob(flink, tmp_path, by_flink) as job,
        RunningSystem(tmp_path / "stream", config=config(one, embedded_store, "embedded"), command="stream") as stream,
        RunningSystem(tmp_path / "loader", config=by_flink, command="loader"),
    ):
        eventually(lambda: stream.self_metric("streamgauge_stream_lag_events") == 0, "the embedded runner is done", 60)
        eventually(lambda: all(not row[10] for row in rows(embedded_store, "sessions")), "all sessions are closed", 60)
        expected = {table: rows(embedded_store, table) for table in _TABLES}
        assert all(len(found) > 5 for found in expected.values()), {
            name: len(found) for name, found in expected.items()
        }
        with contextlib.suppress(pytest.fail.Exception):  # what differs says more than that it does
            eventually(lambda: {table: rows(flink_store, table) for table in _TABLES} == expected, "equal rows", 90)
        for table, wanted in expected.items():
            found = rows(flink_store, table)
            assert found == wanted, f"{table}, by {job.run('status')}"
