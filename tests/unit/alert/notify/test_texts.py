"""What people read of alerts."""

from __future__ import annotations

import pytest

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.base import Notification, group_key
from streamgauge.alert.notify.texts import cut, duration_text, since_text, summary, title, trend, value_text

ALERT = Alert({"alertname": "Drop", "country": "US"}, {}, 70.0, 1_767_225_600_000, None, "")


def notification(**fields: object) -> Notification:
    labels = {"alertname": "Drop", "country": "US"}
    given = {"receiver": "oncall", "group_key": group_key("oncall", labels), "group_labels": labels}
    return Notification(**{**given, "firing": (ALERT,), "resolved": (), "made_at_ms": 0, **fields})  # type: ignore[arg-type]


def test_a_title_says_the_state_the_rule_and_the_labels_of_the_group() -> None:
    assert title(notification()) == "[FIRING:1] Drop country=US"
    assert title(notification(firing=(), resolved=(ALERT,))) == "[RESOLVED] Drop country=US"
    assert title(notification(is_test=True)).startswith("[TEST] ")
    assert title(notification(group_labels={})) == "[FIRING:1] Drop country=US"


def test_a_summary_is_the_best_text_there_is() -> None:
    assert summary(ALERT) == "Drop country=US"
    both = Alert(ALERT.labels, {"summary": " traffic fell ", "description": "long"}, 0, 0, None, "")
    assert summary(both) == "traffic fell"
    assert summary(Alert(ALERT.labels, {"summary": " ", "description": "long"}, 0, 0, None, "")) == "long"


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0 s"), (59_999, "59 s"), (60_000, "1 m"), (7_500_000, "2 h 5 m"), (90_061_000, "1 d 1 h"), (-5, "0 s")],
)
def test_durations_have_their_two_greatest_units(ms: int, text: str) -> None:
    assert duration_text(ms) == text


def test_what_ended_says_how_long_it_was() -> None:
    assert since_text(ALERT) == "since 2026-01-01 00:00:00 UTC"
    ended = Alert(ALERT.labels, {}, 0, 0, 720_000, "")
    assert since_text(ended) == "resolved after 12 m"


def test_the_trend_is_as_high_as_its_values_and_empty_where_there_are_none() -> None:
    rising = Alert({}, {}, 0, 0, None, "", tuple((n, float(n)) for n in range(8)))
    assert trend(rising) == "▁▂▃▄▅▆▇█"
    assert trend(ALERT) == ""


def test_numbers_are_written_for_people_and_texts_are_cut_with_a_mark() -> None:
    assert (value_text(1234567.0), value_text(0.123456789), value_text(float("nan"))) == (
        "1,234,567",
        "0.123457",
        "nan",
    )
    assert (cut("abc", 3), cut("abcd", 3)) == ("abc", "ab…")
