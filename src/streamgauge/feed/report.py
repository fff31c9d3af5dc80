"""Imports on the terminal: progress while they run, the summary at the end."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from streamgauge.core.clock import Clock
from streamgauge.feed.importer import Summary
from streamgauge.model import DAY_MS, MINUTE_MS

_LINES_EVERY_S: Final = 5.0
_DAYS_SHOWN: Final = 7


class _LinesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        lines = int(task.fields["lines"])
        speed = lines / task.elapsed if task.elapsed else 0
        return Text(f"{lines:,} lines  {speed:,.0f}/s", style="dim")


class BarReport:
    """A progress bar, for people."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:8}"),
            BarColumn(),
            TaskProgressColumn(),
            _LinesPerSecond(),
            TimeRemainingColumn(),
            console=console,
        )
        self._why = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def phase(self, title: str, bytes_total: int) -> None:
        self._task = self._progress.add_task(title, total=max(1, bytes_total), lines=0)

    def progress(self, bytes_done: int, lines: int) -> None:
        self._progress.update(self._task, completed=bytes_done, lines=lines)

    def waiting(self, why: str) -> None:
        if why != self._why:
            self._why = why
            self._progress.console.print(f"{why}; trying again", style="yellow")


class LineReport:
    """A line now and then, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._why = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def phase(self, title: str, bytes_total: int) -> None:
        self._title, self._bytes_total = title, max(1, bytes_total)
        self._started_s = self._told_s = time.monotonic()

    def progress(self, bytes_done: int, lines: int) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s < _LINES_EVERY_S:
            return
        self._told_s = now_s
        speed = lines / (now_s - self._started_s)
        self._console.print(f"{self._title} {bytes_done / self._bytes_total:.0%} {lines:,} lines {speed:,.0f}/s")

    def waiting(self, why: str) -> None:
        if why != self._why:
            self._why = why
            self._console.print(f"{why}; trying again")


def report_on(console: Console) -> BarReport | LineReport:
    return BarReport(console) if console.is_terminal else LineReport(console)


def print_summary(console: Console, summary: Summary, *, url: str, metric: str, clock: Clock) -> None:
    """What became of an import that was finished."""
    if summary.imported == 0 and summary.already:
        console.print(f"[bold]nothing new[/bold]: all {_lines(summary.already)} were imported before")
    else:
        console.print(f"[bold green]imported {summary.imported:,} events[/bold green]")
        if summary.already:
            console.print(f"  already there  {_lines(summary.already)}: this run went on where an earlier one stopped")
    _print_rejected(console, summary)
    if summary.first_ms is not None and summary.last_ms is not None:
        console.print(f"  times          {_time(summary.first_ms)} to {_time(summary.last_ms)}")
    if summary.shift_ms:
        console.print(f"  moved by       {_duration(summary.shift_ms)}")
    elif summary.last_ms is not None and summary.last_ms < clock.now_ms() - _DAYS_SHOWN * DAY_MS:
        console.print("  these are old events; imported with --shift-to-now they would end now", style="dim")
    console.print(f"  see            {_dashboard(url, metric, summary, clock)}", soft_wrap=True)


def print_preview(console: Console, summary: Summary) -> None:
    """What an import would do: its first events as they would be sent, then counts."""
    for item in summary.preview:
        console.print(item.decode(errors="replace"), soft_wrap=True, markup=False)
    console.print(f"[bold]would send {summary.imported:,} events[/bold]; nothing was sent")
    _print_rejected(console, summary)
    if summary.first_ms is not None and summary.last_ms is not None:
        console.print(f"  times          {_time(summary.first_ms)} to {_time(summary.last_ms)}")
    if summary.shift_ms:
        console.print(f"  moved by       {_duration(summary.shift_ms)}")


def shift_notice(summary: Summary, *, shift_to_now: bool) -> str | None:
    """What to say where an import went on with another shift than was asked for."""
    if not summary.goes_on or shift_to_now == (summary.shift_ms != 0):
        return None
    began = f"moved by {_duration(summary.shift_ms)}" if summary.shift_ms else "as they are in the file"
    return f"these lines were first imported with their times {began}, and an import keeps its times"


def _print_rejected(console: Console, summary: Summary) -> None:
    if not summary.rejected:
        return
    reasons = ", ".join(f"{code} {count:,}" for code, count in sorted(summary.rejected_by_code.items()))
    console.print(f"  [yellow]rejected[/yellow]       {_lines(summary.rejected)}: {reasons}")
    for example in summary.examples:
        console.print(f"    line {example.line_number:,}: {example.message}", style="dim", markup=False)
    if summary.rejected_problem:
        console.print(f"    {summary.rejected_problem}", style="yellow", soft_wrap=True, markup=False)
    elif summary.rejected_path is not None:
        console.print(f"    all of them are in {summary.rejected_path}", style="dim", soft_wrap=True)


def _dashboard(url: str, metric: str, summary: Summary, clock: Clock) -> str:
    """The dashboard, at a range that has the events."""
    base = f"{url.rstrip('/')}/?metric={metric}"
    first_ms, last_ms = summary.first_ms, summary.last_ms
    if first_ms is None or last_ms is None or last_ms > clock.now_ms() - _DAYS_SHOWN * DAY_MS:
        return f"{base}&range={_DAYS_SHOWN}d"
    return f"{base}&from={_time(first_ms)}&to={_time(last_ms + MINUTE_MS)}"


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count:,} lines"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _duration(ms: int) -> str:
    days, rest_ms = divmod(abs(ms), DAY_MS)
    hours, rest_ms = divmod(rest_ms, 60 * MINUTE_MS)
    text = f"{days:,} d {hours} h" if days else f"{hours} h {rest_ms // MINUTE_MS} min"
    return text if ms >= 0 else f"-{text}"
