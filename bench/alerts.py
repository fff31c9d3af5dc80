"""How long one evaluation of many rules takes, store and all: `python bench/alerts.py`.

10,000 series (20 countries, 5 devices, 100 pages) of one metric with two hours of minutes in the embedded store, and
1,000 rules: thresholds for each page and country, and drops against the hour before. Each round is evaluated at another
minute; the median, the longest and the first are printed, in seconds. The exit code is 1 where
the median is not below 2.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from streamgauge.alert.evaluate import Prepared
from streamgauge.alert.round import Reader, evaluate
from streamgauge.alert.rule_file import read_rules
from streamgauge.alert.rules import named_rules
from streamgauge.alert.state import NEW
from streamgauge.config import QuerySettings, RetentionSettings, StoreSettings
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import Freshness, Rollup
from streamgauge.query.promql_service import PromqlService, Sources
from streamgauge.query.selfseries import SelfSeries
from streamgauge.query.series import RollupSeries
from streamgauge.store.base import RowBatch
from streamgauge.store.client import StoreClients
from streamgauge.store.migrations import migrate
from streamgauge.store.reader import ClickHouseReader
from streamgauge.store.writer import ClickHouseWriter

COUNTRIES, DEVICES, PAGES, MINUTES, ROUNDS = 20, 5, 100, 120, 5
END_S = 1_700_006_400
ROLLUP = Rollup("page_views", ("country", "device", "page"), event="page_view")


def rules_text() -> str:
    rules = []
    for page in range(PAGES):
        selector = f'page_views{{page="/{page}"}}'
        rules += [
            f"sum(sum_over_time({selector}[5m])) < 100",
            f"sum(sum_over_time({selector}[5m])) > 100000",
            f"sum by (country) (sum_over_time({selector}[5m])) < 1",
            f"sum by (device) (sum_over_time({selector}[10m])) < 1",
            f"sum(sum_over_time({selector}[5m])) / sum(sum_over_time({selector}[5m] offset 1h)) < 0.8",
        ]
    for country in range(COUNTRIES):
        selector = f'page_views{{country="C{country}"}}'
        for threshold in range(20):
            rules.append(f"sum by (page) (sum_over_time({selector}[5m])) < {threshold * 10}")
        rules += [f"sum(sum_over_time({selector}[{minutes}m])) < 10" for minutes in (5, 10, 15, 20, 30)]
    lines = [f"  - {{alert: A{number}, expr: '{expr}'}}" for number, expr in enumerate(rules[:1000])]
    return "groups:\n- name: bench\n  rules:\n" + "\n".join(lines)


def fill(writer: ClickHouseWriter) -> None:
    sets = [(f"C{c}", f"D{d}", f"/{p}") for c in range(COUNTRIES) for d in range(DEVICES) for p in range(PAGES)]
    dimensions = [[("country", c), ("device", d), ("page", p)] for c, d, p in sets]
    for minute in range(MINUTES):
        rows = pa.table(
            {
                "timestamp": pa.array([END_S - (minute + 1) * 60] * len(sets), pa.uint32()),
                "metric_name": pa.array(["page_views"] * len(sets), pa.string()),
                "value": pa.array([float((minute + place) % 7 + 1) for place in range(len(sets))], pa.float64()),
                "dimensions": pa.array(dimensions, pa.map_(pa.string(), pa.string())),
            }
        )
        writer.write(RowBatch("metrics", f"bench-{minute}", rows))


async def measure(service: PromqlService, rules: list[Prepared]) -> dict[str, float | int]:
    taken_s, cpu_s, found, reader = [], [], 0, Reader()
    for turn in range(ROUNDS):
        at_ms = (END_S - turn * 60) * 1000
        started_s, cpu_started_s = time.perf_counter(), time.process_time()
        reads = reader.shared(rules, at_ms)

        def work(sources: Sources, at_ms: int = at_ms, reads=reads) -> int:  # type: ignore[no-untyped-def]
            answers = evaluate([(one, NEW) for one in rules], reads, sources, at_ms, check=sources.check)
            assert not any(one.problem for one in answers.values()), answers
            return sum(len(one.samples) for one in answers.values())

        found = await service.answer(work, Freshness(END_S * 1000, 0, 0))
        taken_s.append(time.perf_counter() - started_s)
        cpu_s.append(time.process_time() - cpu_started_s)
    return {
        "rules": len(rules),
        "series": COUNTRIES * DEVICES * PAGES,
        "alerts_found": found,
        "first_s": round(taken_s[0], 3),
        "median_s": round(statistics.median(taken_s), 3),
        "longest_s": round(max(taken_s), 3),
        "cpu_median_s": round(statistics.median(cpu_s), 3),
    }


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as folder:
        tables = StoreSettings()
        clients = StoreClients(f"chdb:///{Path(folder) / 'store'}", tables)
        client = clients.connect()
        migrate(client, RetentionSettings(), tables)
        client.close()
        writer = ClickHouseWriter(clients)
        fill(writer)
        limits = QuerySettings(execution_s_max=120)  # so that a busy machine tells its figure
        series = RollupSeries(ClickHouseReader(clients, limits), (ROLLUP,), tables.promoted_dimensions, limits)
        service = PromqlService(series, SelfSeries(SelfMetrics().registry), limits)
        groups = read_rules(rules_text(), (ROLLUP,), source="made")
        result = asyncio.run(measure(service, [Prepared(named) for named in named_rules(groups)]))
        service.close()
        writer.close()
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    print(json.dumps({**result, **machine}, indent=2))
    sys.exit(0 if result["median_s"] < 2 else 1)


if __name__ == "__main__":
    main()
