"""What is done only as long as somebody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from litestar import Request

from streamgauge.core.errors import StreamgaugeError

_Answer = TypeVar("_Answer")


class ClientGone(StreamgaugeError):
    """Whoever asked has closed the connection: what this becomes is read by nobody."""

    code = "client_gone"


async def while_connected(request: Request[Any, Any, Any], work: Awaitable[_Answer]) -> _Answer:
    """The result of `work`, which is cancelled when the client goes away. The body must have been read.

    Raises ClientGone then, and what `work` raises.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGone("the client closed the connection")
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(request: Request[Any, Any, Any]) -> None:
    # Whatever was left of the body comes first.
    while (await request.receive())["type"] != "http.disconnect":
        pass
