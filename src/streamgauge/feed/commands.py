"""`streamgauge import`: the importers on the command line. The rest of the program is imported when one runs."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from streamgauge.core.clock import SystemClock
from streamgauge.feed.errors import FeedError

if TYPE_CHECKING:
    from streamgauge.feed.format import Format

_EXIT_INTERRUPTED: Final = 130

import_app = typer.Typer(
    name="import",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Send the events of a file to a running server, each line once.

    An import can be interrupted and run again: it goes on where it stopped, and a file that was imported before
    changes nothing. It is known by its content, not by its name or by being gzipped; but a file that has grown is
    another file, so import a log when it is complete (rotated). Lines that are not events are counted, explained and
    written to FILE.rejected; they don't stop the import.""",
)

_File = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Plain or gzip.", show_default=False)
]
_Url = Annotated[str, typer.Option("--url", metavar="URL", help="The server.")]
_Shift = Annotated[
    bool, typer.Option("--shift-to-now", help="Move all times by one constant, so that the newest event is now.")
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Send nothing: print the first five events and the counts.")]
_DEFAULT_URL: Final = "http://127.0.0.1:8080"


@import_app.command("access-log")
def access_log(file: _File, shift_to_now: _Shift = False, url: _Url = _DEFAULT_URL, dry_run: _DryRun = False) -> None:
    """Import an access log of Apache or nginx, in the common or the combined format.

    Every line becomes an event `request` with the fields `user_id` (the client's address), `timestamp`, `method`,
    `page` (the path without the query), `status`, `bytes`, `referrer` and `device` (desktop, mobile, tablet, bot, tv
    or other, from the user agent).
    """
    from streamgauge.feed.access_log import AccessLog

    _import(file, AccessLog(), url, shift_to_now=shift_to_now, dry_run=dry_run)


@import_app.command("ndjson")
def ndjson(
    file: _File,
    event: Annotated[
        str | None, typer.Option("--event", metavar="NAME", help="The name of events that have none.")
    ] = None,
    shift_to_now: _Shift = False,
    url: _Url = _DEFAULT_URL,
    dry_run: _DryRun = False,
) -> None:
    """Import events in Streamgauge's own format, one JSON object a line, as they are.

    For example `{"event": "page_view", "timestamp": "2026-01-01T12:00:00Z", "user_id": 123, "page": "/product"}`.
    """
    from streamgauge.feed.ndjson import Ndjson

    _import(file, Ndjson(event), url, shift_to_now=shift_to_now, dry_run=dry_run)


@import_app.command("csv")
def csv(
    file: _File,
    *,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="FIELD=COLUMN", help="The column of a field, like timestamp=created_at. Repeatable."
        ),
    ] = None,
    event: Annotated[
        str | None, typer.Option("--event", metavar="NAME", help="The name of all events, or of those without one.")
    ] = None,
    number: Annotated[
        list[str] | None, typer.Option("--number", metavar="COLUMN", help="A column of numbers. Repeatable.")
    ] = None,
    delimiter: Annotated[
        str, typer.Option("--delimiter", metavar="CHAR", help="Between cells; or the word tab.")
    ] = ",",
    shift_to_now: _Shift = False,
    url: _Url = _DEFAULT_URL,
    dry_run: _DryRun = False,
) -> None:
    """Import a table: CSV whose first line has the names of the columns.

    A column becomes the field of its name, or the one it is mapped to. `event` must come from somewhere: a column or
    `--event`. `timestamp` is ISO 8601 (in UTC where it doesn't say), or seconds or milliseconds since 1970. All other
    cells are text, also digits, unless `--number` names their column. Empty cells are left out.
    """
    from streamgauge.feed.tabular import Columns, Tabular

    columns = Columns(
        fields=_fields(mapping or []),
        event=event,
        numbers=frozenset(number or []),
        delimiter="\t" if delimiter in ("tab", "\\t") else delimiter,
    )
    _import(file, Tabular(columns), url, shift_to_now=shift_to_now, dry_run=dry_run)


def _fields(mapping: list[str]) -> dict[str, str]:
    """`["event=kind"]` → `{"event": "kind"}`. Raises FeedError."""
    fields: dict[str, str] = {}
    for pair in mapping:
        field, separator, column = pair.partition("=")
        if not (field and separator and column):
            raise FeedError(f"--map {pair!r} is not FIELD=COLUMN", hint="write it like --map timestamp=created_at")
        if field in fields or column in fields.values():
            raise FeedError(f"--map {pair!r} maps a field or a column for the second time", hint="map each one once")
        fields[field] = column
    return fields


def _import(file: Path, format_: Format, url: str, *, shift_to_now: bool, dry_run: bool) -> None:
    from streamgauge.feed import report
    from streamgauge.feed.importer import import_file, preview_file

    # The report tells of each retry in words.
    logging.getLogger("stamina").setLevel(logging.ERROR)
    out, clock = Console(highlight=False), SystemClock()
    try:
        with report.report_on(Console(stderr=True, highlight=False)) as progress:
            if dry_run:
                summary = preview_file(file, format_, shift_to_now=shift_to_now, clock=clock, report=progress)
            else:
                summary = asyncio.run(
                    import_file(file, format_, url, shift_to_now=shift_to_now, clock=clock, report=progress)
                )
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted: run the same command again, and it goes on where it stopped")
        raise typer.Exit(_EXIT_INTERRUPTED) from None
    if dry_run:
        report.print_preview(out, summary)
        return
    notice = report.shift_notice(summary, shift_to_now=shift_to_now)
    if notice:
        out.print(f"note: {notice}", style="yellow")
    report.print_summary(out, summary, url=url, metric=format_.metric, clock=clock)
    if summary.rejected and not (summary.imported or summary.already):
        raise typer.Exit(1)  # a script that imports must see that nothing was
