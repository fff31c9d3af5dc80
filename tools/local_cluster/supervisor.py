"""Starts parts in their order, starts again what dies, stops all in the order of the flow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from rich.console import Console

from local_cluster.leftovers import Register
from local_cluster.process import Process
from local_cluster.waiting import NotReady

_POLL_S: Final = 0.1
_START_S_MAX: Final = 120.0
_AGAIN_S: Final = 0.5
_AGAIN_S_MAX: Final = 10.0
_WELL_S: Final = 30.0
"""One that was ready for so long may be started again at once when it dies."""

_TAIL_LINES: Final = 12


class Server(Protocol):
    process: Process | None

    def launch(self) -> None:
        """Start it, without waiting for it."""
        ...

    def is_ready(self) -> bool: ...

    def stop(self) -> None:
        """Let it end well."""
        ...


class Part:
    """A server by its name. `prepare` is called whenever it has become ready, before it counts as that; it may raise
    NotReady, and is called again then."""

    def __init__(
        self, name: str, server: Server, where: str, log: Path, prepare: Callable[[], None] = lambda: None
    ) -> None:
        self.name, self.server, self.where, self.log, self.prepare = name, server, where, log, prepare
        self.launched_s = self.ready_s = 0.0
        self.is_ready = False
        self.deaths = 0
        self.again_at_s = 0.0
        self.problem = ""

    def launch(self) -> None:
        self.launched_s, self.is_ready = time.monotonic(), False
        self.server.launch()

    @property
    def pid(self) -> int | None:
        process = self.server.process
        return process.pid if process is not None else None

    def has_become_ready(self) -> bool:
        """Whether it is ready now and wasn't before."""
        if self.is_ready or not self.server.is_ready():
            return False
        try:
            self.prepare()
        except NotReady as error:
            self.problem = str(error)
            return False
        self.is_ready, self.ready_s, self.problem = True, time.monotonic(), ""
        return True

    def death(self) -> str | None:
        """How it ended, where it has."""
        process = self.server.process
        if process is None or process.is_running:
            return None
        code = process.exit_code or 0
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def tail(self) -> str:
        """The end of what it printed."""
        if not self.log.exists():
            return ""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-_TAIL_LINES:])


class Supervisor:
    """Of parts in stages: those of a stage start side by side, after those of the stage before are ready."""

    def __init__(self, stages: Sequence[Sequence[Part]], register: Register, console: Console) -> None:
        self._stages, self._register, self._console = stages, register, console
        self._parts = [part for stage in stages for part in stage]

    def start(self, stop: threading.Event) -> None:
        """Until every part is ready, or `stop` is set. Raises NotReady for a part that doesn't get there."""
        for stage in self._stages:
            for part in stage:
                self._launch(part)
            with self._shown(stage):
                self._await(stage, stop)

    def watch(self, stop: threading.Event) -> None:
        """Start again what dies, until `stop` is set."""
        while not stop.wait(_POLL_S):
            for part in self._parts:
                self._look_after(part)

    def stop(self, order: Sequence[Part]) -> None:
        """One after the other, in this order; whatever isn't named after that."""
        for part in (*order, *(part for part in self._parts if part not in order)):
            if part.server.process is None:
                continue
            began_s = time.monotonic()
            part.server.stop()
            self._console.print(f"  {part.name:<14} stopped  {time.monotonic() - began_s:5.1f} s", style="dim")
        self._register.clear()

    def _await(self, stage: Sequence[Part], stop: threading.Event) -> None:
        waiting = list(stage)
        while waiting and not stop.is_set():
            for part in list(waiting):
                if (how := part.death()) is not None:
                    raise NotReady(f"{part.name} ended while it started ({how}); {part.log} ends with:\n{part.tail()}")
                if part.has_become_ready():
                    waiting.remove(part)
                    self._console.print(f"  {part.name:<14} ready    {part.ready_s - part.launched_s:5.1f} s")
                elif time.monotonic() - part.launched_s > _START_S_MAX:
                    why = part.problem or f"{part.log} ends with:\n{part.tail()}"
                    raise NotReady(f"{part.name} is not ready after {_START_S_MAX:g} s: {why}")
            stop.wait(_POLL_S)

    def _look_after(self, part: Part) -> None:
        now_s = time.monotonic()
        how = part.death()
        if part.again_at_s:
            if now_s >= part.again_at_s:
                part.again_at_s = 0.0
                self._launch(part)
        elif how is not None:
            was_well = part.is_ready and now_s - part.ready_s > _WELL_S
            part.deaths = 1 if was_well else part.deaths + 1
            pause_s = 0.0 if part.deaths == 1 else min(_AGAIN_S * 2**part.deaths, _AGAIN_S_MAX)
            part.is_ready, part.again_at_s = False, now_s + pause_s
            self._console.print(f"[yellow]{part.name} is gone ({how})[/yellow]: it is started again")
        elif not part.is_ready and part.has_become_ready():
            self._console.print(f"{part.name} is ready again ({now_s - part.launched_s:.1f} s)")

    def _launch(self, part: Part) -> None:
        part.launch()
        if part.pid is not None:
            self._register.add(part.name, part.pid)

    @contextmanager
    def _shown(self, stage: Sequence[Part]) -> Iterator[None]:
        names = ", ".join(part.name for part in stage)
        with self._console.status(f"starting {names} …"):
            yield
