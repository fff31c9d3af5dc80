"""The stream with everything on: events with ids of which some are sent twice, 1,000,000 profiles, sessions and five
rollups, over HTTP, load generator on the same machine. Run: `python bench/stream.py --seconds 30`.

It measures, in this order: what is accepted and counted within the same time; memory while it goes on; how quickly a
backlog is worked off, from the log to the store; how soon a server that got SIGKILL under load, with so many events in
its log, is ready again and has worked off what it had; and checks the sums: each event counted once, also those that
were sent twice.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from spine import Server, machine

CONFIG = """
[[rollups]]
name = "page_views"
event = "page_view"
dimensions = ["country", "device", "page"]

[[rollups]]
name = "events"
dimensions = ["event", "country", "device"]

[[rollups]]
name = "by_plan"
dimensions = ["plan", "user_country"]

[[rollups]]
name = "load_ms"
dimensions = ["country"]
measure = {sum = "load_ms"}

[[rollups]]
name = "load_ms_max"
dimensions = ["device"]
measure = {max = "load_ms"}
"""
_PROFILES_SETTLE_S = 15
"""What was imported just before the start is read a second time."""

REPEAT_EACH = 20
"""One request in so many is a retry."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=30)
    options.add_argument("--connections", type=int, default=128)
    options.add_argument("--batch", type=int, default=100, help="events a request")
    options.add_argument("--rate", type=int, default=0, help="events a second at most; 0: as many as are accepted")
    options.add_argument("--profiles", type=int, default=1_000_000)
    options.add_argument("--log-events", type=int, default=10_000_000, help="in the log, at least, before SIGKILL")
    options.add_argument("--output", type=Path, help="write the result as JSON")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="stream-") as folder:
        result = measure(Path(folder), chosen)
    text = json.dumps(result, indent=2)
    print(text)
    if chosen.output:
        chosen.output.write_text(text + "\n")
    if result["counted_events"] != result["accepted_events"] - result["repeated_events"]:
        sys.exit("wrong: counted is not accepted less repeated")


def measure(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    seconds, connections, batch = chosen.seconds, chosen.connections, chosen.batch
    config = folder / "config.toml"
    config.write_text(CONFIG)
    data = folder / "data"
    import_profiles(folder, data, chosen.profiles)
    with Server(data, "--config", str(config)) as server:
        time.sleep(_PROFILES_SETTLE_S)
        idle_mib, started_cpu_s = server.resident_mib(), server.cpu_s()
        with Memory(server) as memory:
            load = server.load(seconds, connections, batch, REPEAT_EACH, chosen.rate)
            ended_s, lag = time.perf_counter(), server.self_metric("streamgauge_stream_lag_events")
            server.wait_until_caught_up()
            drain_s = time.perf_counter() - ended_s
        cpu_s = server.cpu_s() - started_cpu_s
        state = {
            name: server.self_metric(f"streamgauge_stream_{name}")
            for name in ("remembered_ids", "open_sessions", "profiles")
        }
        further = fill_log(server, connections, batch, chosen.log_events - load["events"])
        again = load_and_kill(server, connections, batch)
        began_s = time.perf_counter()
        server.__enter__()
        ready_s = time.perf_counter() - began_s
        server.wait_until_caught_up()
        recovered_s = time.perf_counter() - began_s
        counted = server.counted()
    return {
        "machine": machine(),
        "load": {"seconds": seconds, "connections": connections, "events_a_request": batch} | load,
        "events_a_second": round(load["events"] / load["seconds"]),
        "events_a_second_including_drain": round(load["events"] / (load["seconds"] + drain_s)),
        "drain_seconds": round(drain_s, 2),
        "backlog_worked_off_events_a_second": round(lag / drain_s),
        "server_cpu_microseconds_an_event": round(1e6 * cpu_s / load["events"], 2),
        "accepted_events": load["events"] + further["events"] + again["events"],
        "repeated_events": load["repeated_events"] + further["repeated_events"] + again["repeated_events"],
        "counted_events": counted,
        "idle_resident_mib": round(idle_mib),
        "resident_mib": memory.seen_mib,
        "state": state,
        "seconds_from_sigkill_to_ready": round(ready_s, 2),
        "seconds_from_sigkill_to_caught_up": round(recovered_s, 2),
    }


def import_profiles(folder: Path, data: Path, count: int) -> None:
    file = folder / "profiles.csv"
    with file.open("w") as rows:
        rows.write("user_id,user_country,plan\n")
        for number in range(count):
            rows.write(f"user-{number},{('US', 'DE', 'GB', 'FR')[number % 4]},{('free', 'pro', 'team')[number % 3]}\n")
    command = [sys.executable, "-m", "streamgauge", "profiles", "import", str(file), "--data", str(data)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def fill_log(server: Server, connections: int, batch: int, events: float) -> Counter[str]:
    """As fast as it is accepted, until there are so many; and all of them counted."""
    sent: Counter[str] = Counter(events=0, repeated_events=0)
    while sent["events"] < events:
        load = server.load(5, connections, batch, REPEAT_EACH)
        sent.update({name: int(load[name]) for name in ("events", "repeated_events")})
    server.wait_until_caught_up()
    return sent


def load_and_kill(server: Server, connections: int, batch: int) -> dict[str, float]:
    """A little more, then SIGKILL as soon as it is acknowledged: the stream is in the middle of it."""
    load = server.load(2, connections, batch, REPEAT_EACH)
    server.kill9()
    return load


class Memory:
    """Watches the server's memory beside the load: MiB, ten values over the time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._end = threading.Event()
        self._values: list[int] = []
        self._watch = threading.Thread(target=self._look)

    def __enter__(self) -> Memory:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._watch.join()

    @property
    def seen_mib(self) -> list[int]:
        return self._values[:: max(1, len(self._values) // 10)]

    def _look(self) -> None:
        while not self._end.wait(1):
            self._values.append(round(self._server.resident_mib()))


if __name__ == "__main__":
    main()
