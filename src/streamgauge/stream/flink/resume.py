"""Where a job goes on: whatever it forgets is counted twice, so it is never begun anew by mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from streamgauge.core.errors import AlreadyRunning, ConfigError, NotFound
from streamgauge.stream.flink.cluster import JobState


class Remembered(Protocol):
    """The jobs that a JobManager remembers: all since it began."""

    def job(self, name: str) -> JobState:
        """The newest of this name, one that isn't over before those that are. Raises NotFound."""
        ...

    def newest_place(self, job_id: str) -> str | None:
        """Of its checkpoints and savepoints, the newest that another job can go on from."""
        ...


def place_to_go_on_from(cluster: Remembered, name: str, folder: str, *, was_counted: bool) -> str | None:
    """The newest checkpoint or savepoint of the job of this name: as Flink remembers it, else in the job's folder.
    None where nothing was counted yet. Raises AlreadyRunning, and ConfigError where there must be one and isn't."""
    try:
        job = cluster.job(name)
    except NotFound:
        place = None
    else:
        if not job.is_over:
            raise AlreadyRunning(f"the job {name!r} runs already, as {job.id}", hint="streamgauge flink stop")
        place = cluster.newest_place(job.id)
    if place is None:
        place = newest_in(folder)
    if place is None and was_counted:
        raise ConfigError(
            "some of the log was counted before, and there is no checkpoint to go on from: it would be counted twice",
            hint="name a savepoint with --from, or begin with an empty store and --from new",
        )
    return place


def newest_in(url: str) -> str | None:
    """The newest complete checkpoint or savepoint in a job's folder, where that can be looked into from here."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    folder = Path(unquote(parts.path))
    found = [*folder.glob("checkpoints/*/chk-*/_metadata"), *folder.glob("savepoints/*/_metadata")]
    newest = max(found, key=lambda file: file.stat().st_mtime, default=None)
    return None if newest is None else f"file://{newest.parent}"
