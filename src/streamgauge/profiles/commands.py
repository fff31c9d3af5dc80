"""`streamgauge profiles`: the profile database on the command line."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from streamgauge.config import load_settings
from streamgauge.core.clock import SystemClock
from streamgauge.core.errors import ConfigError, NotFound, Unavailable
from streamgauge.feed.errors import FeedError
from streamgauge.profiles.names import UPDATED_AT, USER_ID

if TYPE_CHECKING:
    from streamgauge.profiles.importer import ImportSummary

_LIST_DEFAULT: Final = 20

profiles_app = typer.Typer(
    name="profiles",
    no_args_is_help=True,
    help="""What is known of users beside their events: the stream adds it to the events of each user.""",
)

_Data = Annotated[Path | None, typer.Option("--data", help="Folder that holds everything.", show_default="data")]
_Config = Annotated[Path | None, typer.Option("--config", help="Settings, a TOML file.", show_default="none")]


@profiles_app.command("import")
def import_file(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", exists=True, dir_okay=False, help="CSV, TSV or NDJSON; plain or gzip.", show_default=False
        ),
    ],
    id_column: Annotated[str, typer.Option("--id-column", metavar="NAME", help="Where the user's id is.")] = USER_ID,
    data: _Data = None,
    config: _Config = None,
) -> None:
    """Add the profiles of a file, or change those that are there; all other columns become the profile's.

    An empty cell takes a value away; a column that the file doesn't have stays as it is. A running server sees the
    changes a few seconds later.
    """
    from streamgauge.feed.source import SourceFile
    from streamgauge.profiles.importer import ImportSummary, ProfileWriter, import_profiles
    from streamgauge.profiles.rows import profile_rows

    database, out = _database_file(data, config), Console(highlight=False)
    done = ImportSummary()
    with SourceFile(file) as source:
        rows = profile_rows(source, id_column)
        try:
            with _progress() as bar, ProfileWriter(database, SystemClock()) as writer:
                task = bar.add_task("importing", total=max(1, source.size_bytes), rows=0)

                def show(summary: ImportSummary) -> None:
                    nonlocal done
                    done = summary
                    bar.update(task, completed=source.position_bytes, rows=f"{summary.rows:,}")

                import_profiles(rows, writer, show)
        except FeedError as error:
            kept = f"the {done.rows:,} profiles before it are imported; " if done.rows else ""
            raise FeedError(error.message, hint=f"{kept}{error.hint}") from error
    if not done.rows:
        raise FeedError(f"{file.name} has no profiles", hint="after the header line, each line is one")
    out.print(f"[bold green]imported {done.rows:,} profiles[/bold green] into {database}", soft_wrap=True)
    out.print(f"  new {done.new:,}, changed {done.changed:,}, unchanged {done.unchanged:,}")


@profiles_app.command("show")
def show(
    user_id: Annotated[str, typer.Argument(metavar="USER_ID", show_default=False)],
    data: _Data = None,
    config: _Config = None,
) -> None:
    """Print one profile."""
    database = _database_file(data, config)
    rows, names = _rows(database, f"WHERE {USER_ID} = ?", user_id)
    if not rows:
        raise NotFound(f"there is no profile of the user {user_id!r} in {database}", hint="streamgauge profiles list")
    out = Console(highlight=False)
    for name, value in zip(names, _shown(names, rows[0]), strict=True):
        out.print(f"{name:20} {value}", markup=False, soft_wrap=True)


@profiles_app.command("list")
def list_profiles(
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many.")] = _LIST_DEFAULT,
    data: _Data = None,
    config: _Config = None,
) -> None:
    """Print the profiles that changed last."""
    rows, names = _rows(_database_file(data, config), f"ORDER BY {UPDATED_AT} DESC LIMIT ?", limit)
    table = Table(*names)
    for row in rows:
        table.add_row(*map(escape, _shown(names, row)))
    out = Console(highlight=False)
    out.print(table if rows else "there are no profiles; add some with: streamgauge profiles import FILE")


def _database_file(data: Path | None, config: Path | None) -> Path:
    """Raises ConfigError where the profiles are not in a file of ours."""
    from streamgauge.profiles.sqlite import file_of

    url = load_settings(config, data=data).profiles_url
    if url.startswith(("postgresql://", "postgres://")):
        raise ConfigError(
            "the settings say that the profiles are in PostgreSQL; this command is for the SQLite file only",
            hint="use psql for that table, or take `profiles` out of the settings",
        )
    return file_of(url)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]} profiles", style="dim"),
        TimeRemainingColumn(),
        console=Console(stderr=True, highlight=False),
        disable=not Console(stderr=True).is_terminal,
    )


def _rows(database: Path, clause: str, value: str | int) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Whole rows, and the names of their columns; none where there is no database yet."""
    with _reading(database) as connection:
        if connection is None:
            return [], []
        cursor = connection.execute(f"SELECT * FROM profiles {clause}", (value,))  # noqa: S608
        return cursor.fetchall(), [column[0] for column in cursor.description]


@contextlib.contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection | None]:
    from streamgauge.profiles.sqlite import columns_of

    if not database.exists():
        yield None
        return
    try:
        with contextlib.closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection if columns_of(connection) else None
    except sqlite3.Error as error:
        raise Unavailable(f"the profiles in {database} can't be read: {error}") from error


def _shown(names: list[str], row: tuple[Any, ...]) -> list[str]:
    """Times as times, no value as nothing."""

    def text(name: str, value: Any) -> str:
        if name == UPDATED_AT and isinstance(value, int):
            return datetime.fromtimestamp(value / 1_000, UTC).isoformat(timespec="milliseconds")
        return "" if value is None else str(value)

    return [text(name, value) for name, value in zip(names, row, strict=True)]
