"""Alerts of a running server: from events to whoever is told."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from played import Played
from running import RunningSystem, eventually

MINUTE_S = 60
TRIED = """
groups:
- name: tried
  rules:
  - record: us:views
    expr: sum(sum_over_time(page_views{country="US"}[2m]))
  - alert: Some
    expr: us:views > 0
"""
RULES = """
groups:
- name: traffic
  rules:
  - anomaly: traffic_drop
    metric: page_views
    by: [country]
    drop: 20%
    min_volume: 20
    labels: {severity: page}
"""
LATELY = {"US": 70, "DE": 85, "FR": 0, "NL": 100}
"""Page views a minute, where there were 100 before: 30 % less, 15 % less, nothing, and as ever."""


def config_of(folder: Path, receiver: Played, *, patience: str = "30s", more: str = "") -> str:
    return f"""
        [alerts]
        rules = "{folder}"
        interval = "1s"
        patience = "{patience}"

        [notifications]
        group_wait = "1s"
        group_interval = "1s"

        [[receivers]]
        name = "oncall"
        webhook = {{url = "{receiver.url}/hook"}}
        {more}
    """


def rules_in(folder: Path) -> Path:
    folder.mkdir()
    (folder / "traffic.yml").write_text(RULES, encoding="utf-8")
    return folder


def traffic() -> list[dict[str, Any]]:
    """Of the last 70 minutes; less in the last 5 of them, and in the next 2, in which this test may still run."""
    this_minute_s = int(time.time()) // MINUTE_S * MINUTE_S
    return [
        {
            "event": "page_view",
            "user_id": f"{country}{number}",
            "country": country,
            "timestamp": (this_minute_s + minute * MINUTE_S) * 1000 + number * 500,
        }
        for minute in range(-70, 3)
        for country, lately in LATELY.items()
        for number in range(lately if minute >= -5 else 100)
    ]


def alerts(system: RunningSystem, state: str) -> list[dict[str, Any]]:
    return [one for one in system.get("/alerts").json()["alerts"] if one["state"] == state]


def messages(receiver: Played) -> list[set[str]]:
    """The countries of each."""
    return [{one["labels"]["country"] for one in request.body["alerts"]} for request in receiver.received]


def test_traffic_that_falls_is_told_of_once_over_a_crash_and_traffic_that_varies_is_not(
    tmp_path: Path, webhook: Played
) -> None:
    config = config_of(rules_in(tmp_path / "rules"), webhook)
    with RunningSystem(tmp_path / "data", config=config) as system:
        system.send(traffic())
        eventually(lambda: len(alerts(system, "firing")) >= 2, f"it fires: {system.output}")
        found = {one["labels"]["country"]: one for one in alerts(system, "firing")}
        assert found.keys() == {"US", "FR"}
        assert 0.25 < found["US"]["value"] <= 0.3  # of an hour that ends a little lower already
        assert found["US"]["annotations"]["summary"].startswith("page_views US fell by ")
        assert found["FR"]["value"] == 1
        told = {"FR", "US"}
        eventually(lambda: messages(webhook)[-1:] == [told], "somebody is told of both")
        eventually(lambda: system.get("/receivers").json()["receivers"][0]["waiting"] == 0, "it is written down")

        system.kill9()
        system.start()
        eventually(lambda: len(alerts(system, "firing")) == 2, "it goes on")
        changes = system.get("/alerts/history", params={"rule": "traffic_drop"}).json()["changes"]
        assert sorted((one["labels"]["country"], one["to"]) for one in changes) == [("FR", "firing"), ("US", "firing")]
        series = system.get("/api/v1/query", params={"query": 'ALERTS{alertstate="firing"}'}).json()["data"]["result"]
        assert {one["metric"]["country"] for one in series} == {"FR", "US"}

        done = subprocess.run(
            [sys.executable, "-m", "streamgauge", "rules", "backtest", str(tmp_path / "rules" / "traffic.yml"),
             "--range", "1h", "--url", system.url()],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "country=US" in done.stdout
        assert "country=DE" not in done.stdout
        tried = system.post("/rules/backtest", json={"text": TRIED, "range": "1h"}).json()
        assert [one["firings_count"] for one in tried["rules"]] == [1], tried
        assert system.stop() == 0
    found_messages = messages(webhook)
    assert found_messages[-1] == told
    assert all(one != other for one, other in pairwise(found_messages)), "nobody is told the same twice"


def test_where_the_data_is_not_complete_rules_are_held_and_nobody_is_told_of_traffic(
    tmp_path: Path, webhook: Played
) -> None:
    config = config_of(
        rules_in(tmp_path / "rules"), webhook, patience="2s", more="[stream]\nwatermark_delay_ms = 3_600_000"
    )
    with RunningSystem(tmp_path / "data", config=config) as system:
        system.send(traffic())
        (held,) = eventually(lambda: alerts(system, "held"), "it is held")
        assert held["rule"] == "traffic_drop"
        assert held["held_reason"].startswith("data is complete only up to ")
        assert alerts(system, "firing") == []
        (rule,) = system.get("/rules").json()["groups"][0]["rules"]
        assert rule["state"] == "held"
        assert system.get("/readyz").status_code == 200
        assert system.get("/readyz").json()["stages"]["alerts"]["state"] == "stale"


def test_rules_are_made_changed_and_deleted_through_the_api_and_outlive_a_restart(
    tmp_path: Path, webhook: Played
) -> None:
    text = "groups: [{name: mine, rules: [{alert: Always, expr: vector(1)}, {record: twice, expr: vector(2)}]}]"
    with RunningSystem(tmp_path / "data", config=config_of(rules_in(tmp_path / "rules"), webhook)) as system:
        assert system.client.put("/rules/mine", json={"text": text}).status_code == 200
        eventually(lambda: alerts(system, "firing"), "it fires")
        system.kill9()
        system.start()
        groups = {group["name"]: group for group in system.get("/rules").json()["groups"]}
        assert (groups["mine"]["source"], groups["mine"]["text"]) == ("made", text)
        assert len(alerts(system, "firing")) == 1
        answer = system.get("/api/v1/query", params={"query": "twice * 2"}).json()
        assert [one["value"][1] for one in answer["data"]["result"]] == ["4"]

        refused = system.client.put("/rules/traffic", json={"text": text.replace("mine", "traffic")})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
        wrong = system.client.put("/rules/mine", json={"text": text.replace("vector(1)", "vector(")})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "invalid_rule")
        assert system.client.delete("/rules/other").status_code == 404
        assert system.client.delete("/rules/traffic").status_code == 409
        assert system.client.delete("/rules/mine").status_code == 204
        eventually(lambda: not alerts(system, "firing"), "it is resolved")
        checked = system.post("/rules/check", json={"text": RULES}).json()
        assert "avg_over_time" in checked["groups"][0]["rules"][0]["expr"]
        assert "Traceback" not in system.output
