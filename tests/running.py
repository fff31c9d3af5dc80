"""A real `streamgauge up` in a process of its own, to be started, asked, killed and started again by tests.

The data folder survives; the port stays the same. Nothing here sleeps for a time that is hoped to suffice: what a test
waits for is a condition, and it fails with what the program printed when that doesn't come true.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

import httpx
import pytest

from local_cluster.waiting import NotReady, free_port, until

START_S_MAX: Final = 30.0
STOP_S_MAX: Final = 20.0
WAIT_S_MAX: Final = 20.0
_ALL_TIME: Final = {"from": "0", "to": "4102444740000"}

T = TypeVar("T")


def eventually(condition: Callable[[], T], what: str, seconds_max: float = WAIT_S_MAX) -> T:
    """The first result of `condition` that is true. Fails with `what` where none is for so long."""
    try:
        return until(condition, what, seconds_max)
    except NotReady as error:
        pytest.fail(str(error))


class RunningSystem:
    """Use as a context manager: starts on entry, is gone on exit, however the test ended."""

    def __init__(
        self,
        data: Path,
        *,
        config: str = "",
        arguments: Sequence[str] = (),
        port: int | None = None,
        command: str = "up",
    ) -> None:
        """`config`: the text of a TOML file; `arguments`: more of the command line; `command`: what is run."""
        self._command = command
        self.data = data
        self.port = port or free_port()
        self.grpc_port = free_port()
        self._output_file = data.with_name(f"{data.name}.output")
        self._arguments = list(arguments)
        if config:
            config_file = data.with_name(f"{data.name}.toml")
            config_file.write_text(config, encoding="utf-8")
            self._arguments += ["--config", str(config_file)]
        self._process: subprocess.Popen[bytes] | None = None
        self._client: httpx.Client | None = None

    def __enter__(self) -> RunningSystem:
        self.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.kill9()

    # Its life

    def reconfigure(self, config: str) -> None:
        """For the next start of a system that was made with a config."""
        self.data.with_name(f"{self.data.name}.toml").write_text(config, encoding="utf-8")

    def start(self) -> None:
        """Return when `/readyz` says so."""
        self.spawn()
        eventually(self._is_ready, f"ready: {self.output}", START_S_MAX)

    def spawn(self) -> None:
        """Start without waiting for anything."""
        assert not self.is_running, "it is running already"
        command = [
            sys.executable,
            "-m",
            "streamgauge",
            self._command,
            "--data",
            str(self.data),
            "--port",
            str(self.port),
            *(("--grpc-port", str(self.grpc_port)) if self._command in ("up", "ingest") else ()),
        ]
        with self._output_file.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, *self._arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        self._client = httpx.Client(base_url=self.url(), timeout=WAIT_S_MAX, trust_env=False)

    def stop(self) -> int:
        """SIGTERM; the exit code. Nothing is lost, what was in the log is counted."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, seconds_max: float = STOP_S_MAX) -> int:
        """The exit code, when it has ended."""
        assert self._process is not None
        try:
            code = self._process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            pytest.fail(f"after {seconds_max:g} s still running: {self.output}")
        self._close_client()
        return code

    def kill9(self) -> None:
        """As a crash or the kernel would end it; nothing where it isn't running."""
        if self._process is not None and self.is_running:
            self._process.kill()
            self._process.wait()
        self._close_client()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """All that it printed, over all of its lives."""
        return self._output_file.read_text(encoding="utf-8", errors="replace")

    # Requests

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def client(self) -> httpx.Client:
        assert self._client is not None, "it is not running"
        return self._client

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.client.post(path, **options)

    def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Events that must all be accepted."""
        answer = self.post("/events", json=list(events))
        assert (answer.status_code, answer.json()["count"]) == (202, len(events)), answer.text

    def total(self, metric: str = "events", **filters: str) -> float:
        """The value of a metric over all time."""
        dimension = self._dimensions(metric)[0]
        answer = self.get("/metrics", params={"name": metric, "group_by": dimension, **_ALL_TIME, **filters})
        assert answer.status_code == 200, answer.text
        return sum(row["value"] for row in answer.json())

    def wait_until_counted(self, count: float, metric: str = "events", **filters: str) -> None:
        """Return when the metric has this value over all time; fail when it has more, or less for long."""
        seen = 0.0

        def is_reached() -> bool:
            nonlocal seen
            seen = self.total(metric, **filters)
            return seen >= count

        with _explained(lambda: f"{metric} is {seen:g}, not {count:g}; {self.output[-3_000:]}"):
            eventually(is_reached, f"{metric} = {count:g}")
            assert seen == count

    def wait_until_idle(self) -> None:
        """Return when everything in the log has been counted."""
        eventually(lambda: self.self_metric("streamgauge_stream_lag_events") == 0, "nothing waits in the log")

    def self_metric(self, name: str, **labels: str) -> float:
        """A sample of `/-/metrics`; 0 where it isn't there."""
        from prometheus_client.parser import text_string_to_metric_families

        for family in text_string_to_metric_families(self.get("/-/metrics").text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return 0.0

    @contextlib.contextmanager
    def live(self) -> Iterator[Iterator[tuple[str, Any]]]:
        """The events of `/live` as they come: name and data."""
        with self.client.stream("GET", "/live") as answer:
            assert answer.status_code == 200
            yield _sent_events(answer.iter_lines())

    def connect(self) -> socket.socket:
        """A bare connection, for requests that no client would send."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S_MAX)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _dimensions(self, metric: str) -> list[str]:
        found = [one["dimensions"] for one in self.get("/metrics/names").json() if one["name"] == metric]
        assert found, f"there is no metric {metric}"
        assert found[0], f"{metric} has no dimension to sum over"
        return list(found[0])

    def _is_ready(self) -> bool:
        if not self.is_running:
            pytest.fail(f"it ended by itself: {self.output}")
        try:
            return self.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _close_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _sent_events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in lines:
        field, _, value = line.partition(":")
        if field == "event":
            name = value.strip()
        elif field == "data":
            yield name, json.loads(value)


@contextlib.contextmanager
def _explained(explanation: Callable[[], str]) -> Iterator[None]:
    try:
        yield
    except (AssertionError, pytest.fail.Exception) as error:
        raise AssertionError(f"{error}\n{explanation()}") from error


@pytest.fixture(scope="session")
def running_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """One system for all tests that neither stop it nor need it empty. At the end it must stop well, without a bug."""
    with RunningSystem(tmp_path_factory.mktemp("running") / "data") as system:
        yield system
        assert system.stop() == 0, system.output
        assert not any(bad in system.output for bad in (" ERROR ", "Traceback")), system.output
