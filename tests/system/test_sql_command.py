"""`streamgauge sql` and `POST /sql` as users use them, against a real server."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time

import httpx
import pytest

from running import RunningSystem, eventually

FOR_EVER = (
    "SELECT sum(length(toString(x.a * y.b))) FROM (SELECT arrayJoin(range(1000000)) AS a) AS x, "
    "(SELECT arrayJoin(range(1000000)) AS b) AS y"
)


def run(system: RunningSystem, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streamgauge", "sql", "--url", system.url(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, input=given)


@pytest.fixture(scope="module")
def asked(running_system: RunningSystem) -> RunningSystem:
    """3 page views of Lemuria."""
    running_system.send(
        [{"event": "page_view", "event_id": f"sql-{n}", "user_id": f"sql-{n}", "country": "Lemuria"} for n in range(3)]
    )
    running_system.wait_until_counted(3, "page_views", country="Lemuria")
    return running_system


COUNT = "SELECT d_country AS country, sum(value) AS n FROM metrics WHERE d_country = {c:String} AND metric_name = 'page_views' GROUP BY 1"  # noqa: E501


def test_a_table_is_printed_with_its_time_its_rows_and_how_fresh_it_is(asked: RunningSystem) -> None:
    found = run(asked, COUNT, "--param", "c=Lemuria")
    assert found.returncode == 0, found.stderr
    cells = [line.split("│")[1:-1] for line in found.stdout.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in cells] == [["Lemuria", "3"]]
    assert "1 row in " in found.stderr
    assert " read" in found.stderr
    assert "complete up to 20" in found.stderr


def test_sql_is_read_from_stdin_and_printed_in_other_formats(asked: RunningSystem) -> None:
    given = COUNT.replace("{c:String}", "'Lemuria'")
    assert run(asked, "--format", "csv", given=given).stdout == '"country","n"\n"Lemuria",3\n'
    assert json.loads(run(asked, "-", "--format", "ndjson", given=given).stdout) == {"country": "Lemuria", "n": 3}
    answer = json.loads(run(asked, "--format", "json", given=given).stdout)
    assert (answer["rows"], answer["row_count"]) == ([["Lemuria", 3]], 1)
    assert answer["columns"] == [
        {"name": "country", "type": "LowCardinality(String)"},
        {"name": "n", "type": "Float64"},
    ]


def test_many_rows_are_not_all_shown_and_that_is_said(asked: RunningSystem) -> None:
    found = run(asked, "SELECT arrayJoin(range(300)) AS n")
    assert "│ 199 │" in found.stdout
    assert "│ 200 │" not in found.stdout
    assert "and 100 rows more: --format csv prints all" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["SELECT 1,\nfrm frm frm"], "line 2, column 9"),
        (["SELECT * FROM users"], "the tables are metrics, sessions, events, dead_letter"),
        (["DROP TABLE metrics"], "DROP is not to be done"),
        (["SELECT 1", "--param", "c"], "write it like --param country=US"),
        ([""], "there is no SQL"),
    ],
)
def test_what_can_not_be_asked_says_why_and_exits_with_1(asked: RunningSystem, arguments: list[str], said: str) -> None:
    found = run(asked, *arguments)
    assert (found.returncode, found.stdout) == (1, "")
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_an_answer_says_how_fresh_it_is_and_is_not_to_be_kept(asked: RunningSystem) -> None:
    answer = asked.post("/sql", json={"sql": "SELECT 1 AS a", "format": "arrow"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert answer.headers["streamgauge-complete-up-to"].startswith("20")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ('{"sql": "SELECT 1"', 400, "malformed_body"),
        ('{"sql": 1}', 400, "malformed_body"),
        ('{"sql": "SELECT 1", "format": "xml"}', 400, "malformed_body"),
        ('{"sql": "SELECT 1", "more": 1}', 400, "malformed_body"),
        ('{"sql": "SELECT \\u0000 1"}', 400, "invalid_sql"),
        ('{"sql": "SELECT 1", "parameters": {"a b": 1}}', 400, "invalid_sql"),
        ('{"sql": "SELECT file(\'/etc/passwd\')"}', 400, "sql_not_allowed"),
    ],
)
def test_what_is_no_question_is_refused(asked: RunningSystem, body: str, status: int, code: str) -> None:
    answer = asked.post("/sql", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_form_of_another_site_can_not_ask(asked: RunningSystem) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = asked.post("/sql", content='{"sql": "SELECT 1"}', headers={"Content-Type": kind})
        assert answer.status_code == 415


def test_a_query_whose_client_is_gone_makes_room_and_never_held_the_stream_up(asked: RunningSystem) -> None:
    with pytest.raises(httpx.ReadTimeout):
        asked.post("/sql", json={"sql": FOR_EVER}, timeout=1.0)
    began_s = time.monotonic()
    answer = asked.post("/sql", json={"sql": "SELECT 7"})
    assert (answer.status_code, answer.json()["rows"]) == (200, [[7]])
    assert time.monotonic() - began_s < 4, "the query went on, up to its limit of 10 s"
    eventually(lambda: asked.self_metric("streamgauge_http_errors_total", code="client_gone") >= 1, "it was counted")


def test_events_are_seen_at_once_while_heavy_queries_run(asked: RunningSystem) -> None:
    idle_s, stop = visible_after_s(asked, "Idle"), threading.Event()

    def ask_on() -> None:
        with httpx.Client(trust_env=False) as client:
            while not stop.is_set():
                with contextlib.suppress(httpx.TimeoutException):
                    client.post(asked.url("/sql"), json={"sql": FOR_EVER}, timeout=2.0)

    asking = [threading.Thread(target=ask_on) for _ in range(4)]
    for one in asking:
        one.start()
    try:
        eventually(lambda: asked.self_metric("streamgauge_http_errors_total", code="client_gone") >= 2, "they run")
        busy_s = visible_after_s(asked, "Busy")
    finally:
        stop.set()
        for one in asking:
            one.join()
    # By the machine's own pace, which tests that run beside this one take down.
    assert busy_s < 4 * idle_s + 1, (idle_s, busy_s)


def visible_after_s(system: RunningSystem, country: str) -> float:
    """How long it takes from sending an event until it is counted, usually."""
    latencies_s = []
    for number in range(9):
        began_s = time.monotonic()
        system.send([{"event": "page_view", "event_id": f"{country}-{number}", "user_id": "b", "country": country}])
        system.wait_until_counted(number + 1, "page_views", country=country)
        latencies_s.append(time.monotonic() - began_s)
    return sorted(latencies_s)[4]
