"""From the outbox to a receiver on loopback: retries, breaks, rates, and that nobody waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from played import Answer, Played
from streamgauge.alert.base import Alert
from streamgauge.alert.notify.base import Notification, group_key
from streamgauge.alert.notify.delivery import Bucket, Delivery
from streamgauge.alert.notify.outbox import Message, Outbox, Waiting
from streamgauge.alert.notify.receivers.made import Makers
from streamgauge.alert.notify.tables import NOTIFY_TABLES
from streamgauge.core.clock import ManualClock
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.notify_settings import ReceiverSettings, WebhookSettings
from streamgauge.state.database import StateDatabase

HOUR = 3_600_000


class Place:
    """An outbox, and a receiver that is called `hook`."""

    def __init__(self, folder: Path, url: str, *, per_minute: int = 6_000) -> None:
        self.clock, self.metrics = ManualClock(), SelfMetrics()
        self.database = StateDatabase(f"sqlite:///{folder / 'state.db'}", [NOTIFY_TABLES])
        self.outbox = Outbox(self.database, 100)
        self.refused: list[Waiting] = []
        settings = ReceiverSettings("hook", webhook=WebhookSettings(url), sends_per_minute_max=per_minute)
        self.receiver = Makers(self.clock, {}, s_max=2.0, external_url="").make(settings)
        self.delivery = Delivery(
            self.receiver,
            self.outbox,
            self.clock,
            self.metrics,
            retry_ms_max=HOUR,
            on_refused=self._on_refused,
            chance=lambda: 0.0,
        )

    async def put(self, *names: str) -> None:
        now_ms = self.clock.now_ms()
        alerts = {name: Alert({"alertname": name}, {}, 1.0, 0, None, "") for name in names}
        made = [
            Notification("hook", group_key("hook", one.labels), one.labels, (one,), (), now_ms)
            for one in alerts.values()
        ]
        await self.outbox.put([], [], [Message(one, None) for one in made])

    async def outcomes(self) -> dict[str, str]:
        return {one.group_key.split('"')[1]: one.outcome for one in await self.outbox.log(limit=100)}

    def count(self, outcome: str) -> float:
        return self.metrics.notifications.labels("hook", outcome)._value.get()

    async def _on_refused(self, waiting: Waiting) -> None:
        self.refused.append(waiting)

    async def close(self) -> None:
        await self.receiver.close()
        self.database.close()


@pytest.fixture
async def place(tmp_path: Path, webhook: Played) -> AsyncIterator[Place]:
    place = Place(tmp_path, webhook.url)
    yield place
    await place.close()


async def test_what_waits_is_sent_in_order_and_ends(place: Place, webhook: Played) -> None:
    await place.put("A", "B")
    assert [await place.delivery.step() for _ in range(2)] == [0.0, 0.0]
    assert await place.delivery.step() > 1
    assert [body["commonLabels"]["alertname"] for body in webhook.bodies] == ["A", "B"]
    assert await place.outcomes() == {"A": "sent", "B": "sent"}
    assert place.count("sent") == 2


async def test_a_failure_is_tried_again_after_longer_and_longer_breaks(place: Place, webhook: Played) -> None:
    await place.put("A")
    webhook.answers.extend([Answer(503)] * 5)
    waits = []
    for _ in range(5):
        assert await place.delivery.step() == 0.0
        waits.append(await place.delivery.step())
        place.clock.advance(int(waits[-1] * 1000))
    assert waits == [1, 2, 4, 8, 16]
    assert webhook.received == []
    await place.delivery.step()
    assert len(webhook.received) == 1
    assert await place.outcomes() == {"A": "sent"}
    assert place.metrics.notification_tries_failed.labels("hook")._value.get() == 5


async def test_retry_after_is_kept_to_the_millisecond(place: Place, webhook: Played) -> None:
    await place.put("A")
    webhook.answers.append(Answer(429, headers={"Retry-After": "120"}))
    await place.delivery.step()
    place.clock.advance(119_999)
    assert await place.delivery.step() == pytest.approx(0.001)
    assert webhook.received == []
    place.clock.advance(1)
    await place.delivery.step()
    assert len(webhook.received) == 1


async def test_a_receiver_that_is_down_is_not_asked_for_each_message(place: Place, webhook: Played) -> None:
    await place.put(*"ABCDEFGH")
    webhook.answers.extend([Answer(503)] * 100)
    for _ in range(600):  # ten minutes
        await place.delivery.step()
        place.clock.advance(1_000)
    assert 100 - len(webhook.answers) < 20


async def test_a_message_that_can_not_be_digested_does_not_stop_the_others(place: Place, webhook: Played) -> None:
    await place.put("A", "B")
    webhook.answers.append(Answer(500, "can't digest A"))
    await place.delivery.step()
    place.clock.advance(750)
    await place.put("C")
    place.clock.advance(250)
    webhook.answers.append(Answer(500, "can't digest A"))
    await place.delivery.step()  # A again
    place.clock.advance(2_000)
    for _ in range(3):
        await place.delivery.step()
    assert set((await place.outcomes()).values()) == {"sent"}


async def test_what_is_refused_is_not_tried_again_and_whoever_said_it_is_told(place: Place, webhook: Played) -> None:
    await place.put("A", "B")
    webhook.answers.append(Answer(403, "invalid_token"))
    await place.delivery.step()
    await place.delivery.step()
    assert await place.outcomes() == {"A": "refused", "B": "sent"}
    assert [one.notification.group_labels["alertname"] for one in place.refused] == ["A"]
    assert "403 invalid_token" in (await place.outbox.log(limit=2))[1].answer
    assert place.count("refused") == 1


async def test_tries_come_to_an_end(place: Place, webhook: Played) -> None:
    await place.put("A")
    webhook.answers.extend([Answer(503, "away")] * 100)
    for _ in range(70):
        await place.delivery.step()
        place.clock.advance(60_000)
    assert await place.outcomes() == {"A": "expired"}
    assert "503 away" in (await place.outbox.log(limit=1))[0].answer


async def test_a_receiver_is_sent_no_more_a_minute_than_it_takes(tmp_path: Path, webhook: Played) -> None:
    place = Place(tmp_path, webhook.url, per_minute=60)
    await place.put(*(f"A{n}" for n in range(40)))
    for _ in range(100):
        await place.delivery.step()
    assert len(webhook.received) == 6
    for _ in range(20):
        place.clock.advance(1_000)
        await place.delivery.step()
        await place.delivery.step()
    assert len(webhook.received) == 26
    await place.close()


def test_a_clock_that_goes_back_gives_nothing_away_and_takes_nothing() -> None:
    clock = ManualClock()
    bucket = Bucket(60, clock)
    for _ in range(6):
        assert bucket.wait_ms() == 0
        bucket.take()
    clock.advance(-60_000)
    assert bucket.wait_ms() == 1_001
    clock.advance(1_001)
    assert bucket.wait_ms() == 0


async def test_after_a_restart_tries_go_on_where_they_were(place: Place, webhook: Played, tmp_path: Path) -> None:
    await place.put("A")
    webhook.answers.append(Answer(503))
    await place.delivery.step()
    await place.close()
    again = Place(tmp_path, webhook.url)
    again.clock.advance(1_000)
    await again.delivery.step()
    (logged,) = await again.outbox.log(limit=2)
    assert (logged.outcome, logged.tries) == ("sent", 2)
    await again.close()


async def test_a_slow_receiver_does_not_delay_another(tmp_path: Path, webhook: Played, slack: Played) -> None:
    for name in ("slow", "quick"):
        (tmp_path / name).mkdir()
    slow, quick = Place(tmp_path / "slow", slack.url), Place(tmp_path / "quick", webhook.url)
    slow.outbox = quick.outbox  # one outbox for both, as in the service
    slack.stall.set()
    running = asyncio.create_task(slow.delivery.run())
    await slow.put("A")
    await quick.put("A")
    other = asyncio.create_task(quick.delivery.run())
    await asyncio.to_thread(webhook.wait_for, 1)
    assert slack.received == []
    for task in (running, other):
        task.cancel()
    await asyncio.gather(running, other, return_exceptions=True)
    for place in (slow, quick):
        await place.close()
