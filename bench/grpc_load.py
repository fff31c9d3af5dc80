"""A load generator for `streamgauge.v1.Ingest`, as ghz is: ready messages by the real grpcio, in a process of its own.

What it takes from the machine is more than `load.py` takes: a client of gRPC can't be as little as a socket.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

import grpc

from load import bodies
from streamgauge.ingest.grpc.ingest_pb2 import Event, SendRequest, SendResponse, Value

_MESSAGES: Final = 600
_STREAM_BATCHES: Final = 16


def messages(kind: str, batch_events: int) -> list[bytes]:
    """The events of `load.py`: as `events`, or as `json`."""
    made = bodies(_MESSAGES, batch_events)
    if kind == "json":
        return [SendRequest(json=body).SerializeToString() for body in made]
    return [SendRequest(events=map(_event, json.loads(body))).SerializeToString() for body in made]


def _event(item: dict[str, Any]) -> Event:
    event = Event(event=item.pop("event"), user_id=item.pop("user_id"))
    event.timestamp.FromDatetime(datetime.fromisoformat(item.pop("timestamp")))
    for name, value in item.items():
        event.properties[name].CopyFrom(Value(int_value=value) if type(value) is int else Value(string_value=value))
    return event


class Load:
    def __init__(self, address: str, seconds: float, made: list[bytes]) -> None:
        self._address, self._seconds, self._made = address, seconds, made
        self._sent = 0
        self._end_s = 0.0
        self.waits: list[float] = []
        self.accepted = 0

    async def run(self, call: str, connections: int, at_once: int) -> float:
        """Seconds. `at_once`: calls at the same time, or batches of all streams."""
        # Channels to the same place share a connection otherwise.
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.aio.insecure_channel(self._address, options=options) for _ in range(connections)]
        began_s = time.perf_counter()
        self._end_s = began_s + self._seconds
        works = at_once if call == "send" else max(connections, at_once // _STREAM_BATCHES)
        work = self._send if call == "send" else self._stream
        await asyncio.gather(*(work(channels[number % connections]) for number in range(works)))
        elapsed_s = time.perf_counter() - began_s
        await asyncio.gather(*(channel.close() for channel in channels))
        return elapsed_s

    def _next(self) -> bytes:
        self._sent += 1
        return self._made[self._sent % len(self._made)]

    async def _send(self, channel: grpc.aio.Channel) -> None:
        send = channel.unary_unary("/streamgauge.v1.Ingest/Send", None, SendResponse.FromString)
        while (began_s := time.perf_counter()) < self._end_s:
            self._answered(await send(self._next()), began_s)

    async def _stream(self, channel: grpc.aio.Channel) -> None:
        stream = channel.stream_stream("/streamgauge.v1.Ingest/Stream", None, SendResponse.FromString)
        sent_s: deque[float] = deque()
        room = asyncio.Semaphore(_STREAM_BATCHES)

        async def batches() -> AsyncIterator[bytes]:
            while time.perf_counter() < self._end_s:
                await room.acquire()
                sent_s.append(time.perf_counter())
                yield self._next()

        async for answer in stream(batches()):
            self._answered(answer, sent_s.popleft())
            room.release()

    def _answered(self, answer: SendResponse, began_s: float) -> None:
        self.waits.append(time.perf_counter() - began_s)
        self.accepted += answer.count


def main(  # noqa: PLR0917 - the command line's, in its order
    address: str, call: str, kind: str, seconds: float, connections: int, at_once: int, batch_events: int
) -> None:
    made = messages(kind, batch_events)
    load = Load(address, seconds, made)
    began_s = time.process_time()
    elapsed_s = asyncio.run(load.run(call, connections, at_once))
    waits = sorted(load.waits)
    result = {
        "requests": len(waits),
        "events": load.accepted,
        "bytes_an_event": round(sum(map(len, made)) / len(made) / batch_events),
        "seconds": round(elapsed_s, 3),
        "answer_ms_p50": round(1000 * waits[len(waits) // 2], 1),
        "answer_ms_p99": round(1000 * waits[int(len(waits) * 0.99)], 1),
        "generator_cpu_s": round(time.process_time() - began_s, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    address_, call_, kind_, seconds_, connections_, at_once_, batch_ = sys.argv[1:]
    main(address_, call_, kind_, float(seconds_), int(connections_), int(at_once_), int(batch_))
