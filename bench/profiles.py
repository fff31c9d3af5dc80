"""How fast profiles are loaded and looked up, and what memory they take: `python bench/profiles.py [PROFILES …]`.

Each number of profiles (by default 1 and 5 million) has a process of its own. Its SQLite file is made by the importer.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from streamgauge.core.clock import SystemClock
from streamgauge.profiles.copy import ProfileCopy
from streamgauge.profiles.importer import CHUNK_PROFILES, ImportSummary, ProfileWriter
from streamgauge.profiles.rows import Row
from streamgauge.profiles.sqlite import SqliteProfiles
from streamgauge.profiles.table import ProfileTable

COLUMNS = ("user_country", "plan")
EVENTS = 30_000
BATCHES = 60


def measure(count: int, folder: Path) -> dict[str, float]:
    file = folder / "profiles.db"
    import_s = fill(file, count)
    before_mib = resident_mib()
    table, chunk_ms = ProfileTable(COLUMNS), []
    started_s = time.perf_counter()
    for chunk in SqliteProfiles(file, COLUMNS, SystemClock()).read():
        upsert_s = time.perf_counter()
        table.upsert(chunk.profiles)
        chunk_ms.append((time.perf_counter() - upsert_s) * 1_000)
    load_s = time.perf_counter() - started_s
    loaded_mib = resident_mib()
    lookups_us = sorted(lookup_us(table, count, seed) for seed in range(BATCHES))
    started_s = time.perf_counter()
    ProfileCopy(folder / "copy.parquet").save(table)
    save_s = time.perf_counter() - started_s
    started_s = time.perf_counter()
    ProfileCopy(folder / "copy.parquet").load(ProfileTable(COLUMNS))
    return {
        "profiles": len(table),
        "import_s": round(import_s, 1),
        "load_s": round(load_s, 2),
        "resident_mib": round(loaded_mib),
        "resident_mib_of_table": round(loaded_mib - before_mib),
        "table_mib": round(table.memory_bytes / 1024**2),
        "upsert_ms_p50": round(statistics.median(chunk_ms), 1),
        "upsert_ms_max": round(max(chunk_ms), 1),
        "lookup_us_an_event_p50": round(statistics.median(lookups_us), 3),
        "lookup_us_an_event_max": round(lookups_us[-1], 3),
        "copy_save_s": round(save_s, 2),
        "copy_load_s": round(time.perf_counter() - started_s, 2),
        "copy_mib": round((folder / "copy.parquet").stat().st_size / 1024**2),
    }


def fill(file: Path, count: int) -> float:
    started_s, summary = time.perf_counter(), ImportSummary()
    with ProfileWriter(file, SystemClock()) as writer:
        for first in range(0, count, CHUNK_PROFILES):
            numbers = range(first, min(first + CHUNK_PROFILES, count))
            rows = [Row(n, user_id(n), COLUMNS, (f"C{n % 200}", ("free", "pro", None)[n % 3])) for n in numbers]
            writer.upsert(rows, summary)
    return time.perf_counter() - started_s


def user_id(number: int) -> str:
    """Of 24 characters, in no order that a database could make use of."""
    return f"user-{number * 0x9E3779B97F4A7C15 % 2**64:019x}"


def lookup_us(table: ProfileTable, count: int, seed: int) -> float:
    """One batch of events: nine of ten users have a profile."""
    chance = random.Random(seed)
    user_ids = pl.Series([user_id(chance.randrange(count * 10 // 9)) for _ in range(EVENTS)])
    started_s = time.perf_counter()
    table.lookup(user_ids)
    return (time.perf_counter() - started_s) / EVENTS * 1_000_000


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4_096 / 1024**2


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(int(sys.argv[2]), Path(folder))))
        return
    for count in map(int, sys.argv[1:] or ("1000000", "5000000")):
        subprocess.run([sys.executable, __file__, "--one", str(count)], check=True)


if __name__ == "__main__":
    main()
