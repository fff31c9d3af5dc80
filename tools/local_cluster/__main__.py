"""`make up-cluster`: the whole cluster profile on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from local_cluster.layout import Layout, lay_out, postgres_folder
from local_cluster.leftovers import Register
from local_cluster.ports import Ports
from local_cluster.summary import print_summary
from local_cluster.supervisor import Supervisor
from local_cluster.waiting import NotReady
from streamgauge.core.errors import StreamgaugeError
from streamgauge.core.lifecycle import FolderLock

_PORTS_FILE: Final = "ports.json"
_out = Console(highlight=False, soft_wrap=True)
_application = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@_application.command()
def main(
    data: Annotated[Path, typer.Option("--data", help="Folder of everything.")] = Path("cluster-data"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove what is in the folder first.")] = False,
    any_ports: Annotated[bool, typer.Option("--any-ports", help="Whichever are free, not the usual ones.")] = False,
    kafka_jars: Annotated[
        Path | None, typer.Option("--kafka-jars", envvar="KAFKA_JARS", help="From tools/require.sh kafka.")
    ] = None,
    flink_home: Annotated[
        Path | None,
        typer.Option("--flink-home", help="From tools/require.sh flink; without: the embedded runner counts."),
    ] = None,
) -> None:
    """Start Kafka, ClickHouse's interface, PostgreSQL, Redis, Flink and Streamgauge's parts over them."""
    began_s = time.monotonic()
    folder = data.resolve()
    stop = _stop_on_signals()
    lock = FolderLock(folder)
    try:
        register = Register(folder / "processes.json")
        for name in register.end_leftovers():
            _out.print(f"  {name} was left over by a run that was killed: ended", style="yellow")
        if fresh:
            _remove(folder)
        ports = Ports(folder / _PORTS_FILE, any_free=any_ports)
        layout = lay_out(folder, ports, _jars(kafka_jars), flink_home)
        _run(layout, Supervisor(layout.stages, register, _out), stop, began_s)
    finally:
        lock.release()


def _run(layout: Layout, supervisor: Supervisor, stop: threading.Event, began_s: float) -> None:
    try:
        supervisor.start(stop)
        if not stop.is_set():
            print_summary(_out, layout, time.monotonic() - began_s)
            supervisor.watch(stop)
    finally:
        _out.print("stopping; what was accepted stays, and the next start goes on with it", style="dim")
        supervisor.stop(layout.stop_order)


def _stop_on_signals() -> threading.Event:
    """Set by the first SIGINT or SIGTERM. A second one ends us at once, and the kernel ends our parts with us."""
    stop = threading.Event()

    def on_signal(*_: object) -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return stop


def _jars(given: Path | None) -> Path:
    if given is None:
        raise NotReady("KAFKA_JARS names no folder with Kafka's jars: start it with make up-cluster")
    return given


def _remove(folder: Path) -> None:
    """Only what is one of ours: a folder that was given by mistake is left alone."""
    known = {_PORTS_FILE, "streamgauge.lock", "processes.json"}
    found = {path.name for path in folder.iterdir()}
    if found - known and _PORTS_FILE not in found:
        raise NotReady(f"{folder} is not a folder of a local cluster: --fresh doesn't remove it")
    shutil.rmtree(postgres_folder(folder), ignore_errors=True)
    for path in folder.iterdir():
        if path.name == "streamgauge.lock":
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    try:
        _application()
    except (NotReady, StreamgaugeError) as error:
        _out.print(f"[bold red]error[/bold red]: {error}", highlight=False)
        if hint := getattr(error, "hint", ""):
            _out.print(f"       {hint}")
        sys.exit(1)
