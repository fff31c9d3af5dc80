"""When is there something to say about a group, and what: example by example, and against a naive oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.base import Notification
from streamgauge.alert.notify.grouping import Group, Groups, look, told, unsaid
from streamgauge.alert.notify.routing import Route
from streamgauge.core.matchers import parse_matchers

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
ROUTE = Route("oncall", (), True, ("alertname",), 30 * SECOND, 5 * MINUTE, 4 * HOUR, True)
TIMEOUT = 5 * MINUTE


def alert(name: str, *, since: int, until: int | None = None, **labels: str) -> Alert:
    return Alert({"alertname": name, **labels}, {}, 1.0, since, until, "")


class Told:
    """A receiver's view: evaluations tell, looks are made when they are due, messages are kept."""

    def __init__(self, *routes: Route) -> None:
        self.routes = routes or (ROUTE,)
        self.groups: Groups = {}
        self.messages: list[Notification] = []
        self.muted: set[str] = set()

    def evaluate(self, now_ms: int, *alerts: Alert) -> None:
        self.groups = told(self.groups, self.routes, alerts, now_ms, TIMEOUT)

    def look(self, now_ms: int) -> list[Notification]:
        """At all groups that are due; the messages that this gave."""
        before = len(self.messages)
        routes = {route.receiver: route for route in self.routes}
        for key, group in self.groups.items():
            if group.look_at_ms <= now_ms:
                done = look(group, routes[group.receiver], self._is_muted, now_ms)
                self.groups = {**self.groups, key: done.group}
                self.messages += [done.notification] if done.notification else []
        self.groups = {key: group for key, group in self.groups.items() if not group.is_over}
        return self.messages[before:]

    def _is_muted(self, one: Alert) -> bool:
        return bool(self.muted & {one.labels["alertname"], one.labels.get("country", "")})


def shape(message: Notification) -> tuple[str, list[str], list[str]]:
    def names(alerts: Sequence[Alert]) -> list[str]:
        return sorted(one.labels.get("country", one.labels["alertname"]) for one in alerts)

    return message.status, names(message.firing), names(message.resolved)


def shapes(messages: Sequence[Notification]) -> list[tuple[str, list[str], list[str]]]:
    return [shape(message) for message in messages]


def test_a_group_waits_for_others_before_the_first_message_which_has_all_of_them() -> None:
    view = Told()
    view.evaluate(0, alert("Drop", since=0, country="US"))
    assert view.look(0) == view.look(29 * SECOND) == []
    view.evaluate(29 * SECOND, alert("Drop", since=0, country="US"), alert("Drop", since=29 * SECOND, country="DE"))
    assert shapes(view.look(30 * SECOND)) == [("firing", ["DE", "US"], [])]


def test_an_alert_that_has_fired_for_longer_than_a_group_waits_is_told_of_at_once() -> None:
    view = Told()
    view.evaluate(60 * SECOND, alert("Drop", since=0))
    assert len(view.look(60 * SECOND)) == 1


def test_what_joins_a_group_is_told_of_at_the_next_look_and_what_has_not_changed_is_not_repeated() -> None:
    view = Told()
    us, de = alert("Drop", since=0, country="US"), alert("Drop", since=MINUTE, country="DE")
    view.evaluate(0, us)
    view.look(30 * SECOND)
    view.evaluate(MINUTE, us, de)
    assert view.look(5 * MINUTE) == []
    assert shapes(view.look(5 * MINUTE + 30 * SECOND)) == [("firing", ["DE", "US"], [])]
    view.evaluate(11 * MINUTE, us, de)
    assert view.look(11 * MINUTE) == []


def test_groups_of_different_labels_are_told_of_apart_with_keys_of_their_own() -> None:
    view = Told()
    view.evaluate(0, alert("Drop", since=0), alert("Rise", since=0))
    one, other = view.look(30 * SECOND)
    assert one.dedup_key != other.dedup_key
    assert {one.group_key, other.group_key} == {'oncall:{alertname="Drop"}', 'oncall:{alertname="Rise"}'}


def test_what_still_fires_is_said_again_after_the_repeat_interval() -> None:
    view = Told()
    times = [minute * MINUTE for minute in range(9 * 60)]
    for now_ms in times:
        view.evaluate(now_ms, alert("Drop", since=0))
        view.look(now_ms)
    assert [message.made_at_ms for message in view.messages] == [MINUTE, MINUTE + 4 * HOUR, MINUTE + 8 * HOUR]
    assert {message.dedup_key for message in view.messages} == {view.messages[0].dedup_key}


def test_a_recovery_is_said_once_with_the_same_key_though_it_is_told_of_again_and_again() -> None:
    view = Told()
    view.evaluate(0, alert("Drop", since=0))
    view.look(30 * SECOND)
    for minute in range(1, 17):
        view.evaluate(minute * MINUTE, alert("Drop", since=0, until=MINUTE))
        view.look(minute * MINUTE)
    assert shapes(view.messages) == [("firing", ["Drop"], []), ("resolved", [], ["Drop"])]
    assert len({message.dedup_key for message in view.messages}) == 1
    assert view.groups == {}


def test_what_recovers_before_anybody_was_told_is_never_told_of() -> None:
    view = Told()
    view.evaluate(0, alert("Drop", since=0))
    view.evaluate(20 * SECOND, alert("Drop", since=0, until=20 * SECOND))
    assert view.look(30 * SECOND) == []
    assert view.groups == {}


def test_what_flaps_between_two_looks_is_not_told_of_again() -> None:
    view = Told()
    view.evaluate(0, alert("Drop", since=0))
    view.look(30 * SECOND)
    view.evaluate(MINUTE, alert("Drop", since=0, until=MINUTE))
    view.evaluate(2 * MINUTE, alert("Drop", since=2 * MINUTE))
    assert view.look(6 * MINUTE) == []


def test_part_of_a_group_that_recovers_is_said_while_the_rest_fires() -> None:
    view = Told()
    us, de = alert("Drop", since=0, country="US"), alert("Drop", since=0, country="DE")
    view.evaluate(0, us, de)
    view.look(30 * SECOND)
    view.evaluate(MINUTE, us, alert("Drop", since=0, until=MINUTE, country="DE"))
    assert shapes(view.look(6 * MINUTE)) == [("firing", ["US"], ["DE"])]


def test_without_send_resolved_recoveries_are_not_said_and_the_next_firing_is() -> None:
    view = Told(msgspec.structs.replace(ROUTE, send_resolved=False))
    view.evaluate(0, alert("Drop", since=0))
    view.look(30 * SECOND)
    view.evaluate(MINUTE, alert("Drop", since=0, until=MINUTE))
    assert view.look(6 * MINUTE) == []
    view.evaluate(7 * MINUTE, alert("Drop", since=7 * MINUTE))
    assert shapes(view.look(8 * MINUTE)) == [("firing", ["Drop"], [])]


def test_muted_alerts_are_not_said_until_they_no_longer_are() -> None:
    view = Told()
    view.muted = {"Drop"}
    view.evaluate(0, alert("Drop", since=0))
    assert view.look(30 * SECOND) == []
    view.muted = set()
    assert shapes(view.look(6 * MINUTE)) == [("firing", ["Drop"], [])]


def test_the_recovery_of_what_was_said_to_fire_is_said_though_it_was_muted_meanwhile() -> None:
    view = Told()
    view.evaluate(0, alert("Drop", since=0))
    view.look(30 * SECOND)
    view.muted = {"Drop"}
    assert view.look(6 * MINUTE) == []
    view.evaluate(7 * MINUTE, alert("Drop", since=0, until=7 * MINUTE))
    assert shapes(view.look(12 * MINUTE)) == [("resolved", [], ["Drop"])]


def test_an_alert_that_was_muted_when_its_group_was_said_to_be_over_is_news_afterwards() -> None:
    view = Told()
    us, de = alert("Drop", since=0, country="US"), alert("Drop", since=0, country="DE")
    view.evaluate(0, us, de)
    view.look(30 * SECOND)
    view.muted = {"DE"}
    view.evaluate(MINUTE, de, alert("Drop", since=0, until=MINUTE, country="US"))
    assert shapes(view.look(6 * MINUTE)) == [("resolved", [], ["US"])]
    view.muted = set()
    assert shapes(view.look(12 * MINUTE)) == [("firing", ["DE"], [])]


def test_an_alert_that_is_no_longer_told_of_is_resolved_after_the_timeout_but_not_by_a_pause() -> None:
    view = Told()
    view.evaluate(0, alert("Drop", since=0))
    view.look(30 * SECOND)
    view.evaluate(2 * HOUR)  # nobody evaluated for two hours
    assert view.look(2 * HOUR) == []
    view.evaluate(2 * HOUR + 4 * MINUTE)
    assert view.look(2 * HOUR + 6 * MINUTE) == []
    view.evaluate(2 * HOUR + 7 * MINUTE)
    assert shapes(view.look(2 * HOUR + 12 * MINUTE)) == [("resolved", [], ["Drop"])]


def test_every_receiver_that_matches_is_told_until_one_says_that_it_is_the_last() -> None:
    page = Route("page", parse_matchers("severity=page"), False, ("alertname",), 0, MINUTE, HOUR, True)
    slack = Route("slack", parse_matchers("team=shop"), True, ("...",), 0, MINUTE, HOUR, True)
    rest = Route("rest", (), True, (), 0, MINUTE, HOUR, True)
    view = Told(slack, page, rest)
    view.evaluate(
        0,
        alert("A", since=0, severity="page", team="shop"),
        alert("B", since=0, severity="ticket", team="shop"),
        alert("C", since=0),
    )
    assert {(one.receiver, *shape(one)[1]) for one in view.look(0)} == {
        ("slack", "A"),
        ("slack", "B"),
        ("page", "A"),
        ("rest", "B", "C"),
    }


def test_a_message_that_was_refused_is_made_again_at_the_next_look() -> None:
    view = Told()
    view.evaluate(0, alert("Drop", since=0))
    (message,) = view.look(30 * SECOND)
    view.groups = {key: unsaid(group, message, None, 31 * SECOND) or group for key, group in view.groups.items()}
    assert view.look(5 * MINUTE) == []
    assert shapes(view.look(6 * MINUTE)) == [("firing", ["Drop"], [])]


def test_a_group_is_the_same_after_it_was_kept() -> None:
    view = Told()
    view.evaluate(0, alert("Drop", since=0, country="US"))
    view.look(30 * SECOND)
    (group,) = view.groups.values()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(group), type=Group) == group


# The oracle: Alertmanager's aggregation group and notification log, as plainly as can be; one group of labels.

TICK = 10 * SECOND
WAIT, INTERVAL, REPEAT = 3, 5, 20
"""In ticks."""


class Oracle:
    def __init__(self) -> None:
        self.alive: dict[str, str] = {}
        self.timer: int | None = None
        self.log: tuple[int, set[str]] | None = None
        self.out: list[tuple[int, list[str], list[str]]] = []

    def tick(self, now: int, fires: Mapping[str, int], muted: set[str]) -> None:
        for name, since in fires.items():
            if self.timer is None:
                self.timer = now if now - since >= WAIT else now + WAIT
            self.alive[name] = "fires"
        for name in self.alive:
            if name not in fires:
                self.alive[name] = "over"
        if self.timer is not None and now >= self.timer:
            self.flush(now, muted)
            self.timer = now + INTERVAL
            self.alive = {name: state for name, state in self.alive.items() if state == "fires"}
            if not self.alive:
                self.timer, self.log = None, None

    def flush(self, now: int, muted: set[str]) -> None:
        told_of = self.log[1] if self.log else set()
        fires = {name for name, state in self.alive.items() if state == "fires" and name not in muted}
        over = {name for name, state in self.alive.items() if state == "over" and name in told_of}
        if not fires and not over:
            return
        is_new = bool(fires - told_of)
        is_due = self.log is not None and now - self.log[0] >= REPEAT
        if is_new or over or is_due:
            self.out.append((now, sorted(fires), sorted(over)))
            quiet = {name for name, state in self.alive.items() if state == "fires" and name in told_of}
            self.log = (now, (fires | quiet) if fires else set())


NAMES = ("a", "b", "c")
_STEP = st.tuples(st.integers(0, 12), st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES), max_size=1))


@settings(max_examples=200, deadline=None)
@given(st.lists(_STEP, max_size=15))
def test_messages_are_those_of_a_naive_alertmanager(script: list[tuple[int, set[str], set[str]]]) -> None:
    """Each step: for so many ticks these alerts fire and those are muted."""
    route = msgspec.structs.replace(
        ROUTE,
        group_wait_ms=WAIT * TICK,
        group_interval_ms=INTERVAL * TICK,
        repeat_interval_ms=REPEAT * TICK,
    )
    view, oracle = Told(route), Oracle()
    since: dict[str, int] = {}
    ended: dict[str, Alert] = {}
    now = 0
    for ticks, fires, muted in script:
        for _ in range(ticks):
            since = {name: since.get(name, now) for name in fires}
            firing = [alert("X", since=at * TICK, country=name) for name, at in since.items()]
            gone = [one for name, one in ended.items() if name not in fires]
            view.muted = muted
            view.evaluate(now * TICK, *firing, *gone)
            view.look(now * TICK)
            oracle.tick(now, since, muted)
            for one in firing:
                ended[one.labels["country"]] = msgspec.structs.replace(one, ends_at_ms=(now + 1) * TICK)
            now += 1
    found: list[Any] = [(one.made_at_ms // TICK, *shape(one)[1:]) for one in view.messages]
    assert found == oracle.out
