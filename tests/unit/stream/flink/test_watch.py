"""A job that is watched runs again after whatever ended it, and goes on being watched whatever fails."""

from __future__ import annotations

import msgspec
import pytest

from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import ConfigError, NotFound, StreamgaugeError, Unavailable
from streamgauge.stream.flink.cluster import JobState
from streamgauge.stream.flink.watch import WATCH_S, keep_running

NAME = "streamgauge shop"


class Watched:
    """A cluster over time: what happens to it before each look, and what is done to it."""

    def __init__(self, *happens: str | StreamgaugeError) -> None:
        self.clock, self.began_ms = ManualClock(0), 0
        self.happens = list(happens)
        self.state: str | None = None
        self.submitted_at_s: list[int] = []
        self.told: list[str] = []
        self.refusal: StreamgaugeError | None = None

    def job(self, name: str) -> JobState:
        assert name == NAME
        match self.happens.pop(0):
            case Unavailable() as error:
                raise error
            case StreamgaugeError() as error:
                self.refusal = error
            case "":
                pass
            case "restarted":
                self.state = None
            case state:
                self.state = str(state)
        if self.state is None:
            raise NotFound("no such job")
        return JobState("abc", name, self.state, 0, 0)

    def submit(self) -> None:
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        self.state = "RUNNING"
        self.submitted_at_s.append(self.clock.now_ms() // 1000)

    def pause(self, seconds: float) -> bool:
        self.clock.advance(int(seconds * 1000))
        return not self.happens

    def run(self) -> None:
        keep_running(self, NAME, self.submit, lambda error: self.told.append(error.message), self.pause)


def test_a_job_that_runs_is_left_alone() -> None:
    watched = Watched("RUNNING", "RESTARTING", "CREATED", "")
    watched.run()
    assert (watched.submitted_at_s, watched.told) == ([], [])


@pytest.mark.parametrize("end", ["restarted", "FAILED", "CANCELED", "FINISHED"])
def test_a_job_that_is_gone_or_over_is_submitted_again_once(end: str) -> None:
    watched = Watched("restarted", "", end, "", "")
    watched.run()
    assert watched.submitted_at_s == [0, 2 * WATCH_S]


def test_while_flink_cannot_be_reached_nothing_is_submitted() -> None:
    watched = Watched("RUNNING", Unavailable("away"), Unavailable("away"), "restarted", "")
    watched.run()
    assert watched.told == ["away", "away"]
    assert watched.submitted_at_s == [3 * WATCH_S]


def test_a_submission_that_fails_is_told_and_tried_again() -> None:
    watched = Watched(ConfigError("6 slots are needed"), "", "")
    watched.run()
    assert watched.told == ["6 slots are needed"]
    assert watched.submitted_at_s == [WATCH_S]


def test_it_ends_with_the_pause_that_says_so() -> None:
    watched = Watched("restarted")
    watched.run()
    assert watched.clock.now_ms() == WATCH_S * 1000
    assert watched.submitted_at_s == [0]


def test_an_error_that_is_a_bug_is_not_passed_over() -> None:
    watched = Watched("restarted")
    with pytest.raises(msgspec.ValidationError):
        keep_running(watched, NAME, lambda: msgspec.convert("", int), lambda _: None, watched.pause)  # type: ignore[arg-type, return-value]
