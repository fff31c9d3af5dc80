"""REST beside gRPC, in one run on the same events: how many a second, how long an answer takes, what an event costs the
server. Run: `python bench/transports.py --seconds 10`.

Each way has the machine for itself, after what came before is counted; at the end all that was accepted must be.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from spine import Server, machine

WAYS = ("rest", "send json", "send events", "stream json", "stream events")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=10, help="of each way")
    options.add_argument("--connections", type=int, default=8, help="of gRPC")
    options.add_argument("--at-once", type=int, default=128, help="requests under way at the same time")
    options.add_argument("--batch", type=int, default=100, help="events a request")
    options.add_argument("--output", type=Path, help="write the result as JSON")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="transports-") as folder:
        result = measure(Path(folder), chosen)
    text = json.dumps(result, indent=2)
    print(text)
    if chosen.output:
        chosen.output.write_text(text + "\n")
    if result["counted_events"] != result["accepted_events"]:
        sys.exit("wrong: counted is not accepted")


def measure(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    with Server(folder) as server:
        one_each(server, 1, chosen)  # what is loaded and compiled at the first use is nobody's time
        before = server.counted()
        ways = one_each(server, chosen.seconds, chosen)
        counted = server.counted() - before
    return {
        "machine": machine(),
        "load": {"seconds": chosen.seconds, "requests_at_once": chosen.at_once, "events_a_request": chosen.batch},
        "ways": ways,
        "accepted_events": sum(way["events"] for way in ways.values()),
        "counted_events": counted,
    }


def one_each(server: Server, seconds: float, chosen: argparse.Namespace) -> dict[str, Any]:
    found = {}
    for way in WAYS:
        cpu_s = server.cpu_s()
        if way == "rest":
            load = server.load(seconds, chosen.at_once, chosen.batch)
        else:
            load = grpc_load(server, way, seconds, chosen)
        server.wait_until_caught_up()
        load["events_a_second"] = round(load["events"] / load["seconds"])
        load["server_cpu_microseconds_an_event"] = round(1e6 * (server.cpu_s() - cpu_s) / max(1, load["events"]), 2)
        found[way] = load
    return found


def grpc_load(server: Server, way: str, seconds: float, chosen: argparse.Namespace) -> dict[str, Any]:
    numbers = (seconds, chosen.connections, chosen.at_once, chosen.batch)
    arguments = [f"127.0.0.1:{server.port + 1}", *way.split(), *(str(number) for number in numbers)]
    command = [sys.executable, str(Path(__file__).with_name("grpc_load.py")), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
