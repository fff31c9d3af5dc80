from __future__ import annotations

import msgspec
import pytest

from streamgauge.model import DAY_MS, MINUTE_MS
from streamgauge.stream.batch import decode
from streamgauge.stream.lateness import SetLateAside
from unit.stream.making import NOON_MS, SPEC, decoded, event, log_batch


@pytest.mark.parametrize(
    ("age_ms", "reason"),
    [
        (0, None),
        (DAY_MS, None),
        (DAY_MS + 1, "too_late"),
        (NOON_MS, "too_late"),
        (-5 * MINUTE_MS, None),
        (-5 * MINUTE_MS - 1, "too_far_ahead"),
        (-70 * 365 * DAY_MS, "too_far_ahead"),
    ],
)
def test_what_was_received_too_long_after_or_before_its_time_is_set_aside(age_ms: int, reason: str | None) -> None:
    batch = SetLateAside().apply(decoded(event("a", NOON_MS - age_ms, received_at=NOON_MS), event("b")), SPEC)
    assert batch.events["event"].to_list() == (["b"] if reason else ["a", "b"])
    assert batch.dropped == ({reason: 1} if reason else {})


def test_a_dead_letter_has_all_of_the_event_its_reason_and_its_place() -> None:
    late = event("a", NOON_MS - 2 * DAY_MS, received_at=NOON_MS, user_id="7", event_id="x", page="/é", n=2**62)
    batch = SetLateAside().apply(decode(log_batch({2: [event("b"), late]}, {2: 40}), ()), SPEC)
    (letters,) = batch.dead_letters
    (letter,) = letters.to_dicts()
    assert msgspec.json.decode(letter.pop("original")) == {
        "event_id": "x",
        "event": "a",
        "timestamp": NOON_MS - 2 * DAY_MS,
        "user_id": "7",
        "page": "/é",
        "n": 2**62,
    }
    assert letter == {
        "received_at": NOON_MS,
        "reason": "too_late",
        "message": "it was received 172,800 s after its own time; 86,400 s are allowed",
        "event_id": "x",
        "log_partition": 2,
        "log_offset": 41,
    }


def test_numbered_items_are_never_too_late_but_may_be_too_far_ahead() -> None:
    history = event("a", 0, received_at=NOON_MS, producer="p", sequence=0)
    ahead = event("b", NOON_MS + DAY_MS, received_at=NOON_MS, producer="p", sequence=1)
    batch = SetLateAside().apply(decoded(history, ahead), SPEC)
    assert batch.events["event"].to_list() == ["a"]
    assert batch.dropped == {"too_far_ahead": 1}


def test_a_batch_in_time_is_left_alone() -> None:
    batch = decoded(event("a"))
    assert SetLateAside().apply(batch, SPEC) is batch


@pytest.mark.parametrize(
    ("at_ms", "is_hinted"),
    [(NOON_MS // 1000, True), (NOON_MS // 1000 - 3_600, True), (NOON_MS // 1000 - 2 * 86_400, False), (0, False)],
)
def test_a_time_that_would_be_right_in_seconds_is_said_to_look_like_them(at_ms: int, is_hinted: bool) -> None:
    batch = SetLateAside().apply(decoded(event("a", at_ms, received_at=NOON_MS)), SPEC)
    message = batch.dead_letters[0]["message"][0]
    assert (f"; {at_ms} looks like seconds, and milliseconds are meant" in message) is is_hinted
