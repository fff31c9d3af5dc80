"""The command line. Heavy parts are imported by the command that needs them, so that --help is quick."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from streamgauge import __version__
from streamgauge.access.commands import keys_app
from streamgauge.alert.commands import rules_app
from streamgauge.alert.notify.commands import alert_app
from streamgauge.config import Settings, load_settings
from streamgauge.core.errors import StreamgaugeError
from streamgauge.feed.commands import import_app
from streamgauge.feed.dead_letter_commands import dead_letter_app
from streamgauge.feed.question_commands import query
from streamgauge.feed.sql_commands import sql
from streamgauge.flink_commands import flink_app
from streamgauge.profiles.commands import profiles_app

if TYPE_CHECKING:
    from streamgauge.app import Beside
    from streamgauge.roles.serve import RoleName

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
GrpcPort = Annotated[
    int | None, typer.Option("--grpc-port", min=1, max=65535, help="Port of gRPC.", show_default="the one after --port")
]
Config = Annotated[Path | None, typer.Option("--config", help="Settings, a TOML file.", show_default="none")]


application.add_typer(import_app, name="import")
application.add_typer(dead_letter_app, name="dead-letter")
application.add_typer(profiles_app, name="profiles")
application.add_typer(alert_app, name="alert")
application.add_typer(keys_app, name="keys")
application.add_typer(flink_app, name="flink")
application.add_typer(rules_app, name="rules")
application.command()(query)
application.command()(sql)


def _print_version(wanted: bool) -> None:
    if wanted:
        _out.print(__version__)
        raise typer.Exit


@application.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Real-time event analytics: events go in, charts come out."""


@application.command()
def up(
    data: Data = None, host: Host = None, port: Port = None, grpc_port: GrpcPort = None, config: Config = None
) -> None:
    """Run the whole system in one process until Ctrl-C."""
    started_s = time.perf_counter()
    settings = load_settings(config, data=data, host=host, port=port, grpc_port=grpc_port)

    async def greet(stop: asyncio.Event) -> None:
        _greet(settings, time.perf_counter() - started_s)
        await stop.wait()

    _run(settings, greet)


@application.command()
def ingest(
    data: Data = None, host: Host = None, port: Port = None, grpc_port: GrpcPort = None, config: Config = None
) -> None:
    """Only take events in: to a log on Kafka. Run as many as needed."""
    _run_role("ingest", config, data=data, host=host, port=port, grpc_port=grpc_port)


@application.command()
def stream(data: Data = None, host: Host = None, port: Port = None, config: Config = None) -> None:
    """Only count: from Kafka to ClickHouse. Several share the partitions; the port is for its state."""
    _run_role("stream", config, data=data, host=host, port=port)


@application.command()
def loader(data: Data = None, host: Host = None, port: Port = None, config: Config = None) -> None:
    """Only load: the rows that Flink counted, from Kafka to ClickHouse. Several share the partitions."""
    _run_role("loader", config, data=data, host=host, port=port)


@application.command()
def api(data: Data = None, host: Host = None, port: Port = None, config: Config = None) -> None:
    """Only answer: the query API and the dashboard, from ClickHouse. Run as many as needed."""
    _run_role("api", config, data=data, host=host, port=port)


@alert_app.callback(invoke_without_command=True)
def alert(
    context: typer.Context, data: Data = None, host: Host = None, port: Port = None, config: Config = None
) -> None:
    """Only evaluate rules and tell of alerts: with the state in PostgreSQL. Run two: one does it, the other takes over
    when it ends. Or, with a command: try a receiver."""
    if context.invoked_subcommand is None:
        _run_role("alert", config, data=data, host=host, port=port)


@application.command()
def demo(
    data: Annotated[Path, typer.Option("--data", help="Folder that holds the demo's data.")] = Path("demo-data"),
    host: Host = None,
    port: Port = None,
    days: Annotated[int, typer.Option("--days", min=1, max=30, help="Days of history.")] = 7,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", metavar="URL", help="Send to this running server instead of running one.", show_default="none"
        ),
    ] = None,
) -> None:
    """Run the system with a made-up shop: days of history, then traffic as it happens."""
    started_s = time.perf_counter()
    from streamgauge.core.clock import SystemClock
    from streamgauge.feed.demo import DEMO_ROLLUPS, run_demo
    from streamgauge.feed.demo_display import DemoDisplay

    async def send(to: str, stop: asyncio.Event) -> None:
        with DemoDisplay(_out) as display:
            await run_demo(to, SystemClock(), stop=stop, days=days, on_progress=display.show)

    if url is not None:
        _until_stopped(partial(send, url))
        return
    settings = load_settings(None, data=data, host=host, port=port)
    settings = msgspec.structs.replace(settings, rollups=settings.rollups + DEMO_ROLLUPS)

    async def shop(stop: asyncio.Event) -> None:
        _greet(settings, time.perf_counter() - started_s)
        await send(_url(settings), stop)

    _run(settings, shop)


@application.command()
def explain(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="The event's id.", show_default=False)],
    url: Annotated[str, typer.Option("--url", metavar="URL", help="The server.")] = "http://localhost:8080",
) -> None:
    """Say what became of an event: where it was counted, or why it wasn't. Exit code 1 where the id is not known."""
    from streamgauge.feed.explain import fetch_explanation, print_explanation

    print_explanation(_out, asyncio.run(fetch_explanation(url, event_id)))


@application.command()
def replay(
    from_: Annotated[str, typer.Option("--from", help="Rebuild from here: 2026-01-01T00:00:00Z or milliseconds.")],
    to: Annotated[str | None, typer.Option("--to", help="To here.", show_default="the end")] = None,
    rollup: Annotated[str | None, typer.Option("--rollup", help="One metric.", show_default="all")] = None,
    url: Annotated[str, typer.Option("--url", help="The running server.")] = "http://localhost:8080",
) -> None:
    """Rebuild rollups from the log, in the running server, while it goes on counting."""
    from streamgauge.feed.rebuild import rebuild

    asyncio.run(rebuild(_out, url, {"from": from_, "to": to, "rollup": rollup}))


def _run(settings: Settings, beside: Beside) -> None:
    import uvloop

    from streamgauge.app import serve

    uvloop.run(serve(settings, beside))


def _until_stopped(work: Beside) -> None:
    """Run it alone, until SIGTERM or SIGINT."""

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await work(stop)

    asyncio.run(run())


def _run_role(name: RoleName, config: Path | None, **overrides: Any) -> None:
    import uvloop

    from streamgauge.roles.serve import serve_role

    settings = load_settings(config, **overrides)
    # Several of them on one machine share no folder.
    settings = msgspec.structs.replace(settings, data=str(settings.data_path / f"{name}-{settings.server.port}"))
    uvloop.run(serve_role(name, settings, lambda: _out.print(f"[bold]{name}[/bold] is at {_url(settings)}")))


def _greet(settings: Settings, seconds: float) -> None:
    address = _url(settings)
    _out.print(f"[bold]Streamgauge {__version__}[/bold] is ready ({seconds:.1f} s)")
    _out.print(f"  dashboard  {address}/")
    _out.print(f"  send to    {address}/events")
    if settings.grpc.enabled:
        _out.print(f"  gRPC       {_host(settings)}:{settings.grpc_port}{' with TLS' if settings.grpc.tls_key else ''}")
    _out.print(f"  data       {settings.data_path.resolve()}")
    _out.print("Stop with Ctrl-C: nothing that was accepted is lost.", style="dim")


def _url(settings: Settings) -> str:
    return f"http://{_host(settings)}:{settings.server.port}"


def _host(settings: Settings) -> str:
    host = "localhost" if settings.server.host == "127.0.0.1" else settings.server.host
    return f"[{host}]" if ":" in host else host


def main() -> None:
    """The entry point: operating errors become one clear message and exit code 1."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("httpx", "httpcore", "_granian", "granian"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("stamina").setLevel(logging.ERROR)  # whoever retries says so in its own words
    try:
        application()
    except StreamgaugeError as error:
        _errors.print(f"[bold red]error[/bold red]: {escape(error.message)}", soft_wrap=True)
        if error.hint:
            _errors.print(f"       {escape(error.hint)}", soft_wrap=True)
        sys.exit(1)
