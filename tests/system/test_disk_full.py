"""A disk that is full: ingest says so, accepts nothing and loses nothing; all goes on by itself when there is space."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from running import RunningSystem, eventually

_DISK_MIB = 96


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", str(mount)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def test_a_full_disk_stops_ingest_and_not_the_server_and_all_goes_on_when_there_is_space(small_disk: Path) -> None:
    with RunningSystem(small_disk / "data") as system:
        system.send([{"event": "before"}] * 10)
        system.wait_until_counted(10)
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (1024 * 1024, 4096):
                while _wrote(file.fileno(), size):
                    pass
        accepted = 10

        def is_refused() -> bool:
            nonlocal accepted
            answer = system.post("/events", json=[{"event": "during", "text": os.urandom(4_000).hex()}] * 10)
            if answer.status_code == 202:
                accepted += 10
                return False
            assert answer.status_code == 503, answer.text
            assert answer.json()["error"]["code"] == "unavailable"
            assert int(answer.headers["Retry-After"]) >= 1
            return True

        eventually(is_refused, "ingest says that the disk is full")
        assert system.get("/healthz").status_code == 200
        readiness = system.get("/readyz")
        assert readiness.status_code == 503
        assert {readiness.json()["stages"][stage]["state"] for stage in ("ingest", "log")} == {"degraded"}
        ballast.unlink()
        eventually(lambda: not is_refused(), "ingest goes on by itself")
        system.wait_until_counted(accepted)
        eventually(lambda: system.get("/readyz").status_code == 200, "every stage is ready again")
        system.stop()
        system.start()
        assert system.total() == accepted


def test_a_start_on_a_full_disk_is_refused_and_leaves_everything_as_it_was(small_disk: Path) -> None:
    with RunningSystem(small_disk / "data") as system:
        system.send([{"event": "e"}] * 3)
        system.wait_until_counted(3)
        assert system.stop() == 0
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            while _wrote(file.fileno(), 1024 * 1024):
                pass
        system.spawn()
        assert system.wait() == 1
        assert "MiB left" in system.output
        ballast.unlink()
        system.start()
        assert system.total() == 3


def _wrote(file: int, size: int) -> bool:
    try:
        return os.write(file, b"x" * size) == size
    except OSError:
        return False
