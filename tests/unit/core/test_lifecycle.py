"""What holds for the life of the process, against real processes and sockets."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamgauge.core.errors import AlreadyRunning, ConfigError
from streamgauge.core.lifecycle import FolderLock, check_port_is_free, give_way, is_loopback

HOLD = """
import sys
from pathlib import Path
from streamgauge.core.lifecycle import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def other_process_with_the_lock(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield holder
        finally:
            holder.kill()


def test_a_folder_that_another_process_has_is_refused_with_its_number(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    with other_process_with_the_lock(folder) as holder, pytest.raises(AlreadyRunning) as caught:
        FolderLock(folder)
    assert f"process {holder.pid}" in caught.value.message
    assert str(folder) in caught.value.message
    assert "--data" in caught.value.hint


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_ends_with_its_process_however_that_ends(tmp_path: Path, end: signal.Signals) -> None:
    with other_process_with_the_lock(tmp_path) as holder:
        holder.send_signal(end)
        holder.wait()
        FolderLock(tmp_path).release()


def test_a_lock_is_not_inherited_by_child_processes(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        lock.release()
        FolderLock(tmp_path).release()
        child.communicate(b"\n")


def test_a_lock_that_was_released_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        lock = FolderLock(tmp_path)
        assert (tmp_path / "streamgauge.lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(AlreadyRunning):
            FolderLock(tmp_path)
        lock.release()


def test_the_number_of_a_former_process_is_overwritten_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "streamgauge.lock").write_text("99999999999999999999\n")
    FolderLock(tmp_path).release()
    assert (tmp_path / "streamgauge.lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_that_can_not_be_made_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match="can't use the data folder"):
            FolderLock(folder)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_is_listened_at_is_busy_and_free_again_afterwards(host: str) -> None:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(AlreadyRunning, match=f"port {port}") as caught:
            check_port_is_free(host, port)
        assert "--port" in caught.value.hint
    check_port_is_free(host, port)


def test_a_port_whose_last_connections_are_waiting_for_their_end_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = listening.accept()
            accepted.close()  # the side that closes first has the connection in TIME_WAIT
    check_port_is_free("127.0.0.1", port)


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 8080), ("no such host.invalid", 8080), ("127.0.0.1", -1)])
def test_an_address_that_is_not_ours_is_a_config_error(host: str, port: int) -> None:
    with pytest.raises(ConfigError, match="can't listen"):
        check_port_is_free(host, port)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1"])
def test_loopback_is_what_only_this_machine_reaches(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",  # noqa: S104
        "::",
        "192.168.1.1",
        "",
        "127.evil.example",
        "127.0.0.1.evil.example",
        "localhost.example",
    ],
)
def test_other_names_and_addresses_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux only")
def test_a_thread_gives_way_with_those_it_starts_and_without_the_others() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = priority()
    with ThreadPoolExecutor(1, initializer=give_way) as outer:
        assert outer.submit(priority).result() == 19
        with outer.submit(ThreadPoolExecutor, 1).result() as inner:
            assert outer.submit(lambda: inner.submit(priority).result()).result() == 19
    assert priority() == before
