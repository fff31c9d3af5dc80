"""A job that is always there: begun again whenever it doesn't run, as after its JobManager was restarted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from streamgauge.core.errors import NotFound, StreamgaugeError
from streamgauge.stream.flink.cluster import JobState

WATCH_S: Final = 10.0
"""Between one look at the job and the next."""


Pause = Callable[[float], bool]
"""Waits for so many seconds, or until nobody is to wait any more: then it is true."""


class Jobs(Protocol):
    def job(self, name: str) -> JobState:
        """The newest of this name, one that isn't over before those that are. Raises NotFound, Unavailable."""
        ...


def keep_running(
    jobs: Jobs, name: str, submit: Callable[[], None], tell: Callable[[StreamgaugeError], None], pause: Pause
) -> None:
    """Look at the job, `submit` it where it doesn't run, and again after a pause, until a pause says that it is over.
    What fails is told, and tried again after the pause."""
    while True:
        try:
            if not _runs(jobs, name):
                submit()
        except StreamgaugeError as error:
            tell(error)
        if pause(WATCH_S):
            return


def _runs(jobs: Jobs, name: str) -> bool:
    try:
        return not jobs.job(name).is_over
    except NotFound:  # of a JobManager that has begun anew
        return False
