"""Importing real traffic into a real server, by the command that users type."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from running import RunningSystem

_REAL_LOG = Path(__file__).parents[3] / "shared" / "data" / "apache_access.log.gz"


def _import(system: RunningSystem, *arguments: str) -> str:
    command = [sys.executable, "-m", "streamgauge", "import", *arguments, "--url", system.url()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _week(system: RunningSystem, **parameters: str) -> dict[str, float]:
    answer = system.get("/metrics", params={"name": "requests", "range": "7d", **parameters})
    return {next(iter(row.values())): row["value"] for row in answer.json()}


@pytest.mark.skipif(not _REAL_LOG.exists(), reason="the real access log is not beside the repository")
def test_the_real_log_is_counted_to_the_request_and_a_second_import_changes_nothing(tmp_path: Path) -> None:
    with gzip.open(_REAL_LOG, "rt", errors="replace") as lines:
        pages = [re.search(r'"(?:\S+) (\S+)', line) for line in lines]
    with RunningSystem(tmp_path / "data") as system:
        for _ in range(2):
            _import(system, "access-log", str(_REAL_LOG), "--shift-to-now")
            system.wait_until_counted(10_000, "requests")
            system.wait_until_idle()
            assert sum(_week(system).values()) == 10_000
            by_status = _week(system, group_by="status")
            assert (by_status["404"], by_status["200"]) == (213, 9_126)
        top = _week(system, group_by="page", limit="1")
        most = max({page[1].partition("?")[0] for page in pages if page} & top.keys())
        assert top[most] == sum(1 for page in pages if page and page[1].partition("?")[0] == most)


def test_an_import_whose_server_is_killed_can_be_run_again_and_counts_each_line_once(tmp_path: Path) -> None:
    lines = "".join(
        f"10.0.{number % 200}.{number % 250} - - [17/May/2026:10:{number % 60:02d}:00 +0000] "
        f'"GET /page/{number % 40} HTTP/1.1" 200 {number} "-" "curl/8"\n'
        for number in range(60_000)
    )
    file = tmp_path / "access.log"
    file.write_text(lines)
    with RunningSystem(tmp_path / "data") as system:
        command = [sys.executable, "-m", "streamgauge", "import", "access-log", str(file), "--url", system.url()]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as importing:
            while not system.total("requests"):
                assert importing.poll() is None, "the import was over before it could be interrupted"
            system.kill9()
            importing.kill()
        system.start()
        _import(system, "access-log", str(file))
        system.wait_until_counted(60_000, "requests")
        system.wait_until_idle()
        assert system.total("requests") == 60_000


def test_csv_and_ndjson_files_are_counted_and_bad_lines_are_written_aside(tmp_path: Path) -> None:
    table = tmp_path / "orders.csv"
    table.write_text(
        "created_at,customer,country\n2026-05-01T10:00:00Z,7,DE\nno time,8,US\n2026-05-01T10:01:00Z,9,US\n"
    )
    lines = tmp_path / "events.ndjson"
    lines.write_text('{"event":"signup","country":"FR"}\nnot json\n{"event":"signup","country":"FR"}\n')
    with RunningSystem(tmp_path / "data") as system:
        _import(
            system, "csv", str(table), "--map", "timestamp=created_at", "--map", "user_id=customer", "--event", "order"
        )
        _import(system, "ndjson", str(lines))
        system.wait_until_counted(4)
        assert system.total(event="order") == 2
        assert system.total(event="signup") == 2
    assert "no time" in Path(f"{table}.rejected").read_text()
    assert "not json" in Path(f"{lines}.rejected").read_text()


@pytest.mark.skipif(not _REAL_LOG.exists(), reason="the real access log is not beside the repository")
def test_the_sessions_of_the_real_access_log_are_those_of_its_sorted_lines(tmp_path: Path) -> None:
    """User = address, gap 30 minutes."""
    lines = gzip.decompress(_REAL_LOG.read_bytes()).decode().splitlines()
    times: dict[str, list[int]] = {}
    for line in lines:
        address, _, rest = line.partition(" ")
        moment = datetime.strptime(rest.split("[")[1].split("]")[0], "%d/%b/%Y:%H:%M:%S %z")
        times.setdefault(address, []).append(int(moment.timestamp()))
    spans: list[tuple[int, int]] = []
    for of_user in times.values():
        session: list[int] = []
        for moment_s in sorted(of_user):
            if session and moment_s - session[-1] >= 30 * 60:
                spans.append((session[-1] - session[0], len(session)))
                session = []
            session.append(moment_s)
        spans.append((session[-1] - session[0], len(session)))
    with RunningSystem(tmp_path / "data") as system:
        for _ in range(2):  # the second import changes nothing
            _import(system, "access-log", str(_REAL_LOG))
            system.wait_until_idle()
            system.wait_until_counted(len(spans), "sessions")
            assert system.total("session_seconds") == sum(seconds for seconds, _ in spans)
            assert system.total("bounces") == sum(count == 1 for _, count in spans)
