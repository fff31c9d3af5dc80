"""`make up-cluster`: everything comes up, counts, shows it, and outlives the death of each of its parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import sync_playwright

from clients import RetryingClient
from running import eventually

pytestmark = pytest.mark.cluster

_START_S_MAX = 180.0
_BACK_S_MAX = 300.0
"""A JobManager is when the job runs again: Flink takes its time where the machine is busy."""

_TOOLS = Path(__file__).parents[2] / "tools"


class LocalCluster:
    def __init__(self, folder: Path, jars: Path, flink_home: Path | None = None) -> None:
        """Without `flink_home` the embedded runner counts."""
        self.folder = folder
        self._jars, self._output = jars, folder.with_name(f"{folder.name}.output")
        self._options = ["--flink-home", str(flink_home)] if flink_home is not None else []
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        begun = self.output.count("The cluster is ready")
        path = os.pathsep.join(filter(None, (str(_TOOLS), os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-m", "local_cluster", "--data", str(self.folder), "--any-ports"]
        command += self._options
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONPATH": path, "KAFKA_JARS": str(self._jars)},
            )
        eventually(lambda: self._is_up(begun), f"the cluster is ready: {self._output}", _START_S_MAX)

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(120)

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace") if self._output.exists() else ""

    def pids(self) -> dict[str, int]:
        known = json.loads((self.folder / "processes.json").read_text(encoding="utf-8"))
        return {name: pid for name, (pid, _) in known.items()}

    def url(self, part: str) -> str:
        ports = json.loads((self.folder / "ports.json").read_text(encoding="utf-8"))
        return f"http://127.0.0.1:{ports[part]}"

    def total(self, metric: str = "events", dimension: str = "event", part: str = "api-1") -> float:
        """-1 where it can't be told now."""
        question = {"name": metric, "group_by": dimension, "from": "0", "to": "4102444740000"}
        try:
            answer = httpx.get(f"{self.url(part)}/metrics", params=question, trust_env=False, timeout=20)
        except httpx.TransportError:
            return -1
        return sum(row["value"] for row in answer.json()) if answer.status_code == 200 else -1

    def _is_up(self, begun: int) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output
        return self.output.count("The cluster is ready") > begun


@contextmanager
def _opened(kafka_jars: Path, flink_home: Path | None = None) -> Iterator[LocalCluster]:
    # Not in pytest's own folder: PostgreSQL's user can't enter that.
    with tempfile.TemporaryDirectory(prefix="streamgauge-cluster-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        cluster = LocalCluster(Path(folder) / "cluster-data", kafka_jars, flink_home)
        try:
            yield cluster
        finally:
            if cluster.process is not None and cluster.process.poll() is None:
                cluster.end()


@pytest.fixture
def cluster(kafka_jars: Path) -> Iterator[LocalCluster]:
    with _opened(kafka_jars) as cluster:
        yield cluster


@pytest.fixture
def cluster_on_flink(kafka_jars: Path, flink_home: Path) -> Iterator[LocalCluster]:
    with _opened(kafka_jars, flink_home) as cluster:
        yield cluster


def _is_there(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_each_part_that_is_killed_comes_back_and_every_event_is_counted_once(cluster: LocalCluster) -> None:
    cluster.start()
    _kill_each(cluster)


def test_where_flink_counts_each_part_that_is_killed_comes_back_too_and_what_is_counted_is_seen_live(
    cluster_on_flink: LocalCluster,
) -> None:
    cluster_on_flink.start()
    assert {"jobmanager", "taskmanager", "loader-1"} <= set(cluster_on_flink.pids())
    _kill_each(cluster_on_flink)
    assert _live_after_sending(cluster_on_flink, 7) == 7


def _kill_each(cluster: LocalCluster) -> None:
    with RetryingClient(cluster.url("ingest-1")) as client:
        for name in list(cluster.pids()):
            goal = client.acknowledged + 50
            eventually(lambda goal=goal: client.acknowledged >= goal, f"events before {name} dies", 90)  # type: ignore[misc]
            again = cluster.output.count(f"{name} is ready again")
            os.kill(cluster.pids()[name], signal.SIGKILL)
            eventually(
                lambda name=name, again=again: cluster.output.count(f"{name} is ready again") > again,  # type: ignore[misc]
                f"{name} is back: {cluster.folder / 'logs'}",
                _BACK_S_MAX,
            )
        client.__exit__()
    eventually(lambda: cluster.total() >= client.acknowledged, "all that was acknowledged is counted", 90)
    assert cluster.total() == cluster.total(part="api-2") == client.acknowledged
    _shows(cluster.url("api-1"), client.acknowledged)


def _live_after_sending(cluster: LocalCluster, count: int) -> int:
    """So many events the live updates tell of, once they tell of as many as are sent."""
    seen = 0
    with httpx.stream("GET", f"{cluster.url('api-1')}/live", trust_env=False, timeout=60) as answer:
        for line in answer.iter_lines():
            if line == "event: hello":
                _send(cluster.url("ingest-1"), count)
            elif line.startswith("data:"):
                seen += json.loads(line.removeprefix("data:")).get("events_count", 0)
            if seen >= count:
                break
    return seen


def test_a_start_goes_on_with_what_an_earlier_one_had_however_that_ended(cluster: LocalCluster) -> None:
    cluster.start()
    _send(cluster.url("ingest-1"), 10)
    before = cluster.pids()
    cluster.end(signal.SIGKILL)
    eventually(lambda: not any(map(_is_there, before.values())), "no part outlives the supervisor", 30)
    cluster.start()
    _send(cluster.url("ingest-2"), 5)
    eventually(lambda: cluster.total() >= 15, "all fifteen are counted", 60)
    before = cluster.pids()
    assert cluster.end() == 0, cluster.output
    assert not any(map(_is_there, before.values()))
    cluster.start()
    eventually(lambda: cluster.total() >= 15, "they are still there", 30)
    assert cluster.total() == 15


def test_the_demo_is_sent_to_it_and_profiles_of_postgresql_are_its_dimensions(cluster: LocalCluster) -> None:
    cluster.start()
    for _ in range(2):
        ran = _demo(cluster.url("ingest-1"), cluster)
        assert "traffic goes on live" in ran
    by_plan: Any = httpx.get(
        f"{cluster.url('api-1')}/metrics?name=page_views_by_plan&range=2d&group_by=plan", trust_env=False
    ).json()
    assert {row["plan"] for row in by_plan} == {"(unknown)", "free", "pro", "business"}
    told = httpx.get(f"{cluster.url('api-1')}/-/addresses", trust_env=False).json()["ingest"]
    assert told == cluster.url("ingest-1").replace("127.0.0.1", "localhost")


def _demo(url: str, cluster: LocalCluster) -> str:
    """Until its history is sent; what was sent before isn't sent again."""
    command = [sys.executable, "-m", "streamgauge", "demo", "--url", url, "--days", "1"]
    output = cluster.folder / "demo.output"
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        eventually(lambda: b"live" in output.read_bytes(), f"history is sent: {output}", 120)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    accepted = _sample(f"{url}/-/metrics", 'streamgauge_ingest_events_total{outcome="accepted"}')
    eventually(lambda: cluster.total() >= accepted, "the demo is counted", 120)
    assert cluster.total() == accepted
    return output.read_text(encoding="utf-8")


def _sample(url: str, name: str) -> float:
    lines = httpx.get(url, trust_env=False).text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def _send(url: str, count: int) -> None:
    answer = httpx.post(f"{url}/events", json=[{"event": "page_view"}] * count, trust_env=False)
    assert answer.status_code == 202, answer.text


def _shows(url: str, count: int) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{url}/?metric=page_views&range=24h")
        page.wait_for_selector(f"[data-testid=headline-total][data-exact='{count}']", timeout=30_000)
        browser.close()
