"""From the outbox to one receiver: a worker of its own, so that a receiver that is down never delays another."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

from streamgauge.alert.notify.base import Receiver, Refused, TryAgain
from streamgauge.alert.notify.outbox import Outbox, Outcome, Waiting
from streamgauge.core.clock import Clock
from streamgauge.core.errors import Overloaded
from streamgauge.core.selfmetrics import SelfMetrics

FIRST_RETRY_MS: Final = 1_000
RETRY_MS_MAX: Final = 300_000
PAUSE_MS_MAX: Final = 60_000
"""Of a receiver that takes nothing: so often is it asked whether it takes anything again."""

RETRY_AFTER_MS_MAX: Final = 3_600_000
_IDLE_S: Final = 10.0
_LEAST_S: Final = 0.01

_logger = logging.getLogger(__name__)


class Bucket:
    """Lets through so many a minute, and a tenth of that at once."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._per_ms, self._clock = per_minute / 60_000, clock
        self._size = max(1.0, per_minute / 10)
        self._tokens, self._at_ms = self._size, clock.now_ms()

    def wait_ms(self) -> int:
        """Until the next may go; 0: now."""
        now_ms = self._clock.now_ms()
        passed_ms, self._at_ms = max(0, now_ms - self._at_ms), now_ms
        self._tokens = min(self._size, self._tokens + passed_ms * self._per_ms)
        return 0 if self._tokens >= 1 else int((1 - self._tokens) / self._per_ms) + 1

    def take(self) -> None:
        self._tokens -= 1


class Delivery:
    def __init__(
        self,
        receiver: Receiver,
        outbox: Outbox,
        clock: Clock,
        metrics: SelfMetrics,
        *,
        retry_ms_max: int,
        on_refused: Callable[[Waiting], Awaitable[None]],
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`retry_ms_max`: so long after it was made is one tried. `chance` in [0, 1) spreads retries."""
        self._receiver, self._outbox, self._clock, self._metrics = receiver, outbox, clock, metrics
        self._retry_ms_max, self._on_refused, self._chance = retry_ms_max, on_refused, chance
        self._bucket = Bucket(receiver.sends_per_minute, clock)
        self._failures = 0
        self._paused_until_ms = 0
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something was put into the outbox for it."""
        self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self._wake.clear()
            try:
                wait_s = await self.step()
            except Overloaded as error:
                _logger.warning("the outbox can't be used: %s", error.message)
                wait_s = _IDLE_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(_LEAST_S, min(wait_s, _IDLE_S))):  # as in the dispatcher
                    await self._wake.wait()

    async def step(self) -> float:
        """Send what is due, one at most, and say in how many seconds to come again."""
        now_ms = self._clock.now_ms()
        hold_ms = max(self._paused_until_ms - now_ms, self._bucket.wait_ms())
        if hold_ms > 0:
            return hold_ms / 1000
        waiting = await self._outbox.next(self._receiver.name, now_ms)
        if waiting is None:
            next_ms = await self._outbox.next_try_ms(self._receiver.name)
            return _IDLE_S if next_ms is None else (next_ms - now_ms) / 1000
        self._bucket.take()
        await self._try(waiting)
        return 0.0

    async def _try(self, waiting: Waiting) -> None:
        try:
            answer = await self._receiver.send(waiting.notification)
        except TryAgain as error:
            await self._failed(waiting, str(error), error.after_s)
        except Refused as error:
            self._failures = 0
            await self._on_refused(waiting)
            await self._end(waiting, "refused", str(error))
        except Exception:  # of one message: the others go out, and the rest of the system goes on
            _logger.exception("the notification %d to %s can't be sent", waiting.id, self._receiver.name)
            await self._on_refused(waiting)
            await self._end(waiting, "refused", "this is a bug in streamgauge; the server's log has the details")
        else:
            self._failures = 0
            await self._end(waiting, "sent", answer)

    async def _failed(self, waiting: Waiting, reason: str, after_s: float | None) -> None:
        """The receiver has a break, so that one that is down isn't asked for each message; the message a longer one
        with every try, so that one that it can't digest doesn't stop others."""
        self._metrics.notification_tries_failed.labels(self._receiver.name).inc()
        self._failures += 1
        now_ms = self._clock.now_ms()
        if now_ms - waiting.notification.made_at_ms >= self._retry_ms_max:
            await self._on_refused(waiting)
            await self._end(waiting, "expired", reason)
            return
        asked_ms = 0 if after_s is None else min(int(after_s * 1000), RETRY_AFTER_MS_MAX)
        self._paused_until_ms = now_ms + max(asked_ms, self._backoff_ms(self._failures, PAUSE_MS_MAX))
        try_at_ms = now_ms + max(asked_ms, self._backoff_ms(waiting.tries + 1, RETRY_MS_MAX))
        if waiting.tries == 0:
            _logger.warning("the receiver %s did not take a notification: %s", self._receiver.name, reason)
        await self._outbox.again(waiting.id, try_at_ms, tries=waiting.tries + 1, answer=reason)

    async def _end(self, waiting: Waiting, outcome: Outcome, answer: str) -> None:
        self._metrics.notifications.labels(self._receiver.name, outcome).inc()
        if outcome != "sent":
            _logger.error("a notification to %s is %s: %s", self._receiver.name, outcome, answer)
        now_ms = self._clock.now_ms()
        await self._outbox.ended(waiting.id, outcome, now_ms, tries=waiting.tries + 1, answer=answer)

    def _backoff_ms(self, failures: int, most_ms: int) -> int:
        """1 s, 2 s, 4 s …, up to a quarter less."""
        whole_ms = min(most_ms, FIRST_RETRY_MS * 2 ** min(failures - 1, 20))
        return int(whole_ms * (1 - self._chance() / 4))
