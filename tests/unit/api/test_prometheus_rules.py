"""`/api/v1/rules`: filters and fields as Prometheus has them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from litestar.testing import create_test_client

from streamgauge.alert.evaluate import Prepared
from streamgauge.alert.manager import RuleStatus
from streamgauge.alert.rule_file import read_rules
from streamgauge.alert.rules import named_rules
from streamgauge.alert.state import NEW, Sample, Timing, step
from streamgauge.api.prometheus.rules import prometheus_rule_routes

TEXT = """
groups:
- name: shop
  interval: 90s
  limit: 7
  rules:
  - {alert: Low, expr: m < 5}
  - {record: "a:b", expr: sum(m)}
- name: other
  rules:
  - {alert: High, expr: m > 5}
"""


def groups(**asked: Any) -> list[dict[str, Any]]:
    """Where Low fires."""
    rules = [Prepared(one) for one in named_rules(read_rules(TEXT, (), source="file", file="a.yml"))]
    fires, _ = step(NEW, [Sample({"alertname": "Low"}, {}, 1.0)], 60_000, Timing(0, 0, 60_000))
    states = [RuleStatus(one, fires if one.rule.name == "Low" else NEW, "", None) for one in rules]
    manager: Any = SimpleNamespace(status=lambda: states, interval_ms=60_000, evaluated_at_ms=60_000)
    with create_test_client(prometheus_rule_routes(manager)) as client:
        found: list[dict[str, Any]] = client.get("/api/v1/rules", params=asked).json()["data"]["groups"]
    return found


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["Low", "a:b", "High"]),
        ({"type": "alert"}, ["Low", "High"]),
        ({"type": "record"}, ["a:b"]),
        ({"rule_name[]": ["a:b", "High"]}, ["a:b", "High"]),
        ({"rule_group[]": "other"}, ["High"]),
        ({"file[]": "a.yml", "rule_group[]": "shop", "type": "alert"}, ["Low"]),
        ({"file[]": "b.yml"}, []),
    ],
)
def test_rules_are_those_that_were_asked_for(asked: dict[str, Any], names: list[str]) -> None:
    assert [rule["name"] for group in groups(**asked) for rule in group["rules"]] == names


def test_groups_have_their_own_interval_and_limit() -> None:
    assert [(one["name"], one["file"], one["interval"], one["limit"]) for one in groups()] == [
        ("shop", "a.yml", 120, 7),
        ("other", "a.yml", 60, 0),
    ]


def test_alerts_are_left_out_where_nobody_wants_them() -> None:
    (with_alerts,) = groups(**{"rule_name[]": "Low"})
    (without,) = groups(**{"rule_name[]": "Low", "exclude_alerts": "true"})
    assert len(with_alerts["rules"][0]["alerts"]) == 1
    assert without["rules"][0] == {**with_alerts["rules"][0], "alerts": []}
