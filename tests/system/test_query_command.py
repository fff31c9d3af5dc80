"""`streamgauge query` as users type it, against a real server."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from running import RunningSystem, free_port
from streamgauge.model import HOUR_MS


def run(system: RunningSystem, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streamgauge", "query", "--url", system.url(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def asked(running_system: RunningSystem) -> RunningSystem:
    """7 page views of Atlantis two hours ago, of which 5 are of a phone, and then one."""
    at_ms = time.time_ns() // 1_000_000 - 2 * HOUR_MS
    running_system.send(
        [
            {
                "event": "page_view",
                "event_id": f"asked-{number}",
                "user_id": f"asked-{number}",
                "timestamp": at_ms if number < 7 else at_ms + HOUR_MS,
                "country": "Atlantis",
                "device": "phone" if number < 5 else "tablet",
            }
            for number in range(8)
        ]
    )
    running_system.wait_until_counted(8, "page_views", country="Atlantis")
    return running_system


def test_a_breakdown_is_a_table_and_says_how_fresh_it_is(asked: RunningSystem) -> None:
    found = run(asked, "page_views", "--range", "6h", "--group-by", "device", "--filter", "country:Atlantis")
    assert found.returncode == 0, found.stderr
    rows = [line.split("│")[1:-1] for line in found.stdout.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [["phone", "5"], ["tablet", "3"]]
    assert "complete up to 20" in found.stderr


def test_a_time_series_is_a_sparkline_with_its_least_greatest_and_last(asked: RunningSystem) -> None:
    found = run(asked, "page_views", "--range", "6h", "--step", "1h", "--filter", "country:Atlantis")
    assert found.returncode == 0, found.stderr
    title, blocks, figures = found.stdout.splitlines()
    assert title.startswith("page_views  20")
    assert len(blocks.strip()) == 6
    assert "█" in blocks
    assert "min 0 at " in figures
    assert "max 7 at " in figures
    assert "last " in figures


def test_several_metrics_and_a_ratio_are_told_side_by_side(asked: RunningSystem) -> None:
    question = ("page_views", "events", "page_views/events", "--range", "6h", "--filter", "country:Atlantis")
    found = run(asked, *question, "--group-by", "device")
    assert found.returncode == 0, found.stderr
    rows = [line.split("│")[1:-1] for line in found.stdout.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [["phone", "5", "5", "1"], ["tablet", "3", "3", "1"]]
    drawn = run(asked, *question, "--step", "1h").stdout.splitlines()
    assert [line.split()[0] for line in drawn[::3]] == ["page_views", "events", "page_views/events"]
    answer = asked.get("/metrics", params=[("name", "page_views/events"), ("range", "6h"), ("format", "csv")])
    assert answer.text.splitlines()[0] == "timestamp,value"


def test_explain_shows_the_tables_and_the_sql_instead(asked: RunningSystem) -> None:
    shown = run(asked, "page_views", "--range", "7d", "--group-by", "country", "--explain").stdout
    assert "metrics_days" in shown
    assert "GROUP BY" in shown
    assert "metric = 'page_views'" in shown


def test_json_is_the_answer_of_the_server_and_nothing_else(asked: RunningSystem) -> None:
    found = run(asked, "page_views", "--group-by", "device", "--with", "country=Atlantis", "--limit", "1", "--json")
    assert json.loads(found.stdout) == [{"device": "phone", "value": 5.0}, {"device": "(other)", "value": 3.0}]


def test_promql_is_asked_of_now_and_of_a_range(asked: RunningSystem) -> None:
    # Whether the last minutes are complete is no matter: the count is of two hours ago.
    total = 'sum by (device) (sum_over_time(page_views{country="Atlantis"}[6h]))'
    now = run(asked, "--promql", total, "--json")
    assert now.returncode == 0, now.stderr
    values = {one["metric"]["device"]: one["value"][1] for one in json.loads(now.stdout)["result"]}
    assert values == {"phone": "5", "tablet": "3"}
    assert '{device="phone"}' in run(asked, "--promql", total).stdout
    over = run(asked, "--promql", total, "--range", "4h", "--step", "5m")
    assert over.returncode == 0, over.stderr
    assert "max 5 at " in over.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["page_veiws"], "did you mean page_views"),
        (["page_views", "--group-by", "nothing"], "has no dimension 'nothing'"),
        (["page_views", "--with", "country"], "write it like --with country=US"),
        ([], "streamgauge query METRIC"),
        (["--promql", "sum("], "bad_data"),
        (["--promql", "1", "--step", "5m"], "add --range"),
        (["--promql", "1", "--range", "soon"], "write it like --range 24h"),
        (["page_views", "--promql", "1"], "doesn't go with page_views"),
    ],
)
def test_what_can_not_be_asked_says_what_can_and_exits_with_1(
    running_system: RunningSystem, arguments: list[str], said: str
) -> None:
    found = run(running_system, *arguments)
    assert found.returncode == 1
    assert said in found.stderr
    assert found.stdout == ""
    assert "Traceback" not in found.stderr


def test_where_no_server_answers_it_says_how_to_start_one() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "streamgauge", "query", "page_views", "--url", url]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "streamgauge up" in found.stderr
