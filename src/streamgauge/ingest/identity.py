"""Ids for events that come without one."""

from __future__ import annotations

import itertools
import secrets


class EventIds:
    """Unique over processes and restarts: a random part of this process (64 bits) and a count."""

    def __init__(self, prefix: str | None = None) -> None:
        self._prefix = f"sg-{prefix or secrets.token_hex(8)}-"
        self._count = itertools.count()

    def new(self) -> str:
        return f"{self._prefix}{next(self._count)}"
