"""SIGKILL while alerts are told: everybody hears of every firing and every recovery, with one key.

This file is also the program that is killed: `python test_notification_kill.py FOLDER URL STATE` tells of one alert
again and again, as evaluations do, firing or resolved, and delivers.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.service import Notifications
from streamgauge.alert.notify.tables import NOTIFY_TABLES
from streamgauge.config import Settings
from streamgauge.core.clock import SystemClock
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.state.database import StateDatabase

if TYPE_CHECKING:
    from played import Played

ROUNDS = 3


async def tell_for_ever(folder: Path, url: str, state: str) -> None:
    clock, database = SystemClock(), StateDatabase(f"sqlite:///{folder / 'state.db'}", [NOTIFY_TABLES])
    receiver = {"name": "oncall", "group_interval": "1s", "pagerduty": {"routing_key_env": "KEY", "url": url}}
    settings = msgspec.convert({"receivers": [receiver]}, Settings)
    service = Notifications(settings, database, clock, SelfMetrics(), environment={"KEY": "k"})
    running = asyncio.create_task(service.run())
    alert = Alert({"alertname": "Drop"}, {}, 1.0, 0, clock.now_ms() if state == "resolved" else None, "")
    sys.stdout.write("running\n")
    sys.stdout.flush()
    while not running.done():
        await service.notify([alert], clock.now_ms())
        await asyncio.sleep(0.05)
    await running


def killed_after(folder: Path, pagerduty: Played, state: str, seconds: float) -> None:
    url = f"{pagerduty.url}/v2/enqueue"
    with subprocess.Popen([sys.executable, __file__, str(folder), url, state], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        program.stdout.readline()
        try:
            program.wait(seconds)
        except subprocess.TimeoutExpired:
            program.kill()


def until_delivered(folder: Path, pagerduty: Played, state: str, action: str) -> None:
    url = f"{pagerduty.url}/v2/enqueue"
    with subprocess.Popen([sys.executable, __file__, str(folder), url, state], stdout=subprocess.PIPE) as program:
        try:
            pagerduty.wait_until(lambda bodies: any(body["event_action"] == action for body in bodies))
        finally:
            program.kill()


def test_a_firing_and_a_recovery_are_delivered_with_one_key_however_often_it_is_killed(
    tmp_path: Path, pagerduty: Played
) -> None:
    from played import Answer

    rng = random.Random(20_266)
    for state, action in (("firing", "trigger"), ("resolved", "resolve")):
        pagerduty.answers.extend([Answer(503)] * 2)  # so that it is killed between the outbox and the delivery as well
        for _ in range(ROUNDS):
            killed_after(tmp_path, pagerduty, state, rng.random() * 0.5)
        until_delivered(tmp_path, pagerduty, state, action)
    actions = [body["event_action"] for body in pagerduty.bodies]
    assert len({body["dedup_key"] for body in pagerduty.bodies}) == 1
    assert actions == sorted(actions, key=["trigger", "resolve"].index), "a recovery came before its firing"
    # Said once each: only a kill between the answer and its note sends one again.
    assert actions.count("trigger") <= 1 + ROUNDS
    assert actions.count("resolve") <= 1 + ROUNDS
    assert pagerduty.refused == []


if __name__ == "__main__":
    asyncio.run(tell_for_ever(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
