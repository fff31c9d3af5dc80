"""The client: `track` puts an event into a bounded queue and returns; a thread sends what waits.

Events leave the queue when the server has an answer for them. Until then they are sent again, each under the id that
it was given first, by which the server counts it once.
"""

from __future__ import annotations

import atexit
import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from streamgauge_sdk.encode import Id, Time, encode, event_id_of, item
from streamgauge_sdk.http import Failed, Outcome, Refused, Taken, Transport
from streamgauge_sdk.ids import uuid7
from streamgauge_sdk.options import Options
from streamgauge_sdk.outbox import Outbox, Waiting
from streamgauge_sdk.tally import Problem, Stats, Tally

AGENT = "streamgauge-sdk-python/0.1.0"
DROPPED = "sdk_dropped"
"""The event that tells the server of events that it never got."""

_FIRST_PAUSE_S = 0.5
_RETRY_AFTER_S_MAX = 300.0
_FAILURES_MAX = 5
"""Of the client itself, one after the other, before the oldest events are dropped."""

_logger = logging.getLogger("streamgauge_sdk")


class Client:
    """Thread-safe, and safe to fork: the child has a queue of its own, what waits in the parent's is the parent's. Make
    one for a program. Of its methods none raises, and `track`, `page` and `identify` never wait."""

    def __init__(self, url: str = "http://localhost:8080", write_key: str | None = None, **options: Any) -> None:
        """`options`: see Options. Raises ValueError, TypeError."""
        self.options = Options(url, write_key, **options)
        self._begin()
        _clients.add(self)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    _flush_to: int
    _deadline_s: float | None
    """Of closing; None while open."""

    # For programs

    def track(
        self,
        event: str,
        properties: Mapping[str, Any] | None = None,
        *,
        user_id: Id = None,
        anonymous_id: Id = None,
        timestamp: Time = None,
        event_id: str | None = None,
    ) -> None:
        """An event. `timestamp`: now, where none is given; `event_id`: give one where the program itself may repeat."""
        try:
            all_properties = {**self.options.properties, **(properties or {})}
            moment = time.time_ns() // 1_000_000 if timestamp is None else timestamp
            line = encode(item(event, event_id or uuid7(), moment, user_id, anonymous_id, all_properties))
        except Exception as error:
            self._drop("not_encodable", f"{type(error).__name__}: {error}")
            return
        self._put(line)

    def page(
        self,
        page: str,
        properties: Mapping[str, Any] | None = None,
        *,
        user_id: Id = None,
        anonymous_id: Id = None,
        timestamp: Time = None,
    ) -> None:
        """A page view."""
        found = {**(properties or {}), "page": page}
        self.track("page_view", found, user_id=user_id, anonymous_id=anonymous_id, timestamp=timestamp)

    def identify(
        self,
        user_id: Id,
        traits: Mapping[str, Any] | None = None,
        *,
        anonymous_id: Id = None,
        timestamp: Time = None,
    ) -> None:
        """Who a user is: traits go into the user's profile."""
        self.track(
            "identify", {"traits": traits or {}}, user_id=user_id, anonymous_id=anonymous_id, timestamp=timestamp
        )

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Send what waits now, without waiting for more. Whether all of it has an answer, or was dropped."""
        with self._changed:
            target = self._outbox.added
            self._flush_to = max(self._flush_to, target)
            self._hurries += 1
            self._changed.notify_all()
            if not self._has_thread():
                return self._outbox.settled >= target
            return self._changed.wait_for(lambda: self._outbox.settled >= target, timeout_s)

    def close(self, timeout_s: float | None = None) -> bool:
        """Flush, then stop. What is not answered in time is dropped, and counted. Whether nothing was."""
        limit_s = self.options.exit_s_max if timeout_s is None else timeout_s
        with self._changed:
            self._deadline_s = time.monotonic() + limit_s
            self._hurries += 1
            self._changed.notify_all()
            has_thread = self._has_thread()
            thread = self._thread
        if has_thread and thread is not None and thread is not threading.current_thread():
            thread.join(limit_s)
        elif not has_thread:
            self._run()
        return self._give_up()

    def stats(self) -> Stats:
        with self._changed:
            return self._tally.stats(len(self._outbox) - self._reports)

    # The queue

    def _begin(self) -> None:
        """Also in a forked child, whose locks, thread and connection are of another process."""
        self._changed = threading.Condition()  # reentrant: a signal's handler may track too
        self._outbox = Outbox(self.options.queue_bytes_max)
        self._tally = Tally()
        self._transport = Transport(self.options.url, self.options.write_key, self.options.timeout_s, AGENT)
        self._thread: threading.Thread | None = None
        self._random = random.Random()
        self._flush_to = 0
        self._hurries = 0
        self._reports = 0
        self._deadline_s = None
        self._is_over = False

    def _put(self, line: bytes) -> None:
        if len(line) > self.options.event_bytes_max:
            return self._drop("too_large", f"the event is over {self.options.event_bytes_max:,} bytes")
        with self._changed:
            if self._deadline_s is not None:
                code, message = "closed", "the client is closed"
            elif self._outbox.add(Waiting(line, time.monotonic())):
                self._start_thread()
                self._changed.notify_all()
                return None
            else:
                code, message = "queue_full", f"over {self.options.queue_bytes_max:,} bytes wait"
        return self._drop(code, message)

    def _drop(self, code: str, message: str, count: int = 1, event_id: str | None = None) -> None:
        with self._changed:
            self._tally.drop(code, count)
        self._tell(Problem(code, message, count, event_id))

    def _tell(self, problem: Problem) -> None:
        _logger.debug("%d events are not sent: %s: %s", problem.count, problem.code, problem.message)
        if self.options.on_problem is not None:
            try:
                self.options.on_problem(problem)
            except Exception:
                _logger.exception("on_problem failed")

    # The thread

    def _has_thread(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _start_thread(self) -> None:
        if not self._has_thread():
            thread = threading.Thread(target=self._run, name="streamgauge-sdk", daemon=True)
            try:
                thread.start()
                self._thread = thread
            except RuntimeError:  # at the interpreter's end there are no new ones: closing sends
                return

    def _run(self) -> None:
        failures = 0
        while True:
            try:
                batch = self._next_batch()
                if not batch:
                    self._transport.close()
                    return
                self._deliver(batch)
                failures = 0
            except Exception as error:  # a bug here must not end the thread, and is not the program's
                failures += 1
                _logger.exception("a bug in streamgauge_sdk: events are sent again")
                if failures % _FAILURES_MAX == 0:
                    self._drop_oldest()
                if not self._pause(self._pause_s(failures, Failed(str(error)))):
                    return

    def _drop_oldest(self) -> None:
        """What nothing can be done with must not hold up what comes after it."""
        with self._changed:
            events = self._settle(len(self._outbox.first(self.options.batch_events_max, self.options.batch_bytes_max)))
        if events:
            self._drop("failed", "a bug in streamgauge_sdk", events)

    def _next_batch(self) -> Sequence[Waiting]:
        """When it is time to send. Empty when the client is closed, and nothing waits or the time is over."""
        options = self.options
        with self._changed:
            while True:
                now_s = time.monotonic()
                if self._deadline_s is not None and (not self._outbox or now_s >= self._deadline_s):
                    return ()
                since_s = self._outbox.since_s()
                if since_s is not None and self._is_due(since_s, now_s):
                    self._report_drops(now_s)
                    return self._outbox.first(options.batch_events_max, options.batch_bytes_max)
                self._changed.wait(None if since_s is None else since_s + options.flush_interval_s - now_s)

    def _is_due(self, since_s: float, now_s: float) -> bool:
        return (
            len(self._outbox) >= self.options.batch_events_max
            or self._outbox.bytes >= self.options.batch_bytes_max
            or self._flush_to > self._outbox.settled
            or self._deadline_s is not None
            or now_s >= since_s + self.options.flush_interval_s
        )

    def _report_drops(self, now_s: float) -> None:
        for reason, count in self._tally.unreported.items():
            properties = {"reason": reason, "count": count, "sdk": AGENT}
            line = encode(item(DROPPED, uuid7(), time.time_ns() // 1_000_000, None, None, properties))
            self._outbox.add(Waiting(line, now_s, is_report=True))
            self._reports += 1
        self._tally.unreported.clear()

    def _deliver(self, batch: Sequence[Waiting]) -> None:
        """Returns when each has an answer, or the time is over."""
        outcome = self._send(batch)
        if isinstance(outcome, Taken):
            self._taken(batch, outcome)
        elif isinstance(outcome, Refused):
            if outcome.is_too_large and len(batch) > 1:
                self._deliver(batch[: len(batch) // 2])
                if not self._is_over:
                    self._deliver(batch[len(batch) // 2 :])
                return
            events = self._settle(len(batch))
            if events:
                self._drop(outcome.code, outcome.message, events)

    def _send(self, batch: Sequence[Waiting]) -> Outcome:
        """A Failed is the last word where the time is over."""
        lines, failures = [one.line for one in batch], 0
        while True:
            outcome = self._transport.send(lines)
            if not isinstance(outcome, Failed):
                if failures:
                    _logger.info("events are sent again")
                return outcome
            failures += 1
            if failures == 1:
                _logger.warning("can't send events to %s, trying again: %s", self.options.url, outcome.message)
            if not self._pause(self._pause_s(failures, outcome)):
                self._is_over = True
                return outcome

    def _pause_s(self, failures: int, outcome: Failed) -> float:
        """Longer each time, and by chance, so that many clients don't come back at the same moment."""
        most_s = min(self.options.retry_s_max, _FIRST_PAUSE_S * 2 ** min(failures - 1, 20))
        pause_s = self._random.uniform(most_s / 2, most_s)
        return max(pause_s, min(outcome.retry_after_s or 0.0, _RETRY_AFTER_S_MAX))

    def _pause(self, seconds: float) -> bool:
        """Whether there is time for another try. Who flushes or closes doesn't wait for the pause to end."""
        end_s = time.monotonic() + seconds
        with self._changed:
            self._tally.retries += 1
            hurries = self._hurries
            while True:
                now_s = time.monotonic()
                if self._deadline_s is not None and now_s >= self._deadline_s:
                    return False
                until_s = end_s if self._deadline_s is None else min(end_s, self._deadline_s)
                if now_s >= until_s or self._hurries != hurries:
                    return True
                self._changed.wait(until_s - now_s)

    def _taken(self, batch: Sequence[Waiting], taken: Taken) -> None:
        events = self._settle(len(batch), taken.rejected_count)
        if not events:
            return
        unlisted = taken.rejected_count
        for index, code, message in taken.rejected:
            unlisted -= 1
            line = batch[index].line if 0 <= index < len(batch) else None
            self._tell(Problem(code, message, 1, event_id_of(line)))
        if unlisted > 0:
            self._tell(Problem("rejected", "for reasons that the server doesn't list", unlisted))

    def _settle(self, count: int, rejected_count: int | None = None) -> int:
        """They are done with; `rejected_count`: of those that were taken. Returns how many are the program's."""
        with self._changed:
            if self._is_over:  # closing has counted them
                return 0
            reports = sum(one.is_report for one in self._outbox.first(count, 1 << 62))
            self._outbox.settle(count)
            self._reports -= reports
            if rejected_count is not None:
                rejected = min(rejected_count, count - reports)
                self._tally.rejected += rejected
                self._tally.accepted += count - reports - rejected
            self._changed.notify_all()
            return count - reports

    def _give_up(self) -> bool:
        """What still waits at the end is dropped."""
        with self._changed:
            self._is_over = True
            left = len(self._outbox) - self._reports
            self._outbox.settle(len(self._outbox))
            self._reports = 0
            self._changed.notify_all()
        if left:
            self._drop("closed", "the client was closed before they could be sent", left)
        return not left


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _close_all() -> None:
    for client in list(_clients):
        client.close()


def _begin_all() -> None:
    for client in list(_clients):
        client._begin()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)
