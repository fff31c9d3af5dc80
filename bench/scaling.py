"""What a load takes, on paper: cores, partitions, storage and cost from the figures that `bench/engines.py` measured.
Run: `python bench/scaling.py 1000 100000` (events a second). What is assumed is named at the top; docs/scaling.md says
where the lines bend.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any, Final

_RESULT: Final = Path(__file__).with_name("results") / "engines.json"

BUSY_MAX: Final = 0.5
"""So busy a core may be on average, so that there is room for peaks and for catching up."""

KAFKA_REPLICAS: Final = 3
KAFKA_WRITES: Final = {"embedded": 1, "flink": 2}
"""Flink writes each event again, as a row for the store; rows of rollups and sessions beside these are few."""

JOB_MANAGER_CORES: Final = {"embedded": 0, "flink": 1}
STORE_REPLICAS: Final = 2
STORE_CPU_MICROSECONDS: Final = 3.2
"""Of ClickHouse an event: insert and merges, from `bench/stream.py` (README, "What an event takes")."""

LOG_DAYS: Final = 7
EVENTS_DAYS: Final = 7
DAY_S: Final = 86_400
GB: Final = 1e9
INSERTS_A_SECOND: Final = {"embedded": 5, "flink": 1}
"""At most, of each partition and table: `stream.batch_interval_ms`, `loader.batch_s_max`."""

TABLES: Final = 3
"""That rows come for all the time: metrics, events, sessions."""

ID_BYTES: Final = {"embedded": 40, "flink": 60}
"""Of an event id that is remembered: in memory, or on Flink's disks (35 were measured, of ids that are much alike)."""

STORE_NODE_CORES: Final = 16
MICROSECONDS_A_SECOND: Final = 1e6
CORE_USD_MONTH: Final = 30.0
"""With 4 GB of memory: about what clouds ask on demand. Memory beyond, and disks, likewise."""
MEMORY_USD_GB_MONTH: Final = 4.0
DISK_USD_GB_MONTH: Final = 0.08


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("rates", nargs="*", type=int, default=[1_000, 10_000, 100_000, 1_000_000])
    options.add_argument("--measured", type=Path, default=_RESULT, help="what bench/engines.py wrote")
    chosen = options.parse_args()
    measured = json.loads(chosen.measured.read_text(encoding="utf-8"))
    for runner in ("embedded", "flink"):
        columns = [sizes(rate, runner, measured) for rate in chosen.rates]
        print(f"| {runner}: events/s |" + "".join(f" {rate:,} |" for rate in chosen.rates))
        print("|---|" + "--:|" * len(columns))
        for name in columns[0]:
            print(f"| {name} |" + "".join(f" {rounded(column[name])} |" for column in columns))
        print()


def rounded(value: float) -> str:
    """To two digits that count; whole numbers as they are."""
    if isinstance(value, int):
        return f"{value:,}"
    digits = 0 if value == 0 else 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(0, digits)}f}"


def sizes(rate: int, runner: str, measured: dict[str, Any]) -> dict[str, float]:
    """By what it is: cores, partitions, GB, USD."""

    def cores(microseconds_an_event: float) -> float:
        return rate * microseconds_an_event / MICROSECONDS_A_SECOND / BUSY_MAX

    ingest = measured["ingest"]
    of_roles = {
        "ingest, cores": cores(ingest["cpu_microseconds_an_event"]),
        "Kafka, cores": cores(ingest["broker_cpu_microseconds_an_event"]) * KAFKA_REPLICAS * KAFKA_WRITES[runner],
        "counting, cores": cores(measured[runner]["cpu_microseconds_an_event"]) + JOB_MANAGER_CORES[runner],
        "ClickHouse inserts, cores": cores(STORE_CPU_MICROSECONDS) * STORE_REPLICAS,
    }
    if runner == "flink":
        of_roles["loader, cores"] = cores(measured["flink"]["loader"]["cpu_microseconds_an_event"])
    a_day = rate * DAY_S
    events = measured["embedded"]["stored"]["events"]["bytes_a_row"]
    stored_a_day = {
        "Kafka, GB a day": a_day * measured["bytes_an_event_in_kafka"] * KAFKA_REPLICAS * KAFKA_WRITES[runner] / GB,
        "raw events in ClickHouse, GB a day": a_day * events * STORE_REPLICAS / GB,
    }
    kept_gb = sum(stored_a_day[name] * days for name, days in zip(stored_a_day, (LOG_DAYS, EVENTS_DAYS), strict=True))
    ids_gb = a_day * ID_BYTES[runner] / GB
    cost = sum(of_roles.values()) * CORE_USD_MONTH + kept_gb * DISK_USD_GB_MONTH
    cost += ids_gb * (MEMORY_USD_GB_MONTH if runner == "embedded" else DISK_USD_GB_MONTH)
    partitions = max(1, math.ceil(of_roles["counting, cores"] - JOB_MANAGER_CORES[runner]))
    return {
        "partitions, at least" if runner == "embedded" else "partitions and Flink slots, at least": partitions,
        **of_roles,
        f"ClickHouse nodes of {STORE_NODE_CORES} cores, by inserts": STORE_REPLICAS
        * max(1, math.ceil(of_roles["ClickHouse inserts, cores"] / STORE_REPLICAS / STORE_NODE_CORES)),
        "inserts a second, at most": partitions * TABLES * INSERTS_A_SECOND[runner],
        "event ids of 24 hours, GB of " + ("memory" if runner == "embedded" else "Flink's disks"): ids_gb,
        **stored_a_day,
        "kept, GB": kept_gb,
        "USD a month": cost,
        "USD a billion events": cost / (a_day * 30 / 1e9),
    }


if __name__ == "__main__":
    main()
