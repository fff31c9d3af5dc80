"""The demo on the terminal: how far history is, then how many events were sent."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from streamgauge.feed.demo import DemoProgress


class DemoDisplay:
    """A bar for history and a line for live traffic; where no one watches, a line when live traffic begins."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._live = False

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task("history", total=1.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, progress: DemoProgress) -> None:
        if progress.waiting:
            self._bar.update(self._task, description=f"waiting: {progress.waiting}")
            return
        if not progress.is_live:
            days_ms = max(1, progress.until_ms - progress.start_ms)
            done = (progress.reached_ms - progress.start_ms) / days_ms
            self._bar.update(self._task, completed=done, description=f"history, {progress.sent:,} events sent")
            return
        if not self._live:
            self._live = True
            self._bar.update(self._task, completed=1.0)
            self._bar.stop()
            self._console.print(f"  {progress.sent:,} events of history sent; traffic goes on live")
