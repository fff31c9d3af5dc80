"""From HTTP to queryable: how many events a second the embedded system takes, on all cores of this machine, load
generator included. Run: `make bench`, or `python bench/spine.py --seconds 30`.

It also measures a warm start, idle memory, how long the backlog takes to drain, and checks that what was accepted is
what is counted: a fast wrong number is worth nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--connections", type=int, default=128)
    options.add_argument("--batch", type=int, default=100, help="events a request")
    options.add_argument("--output", type=Path, help="write the result as JSON")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="spine-") as folder:
        result = measure(Path(folder), chosen.seconds, chosen.connections, chosen.batch)
    text = json.dumps(result, indent=2)
    print(text)
    if chosen.output:
        chosen.output.write_text(text + "\n")
    if result["counted_events"] != result["accepted_events"]:
        sys.exit("wrong: counted is not accepted")


def measure(folder: Path, seconds: float, connections: int, batch: int) -> dict[str, Any]:
    with Server(folder):
        pass  # makes the folder, so that the next start is a warm one
    with Server(folder) as server:
        time.sleep(1)
        idle_mib = server.resident_mib()
        load = server.load(seconds, connections, batch)
        ended_s = time.perf_counter()
        server.wait_until_caught_up()
        drain_s = time.perf_counter() - ended_s
        counted = server.counted()
        after_mib = server.resident_mib()
        cpu_s = server.cpu_s()
    return {
        "machine": machine(),
        "load": {"seconds": seconds, "connections": connections, "events_a_request": batch} | load,
        "events_a_second": round(load["events"] / load["seconds"]),
        "events_a_second_including_drain": round(load["events"] / (load["seconds"] + drain_s)),
        "drain_seconds": round(drain_s, 2),
        "accepted_events": load["events"],
        "counted_events": counted,
        "warm_start_seconds": round(server.start_s, 2),
        "idle_resident_mib": round(idle_mib),
        "resident_mib_after_load": round(after_mib),
        "server_cpu_microseconds_an_event": round(1e6 * cpu_s / max(1, load["events"]), 2),
    }


class Server:
    """`streamgauge up` as a user starts it, on a free port."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "streamgauge", "up", "--data", str(folder), "--port", str(self.port)]
        self._command += options

    def __enter__(self) -> Server:
        began_s = time.perf_counter()
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        while not self._is_ready():
            time.sleep(0.02)
        self.start_s = time.perf_counter() - began_s
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        if self._process.wait(30) != 0:
            sys.exit(f"the server ended with {self._process.returncode}")

    def kill9(self) -> None:
        self._process.kill()
        self._process.wait()

    def load(
        self, seconds: float, connections: int, batch: int, repeat_each: int = 0, rate: int = 0
    ) -> dict[str, float]:
        numbers = (self.port, seconds, connections, batch, repeat_each, rate)
        arguments = ["127.0.0.1", *(str(number) for number in numbers)]
        command = [sys.executable, str(Path(__file__).with_name("load.py")), *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        return dict(json.loads(done.stdout))

    def wait_until_caught_up(self) -> None:
        while self.self_metric("streamgauge_stream_lag_events") > 0:
            time.sleep(0.05)

    def counted(self, metric: str = "page_views") -> int:
        answer = httpx.get(f"{self.url}/metrics?name={metric}&range=1d").raise_for_status()
        return round(sum(point["value"] for point in answer.json()))

    def resident_mib(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            sys.exit("the server did not start")
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def self_metric(self, name: str) -> float:
        for line in httpx.get(f"{self.url}/-/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise LookupError(name)


def machine() -> dict[str, Any]:
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cores": os.cpu_count(),
        "processor": model[0].split(":")[1].strip() if model else platform.machine(),
        "python": platform.python_version(),
        "load_average_before": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
