"""The command line. Heavy parts are imported by the command that needs them, so that --help is quick."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streamgauge import __version__
from streamgauge.config import Settings, load_settings
from streamgauge.core.errors import StreamgaugeError

application = typer.Typer(
    name="streamgauge",
    help="Real-time event analytics: events go in, charts come out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_out = Console(highlight=False)
_errors = Console(stderr=True, highlight=False)

Data = Annotated[Path | None, typer.Option("--data", help="Folder that holds everything.", show_default="data")]
Host = Annotated[str | None, typer.Option("--host", help="Address to listen at.", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Port.", show_default="8080")]
Config = Annotated[Path | None, typer.Option("--config", help="Settings, a TOML file.", show_default="none")]


@application.command()
def up(data: Data = None, host: Host = None, port: Port = None, config: Config = None) -> None:
    """Run the whole system behind one port until Ctrl-C."""
    settings = load_settings(config, data=data, host=host, port=port)
    started_s = time.perf_counter()
    _run(settings, lambda: _greet(settings, time.perf_counter() - started_s))


@application.command()
def version() -> None:
    """Print the version."""
    _out.print(__version__)


def _run(settings: Settings, ready: Callable[[], None]) -> None:
    import uvloop  # noqa: PLC0415

    from streamgauge.app import serve  # noqa: PLC0415

    uvloop.run(serve(settings, ready))


def _greet(settings: Settings, seconds: float) -> None:
    server = settings.server
    address = f"http://{'localhost' if server.host == '127.0.0.1' else server.host}:{server.port}"
    _out.print(f"[bold]Streamgauge {__version__}[/bold] is ready ({seconds:.1f} s)")
    _out.print(f"  dashboard  {address}/")
    _out.print(f"  send to    {address}/events")
    _out.print(f"  data       {settings.data_path.resolve()}")
    _out.print("Stop with Ctrl-C: nothing that was accepted is lost.", style="dim")


def main() -> None:
    """The entry point: operating errors become one clear message and exit code 1."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("httpx", "httpcore", "stamina", "_granian", "granian"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        application()
    except StreamgaugeError as error:
        _errors.print(f"[bold red]error[/bold red]: {error.message}", soft_wrap=True)
        if error.hint:
            _errors.print(f"       {error.hint}", soft_wrap=True)
        sys.exit(1)
