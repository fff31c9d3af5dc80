"""`streamgauge.v1.Ingest`: what each call does. Batches of a stream go side by side, and are answered in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final, NoReturn

import grpc

from streamgauge.config import GrpcSettings, IngestSettings
from streamgauge.core.errors import StreamgaugeError, StreamOver, Unavailable
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.ingest.accept import LARGE_BODY_BYTES, Accepted, Ingest, Source
from streamgauge.ingest.grpc.errors import refusal_of
from streamgauge.ingest.grpc.translate import Request, request_of, response_of

SERVICE: Final = "streamgauge.v1.Ingest"
BATCHES_UNDER_WAY_MAX: Final = 16
"""Of one stream: further ones stay with the client, by HTTP/2's flow control."""

Context = grpc.aio.ServicerContext[bytes, bytes]
Authorize = Callable[[Context], Awaitable[Source | None]]
"""Whose the events of a batch are. Raises where the caller may not send events."""

_logger = logging.getLogger(__name__)

_Answers = asyncio.Queue["asyncio.Task[bytes] | StreamgaugeError | None"]
"""Of a stream: answers in the order of the requests; why it ends; None where the client has no more to send."""


class IngestService:
    def __init__(
        self, ingest: Ingest, limits: IngestSettings, settings: GrpcSettings, metrics: SelfMetrics, authorize: Authorize
    ) -> None:
        self._ingest = ingest
        self._authorize = authorize
        self._limits = limits
        self._settings = settings
        self._metrics = metrics
        self._open: set[_Answers] = set()
        self._readings: set[asyncio.Task[None]] = set()
        self._is_leaving = False

    def handler(self) -> grpc.GenericRpcHandler:
        """Requests and answers are bytes here: what can't be read gets an answer that says why."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Send": grpc.unary_unary_rpc_method_handler(self._send),
                "Stream": grpc.stream_stream_rpc_method_handler(self._stream),
            },
        )

    def leave(self) -> None:
        """End each stream when what it has sent is answered: it would never end by itself."""
        self._is_leaving = True
        for answers in self._open:
            answers.put_nowait(_leaving())

    async def _send(self, message: bytes, context: Context) -> bytes:
        began_s = time.perf_counter()
        try:
            answer = await self._answer(message, context)
        except asyncio.CancelledError:
            self._metrics.grpc_calls.labels("Send", "CANCELLED").inc()
            raise
        except Exception as error:
            await self._refuse("Send", error, context)
        self._metrics.grpc_seconds.labels("Send").observe(time.perf_counter() - began_s)
        self._metrics.grpc_calls.labels("Send", "OK").inc()
        return answer

    async def _stream(self, messages: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        answers: _Answers = asyncio.Queue()
        room = asyncio.Semaphore(BATCHES_UNDER_WAY_MAX)
        self._open.add(answers)
        self._metrics.grpc_streams.inc()
        if self._is_leaving:
            answers.put_nowait(_leaving())
        aging = asyncio.get_running_loop().call_later(self._settings.stream_age_s_max, answers.put_nowait, _too_old())
        # Never cancelled: the core writes to what a read under way holds. It ends by itself, soon after the call.
        reading = asyncio.create_task(self._read_on(messages, answers, room, context))
        self._readings.add(reading)
        reading.add_done_callback(self._readings.discard)
        try:
            await self._authorize(context)  # before it is held open for whoever sends nothing
            while (answer := await self._next(answers)) is not None:
                if isinstance(answer, StreamgaugeError):
                    raise answer
                yield await answer
                room.release()
        except asyncio.CancelledError:
            self._metrics.grpc_calls.labels("Stream", "CANCELLED").inc()
            raise
        except Exception as error:
            await self._refuse("Stream", error, context)
        finally:
            aging.cancel()
            self._open.discard(answers)
            self._metrics.grpc_streams.dec()
            room.release()  # so that reading doesn't wait for ever
            _let_go(answers)
        self._metrics.grpc_calls.labels("Stream", "OK").inc()

    async def _next(self, answers: _Answers) -> asyncio.Task[bytes] | StreamgaugeError | None:
        try:
            async with asyncio.timeout(self._settings.stream_idle_s_max):
                return await answers.get()
        except TimeoutError:
            return StreamOver("nothing came on this stream for too long", hint="begin another one when there is more")

    async def _read_on(
        self, messages: AsyncIterator[bytes], answers: _Answers, room: asyncio.Semaphore, context: Context
    ) -> None:
        with suppress(Exception):  # of a call that is gone
            async for message in messages:
                await room.acquire()
                if answers not in self._open or self._is_leaving:
                    return
                answers.put_nowait(asyncio.create_task(self._timed_answer(message, context)))
        answers.put_nowait(None)

    async def _timed_answer(self, message: bytes, context: Context) -> bytes:
        began_s = time.perf_counter()
        answer = await self._answer(message, context)
        self._metrics.grpc_seconds.labels("Stream").observe(time.perf_counter() - began_s)
        return answer

    async def _answer(self, message: bytes, context: Context) -> bytes:
        source = await self._authorize(context)
        if len(message) <= LARGE_BODY_BYTES:
            request = request_of(message, self._limits)
        else:  # what takes long must not hold up everyone else's requests
            request = await asyncio.to_thread(request_of, message, self._limits)
        accepted = await self._accept(request, source)
        self._metrics.grpc_events.labels("accepted").inc(accepted.count)
        self._metrics.grpc_events.labels("rejected").inc(len(accepted.rejected))
        return response_of(accepted, request.batch_id)

    async def _accept(self, request: Request, source: Source | None) -> Accepted:
        if request.items is None:
            return await self._ingest.accept(request.json, "application/json", None, source=source)
        return await self._ingest.accept_items(request.items.lines, request.items.damaged, source)

    async def _refuse(self, method: str, error: Exception, context: Context) -> NoReturn:
        code, message, metadata = refusal_of(error, method)
        self._metrics.grpc_calls.labels(method, code.name).inc()
        await context.abort(code, message, metadata)
        raise AssertionError("abort raises")


def _let_go(answers: _Answers) -> None:
    """Of a stream that has ended: what is still under way ends by itself, and nobody is told how."""
    while not answers.empty():
        answer = answers.get_nowait()
        if isinstance(answer, asyncio.Task):
            answer.add_done_callback(_log_bug)


def _log_bug(answer: asyncio.Task[bytes]) -> None:
    error = None if answer.cancelled() else answer.exception()
    if error is not None and not isinstance(error, StreamgaugeError):
        _logger.error("a batch of a stream that had ended failed", exc_info=error)


def _too_old() -> StreamOver:
    return StreamOver("the stream is as old as one may be", hint="send what was not answered on a new stream")


def _leaving() -> Unavailable:
    return Unavailable("the server is going away", hint="send what was not answered on a new stream", retry_after_s=1)
