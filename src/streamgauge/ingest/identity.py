"""Ids for events that come without one."""

from __future__ import annotations

import itertools
import secrets

from streamgauge.model import MADE_ID_PREFIX


class EventIds:
    """Unique over processes and restarts: a random part of this process (64 bits), the body's number, a count in it."""

    def __init__(self, prefix: str | None = None) -> None:
        self._prefix = f"{MADE_ID_PREFIX}{prefix or secrets.token_hex(8)}"
        self._bodies = itertools.count()

    def of_body(self) -> BodyIds:
        return BodyIds(f"{self._prefix}-{next(self._bodies)}-")


class BodyIds:
    """The ids for the events of one body. Each body has its own, since bodies are read in several threads, and what
    one of them took is to be known."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.count = 0

    def new(self) -> str:
        self.count += 1
        return f"{self._prefix}{self.count}"
