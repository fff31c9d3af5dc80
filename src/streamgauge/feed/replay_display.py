"""Dead letters on the terminal: a list of them, and how a replay goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from streamgauge.feed.replay import DeadLetter, Summary

_ORIGINAL_CHARS_MAX: Final = 200
_NONE: Final = "there are no such dead letters"


class ReplayProgress:
    """A bar where someone looks; of what is in the way, a line in any case."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._console = console
        self._why = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begun(self, letters: int) -> None:
        self._task = self._progress.add_task("", total=letters)

    def advanced(self, letters: int) -> None:
        self._progress.advance(self._task, letters)

    def waiting(self, why: str) -> None:
        if why != self._why:
            self._why = why
            self._console.print(f"{why}; trying again", style="yellow", markup=False)


def print_letters(console: Console, letters: Sequence[DeadLetter], counts: Mapping[str, int], *, as_json: bool) -> None:
    if as_json:
        for letter in letters:
            console.print(msgspec.json.encode(letter).decode(), markup=False, soft_wrap=True)
        return
    for letter in letters:
        console.print(
            f"[dim]{escape(letter.received_at)}[/dim]  [yellow]{escape(letter.reason)}[/yellow]  "
            f"{escape(letter.event_id)}{'  [green]counted since[/green]' if letter.counted else ''}",
            soft_wrap=True,
        )
        original = letter.original
        cut = f"{original[:_ORIGINAL_CHARS_MAX]}…" if len(original) > _ORIGINAL_CHARS_MAX else original
        console.print(f"  {letter.message}\n  {cut}", markup=False, soft_wrap=True)
    _print_counts(console, len(letters), counts)


def _print_counts(console: Console, shown: int, counts: Mapping[str, int]) -> None:
    total = sum(counts.values())
    if not total:
        console.print(_NONE)
        return
    table = Table("reason", "letters", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for reason, count in counts.items():
        table.add_row(escape(reason), f"{count:,}")
    console.print(f"\n[bold]{total:,}[/bold] dead letters" + (f", the newest {shown:,} above" if shown < total else ""))
    console.print(table)


def print_summary(console: Console, summary: Summary, *, dry_run: bool) -> None:
    if summary == Summary():
        console.print(_NONE)
    elif dry_run:
        console.print(f"[bold]would replay {_events(summary.replayed)}[/bold]; nothing was sent")
    else:
        console.print(f"[bold green]replayed {_events(summary.replayed)}[/bold green]")
    _print_count(console, "already counted", summary.already_counted)
    _print_count(console, "repeated", summary.repeated, "further letters of the same events")
    _print_count(console, "too far ahead", summary.waiting, "refused until their time has come: replay them then")
    _print_count(console, "not replayable", summary.not_replayable, "no JSON objects")
    rejected = sum(summary.rejected.values())
    if rejected:
        reasons = ", ".join(f"{code} {count:,}" for code, count in sorted(summary.rejected.items()))
        console.print(f"  [yellow]rejected again[/yellow]   {rejected:,}: {escape(reasons)}", soft_wrap=True)
    for one in summary.examples:
        console.print(f"    {one.event_id}: {one.message}", style="dim", markup=False, soft_wrap=True)


def _print_count(console: Console, name: str, count: int, meaning: str = "") -> None:
    if count:
        console.print(f"  {name:17}{count:,}{f'  ({meaning})' if meaning else ''}", soft_wrap=True)


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count:,} events"
