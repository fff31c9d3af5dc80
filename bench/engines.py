"""The embedded runner and Flink side by side, one after the other in one run: the same events in two topics of a real
Kafka, each counted from its topic as quickly as it can be. Run: `make bench-engines ARGS="--events 5000000"`.

Embedded is `streamgauge stream`, which ends in the store; Flink ends in topics of rows, and what `streamgauge loader`
takes for these is told apart. Before them, what `streamgauge ingest` and the broker take for events over HTTP. CPU is
that of each one's own process, so that rows a core are comparable however busy the machine is. Each event must be
counted once by both engines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx

from local_cluster.clickhouse import ClickHouseServer
from local_cluster.flink import FlinkServer
from local_cluster.kafka import KafkaServer
from local_cluster.process import Process
from local_cluster.waiting import free_port
from spine import machine
from streamgauge.config import KafkaSettings
from streamgauge.log.base import Record
from streamgauge.log.kafka import KafkaLog
from streamgauge.model import Envelope

CONNECTIONS, BATCH_EVENTS = 32, 100
PARTITIONS = 2
USERS = 100_000
_APPEND = 5_000
_CONFIG = """
log = "{log}/{topic}"
store = "{store}"
runner = "{runner}"

[kafka]
partitions = 2

[profile]
columns = []

[[rollups]]
name = "page_views"
event = "page_view"
dimensions = ["country", "device", "page"]

[[rollups]]
name = "events"
dimensions = ["event", "country", "device"]
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=5_000_000)
    options.add_argument("--seconds", type=float, default=20, help="of load on `streamgauge ingest`")
    options.add_argument("--kafka-jars", type=Path, required=True)
    options.add_argument("--flink-home", type=Path, required=True)
    options.add_argument("--output", type=Path, help="write the result as JSON")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="engines-") as folder:
        result = measure(Path(folder), chosen)
    text = json.dumps(result, indent=2)
    print(text)
    if chosen.output:
        chosen.output.write_text(text + "\n")
    wrong = [name for name in ("embedded", "flink") if result[name]["counted_events"] != chosen.events]
    if wrong:
        sys.exit(f"wrong: {', '.join(wrong)} did not count each event once")


def measure(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    kafka = KafkaServer(folder / "kafka", chosen.kafka_jars).start()
    bytes_each = asyncio.run(fill(kafka.url, ("one", "other"), chosen.events))
    segments = (folder / "kafka" / "data").glob("one-*/*.log")
    kafka_bytes_each = sum(segment.stat().st_size for segment in segments) / chosen.events
    result = {
        "machine": machine(),
        "load": {"events": chosen.events, "bytes_an_event": bytes_each, "users": USERS, "partitions": PARTITIONS},
        "bytes_an_event_in_kafka": round(kafka_bytes_each, 1),
        "ingest": ingest(folder, kafka, chosen.seconds),
        "embedded": embedded(folder, kafka, chosen.events),
        "flink": flink(folder, kafka, chosen.events, chosen.flink_home),
    }
    kafka.kill()
    return result


def ingest(folder: Path, kafka: KafkaServer, seconds: float) -> dict[str, Any]:
    assert kafka.process is not None
    config, port = folder / "ingest.toml", free_port()
    config.write_text(_CONFIG.format(log=kafka.url, topic="third", store="", runner="embedded"))
    process = role("ingest", config, folder, port)
    wait(lambda: is_ready(port))
    server, broker = Peak("streamgauge ingest", process), Peak("Kafka", kafka.process)
    script, numbers = Path(__file__).with_name("load.py"), (port, seconds, CONNECTIONS, BATCH_EVENTS)
    done = subprocess.run([sys.executable, script, "127.0.0.1", *map(str, numbers)], stdout=subprocess.PIPE, check=True)
    for one in (server, broker):
        one.seen()
    load = dict(json.loads(done.stdout))
    process.stop()
    return {
        "load": {"connections": CONNECTIONS, "events_a_request": BATCH_EVENTS} | load,
        "events_a_second": round(load["events"] / load["seconds"]),
        "cpu_microseconds_an_event": round(1e6 * server.cpu_s / load["events"], 2),
        "resident_mib": round(server.mib),
        "broker_cpu_microseconds_an_event": round(1e6 * broker.cpu_s / load["events"], 2),
    }


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def embedded(folder: Path, kafka: KafkaServer, events: int) -> dict[str, Any]:
    store = ClickHouseServer(folder / "embedded-store").start()
    config = folder / "embedded.toml"
    config.write_text(_CONFIG.format(log=kafka.url, topic="one", store=store.url, runner="embedded"))
    began_s = time.monotonic()
    stream = role("stream", config, folder)
    peak = Peak("streamgauge stream", stream)
    wait(lambda: peak.seen() and counted(store) >= events)
    seconds = time.monotonic() - began_s
    result = figures(events, seconds, peak) | {"counted_events": counted(store), "stored": stored(store)}
    stream.stop()
    store.stop()
    return result


def flink(folder: Path, kafka: KafkaServer, events: int, home: Path) -> dict[str, Any]:
    store = ClickHouseServer(folder / "flink-store").start()
    server = FlinkServer(folder / "flink", home, slots=PARTITIONS, memory_mb=3_000).start()
    config = folder / "flink.toml"
    runner = f"flink://{server.address}"
    config.write_text(_CONFIG.format(log=kafka.url, topic="other", store=store.url, runner=runner))
    task_manager = server.taskmanager.process
    assert task_manager is not None
    began_s, peak = time.monotonic(), Peak("Flink's TaskManager", task_manager)
    environment = {**os.environ, "STREAMGAUGE_FLINK_JAR": str(server.jar)}
    command = [sys.executable, "-m", "streamgauge", "flink", "submit", "--config", str(config)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    submitted_s = time.monotonic()
    wait(lambda: peak.seen() and committed(kafka.url) >= events)
    seconds = time.monotonic() - submitted_s
    result = figures(events, seconds, peak) | {"seconds_to_submit": round(submitted_s - began_s, 1)}
    began_s = time.monotonic()
    loader = role("loader", config, folder)
    loading = Peak("streamgauge loader", loader)
    wait(lambda: loading.seen() and counted(store) >= events)
    result["loader"] = {
        "seconds": round(time.monotonic() - began_s, 1),
        "cpu_microseconds_an_event": round(1e6 * loading.cpu_s / events, 2),
        "resident_mib": round(loading.mib),
    }
    result["counted_events"] = counted(store)
    loader.stop()
    server.kill()
    store.stop()
    return result


def figures(events: int, seconds: float, peak: Peak) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 1),
        "events_a_second": round(events / seconds),
        "events_a_second_of_one_core": round(events / peak.cpu_s),
        "cpu_microseconds_an_event": round(1e6 * peak.cpu_s / events, 2),
        "resident_mib": round(peak.mib),
    }


async def fill(url: str, topics: tuple[str, ...], events: int) -> int:
    """The same events in each; the bytes of one."""
    total = 0
    logs = [await KafkaLog.open(f"{url}/{topic}", KafkaSettings(partitions=PARTITIONS), 7) for topic in topics]
    for records in batches(events):
        total += sum(len(record.value) for record in records)
        await asyncio.gather(*(log.append(records) for log in logs))
    for log in logs:
        await log.close()
    return round(total / events)


def batches(events: int) -> Iterator[list[Record]]:
    rng = random.Random(4)
    now_ms = int(time.time() * 1000) - 3_600_000
    for start in range(0, events, _APPEND):
        yield [_record(rng, number, now_ms + number // 100) for number in range(start, min(start + _APPEND, events))]


def _record(rng: random.Random, number: int, at_ms: int) -> Record:
    user = f"user-{rng.randrange(USERS)}"
    properties = {
        "page": f"/product/{rng.randrange(180)}",
        "country": rng.choice(("US", "DE", "GB", "FR", "IN", "BR", "JP", "CA")),
        "device": rng.choice(("mobile", "desktop", "tablet")),
        "referrer": "https://www.google.com/",
        "load_ms": rng.randrange(2_000),
    }
    event_id = f"0b6f8d4e-5c2a-4f{number:020d}"
    line = Envelope(event_id, "page_view", at_ms, at_ms + 50, user, properties=properties).to_line()
    return Record(user.encode(), line)


def role(name: str, config: Path, folder: Path, port: int | None = None) -> Process:
    command = [sys.executable, "-m", "streamgauge", name, "--config", config, "--port", str(port or free_port())]
    return Process([*command, "--data", folder / name], folder / f"{name}.log")


def counted(store: ClickHouseServer) -> int:
    client = clickhouse_connect.get_client(host="127.0.0.1", port=store.port)
    try:
        tables = client.query(
            "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'metrics'"
        ).result_rows[0][0]
        if not tables:
            return 0
        return int(client.query("SELECT sum(value) FROM metrics WHERE metric_name = 'events'").result_rows[0][0])
    finally:
        client.close()


def stored(store: ClickHouseServer) -> dict[str, dict[str, float]]:
    """Of each table, what is on disk before later merges make it smaller. What is waited for are rows of rollups:
    others may still be on their way."""
    client = clickhouse_connect.get_client(host="127.0.0.1", port=store.port)
    try:
        rows = client.query(
            "SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts"
            " WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table"
        ).result_rows
    finally:
        client.close()
    return {table: {"rows": count, "bytes_a_row": round(size / count, 1)} for table, count, size in rows}


def committed(url: str) -> int:
    """How much Flink has committed of its topic."""

    async def ask() -> int:
        log = await KafkaLog.open(f"{url}/other", KafkaSettings(partitions=PARTITIONS), 7)
        try:
            return sum((await log.committed("stream")).values())
        finally:
            await log.close()

    return asyncio.run(ask())


class Peak:
    """CPU since it was made, and the greatest memory that was seen, of a process."""

    def __init__(self, name: str, process: Process) -> None:
        self._name, self._process, self._pid, self.mib = name, process, process.pid, 0.0
        self._began_s = self._cpu_s()

    def seen(self) -> bool:
        """Look again; always true. Ends the run where the process has died: what it wrote last is shown."""
        if (code := self._process.exit_code) is not None:
            last = self._process.log.read_text(encoding="utf-8", errors="replace")[-2_000:]
            sys.exit(f"{self._name} ended with {code}:\n{last}")
        status = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii")
        resident_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        self.mib = max(self.mib, resident_kib / 1024)
        self.cpu_s = self._cpu_s() - self._began_s
        return True

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait(condition: Callable[[], bool], seconds_max: float = 3_600) -> None:
    until_s = time.monotonic() + seconds_max
    while not condition():
        if time.monotonic() > until_s:
            sys.exit(f"not there after {seconds_max:g} s")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
