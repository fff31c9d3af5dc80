"""Notifications put together: told by evaluations, made once, delivered to receivers on loopback, whatever happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from played import Answer, Played
from streamgauge.alert.base import Alert
from streamgauge.alert.notify.dispatcher import TOLD_WITHIN_MS
from streamgauge.alert.notify.service import Notifications
from streamgauge.alert.notify.silences import Wish
from streamgauge.alert.notify.tables import NOTIFY_TABLES
from streamgauge.config import Settings
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import NotFound, ReceiverFailed, Unavailable
from streamgauge.core.matchers import parse_matchers
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.state.database import StateDatabase

MINUTE = 60_000
KEY = {"PD_KEY": "s3cret"}


class Place:
    """A service over a database of its own that survives `again`."""

    def __init__(self, folder: Path, settings: dict[str, Any], clock: ManualClock | None = None) -> None:
        self._folder, self._settings = folder, settings
        self.clock, self.metrics = clock or ManualClock(), SelfMetrics()
        self.database = StateDatabase(f"sqlite:///{folder / 'state.db'}", [NOTIFY_TABLES])
        self.service = Notifications(
            msgspec.convert(settings, Settings), self.database, self.clock, self.metrics, environment=KEY
        )

    async def evaluate(self, *alerts: Alert) -> None:
        await self.service.notify(alerts, self.clock.now_ms())
        await self.service._dispatcher.look()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.service.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def again(self) -> Place:
        """As after a crash: only what is in the database is left."""
        await self.close()
        return Place(self._folder, self._settings, self.clock)

    async def until(self, outcomes: Sequence[str], seconds_max: float = 10.0) -> None:
        """Return when the log has these outcomes, the oldest first."""
        end_s, found = time.monotonic() + seconds_max, list[str]()
        while time.monotonic() < end_s:
            found = [one.outcome for one in reversed(await self.service.log(limit=100))]
            if found == list(outcomes):
                return
            await asyncio.sleep(0.01)
        pytest.fail(f"the log has {found}, not {outcomes}")

    async def close(self) -> None:
        await self.service.close()
        self.database.close()


def drop(clock: ManualClock, *, until: int | None = None, **labels: str) -> Alert:
    labels = {"alertname": "Drop", "severity": "page", **labels}
    return Alert(labels, {"summary": "traffic fell"}, 70.0, clock.now_ms() - 2 * MINUTE, until, "")


NewPlace = Callable[..., Place]


@pytest.fixture
async def new_place(tmp_path: Path, pagerduty: Played, slack: Played) -> AsyncIterator[NewPlace]:
    made: list[Place] = []

    def new(**settings: Any) -> Place:
        receivers = [
            {
                "name": "oncall",
                "match": {"severity": "page"},
                "pagerduty": {"routing_key_env": "PD_KEY", "url": f"{pagerduty.url}/v2/enqueue"},
            },
            {"name": "chat", "slack": {"url": slack.url}},
        ]
        made.append(Place(tmp_path, {"receivers": receivers, **settings}))
        return made[-1]

    yield new
    for place in made:
        await place.close()


async def test_a_firing_is_one_trigger_and_one_message_and_a_recovery_one_of_each(
    new_place: NewPlace, pagerduty: Played, slack: Played
) -> None:
    place = new_place()
    first = drop(place.clock)
    async with place.running():
        for minute in range(30):
            end_ms = None if minute < 10 else first.starts_at_ms + 12 * MINUTE
            await place.evaluate(*([msgspec.structs.replace(first, ends_at_ms=end_ms)] if minute < 25 else []))
            place.clock.advance(MINUTE)
        await place.until(["sent"] * 4)
    trigger, resolve = pagerduty.bodies
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"]
    assert [body["blocks"][0]["text"]["text"] for body in slack.bodies] == ["[FIRING:1] Drop", "[RESOLVED] Drop"]
    assert pagerduty.refused == slack.refused == []


async def test_what_was_told_before_a_crash_is_delivered_after_it_and_not_twice(
    new_place: NewPlace, pagerduty: Played
) -> None:
    place = new_place()
    alert = drop(place.clock)
    await place.service.notify([alert], place.clock.now_ms())  # and here the process ends
    place = await place.again()
    await place.service._dispatcher.look()
    assert await place.service.log(limit=10) == []  # what fires by now isn't known yet
    place.clock.advance(TOLD_WITHIN_MS)
    await place.service._dispatcher.look()
    place = await place.again()  # between the outbox and the delivery
    async with place.running():
        await place.until(["sent", "sent"])
        await place.evaluate(alert)
    place = await place.again()
    async with place.running():
        await place.evaluate(alert)
        await place.until(["sent", "sent"])
    assert len(pagerduty.received) == 1
    await place.close()


async def test_a_recovery_that_nobody_tells_of_after_a_crash_is_still_said(
    new_place: NewPlace, pagerduty: Played
) -> None:
    place = new_place()
    alert = drop(place.clock)
    async with place.running():
        await place.evaluate(alert)
        await place.until(["sent", "sent"])
    await place.service.notify([msgspec.structs.replace(alert, ends_at_ms=place.clock.now_ms())], place.clock.now_ms())
    place = await place.again()
    place.clock.advance(3_600_000)
    async with place.running():
        await place.evaluate()
        await place.until(["sent"] * 4)
    assert [body["event_action"] for body in pagerduty.bodies] == ["trigger", "resolve"]
    await place.close()


async def test_a_receiver_that_is_down_gets_it_when_it_is_back_and_the_other_at_once(
    new_place: NewPlace, pagerduty: Played, slack: Played
) -> None:
    place = new_place()
    pagerduty.answers.extend([Answer(503)] * 3)
    async with place.running():
        await place.evaluate(drop(place.clock))
        await asyncio.to_thread(slack.wait_for, 1)
        assert pagerduty.received == []
        for _ in range(1_000):
            place.clock.advance(1_000)
            place.service._wake(["oncall"])
            if pagerduty.received:
                break
            await asyncio.sleep(0.01)
        await place.until(["sent", "sent"])
    assert len(pagerduty.received) == 1


async def test_a_silence_holds_from_when_it_is_made_and_nothing_is_lost_after_it(
    new_place: NewPlace, pagerduty: Played
) -> None:
    place = new_place()
    now_ms = place.clock.now_ms()
    wish = Wish(parse_matchers("alertname=Drop"), now_ms, now_ms + 60 * MINUTE, "ann", "known")
    silence = await place.service.silences.add(wish, now_ms)
    alert = drop(place.clock)
    assert await place.service.silenced_by([alert.labels, {"alertname": "x"}], now_ms) == [[silence.id], []]
    async with place.running():
        for _ in range(8):
            await place.evaluate(alert)
            place.clock.advance(MINUTE)
        assert await place.service.log(limit=10) == []
        await place.service.silences.expire(silence.id, place.clock.now_ms())
        place.clock.advance(5 * MINUTE)
        await place.evaluate(alert)
        await place.until(["sent", "sent"])
    assert len(pagerduty.received) == 1


async def test_maintenance_and_inhibition_mute_too(new_place: NewPlace) -> None:
    windows = [{"name": "night", "matchers": ["team=shop"], "from": "00:00", "to": "24:00"}]
    inhibitions = [{"source": ["severity=page"], "target": ["severity=ticket"], "equal": ["country"]}]
    place = new_place(maintenance=windows, inhibitions=inhibitions)
    await place.evaluate(
        drop(place.clock, team="shop"),
        drop(place.clock, severity="ticket", country="US", alertname="Muted"),
        drop(place.clock, country="US", alertname="Source"),
    )
    assert {one.group_key for one in await place.service.log(limit=10)} == {
        'oncall:{alertname="Source"}',
        'chat:{alertname="Source"}',
    }
    assert [is_open for _, is_open in place.service.maintenance(place.clock.now_ms())] == [True]


async def test_what_a_receiver_refuses_is_said_again_at_the_next_look(new_place: NewPlace, pagerduty: Played) -> None:
    place = new_place(
        receivers=[
            {
                "name": "oncall",
                "pagerduty": {"routing_key_env": "PD_KEY", "url": f"{pagerduty.url}/v2/enqueue"},
            }
        ]
    )
    pagerduty.answers.append(Answer(400, "invalid routing key"))
    alert = drop(place.clock)
    async with place.running():
        await place.evaluate(alert)
        await place.until(["refused"])
        place.clock.advance(5 * MINUTE)
        await place.evaluate(alert)
        await place.until(["refused", "sent"])


async def test_a_recovery_that_a_receiver_refuses_is_said_again_until_it_takes_it(
    new_place: NewPlace, pagerduty: Played
) -> None:
    place = new_place()
    alert, told = drop(place.clock), ["sent", "sent"]
    async with place.running():
        await place.evaluate(alert)
        await place.until(told)
        pagerduty.answers += [Answer(400, "key was rotated")] * 2
        place.clock.advance(5 * MINUTE)
        await place.evaluate(msgspec.structs.replace(alert, ends_at_ms=place.clock.now_ms()))
        await place.until([*told, "refused", "sent"])
        place.clock.advance(MINUTE)
        await place.evaluate()
        await place.until([*told, "refused", "sent", "refused"])
    place = await place.again()
    async with place.running():
        await place.evaluate()
        place.clock.advance(MINUTE)
        await place.evaluate()
        await place.until([*told, "refused", "sent", "refused", "sent"])
    bodies = [one.body for one in pagerduty.received]
    assert [one["event_action"] for one in bodies] == ["trigger", "resolve"]
    assert len({one["dedup_key"] for one in bodies}) == 1
    await place.close()


async def test_a_message_that_takes_the_place_of_another_says_what_ended_in_that_one(
    new_place: NewPlace, slack: Played
) -> None:
    place = new_place(receivers=[{"name": "chat", "group_by": ["alertname"], "slack": {"url": slack.url}}])
    alerts = [drop(place.clock, country=name) for name in ("US", "DE", "FR")]
    await place.evaluate(*alerts)
    for ended in (0, 1):
        place.clock.advance(5 * MINUTE)
        alerts[ended] = msgspec.structs.replace(alerts[ended], ends_at_ms=place.clock.now_ms())
        await place.evaluate(*alerts)
    waiting = await place.service._outbox.next("chat", place.clock.now_ms())
    assert waiting is not None
    assert {one.labels["country"] for one in waiting.notification.resolved} == {"US", "DE"}
    assert {one.labels["country"] for one in waiting.notification.firing} == {"FR"}
    assert waiting.said_before is None


async def test_of_too_many_alerts_those_that_are_known_are_not_taken_for_resolved(
    new_place: NewPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamgauge.alert.notify.dispatcher.ALERTS_MAX", 1)
    place = new_place()
    known, new = drop(place.clock), drop(place.clock, alertname="Other")
    await place.evaluate(known)
    for _ in range(3):
        place.clock.advance(5 * MINUTE)
        await place.evaluate(new, known)
    found = {(one.group_key, one.status) for one in await place.service.log(limit=100)}
    assert found == {('oncall:{alertname="Drop"}', "firing"), ('chat:{alertname="Drop"}', "firing")}


async def test_self_metrics_say_what_waits_since_when_and_what_became_of_the_rest(
    new_place: NewPlace, pagerduty: Played
) -> None:
    place = new_place()
    await place.evaluate(drop(place.clock))
    place.clock.advance(90_000)
    assert (await place.service.state()).state == "ready"
    text = place.metrics.exposition().decode()
    assert 'streamgauge_notifications_waiting{receiver="oncall"} 1.0' in text
    assert 'streamgauge_notifications_oldest_seconds{receiver="chat"} 90.0' in text
    oncall, chat = await place.service.receivers()
    assert (oncall.backlog.waiting, oncall.last, chat.settings.name) == (1, None, "chat")
    async with place.running():
        await place.until(["sent", "sent"])
    assert (await place.service.state()).state == "ready"
    text = place.metrics.exposition().decode()
    assert 'streamgauge_notifications_total{outcome="sent",receiver="oncall"} 1.0' in text
    assert 'streamgauge_notifications_waiting{receiver="oncall"} 0.0' in text


async def test_a_test_is_marked_and_says_what_the_receiver_answered(new_place: NewPlace, slack: Played) -> None:
    place = new_place()
    assert await place.service.test("chat") == "200 ok"
    assert slack.bodies[0]["text"].startswith("[TEST]")
    slack.answers.append(Answer(404, "no_service"))
    with pytest.raises(ReceiverFailed, match="404 no_service"):
        await place.service.test("chat")
    slack.answers.append(Answer(429, "slow down", {"Retry-After": "30"}))
    with pytest.raises(ReceiverFailed) as caught:
        await place.service.test("chat")
    assert "30 s" in caught.value.hint
    with pytest.raises(NotFound) as unknown:
        await place.service.test("nobody")
    assert "chat, oncall" in unknown.value.hint
    assert await place.service.log(limit=1) == []


async def test_a_database_that_is_away_is_told_to_whoever_evaluates_and_nothing_is_lost(new_place: NewPlace) -> None:
    place = new_place()
    alert = drop(place.clock)
    place.database.close()
    with pytest.raises(Unavailable):
        await place.service.notify([alert], place.clock.now_ms())
    assert (await place.service.state()).state == "degraded"
    place = await place.again()
    await place.evaluate(alert)
    assert len(await place.service.log(limit=10)) == 2
    await place.close()
