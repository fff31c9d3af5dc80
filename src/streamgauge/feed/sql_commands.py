"""`streamgauge sql`: SQL from a terminal. The rest of the program is imported when it runs."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
import typer
from rich.console import Console

from streamgauge.feed.errors import FeedError

if TYPE_CHECKING:
    from streamgauge.feed.sql import SqlTable

_ROWS_SHOWN_MAX: Final = 200
_Option = typer.Option


class Shape(StrEnum):
    table = "table"
    csv = "csv"
    json = "json"
    ndjson = "ndjson"
    arrow = "arrow"


def sql(
    text: Annotated[
        str | None, typer.Argument(metavar="SQL", help="One SELECT; from stdin where absent or -.", show_default=False)
    ] = None,
    *,
    form: Annotated[Shape, _Option("--format", help="What is printed.")] = Shape.table,
    parameters: Annotated[
        list[str] | None, _Option("--param", metavar="NAME=VALUE", help="The value of {NAME:Type} in the SQL.")
    ] = None,
    url: Annotated[str, _Option("--url", metavar="URL", help="The server.")] = "http://localhost:8080",
) -> None:
    """Ask a running server in SQL, read-only: `sql "SELECT event, count() FROM events GROUP BY event"`.

    The tables are `metrics`, `sessions`, `events` and `dead_letter`; the SQL is ClickHouse's. What it took, how many
    rows were read and how fresh the answer is goes to stderr. Exit code 1 where the server refuses or doesn't answer.
    """
    from streamgauge.feed.question_display import print_freshness
    from streamgauge.feed.sql import ask_sql, parameters_of

    asked = "json" if form is Shape.table else form.value
    answer = asyncio.run(ask_sql(url, _given(text), parameters_of(parameters or []), asked))
    errors = Console(stderr=True, highlight=False)
    took = f"{answer.took_ms:,.0f} ms"
    if form is Shape.table:
        table = answer.table()
        _print_table(Console(highlight=False), errors, table)
        took = f"{_rows(table.row_count)} in {took}, {_rows(table.rows_read)} read"
    elif form is Shape.arrow and sys.stdout.isatty():
        raise FeedError("an Arrow stream is not for a terminal", hint="write it to a file: … > answer.arrow")
    else:
        sys.stdout.buffer.write(answer.content + (b"\n" if form is Shape.json else b""))
        sys.stdout.buffer.flush()
    errors.print(took, style="dim", soft_wrap=True)
    print_freshness(errors, answer.fresh)


def _given(text: str | None) -> str:
    if text is not None and text != "-":
        return text
    if sys.stdin.isatty():
        raise FeedError("what shall be asked?", hint='streamgauge sql "SELECT count() FROM events", or pipe it in')
    return sys.stdin.read()


def _print_table(console: Console, errors: Console, table: SqlTable) -> None:
    from rich.markup import escape
    from rich.table import Table

    from streamgauge.feed.question_display import is_number

    shown = Table()
    for number, column in enumerate(table.columns):
        justify: Literal["left", "right"] = "right" if any(is_number(row[number]) for row in table.rows) else "left"
        shown.add_column(escape(column.name), justify=justify, overflow="fold")
    for row in table.rows[:_ROWS_SHOWN_MAX]:
        shown.add_row(*(escape(_cell(value)) for value in row))
    console.print(shown)
    if table.row_count > _ROWS_SHOWN_MAX:
        more = table.row_count - _ROWS_SHOWN_MAX
        errors.print(f"and {_rows(more)} more: --format csv prints all", style="yellow", soft_wrap=True)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
