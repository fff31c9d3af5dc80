"""`streamgauge flink`: the pipeline on a Flink cluster, from the command line."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import unquote, urlsplit

import typer
from rich.console import Console
from rich.table import Table

from streamgauge.config import Settings, load_settings
from streamgauge.core.errors import ConfigError, NotFound, StreamgaugeError

if TYPE_CHECKING:
    from streamgauge.stream.flink.cluster import FlinkCluster
    from streamgauge.stream.flink.job import FlinkJob

JAR_VARIABLE: Final = "STREAMGAUGE_FLINK_JAR"

flink_app = typer.Typer(
    name="flink",
    no_args_is_help=True,
    help="Count on a Flink cluster: the same pipeline, compiled to Flink SQL. See docs/guide/flink.md.",
)

_Config = Annotated[Path | None, typer.Option("--config", help="Settings, a TOML file.", show_default="none")]
_NEW: Final = "new"
_NEWEST: Final = "newest"


@flink_app.command("sql")
def print_sql(
    config: _Config = None,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="With the passwords, as it is submitted.")
    ] = False,
) -> None:
    """Print the job as Flink SQL, to read; `submit` runs it."""
    from streamgauge.parts import flink_job
    from streamgauge.stream.flink.job import script

    sys.stdout.write(script(flink_job(load_settings(config)), with_secrets=with_secrets))


@flink_app.command()
def submit(
    config: _Config = None,
    jar: Annotated[
        Path | None,
        typer.Option("--jar", help="The job's jar.", envvar=JAR_VARIABLE, exists=True, dir_okay=False),
    ] = None,
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="PLACE",
            help=f"A savepoint or checkpoint to go on from; {_NEWEST!r}: the newest there is; "
            f"{_NEW!r}: begin the log anew, with nothing counted before.",
        ),
    ] = _NEWEST,
    watch: Annotated[
        bool, typer.Option("--watch", help="Until SIGTERM, run it again from the newest place whenever it doesn't run.")
    ] = False,
) -> None:
    """Run the job, from where the last one ended."""
    from streamgauge.parts import flink_job

    settings = load_settings(config)
    if jar is None:
        raise ConfigError(
            "the job's jar is not named", hint=f"--jar FILE, or {JAR_VARIABLE}=FILE: make flink-jar builds it"
        )
    if watch and from_ != _NEWEST:
        raise ConfigError(
            "--watch goes on from the newest checkpoint or savepoint, whenever it begins",
            hint="submit once with --from and without --watch, then watch without --from",
        )
    job = flink_job(settings)
    with _cluster(settings) as cluster:
        if watch:
            _watch(cluster, job.name, lambda: _submit(cluster, settings, job, jar, _NEWEST))
        else:
            _submit(cluster, settings, job, jar, from_)


@flink_app.command()
def status(config: _Config = None) -> None:
    """Say how the job is doing. Exit code 1 where it doesn't run."""
    from streamgauge.parts import flink_job

    settings, out = load_settings(config), Console(highlight=False)
    name = flink_job(settings).name
    with _cluster(settings) as cluster:
        job = cluster.job(name)
        checkpoints = cluster.checkpoints(job.id)
        free, slots = cluster.slots()
        problem = cluster.problem(job.id)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("job", f"{job.name} ({job.id})")
    table.add_row("state", f"[bold]{job.state}[/bold]")
    table.add_row("since", _time(job.started_ms))
    at = f", the last at {_time(checkpoints.at_ms)}: {checkpoints.size_bytes:,} bytes in {checkpoints.duration_ms} ms"
    table.add_row(
        "checkpoints", f"{checkpoints.completed} completed, {checkpoints.failed} failed" + at * bool(checkpoints.at_ms)
    )
    table.add_row("slots", f"{free} of {slots} free")
    if problem:
        table.add_row("last problem", problem.splitlines()[0])
    out.print(table)
    if job.is_over:
        raise typer.Exit(1)


@flink_app.command()
def stop(
    config: _Config = None,
    savepoint: Annotated[
        bool, typer.Option("--savepoint/--no-savepoint", help="With a savepoint that the next one goes on from.")
    ] = True,
) -> None:
    """Stop the job, with a savepoint."""
    from streamgauge.parts import flink_job

    settings, out = load_settings(config), Console(highlight=False)
    wanted = flink_job(settings)
    name, folder = wanted.name, wanted.folder
    with _cluster(settings) as cluster:
        job = cluster.job(name)
        if job.is_over:
            raise NotFound(f"the job {name!r} doesn't run: it is {job.state}")
        if not savepoint:
            cluster.cancel(job.id)
            out.print(f"{name} ends; it can go on from its newest checkpoint")
            return
        with out.status("Flink writes a savepoint …"):
            place = cluster.stop(job.id, f"{folder}/savepoints" if folder else None)
    out.print(f"{name} has ended; its savepoint is {place}")


def _submit(cluster: FlinkCluster, settings: Settings, job: FlinkJob, jar: Path, from_: str) -> None:
    from streamgauge.stream.flink.job import statements
    from streamgauge.stream.flink.resume import place_to_go_on_from

    out = Console(highlight=False)
    was_counted = _topics(settings)
    place = None if from_ == _NEW else from_
    if from_ == _NEWEST:
        place = place_to_go_on_from(cluster, job.name, job.folder, was_counted=was_counted)
    free, slots = cluster.slots()
    if free < job.parallelism:
        raise ConfigError(
            f"the job needs {job.parallelism} slots, of the cluster's {slots} are {free} free",
            hint="start more TaskManagers, or set flink.parallelism",
        )
    with out.status("Flink plans the job …"):
        job_id = cluster.submit(jar, list(statements(job)), place)
    out.print(f"[bold]{job.name}[/bold] runs as job {job_id}" + (f", from {place}" if place else ""))


def _watch(cluster: FlinkCluster, name: str, submit: Callable[[], None]) -> None:
    """Until SIGTERM or SIGINT; a submission that is under way is brought to its end."""
    from streamgauge.stream.flink.watch import keep_running

    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    keep_running(cluster, name, submit, _tell, over.wait)


def _tell(error: StreamgaugeError) -> None:
    told = Console(stderr=True, highlight=False, soft_wrap=True)
    told.print(f"{error.message}{f' ({error.hint})' if error.hint else ''}; tried again soon", markup=False)


def _topics(settings: Settings) -> bool:
    """Make those that aren't there; whether Flink, or another runner, has counted some of the log before."""
    from streamgauge.log.kafka_cluster import Cluster
    from streamgauge.stream.flink.tables import GROUP

    cluster, partitions = Cluster(settings.log_url), settings.kafka.partitions
    with contextlib.closing(cluster):
        cluster.found(partitions, settings.retention.log_days)
        cluster.found_rows(partitions, settings.retention.log_days)
        return any(place.offset for place in cluster.places(GROUP, partitions).values())


def _cluster(settings: Settings) -> FlinkCluster:
    from streamgauge.stream.flink.cluster import FlinkCluster

    parts = urlsplit(settings.runner)
    if parts.scheme != "flink" or not parts.netloc:
        raise ConfigError("no Flink is named in the settings", hint='set runner = "flink://host:8081"')
    return FlinkCluster(unquote(parts.netloc))


def _time(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
