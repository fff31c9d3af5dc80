"""Questions about a week of 12 million minute rows (20 countries, 3 devices, 20 pages), asked of a running server: one
at a time with and without the cache, by 50 dashboards at once, and in PromQL; the same of Prometheus where it is
installed. Run: `make bench-query`, or `python bench/query.py --output bench/results/query.json`.

The rows are made by the store itself. What Prometheus has are the same panes as samples, in blocks that promtool made;
that both say the same is checked. It is asked less often: it takes longer. Its version 2 takes both ends of a range,
version 3 and we only the later one, so what it is asked for is a second shorter.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import httpx

from spine import Server, machine
from streamgauge.store.client import StoreClients

COUNTRIES, DEVICES, PAGES, DAYS = 20, 3, 20, 7
HOUR_S, DAY_S = 3_600, 86_400
BLOCK_S: Final = 2 * HOUR_S
"""Of samples, as promtool makes blocks: it reads a file once for each of them."""

METRICS: Final = {
    "a week of hours of one country": {"step": "1h", "country": "C3"},
    "a week by device": {"group_by": "device"},
    "the ten top pages of a week": {"group_by": "page", "top": "10"},
    "a week of hours": {"step": "1h"},
    "a week of days in Berlin": {"step": "1d", "tz": "Europe/Berlin"},
    "a day of 10 minutes of one country": {"range": "1d", "step": "10m", "country": "C3"},
}
SERIES: Final = {
    "by country, hour by hour": "sum by (country) (sum_over_time(page_views[1h]))",
    "one country, hour by hour": 'sum(sum_over_time(page_views{country="C3"}[1h]))',
}
MOMENTS: Final = {
    "a week by device": "sum by (device) (sum_over_time(page_views[7d]))",
    "the ten top pages of a week": "topk(10, sum by (page) (sum_over_time(page_views[7d])))",
}

_ROWS: Final = f"""
    INSERT INTO metrics (timestamp, metric_name, value, dimensions)
    SELECT
        toDateTime({{begin:UInt32}} + 60 * intDiv(number, {COUNTRIES * DEVICES * PAGES}), 'UTC'),
        'page_views',
        1 + cityHash64(number) % 9,
        map(
            'country', concat('C', toString(number % {COUNTRIES})),
            'device', concat('D', toString(intDiv(number, {COUNTRIES}) % {DEVICES})),
            'page', concat('/', toString(intDiv(number, {COUNTRIES * DEVICES}) % {PAGES}))
        )
    FROM numbers({COUNTRIES * DEVICES * PAGES * DAY_S // 60})
"""
_SAMPLES: Final = """
    SELECT concat('page_views{country="', dimensions['country'], '",device="', dimensions['device'], '",page="',
        dimensions['page'], '"} ', toString(sum(value)), ' ', toString(toUnixTimestamp(timestamp) + 60))
    FROM metrics WHERE timestamp >= {from:UInt32} AND timestamp < {to:UInt32}
    GROUP BY timestamp, dimensions ORDER BY timestamp
"""
"""A pane is a sample at its end."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=200, help="of each question without the cache")
    options.add_argument("--dashboards", type=int, default=50)
    options.add_argument("--seconds", type=float, default=20, help="of dashboards")
    options.add_argument("--fill", metavar="FOLDER", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--begin", type=int, help=argparse.SUPPRESS)
    options.add_argument("--samples", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--output", type=Path, help="write the result as JSON")
    chosen = options.parse_args()
    if chosen.fill:
        fill(chosen.fill, chosen.begin, chosen.samples)
        return
    result = {"machine": machine()}
    with tempfile.TemporaryDirectory(prefix="query-") as folder:
        result |= measure(Path(folder), chosen)
    text = json.dumps(result, indent=2)
    print(text)
    if chosen.output:
        chosen.output.write_text(text + "\n")


def fill(folder: Path, begin_s: int, samples: Path | None) -> None:
    """In a process of its own: the engine has one store in each."""
    client = StoreClients(f"chdb:///{folder / 'store'}").connect()
    for day in range(DAYS):
        client.command(_ROWS, parameters={"begin": begin_s + day * DAY_S})
    if samples:
        end_s = begin_s + DAYS * DAY_S
        for from_s in range(begin_s // BLOCK_S * BLOCK_S, end_s, BLOCK_S):
            # A block has the samples that are stamped in it, so the panes of a minute earlier.
            span = {"from": max(begin_s, from_s - 60), "to": min(end_s, from_s + BLOCK_S - 60)}
            lines = client.raw_query(_SAMPLES, parameters=span, fmt="TSVRaw")
            (samples / f"{from_s}.txt").write_bytes(lines + b"# EOF\n")
    client.close()


def measure(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    begin_s = int(time.time()) // 60 * 60 - DAYS * DAY_S
    has_prometheus = shutil.which("prometheus") is not None and shutil.which("promtool") is not None
    samples = folder / "samples"
    samples.mkdir()
    with Server(folder / "data"):
        pass  # makes the tables
    command = [sys.executable, __file__, "--fill", str(folder / "data"), "--begin", str(begin_s)]
    began_s = time.perf_counter()
    subprocess.run([*command, *(["--samples", str(samples)] if has_prometheus else [])], check=True)
    result: dict[str, Any] = {
        "minute_rows": COUNTRIES * DEVICES * PAGES * DAYS * DAY_S // 60,
        "fill_seconds": round(time.perf_counter() - began_s, 1),
    }
    span = {"start": -(-begin_s // HOUR_S) * HOUR_S + HOUR_S, "step": HOUR_S}
    span["end"] = (begin_s + DAYS * DAY_S) // HOUR_S * HOUR_S
    with Server(folder / "data") as server:
        result["metrics"] = [{"question": name, **ask_metrics(server, name, chosen.rounds)} for name in METRICS]
        result["dashboards"] = asyncio.run(dashboards(server.url, chosen.dashboards, chosen.seconds))
        ours, result["promql"] = ask_promql(server.url, span, chosen.rounds // 4)
    if has_prometheus:
        with prometheus(folder, samples) as url:
            theirs, result["prometheus"] = ask_promql(url, span, 5, {"[1h]": "[3599s]", "[7d]": "[604799s]"})
        result["same_answers"] = {name: is_same(ours[name], theirs[name]) for name in ours}
    return result


def ask_metrics(server: Server, name: str, rounds: int) -> dict[str, Any]:
    """CPU is that of the server, so that runs are comparable however busy the machine is."""
    question = {"name": "page_views", "range": "7d"} | METRICS[name]
    with httpx.Client(base_url=server.url) as client:
        plans = client.get("/metrics", params=question | {"explain": "1"}).raise_for_status().json()
        before_s = server.cpu_s()
        uncached = timed(client, question, {"Cache-Control": "no-cache"}, rounds)
        cpu_ms = (server.cpu_s() - before_s) * 1000 / rounds
        cached = timed(client, question, {}, rounds * 3)
    hits = [one for one in cached if one["cache"] == "hit"]
    return {
        "tables": [read["table"] for plan in plans for read in plan["reads"]],
        "uncached_server_ms": spread([one["server_ms"] for one in uncached]),
        "uncached_cpu_ms": round(cpu_ms, 1),
        "uncached_client_ms": spread([one["client_ms"] for one in uncached]),
        "cached_server_ms": spread([one["server_ms"] for one in hits]),
        "hits": f"{len(hits)} of {len(cached)}",
    }


def timed(client: httpx.Client, question: dict[str, str], headers: dict[str, str], rounds: int) -> list[dict[str, Any]]:
    found = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        answer = client.get("/metrics", params=question, headers=headers).raise_for_status()
        client_ms = (time.perf_counter() - began_s) * 1000
        found.append(seen(answer) | {"client_ms": client_ms})
    return found


def seen(answer: httpx.Response) -> dict[str, Any]:
    total = answer.headers["Server-Timing"].rpartition("dur=")[2]
    return {"server_ms": float(total), "cache": answer.headers["Streamgauge-Cache"]}


async def dashboards(url: str, count: int, seconds: float) -> dict[str, Any]:
    """Each asks all its six panels at once, again and again after two seconds, for one of four countries or for all."""
    ends_s = time.monotonic() + seconds
    answers: list[dict[str, Any]] = []

    async def one(number: int, client: httpx.AsyncClient) -> None:
        await asyncio.sleep(number / count * 2)
        country = {"country": f"C{number % 5}"} if number % 5 else {}
        panels = [{"name": "page_views", "range": "7d"} | panel | country for panel in METRICS.values()]
        while time.monotonic() < ends_s:
            found = await asyncio.gather(*(client.get("/metrics", params=panel) for panel in panels))
            answers.extend(seen(answer.raise_for_status()) for answer in found)
            await asyncio.sleep(2)

    limits = httpx.Limits(max_connections=count * len(METRICS))
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        await asyncio.gather(*(one(number, client) for number in range(count)))
    hits = sum(answer["cache"] == "hit" for answer in answers)
    return {
        "dashboards": count,
        "answers_a_second": round(len(answers) / seconds),
        "hit_rate": round(hits / len(answers), 4),
        "server_ms": spread([answer["server_ms"] for answer in answers]),
    }


def ask_promql(
    url: str, span: dict[str, int], rounds: int, instead: Mapping[str, str] = MappingProxyType({})
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(the last answer to each, how long they took). Of the text of a query some is replaced."""
    found: dict[str, Any] = {}
    taken = []
    with httpx.Client(base_url=url, timeout=120, headers={"Cache-Control": "no-cache"}) as client:
        asked: list[tuple[str, str, dict[str, Any]]] = [
            *((name, "/api/v1/query_range", {"query": query, **span}) for name, query in SERIES.items()),
            *((name, "/api/v1/query", {"query": query, "time": span["end"]}) for name, query in MOMENTS.items()),
        ]
        for name, path, parameters in asked:
            for text, other in instead.items():
                parameters["query"] = parameters["query"].replace(text, other)
            times_ms = []
            for _ in range(rounds):
                began_s = time.perf_counter()
                answer = client.get(path, params=parameters).raise_for_status()
                times_ms.append((time.perf_counter() - began_s) * 1000)
            found[name] = answer.json()["data"]["result"]
            taken.append({"question": name, "query": parameters["query"], "client_ms": spread(times_ms)})
    return found, taken


def is_same(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> bool:
    """But for the order of series."""

    def numbers(result: Sequence[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
        return {
            json.dumps(one["metric"], sort_keys=True): [
                (float(at_s), float(value)) for at_s, value in one.get("values", [one.get("value")])
            ]
            for one in result
        }

    return bool(ours) and numbers(ours) == numbers(theirs)


@contextmanager
def prometheus(folder: Path, samples: Path) -> Iterator[str]:
    data, config = folder / "prometheus", folder / "prometheus.yml"
    for file in sorted(samples.iterdir()):
        make = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(file), str(data)]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        file.unlink()
    config.write_text("")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    options = [
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=60d",
        f"--web.listen-address={address}",
        "--query.max-samples=100000000",
        "--log.level=warn",
    ]
    process = subprocess.Popen(["prometheus", *options])
    try:
        wait_for(lambda: httpx.get(f"http://{address}/-/ready").status_code == 200)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def wait_for(is_ready: Callable[[], bool], seconds_max: float = 120) -> None:
    ends_s = time.monotonic() + seconds_max
    while time.monotonic() < ends_s:
        try:
            if is_ready():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    sys.exit("Prometheus did not start")


def spread(times_ms: Sequence[float]) -> dict[str, float]:
    if len(times_ms) < 2:
        return {}
    ordered = sorted(times_ms)
    return {
        "p50": round(statistics.median(ordered), 2),
        "p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 2),
        "max": round(ordered[-1], 2),
    }


if __name__ == "__main__":
    main()
