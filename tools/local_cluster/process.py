"""A program in a process of its own, that does not outlive whoever started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_STOP_S_MAX: Final = 30.0


class Process:
    """Its output is appended to the file `log`. `user` is whose it is, where we are root and it refuses to be.

    On Linux it gets `orphan_signal` when its parent dies, however that happens. (Of the parent, the thread that
    started it: start it from one that lives as long as the process.)
    """

    def __init__(
        self,
        command: Sequence[object],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        user: str | None = None,
        orphan_signal: str = "KILL",
    ) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_until_we_die(orphan_signal, user), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Ctrl-C is for whoever started it, who stops everything in its order
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Negative: the signal that ended it. None while it runs."""
        return self._process.poll()

    def stop(self, number: int = signal.SIGTERM, seconds_max: float = _STOP_S_MAX) -> bool:
        """Ask it to end, and wait for that; one that doesn't is killed. Whether it ended by itself."""
        self._process.send_signal(number)
        try:
            self._process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, as a machine that loses its power does it to its processes."""
        self._process.kill()
        self._process.wait()


def as_user(user: str | None) -> list[str]:
    """What a command begins with that is run as another user; nothing where we aren't root anyway."""
    if user is None or os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]


def _until_we_die(orphan_signal: str, user: str | None) -> list[str]:
    if shutil.which("setpriv") is None:  # not Linux
        return []
    return [*(as_user(user) or ["setpriv"]), f"--pdeathsig={orphan_signal}", "--"]
