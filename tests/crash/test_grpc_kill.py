"""gRPC under SIGKILL: every batch that a stream acknowledged is counted, once."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

from grpc_client import Client, request_with
from running import RunningSystem
from streamgauge.ingest.grpc.ingest_pb2 import SendRequest

_BATCH = 50
_ROUNDS = 3


class StreamingClient:
    """Sends batch after batch on a stream, and what was not acknowledged again on the next one."""

    def __init__(self, port: int) -> None:
        self._address = f"127.0.0.1:{port}"
        self.acknowledged = self._sent = 0  # batches
        self.is_enough = asyncio.Event()

    async def run(self) -> None:
        while not self.is_enough.is_set() or self.acknowledged < self._sent:
            async with grpc.aio.insecure_channel(self._address) as channel:
                with contextlib.suppress(grpc.aio.AioRpcError):  # the server is gone
                    async for answer in Client(channel).stream(self._batches(), wait_for_ready=True):
                        assert answer.batch_id == self.acknowledged
                        assert (answer.count, answer.rejected_count) == (_BATCH, 0)
                        self.acknowledged += 1

    async def _batches(self) -> AsyncIterator[SendRequest]:
        batch = self.acknowledged
        while not self.is_enough.is_set() or batch < self._sent:  # so that nothing is sent and not acknowledged
            self._sent = max(self._sent, batch + 1)
            yield request_with([self._event(batch, number) for number in range(_BATCH)], batch_id=batch)
            batch += 1

    def _event(self, batch: int, number: int) -> dict[str, Any]:
        return {"event": "e", "event_id": f"{batch}-{number}", "user_id": f"u{number % 7}", "country": f"C{batch % 3}"}


async def test_every_batch_that_a_stream_acknowledged_is_counted_once_however_often_the_system_is_killed(
    tmp_path: Path,
) -> None:
    rng = random.Random(20_265)
    with RunningSystem(tmp_path / "data") as system:
        client = StreamingClient(system.grpc_port)
        sending = asyncio.create_task(client.run())
        for _ in range(_ROUNDS):
            goal = client.acknowledged + rng.randrange(5, 60)
            async with asyncio.timeout(30):
                while client.acknowledged < goal:
                    await asyncio.wait({sending}, timeout=0.01)
            system.kill9()
            await asyncio.to_thread(system.start)
        client.is_enough.set()
        await asyncio.wait_for(sending, 30)
        await asyncio.to_thread(system.wait_until_idle)
        assert system.total() == client.acknowledged * _BATCH
        assert system.stop() == 0
