"""Bodies that don't come to their end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamgauge.api.door import in_time
from streamgauge.api.errors import ErrorAnswers
from streamgauge.core.errors import BodyTimeout
from streamgauge.core.selfmetrics import SelfMetrics


async def test_a_body_that_trickles_is_given_up_so_that_its_sender_sends_it_again_elsewhere() -> None:
    async def trickle() -> Any:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x", "more_body": True}

    receive = in_time(trickle, 0.05)

    async def read() -> None:
        while True:
            await receive()

    with pytest.raises(BodyTimeout) as given_up:
        await read()
    answer = ErrorAnswers(SelfMetrics()).answer(given_up.value, "POST", "/events")
    assert answer.status == 408
    assert answer.headers == {"Connection": "close", "Retry-After": "1"}


async def test_who_waits_after_the_body_has_come_waits_as_long_as_it_takes() -> None:
    sent = asyncio.Event()

    async def body() -> Any:
        if not sent.is_set():
            sent.set()
            return {"type": "http.request", "body": b"x", "more_body": False}
        await asyncio.sleep(0.1)
        return {"type": "http.disconnect"}

    receive = in_time(body, 0.02)
    await receive()
    assert (await receive())["type"] == "http.disconnect"
