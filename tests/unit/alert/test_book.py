"""The book of rules: what they read, by whatever name."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamgauge.alert.book import RuleBook
from streamgauge.alert.completeness import watermark_of
from streamgauge.alert.records import TABLES
from streamgauge.state.database import StateDatabase

RECORDS = """
groups:
- name: g
  rules:
  - {record: "of:sessions", expr: sum(sessions)}
  - {record: "of:both", expr: "of:sessions / page_views"}
  - {record: "of:itself", expr: "of:itself + streamgauge_events_total"}
  - {alert: A, expr: 'EXPR'}
"""


@pytest.mark.parametrize(
    ("expr", "watermark"),
    [
        ("page_views > 1", "events"),
        ("of:sessions > 1", "sessions"),
        ("sum(of:both[5m:1m]) > 1".replace("sum(", "sum_over_time("), "sessions"),
        ("of:itself > 1", "clock"),
        ('{__name__=~"page.*"} > 1', "sessions"),
    ],
)
async def test_a_rule_waits_for_the_slowest_of_what_is_behind_the_names_that_it_reads(
    tmp_path: Path, expr: str, watermark: str
) -> None:
    (tmp_path / "rules.yml").write_text(RECORDS.replace("EXPR", expr), encoding="utf-8")
    database = StateDatabase(f"sqlite:///{tmp_path / 'state.db'}", [TABLES])
    book = RuleBook(tmp_path, database, (), 600)
    await book.refresh()
    (rule,) = (one for one in book.rules if one.rule.name == "A")
    assert watermark_of(book.metrics(rule)) == watermark
    database.close()
