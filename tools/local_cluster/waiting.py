"""What everyone here needs who starts a server: a port for it, and to know when it is there."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Final, TypeVar

_POLL_S: Final = 0.02

T = TypeVar("T")


class NotReady(Exception):
    """What was waited for did not come true in time."""


def until(condition: Callable[[], T], what: str, seconds_max: float) -> T:
    """The first result of `condition` that is true. Raises NotReady with `what` where none is for so long."""
    end_s = time.monotonic() + seconds_max
    while not (result := condition()):
        if time.monotonic() > end_s:
            raise NotReady(f"after {seconds_max:g} s still not: {what}")
        time.sleep(_POLL_S)
    return result


def free_port() -> int:
    """A port that nothing listens at. The kernel doesn't give it to the next that asks for any."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something takes connections at this port of this machine."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
