"""`streamgauge keys`: keys on the command line, straight in the state database, so that nobody can lock themselves
out."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamgauge.config import load_settings
from streamgauge.core.clock import SystemClock
from streamgauge.model import DAY_MS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from streamgauge.access.keys import Key
    from streamgauge.access.register import MadeKey
    from streamgauge.state.database import StateDatabase, Work

T = TypeVar("T")

_OVERLAP_H: Final = 24

keys_app = typer.Typer(
    name="keys",
    no_args_is_help=True,
    help="Keys: who may send, read and change. Once there is one, every request needs one.",
)

_Data = Annotated[Path | None, typer.Option("--data", help="Folder that holds everything.", show_default="data")]
_Config = Annotated[Path | None, typer.Option("--config", help="Settings, a TOML file.", show_default="none")]
_Which = Annotated[str, typer.Argument(metavar="NAME", help="The key's name or id.", show_default=False)]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the secret alone.")]


class _Scope(StrEnum):
    write = "write"
    read = "read"
    admin = "admin"


@keys_app.command()
def create(  # noqa: PLR0917 - arguments of the command line have names
    name: Annotated[str, typer.Argument(metavar="NAME", help="Becomes `source` of its events.", show_default=False)],
    scope: Annotated[_Scope, typer.Option("--scope", help="write: send events, and nothing else.", show_default=False)],
    origin: Annotated[
        list[str] | None,
        typer.Option(
            "--origin", metavar="ORIGIN", help="Web pages that may use it: https://shop.example", show_default="none"
        ),
    ] = None,
    requests_per_s: Annotated[
        int, typer.Option("--requests-per-s", min=0, help="Its own limit.", show_default="as the settings say")
    ] = 0,
    quiet: _Quiet = False,
    data: _Data = None,
    config: _Config = None,
) -> None:
    """Make a key and print its secret, this once."""
    from streamgauge.access import register

    wish = register.KeyWish(name, scope.value, tuple(origin or ()), requests_per_s)
    with _register(data, config) as work:
        is_first = not work.read(register.any_made)
        made = work.change("keys create", name, lambda connection: register.create(connection, wish, work.now_ms))
    _tell(made, quiet=quiet)
    if is_first and not quiet:
        out = Console(highlight=False)
        out.print("From now on every request needs a key, from this machine too.", soft_wrap=True)
        if scope is not _Scope.admin:
            out.print("To read and to manage: streamgauge keys create admin --scope admin", soft_wrap=True)


@keys_app.command("list")
def list_keys(data: _Data = None, config: _Config = None) -> None:
    """Show the keys; their secrets are kept nowhere."""
    from streamgauge.access import register

    with _register(data, config) as work:
        keys = work.read(register.listed)
    table = Table("name", "scope", "ends in", "origins", "made", "", "id", box=None, pad_edge=False)
    for key in keys:
        origins = escape(" ".join(key.origins))
        table.add_row(key.name, key.scope, f"…{key.hint}", origins, _moment(key.created_ms), _note(key), key.id)
    out = Console(highlight=False)
    out.print(table if keys else "There are no keys: on loopback none is needed.")


@keys_app.command()
def rotate(
    which: _Which,
    overlap_h: Annotated[
        int, typer.Option("--overlap-h", min=0, help="So many hours is the secret from before good as well.")
    ] = _OVERLAP_H,
    quiet: _Quiet = False,
    data: _Data = None,
    config: _Config = None,
) -> None:
    """Give a key a new secret and print it, this once."""
    from streamgauge.access import register
    from streamgauge.access.service import overlap_ms_of

    overlap_ms = overlap_ms_of(overlap_h)
    with _register(data, config) as work:
        made = work.change(
            "keys rotate", which, lambda connection: register.rotate(connection, which, work.now_ms, overlap_ms)
        )
    _tell(made, quiet=quiet)


@keys_app.command()
def revoke(which: _Which, data: _Data = None, config: _Config = None) -> None:
    """End a key: servers that run see it within seconds."""
    from streamgauge.access import register

    with _register(data, config) as work:
        key = work.change("keys revoke", which, lambda connection: register.revoke(connection, which, work.now_ms))
    Console(highlight=False).print(f"[bold]{key.name}[/bold] (…{key.hint}) is revoked", soft_wrap=True)


class _Register:
    def __init__(self, database: StateDatabase, keep_days: int) -> None:
        self._database = database
        self._keep_ms = keep_days * DAY_MS
        self.now_ms = SystemClock().now_ms()

    def read(self, work: Work[T]) -> T:
        return self._database.read_now(work)

    def change(self, action: str, which: str, work: Work[T]) -> T:
        """With its entry in the audit log, both or neither."""
        from streamgauge.access.audit import Entry, write_entry

        entry = Entry(f"command line: {_user()}", "", action, f"key={which}", 200)

        def change(connection: Connection) -> T:
            done = work(connection)
            write_entry(connection, entry, self.now_ms, self._keep_ms)
            return done

        return self._database.write_now(change)


@contextmanager
def _register(data: Path | None, config: Path | None) -> Iterator[_Register]:
    from streamgauge.access.tables import ACCESS_TABLES
    from streamgauge.state.database import StateDatabase

    settings = load_settings(config, data=data)
    database = StateDatabase(settings.state_url, [ACCESS_TABLES])
    try:
        yield _Register(database, settings.retention.audit_days)
    finally:
        database.close()


def _tell(made: MadeKey, *, quiet: bool) -> None:
    if quiet:
        typer.echo(made.secret)
        return
    out = Console(highlight=False)
    out.print(f"[bold]{made.secret}[/bold]", soft_wrap=True)
    out.print(f"The {made.key.scope} key {made.key.name}. Keep it now: it is not shown again.", soft_wrap=True)
    if made.key.previous_until_ms is not None:
        out.print(f"The secret from before is good until {_moment(made.key.previous_until_ms)}.", soft_wrap=True)


def _note(key: Key) -> str:
    if key.revoked_ms is not None:
        return f"revoked {_moment(key.revoked_ms)}"
    if key.previous_until_ms is not None and key.previous_until_ms > SystemClock().now_ms():
        return f"rotated; the one before until {_moment(key.previous_until_ms)}"
    return ""


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in containers
        return "unknown"
