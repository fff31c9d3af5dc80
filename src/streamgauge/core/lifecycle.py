"""What holds for the life of the process: the lock on the data folder, the port, the state of each stage."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import resource
import shutil
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from streamgauge.core.errors import AlreadyRunning, ConfigError

_GIVE_WAY_NICE: Final = 19
"""A seventieth of the usual share of a core that is fought for, and all of a free one."""

State = Literal["starting", "ready", "stale", "degraded", "stopping"]


class StageState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one stage, for `/readyz`. `reason` says what is wrong where it isn't ready. One that is `stale` works, with
    what it knew last. Without one that isn't `needed` the others do their work all the same."""

    state: State
    reason: str = ""
    details: Mapping[str, Any] = {}
    needed: bool = True

    @property
    def works(self) -> bool:
        return self.state in ("ready", "stale")

    @property
    def holds_up(self) -> bool:
        """Whether the system can't be ready for it."""
        return self.needed and not self.works


class FolderLock:
    """An advisory lock on a data folder, released when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Raises AlreadyRunning where another process has it, ConfigError where the folder can't be made."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(folder / "streamgauge.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(
                f"can't use the data folder {folder}: {error.strerror}", hint="choose another with --data"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 32).decode(errors="replace").strip()
            os.close(self._file)
            raise AlreadyRunning(
                f"the data folder {folder.resolve()} is in use by another streamgauge (process {holder or 'unknown'})",
                hint="stop that one, or choose another folder with --data",
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._file)


SPACE_BYTES_MIN = 32 * 1024 * 1024
"""Free space without which the program doesn't start: opening the parts writes to them, and must not end half-way."""


def check_space(folder: Path) -> None:
    """Raises ConfigError where the disk of an existing folder is all but full."""
    free = shutil.disk_usage(folder).free
    if free < SPACE_BYTES_MIN:
        raise ConfigError(
            f"the disk of {folder.resolve()} has only {free // 1024**2} MiB left",
            hint=f"make at least {SPACE_BYTES_MIN // 1024**2} MiB of space, then start again; nothing was changed",
        )


def raise_open_files_limit() -> None:
    """Each connection takes a file: allow as many as the system lets this process have, not the 1,024 of a shell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # a system with a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def check_port_is_free(host: str, port: int, option: str = "--port") -> None:
    """Raises AlreadyRunning where something listens at the port, ConfigError where the host is not ours."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # As the server will: a port in TIME_WAIT after a restart is free, a port that is listened at is not.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        if getattr(error, "errno", None) in (98, 48):  # EADDRINUSE on Linux, macOS
            raise AlreadyRunning(
                f"port {port} on {host} is in use by another program",
                hint=f"choose another with {option}, or find it with: ss -ltnp",
            ) from error
        raise ConfigError(f"can't listen on {host}:{port}: {error}", hint=f"check --host and {option}") from error


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, which leads wherever its owner says


def give_way() -> None:
    """Let all other threads go before this one, and before those that it starts, where the cores don't suffice."""
    if sys.platform == "linux":  # elsewhere only whole processes have a priority
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _GIVE_WAY_NICE)
