"""Asking what may take long to answer, without waiting for it long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from streamgauge.core.errors import Unavailable

_ANSWER_S_MAX: Final = 1.0

T = TypeVar("T")


class Soon(Generic[T]):
    """Asked on one event loop."""

    def __init__(self, question: Callable[[], Awaitable[T]]) -> None:
        """`question` may raise Unavailable, and what it raises besides is raised to who asks."""
        self._question = question
        self._slow: asyncio.Future[T] | None = None

    async def ask(self) -> T | None:
        """None where there is no answer, or not within a second. Who asks meanwhile is not kept waiting."""
        if self._slow is not None and not self._slow.done():
            return None
        asking = asyncio.ensure_future(self._question())
        asking.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever waits may be gone
        await asyncio.wait({asking}, timeout=_ANSWER_S_MAX)
        if not asking.done():
            self._slow = asking
            return None
        try:
            return asking.result()
        except Unavailable:
            return None
