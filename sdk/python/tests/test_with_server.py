"""The client and a real Streamgauge, killed and started again, in programs that fork, exit and serve the web."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from local_cluster.waiting import free_port
from running import RunningSystem, eventually
from streamgauge_sdk import Client

_SDK = Path(__file__).parents[1]
_EXAMPLES = _SDK / "examples"


def _environment(url: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_SDK / "src"), "STREAMGAUGE_URL": url}


def _program(text: str, url: str) -> subprocess.CompletedProcess[str]:
    """A Python program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", text], env=_environment(url), capture_output=True, text=True, timeout=60, check=False
    )


def test_every_event_is_counted_once_however_often_the_server_is_killed(tmp_path: Path) -> None:
    threads, events = 4, 1_500
    with RunningSystem(tmp_path / "data") as system:
        client = Client(system.url(), flush_interval_s=0.05, retry_s_max=0.2, exit_s_max=0.5)
        is_halfway = threading.Barrier(threads + 1)

        def track(name: int) -> None:
            for number in range(events):
                if number in (500, 1_000):
                    is_halfway.wait(60)
                client.track("sdk", {"number": number}, user_id=f"{name}-{number % 13}")

        workers = [threading.Thread(target=track, args=(name,)) for name in range(threads)]
        for worker in workers:
            worker.start()
        for _ in range(2):
            is_halfway.wait(60)
            system.kill9()
            system.start()
        for worker in workers:
            worker.join()
        assert client.flush(30)
        stats = client.stats()
        assert (stats.accepted, stats.rejected, dict(stats.dropped), stats.queued) == (threads * events, 0, {}, 0)
        assert client.close()
        system.wait_until_counted(threads * events)
        system.wait_until_idle()
        assert system.total() == threads * events
        assert system.stop() == 0


def test_what_the_server_rejects_is_told_as_the_server_says_it(running_system: RunningSystem) -> None:
    problems = []
    with Client(running_system.url(), flush_interval_s=60, on_problem=problems.append) as client:
        client.track("sdk-good")
        client.track("")
        client.track("sdk-good", timestamp="yesterday", event_id="when")
        assert client.flush()
        assert (client.stats().accepted, client.stats().rejected) == (1, 2)
    assert [(one.code, one.count) for one in problems] == [("invalid_event", 1), ("invalid_timestamp", 1)]
    assert problems[1].event_id == "when"


def test_a_program_that_ends_sends_what_waits(running_system: RunningSystem) -> None:
    done = _program(
        "import os, sys, streamgauge_sdk\n"
        "client = streamgauge_sdk.Client(os.environ['STREAMGAUGE_URL'], flush_interval_s=60)\n"
        "for number in range(50): client.track('sdk-exit', user_id=number)\n"
        "sys.exit(3)\n",
        running_system.url(),
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    running_system.wait_until_counted(50, event="sdk-exit")


def test_a_program_whose_server_is_down_still_ends() -> None:
    done = _program(
        "import os, streamgauge_sdk\n"
        "client = streamgauge_sdk.Client(os.environ['STREAMGAUGE_URL'], exit_s_max=0.2)\n"
        "client.track('e')\n",
        f"http://127.0.0.1:{free_port()}",
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_forked_processes_send_their_own_events_and_the_parents_are_sent_once(running_system: RunningSystem) -> None:
    done = _program(
        "import os, streamgauge_sdk\n"
        "client = streamgauge_sdk.Client(os.environ['STREAMGAUGE_URL'], flush_interval_s=60)\n"
        "for number in range(20): client.track('sdk-fork', {'of': 'parent'})\n"
        "children = []\n"
        "for child in range(3):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        assert client.stats().queued == 0\n"
        "        for number in range(10): client.track('sdk-fork', {'of': child})\n"
        "        os._exit(0 if client.flush() else 1)\n"
        "    children.append(pid)\n"
        "assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)\n"
        "assert client.stats().queued == 20, client.stats()\n",
        running_system.url(),
    )
    assert done.returncode == 0, done.stderr
    running_system.wait_until_counted(50, event="sdk-fork")


@contextmanager
def _serving(command: list[str], url: str, port: int) -> Iterator[httpx.Client]:
    """An example, by a real server of its kind; it ends well."""
    process = subprocess.Popen(command, env=_environment(url), cwd=_EXAMPLES, stderr=subprocess.PIPE, text=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
            eventually(lambda: _answers(client), "the example answers")
            yield client
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=20)[1]
        assert process.returncode == 0, errors
    finally:
        process.kill()
        process.wait()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/").status_code == 404
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("example", ["django", "fastapi"])
def test_the_example_of_a_framework_sends_each_request_once(example: str, tmp_path: Path) -> None:
    port = free_port()
    binaries = Path(sys.executable).parent
    commands = {
        "django": [
            f"{binaries}/gunicorn",
            "--preload",
            "--workers=2",
            f"--bind=127.0.0.1:{port}",
            "--no-control-socket",
            "django_app:application",
        ],
        "fastapi": [f"{binaries}/granian", "--interface=asgi", f"--port={port}", "fastapi_app:app"],
    }
    routes = {"django": "/orders/<int:number>", "fastapi": "/orders/{number}"}
    with RunningSystem(tmp_path / "data") as system:
        with _serving(commands[example], system.url(), port) as shop:
            for number in range(20):
                assert shop.get(f"/orders/{number}", headers={"X-User": f"u{number}"}).json() == {"number": number}
            for _ in range(5):
                assert shop.post("/orders", headers={"X-User": "u1"}).status_code == 200
            if example == "django":
                assert shop.get("/fail").status_code == 500
        system.wait_until_counted(5, event="purchase")
        system.wait_until_counted(20, "requests", page=routes[example])
        system.wait_until_counted(5, "requests", method="POST", status="200")
        if example == "django":
            system.wait_until_counted(1, "requests", status="500")
        assert system.stop() == 0
