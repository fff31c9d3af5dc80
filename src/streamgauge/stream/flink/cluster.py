"""A Flink cluster by its REST API: the job is submitted, looked at and stopped.

Source: Flink's documentation of the REST API, version v1.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from streamgauge.core.errors import ConfigError, NotFound, Unavailable

_ANSWER_S_MAX: Final = 30.0
_SUBMIT_S_MAX: Final = 180.0
"""Planning the job takes the JobManager some seconds, of a busy machine many."""

_POLL_S: Final = 0.25
_MAIN: Final = "streamgauge.flink.Job"
_OVER: Final = frozenset({"FINISHED", "CANCELED", "FAILED"})


class JobState(msgspec.Struct, frozen=True):
    """`state` is Flink's word: RUNNING, RESTARTING, FAILING, FINISHED, CANCELED, FAILED …"""

    id: str
    name: str
    state: str
    started_ms: int
    duration_ms: int

    @property
    def is_over(self) -> bool:
        return self.state in _OVER


class Checkpoints(msgspec.Struct, frozen=True):
    """Of one job. The newest that was completed: `at_ms` since 1970, 0 without any."""

    completed: int
    failed: int
    at_ms: int = 0
    duration_ms: int = 0
    size_bytes: int = 0


class FlinkCluster:
    """Raises Unavailable where the JobManager doesn't answer; what it refuses is a ConfigError with its reason."""

    def __init__(self, address: str) -> None:
        """`address`: host:port of the JobManager's REST API."""
        self._address = address
        self._client = httpx.Client(base_url=f"http://{address}/v1", timeout=_ANSWER_S_MAX, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._client.close()

    def jobs(self) -> list[JobState]:
        """Newest first; those that ended too, for as long as the JobManager remembers them."""
        found = self._ask("GET", "/jobs/overview")["jobs"]
        states = [JobState(job["jid"], job["name"], job["state"], job["start-time"], job["duration"]) for job in found]
        return sorted(states, key=lambda state: -state.started_ms)

    def job(self, name: str) -> JobState:
        """The newest of this name, one that isn't over before those that are. Raises NotFound."""
        found = sorted((job for job in self.jobs() if job.name == name), key=lambda job: job.is_over)
        if not found:
            raise NotFound(f"Flink at {self._address} knows no job {name!r}", hint="streamgauge flink submit")
        return found[0]

    def slots(self) -> tuple[int, int]:
        """Free ones, and all."""
        overview = self._ask("GET", "/overview")
        return int(overview["slots-available"]), int(overview["slots-total"])

    def checkpoints(self, job_id: str) -> Checkpoints:
        found = self._ask("GET", f"/jobs/{job_id}/checkpoints")
        newest = (found.get("latest") or {}).get("completed") or {}
        return Checkpoints(
            found["counts"]["completed"],
            found["counts"]["failed"],
            newest.get("latest_ack_timestamp", 0),
            newest.get("end_to_end_duration", 0),
            newest.get("state_size", 0),
        )

    def newest_place(self, job_id: str) -> str | None:
        """Where the newest checkpoint or savepoint of a job is that another one can go on from."""
        latest = self._ask("GET", f"/jobs/{job_id}/checkpoints").get("latest") or {}
        found = [latest[kind] for kind in ("completed", "savepoint") if latest.get(kind)]
        newest = max(found, key=lambda one: int(one["trigger_timestamp"]), default=None)
        return None if newest is None else str(newest["external_path"])

    def problem(self, job_id: str) -> str:
        """The newest exception of a job; empty without any."""
        entries = self._ask("GET", f"/jobs/{job_id}/exceptions?maxExceptions=1")["exceptionHistory"]["entries"]
        return str(entries[0]["stacktrace"]).strip() if entries else ""

    def submit(self, jar: Path, statements: Sequence[str], savepoint: str | None = None) -> str:
        """Upload the jar, run its main class with these statements, forget the jar; the id of the job."""
        with jar.open("rb") as content:
            files = {"jarfile": (jar.name, content, "application/java-archive")}
            uploaded = self._ask("POST", "/jars/upload", files=files, timeout=_SUBMIT_S_MAX)
        jar_id = uploaded["filename"].rpartition("/")[2]
        body: dict[str, Any] = {"entryClass": _MAIN, "programArgsList": list(statements)}
        if savepoint is not None:
            body |= {"savepointPath": savepoint, "allowNonRestoredState": False}
        try:
            return str(self._ask("POST", f"/jars/{jar_id}/run", json=body, timeout=_SUBMIT_S_MAX)["jobid"])
        finally:
            self._ask("DELETE", f"/jars/{jar_id}")

    def stop(self, job_id: str, folder: str | None, seconds_max: float = 300.0) -> str:
        """Stop with a savepoint, in `folder` (none: where the cluster is set up to); where it is."""
        body = {"drain": False} | ({"targetDirectory": folder} if folder else {})
        request = self._ask("POST", f"/jobs/{job_id}/stop", json=body)["request-id"]
        until_s = time.monotonic() + seconds_max
        while time.monotonic() < until_s:
            found = self._ask("GET", f"/jobs/{job_id}/savepoints/{request}")
            if found["status"]["id"] == "COMPLETED":
                if failure := found["operation"].get("failure-cause"):
                    raise Unavailable(f"Flink didn't stop the job with a savepoint: {_reason(failure['stack-trace'])}")
                return str(found["operation"]["location"])
            time.sleep(_POLL_S)
        raise Unavailable(f"Flink didn't finish the savepoint within {seconds_max:g} s", hint="look at its own pages")

    def cancel(self, job_id: str) -> None:
        """At once, without a savepoint; a later job can go on from the newest checkpoint."""
        self._ask("PATCH", f"/jobs/{job_id}?mode=cancel")

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unavailable(
                f"Flink at {self._address} can't be reached: {error}", hint="check that its JobManager runs there"
            ) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotFound(f"Flink at {self._address} knows no {path}")
        if answer.is_error:
            raise ConfigError(f"Flink at {self._address} refuses: {_reason(_errors(answer))}")
        return answer.json() if answer.content else {}


def _errors(answer: httpx.Response) -> str:
    try:
        return "\n".join(answer.json()["errors"])
    except (ValueError, KeyError):
        return answer.text


def _reason(trace: str) -> str:
    """The innermost cause of a Java stack trace, and what the planner said."""
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return causes[-1] if causes else (lines[0] if lines else "no reason given")
