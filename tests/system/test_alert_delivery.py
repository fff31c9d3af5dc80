"""From events to whoever is called at night: a running server, rules, and PagerDuty and Slack played on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from played import Answer, Played
from running import RunningSystem, eventually

MINUTE = 60_000
USUAL = 200
RULES = """
groups:
- name: traffic
  rules:
  - anomaly: traffic_drop
    metric: page_views
    by: [country]
    drop: 20%
    against: 1h
    min_volume: 100
    labels: {severity: page}
"""
EVALUATED = 'alerts = {{rules = "{rules}", interval = "1s", dashboard_url = "https://gauge.example"}}'
QUICK = 'group_wait = "0s"\ngroup_interval = "1s"\ngroup_by = ["alertname", "country"]'


class Traffic:
    """An hour of page views by country, as many a minute as usual; of the last minutes, and of those to come, as many
    as `counts` says."""

    def __init__(self, system: RunningSystem, counts: Mapping[str, int]) -> None:
        self._system, self._counts = system, dict(counts)
        self._minute = int(time.time() * 1000) // MINUTE
        self._lately = {country: [self._minute - 2, self._minute - 1, self._minute] for country in counts}
        self._is_over = threading.Event()
        self.lock = threading.Lock()
        """Who has it, stops the traffic of the minutes to come."""
        for country in counts:  # before the hour: else all of them would have stopped for a moment
            for minute in self._lately[country]:
                self._send(country, minute, counts[country])
        for country in counts:
            for minute in range(self._minute - 63, self._minute - 2):
                self._send(country, minute, USUAL)
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()

    def recover(self, country: str) -> None:
        """What was missing comes after all."""
        with self.lock:
            missing, self._counts[country] = USUAL - self._counts[country], USUAL
            for minute in self._lately[country]:
                self._send(country, minute, missing)

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._is_over.wait(0.2):
            with self.lock:
                now = int(time.time() * 1000) // MINUTE
                for minute in range(self._minute + 1, now + 1):
                    for country, count in self._counts.items():
                        self._send(country, minute, count)
                        self._lately[country].append(minute)
                self._minute = now

    def _send(self, country: str, minute: int, count: int) -> None:
        events = [
            {"event": "page_view", "user_id": n, "country": country, "timestamp": minute * MINUTE + n}
            for n in range(count)
        ]
        if events:
            self._system.send(events)


@pytest.fixture
def system(
    tmp_path: Path, pagerduty: Played, slack: Played, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningSystem]:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "traffic.yml").write_text(RULES, encoding="utf-8")
    monkeypatch.setenv("PD_KEY", "k3y")
    config = f"""
        {EVALUATED.format(rules=tmp_path / "rules")}
        stream = {{watermark_delay_ms = 500, idle_partition_ms = 500}}
        [notifications]
        {QUICK}
        [[receivers]]
        name = "oncall"
        match = {{severity = "page"}}
        pagerduty = {{routing_key_env = "PD_KEY", url = "{pagerduty.url}/v2/enqueue"}}
        [[receivers]]
        name = "chat"
        slack = {{url = "{slack.url}"}}
    """
    with RunningSystem(tmp_path / "data", config=config) as system:
        yield system


def firing(system: RunningSystem) -> set[str]:
    found = system.get("/alerts").json()["alerts"]
    return {one["labels"]["country"] for one in found if one["state"] == "firing"}


def of(played: Played, country: str) -> list[Any]:
    return [body for body in played.bodies if country in str(body)]


def test_traffic_that_falls_calls_once_and_when_it_recovers_the_same_incident_ends(
    system: RunningSystem, pagerduty: Played, slack: Played
) -> None:
    traffic = Traffic(system, {"US": USUAL * 70 // 100, "DE": USUAL * 85 // 100, "FR": 0, "JP": USUAL})
    try:
        eventually(lambda: firing(system) == {"US", "FR"}, "US fell by 30 %, FR stopped, DE by 15 %", 60)
        pagerduty.wait_for(2)
        slack.wait_for(2)
        traffic.recover("US")
        pagerduty.wait_until(lambda bodies: any(body["event_action"] == "resolve" for body in bodies))
        slack.wait_for(3)
        first = system.get("/alerts").json()["evaluated_at"]
        eventually(lambda: system.get("/alerts").json()["evaluated_at"] > first, "one more evaluation", 60)
    finally:
        traffic.close()
    trigger, resolve = of(pagerduty, "US")
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"]
    assert trigger["payload"]["severity"] == "critical"
    assert trigger["links"][0]["href"].startswith("https://gauge.example/?metric=page_views&from=")
    assert [body["event_action"] for body in of(pagerduty, "FR")] == ["trigger"]
    assert of(pagerduty, "DE") == of(pagerduty, "JP") == of(slack, "DE") == []
    text = of(slack, "US")[0]["blocks"][1]["text"]["text"]
    assert "█" in text, text  # the usual, as high as it was
    titles = [body["blocks"][0]["text"]["text"] for body in of(slack, "US")]
    assert titles == ["[FIRING:1] traffic_drop country=US", "[RESOLVED] traffic_drop country=US"]
    assert pagerduty.refused == slack.refused == []

    def waiting() -> dict[str, tuple[int, str]]:
        found = system.get("/receivers").json()["receivers"]
        return {one["name"]: (one["waiting"], one["last"]["outcome"]) for one in found}

    eventually(lambda: waiting() == {"oncall": (0, "sent"), "chat": (0, "sent")}, "all is delivered")
    assert len(pagerduty.bodies) == len(slack.bodies) == 3


def test_a_kill_between_evaluation_and_delivery_loses_nothing_and_repeats_nothing(
    system: RunningSystem, pagerduty: Played, slack: Played
) -> None:
    pagerduty.answers.extend([Answer(503)] * 1_000)
    traffic = Traffic(system, {"US": USUAL * 70 // 100})
    try:
        slack.wait_for(1)

        def waits() -> bool:
            found = system.get("/notifications").json()["notifications"]
            return {(one["receiver"], one["outcome"]) for one in found} == {("oncall", "waiting"), ("chat", "sent")}

        eventually(waits, "PagerDuty's is in the outbox", 60)
        with traffic.lock:
            system.kill9()
            pagerduty.answers.clear()
            system.start()
        pagerduty.wait_for(1)
        before = system.get("/alerts").json()["evaluated_at"]
        eventually(lambda: (system.get("/alerts").json()["evaluated_at"] or "") > (before or ""), "an evaluation", 60)
    finally:
        traffic.close()
    assert [body["event_action"] for body in pagerduty.bodies] == ["trigger"]
    assert len(slack.bodies) == 1
