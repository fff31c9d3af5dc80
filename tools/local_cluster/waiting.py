"""What everyone here needs who starts a server: a port for it, and to know when it is there."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import socket
import time
from collections.abc import Callable
from typing import Final, TypeVar

_POLL_S: Final = 0.02
_PORTS: Final = range(18_000, 32_000, 2)
_first: Final = secrets.randbelow(len(_PORTS))
_untried: Final = itertools.cycle([*_PORTS[_first:], *_PORTS[:_first]])

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
    """A port that nothing is bound to, nor to the next one, where gRPC is by default; another one each time.

    Below those that the kernel gives to outgoing connections (from 32,768 on in Linux): such a port could be taken
    between here and the start of the server it is for.
    """
    return next(port for port in _untried if can_bind(port) and can_bind(port + 1))


def can_bind(port: int) -> bool:
    """Whether a server of this machine can listen at this port."""
    with socket.socket() as probe:
        # As servers do it: a port with connections that are only just closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def listens(port: int) -> bool:
    """Whether something takes connections at this port of this machine."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
