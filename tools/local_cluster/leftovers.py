"""Processes of a supervisor that was killed itself: known by their ids and the moment they began, then ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Final

from local_cluster.waiting import until

_END_S_MAX: Final = 20.0
_START_FIELD: Final = 21


class Register:
    """The processes that were started, in a file. Where the system doesn't say when a process began (only Linux
    does), nothing is ended: the id may be another's by now."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, tuple[int, str]] = {}

    def add(self, name: str, pid: int) -> None:
        self._known[name] = (pid, _began(pid) or "")
        self._write()

    def clear(self) -> None:
        self._known = {}
        self._write()

    def end_leftovers(self) -> list[str]:
        """The names of those that were still there. Raises NotReady where one doesn't end."""
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        ended = []
        for name, (pid, began) in found.items():
            if not began or _began(pid) != began:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid, began=began: _began(pid) != began, f"{name} (process {pid}) ends", _END_S_MAX)  # type: ignore[misc]
            ended.append(name)
        self.clear()
        return ended

    def _write(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self._known), encoding="utf-8")
        new.replace(self._file)


def _began(pid: int) -> str | None:
    """The moment as the kernel counts; None where there is no such process, or one that only waits for its parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[_START_FIELD - 2]
