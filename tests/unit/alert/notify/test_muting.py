"""Why nobody is told: silences, maintenance windows, inhibition."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.muting import Inhibitor, Silence, Window, silenced_by
from streamgauge.core.matchers import match_all, parse_matchers
from streamgauge.notify_settings import InhibitionSettings, MaintenanceSettings, Weekday


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def alert(**labels: str) -> Alert:
    return Alert(labels, {}, 1.0, 0, None, "")


def window(weekdays: tuple[Weekday, ...], begin: str, end: str, tz: str = "UTC") -> Window:
    return Window(MaintenanceSettings("deploy", ('team="shop"',), begin, end, weekdays, tz))


def test_a_silence_holds_from_its_start_up_to_its_end() -> None:
    silence = Silence("s1", parse_matchers("team=shop"), 1_000, 2_000, "ann", "known", 0)
    states = [(silence.state(now), silence.covers({"team": "shop"}, now)) for now in (999, 1_000, 1_999, 2_000)]
    assert states == [("pending", False), ("active", True), ("active", True), ("expired", False)]
    assert not silence.covers({"team": "web"}, 1_500)


def test_what_mutes_an_alert_is_named() -> None:
    silence = Silence("s1", parse_matchers("team=shop"), 0, 2_000, "ann", "known", 0)
    always = window(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), "00:00", "24:00")
    assert silenced_by({"team": "shop"}, [silence], [always], 1_000) == ["s1", "maintenance:deploy"]
    assert silenced_by({"team": "web"}, [silence], [always], 1_000) == []


@pytest.mark.parametrize(
    ("time", "is_open"),
    [
        ("2026-11-28T01:59:59", False),  # a Saturday
        ("2026-11-28T02:00:00", True),
        ("2026-11-28T03:59:59", True),
        ("2026-11-28T04:00:00", False),
        ("2026-11-29T03:00:00", False),
    ],
)
def test_a_window_is_open_on_its_weekdays_by_the_clock_there(time: str, is_open: bool) -> None:
    berlin = window(("sat",), "02:00", "04:00", "Europe/Berlin")
    assert berlin.is_open(at(time, "Europe/Berlin")) is is_open


@pytest.mark.parametrize(
    ("time", "is_open"),
    [
        ("2026-11-27T21:59:00", False),
        ("2026-11-27T22:00:00", True),
        ("2026-11-28T05:59:00", True),
        ("2026-11-28T06:00:00", False),
        ("2026-11-28T23:00:00", False),
        ("2026-11-27T03:00:00", False),  # Thursday's night is not one
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_it_begins_on(time: str, is_open: bool) -> None:
    assert window(("fri",), "22:00", "06:00").is_open(at(time)) is is_open


def test_a_window_keeps_to_the_clock_on_the_wall_when_that_is_changed() -> None:
    nightly = window(("sun",), "01:00", "04:00", "Europe/Berlin")
    spring, length = at("2026-03-29T01:00", "Europe/Berlin"), 0
    while nightly.is_open(spring + length * 60_000):
        length += 1
    assert length == 120


def test_an_alert_that_says_more_inhibits_where_the_labels_are_equal() -> None:
    rules = [InhibitionSettings(("severity=critical",), ("severity=warning",), ("country",))]
    inhibitor = Inhibitor(rules, [alert(severity="critical", country="US"), alert(severity="critical")])
    assert inhibitor.inhibits(alert(severity="warning", country="US"))
    assert inhibitor.inhibits(alert(severity="warning"))  # both without the label
    assert not inhibitor.inhibits(alert(severity="warning", country="DE"))
    assert not inhibitor.inhibits(alert(severity="critical", country="US"))


def test_alerts_that_are_source_and_target_don_t_inhibit_each_other() -> None:
    rules = [InhibitionSettings(("severity=~critical|warning",), ("severity=warning",))]
    both, other, source = alert(severity="warning", n="1"), alert(severity="warning", n="2"), alert(severity="critical")
    assert not Inhibitor(rules, [both, other]).inhibits(both)
    assert Inhibitor(rules, [both, other, source]).inhibits(both)


_ALERTS = st.builds(
    alert,
    a=st.sampled_from(["1", "2"]),
    b=st.sampled_from(["1", "2"]),
    c=st.sampled_from(["1", "2", ""]),
)
_TEXTS = st.lists(st.sampled_from(["a=1", "b=2", "a!=2", 'c=""']), min_size=1, max_size=2).map(tuple)


@given(st.lists(_ALERTS, max_size=6), _TEXTS, _TEXTS, st.sampled_from([(), ("c",), ("a", "c")]))
def test_inhibition_is_that_of_a_loop_over_all_pairs(
    firing: list[Alert], source: tuple[str, ...], target: tuple[str, ...], equal: tuple[str, ...]
) -> None:
    rule = InhibitionSettings(source, target, equal)
    inhibitor = Inhibitor([rule], firing)

    def is_(texts: tuple[str, ...], one: Alert) -> bool:
        return match_all([matcher for text in texts for matcher in parse_matchers(text)], one.labels)

    for one in firing:
        expected = any(
            is_(target, one)
            and is_(source, other)
            and all(one.labels.get(name, "") == other.labels.get(name, "") for name in equal)
            and not (is_(source, one) and is_(target, one) and is_(source, other) and is_(target, other))
            for other in firing
        )
        assert inhibitor.inhibits(one) == expected
