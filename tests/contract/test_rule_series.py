"""`ALERTS` and record rules as series, over both kinds of state database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promql_series import Memory, series
from streamgauge.alert.book import RuleBook
from streamgauge.alert.records import TABLES, Happened, KeptState, write_round
from streamgauge.alert.series import RuleSeries
from streamgauge.alert.state import Instance, RuleState, Transition
from streamgauge.query.promql.engine import Engine
from streamgauge.query.promql.errors import PromqlExecutionError
from streamgauge.query.promql.labels import value_of
from streamgauge.query.promql.series import Hints, SeriesBatch
from streamgauge.query.promql.values import Vector
from streamgauge.state.database import StateDatabase

MINUTE_MS = 60_000


class Sources(Memory):
    """Series in memory and what rules make of them."""

    complete_up_to_ms = 10 * MINUTE_MS

    def __init__(self, made: RuleSeries, *found: Any) -> None:
        super().__init__(*found)
        self._made = made

    def check(self) -> None:
        """It is never over."""

    def select(self, matchers: Any, start_ms: int, end_ms: int, hints: Hints) -> SeriesBatch:
        found = super().select(matchers, start_ms, end_ms, hints)
        made = self._made.select(self, matchers, start_ms, end_ms)  # type: ignore[arg-type]
        return SeriesBatch.of([*found.rows(), *made.rows()])


@pytest.fixture
def database(state_url: str) -> Iterator[StateDatabase]:
    database = StateDatabase(state_url, [TABLES])
    yield database
    database.close()


async def made(database: StateDatabase, folder: Path, rules: str = "") -> RuleSeries:
    (folder / "a.yml").write_text(f"groups: [{{name: g, rules: [{rules}]}}]", encoding="utf-8")
    book = RuleBook(folder, database, (), 300)
    await book.refresh()
    return RuleSeries(book, database, MINUTE_MS)


def values(found: Any) -> dict[str, list[float]]:
    assert isinstance(found, Vector)
    rows = zip(found.labels, found.values.tolist(), found.present.tolist(), strict=True)
    return {
        value_of(labels, "alertstate") or value_of(labels, "a"): [
            value for value, here in zip(row, kept, strict=True) if here
        ]
        for labels, row, kept in rows
    }


async def test_a_record_rule_is_its_expression_at_every_interval(database: StateDatabase, tmp_path: Path) -> None:
    source = Sources(
        await made(
            database, tmp_path, "{record: doubled, expr: m * 2, labels: {b: y}}, {record: more, expr: doubled + 1}"
        ),
        series({second: float(second // 60) for second in range(0, 1200, 60)}, a="x"),
    )
    answer = Engine(source).range('doubled{b="y"}', 0, 3 * MINUTE_MS, MINUTE_MS)
    assert values(answer.value) == {"x": [0, 2, 4, 6]}
    assert values(Engine(source).instant("sum_over_time(more[3m])", 5 * MINUTE_MS).value) == {"x": [7 + 9 + 11]}
    # Nothing is known of what is not complete yet.
    assert values(Engine(source).instant("count_over_time(doubled[5m] offset -3m)", 10 * MINUTE_MS).value) == {"x": [2]}


async def test_a_record_rule_made_of_itself_is_refused(database: StateDatabase, tmp_path: Path) -> None:
    source = Sources(await made(database, tmp_path, "{record: a, expr: b + 1}, {record: b, expr: a + 1}"))
    with pytest.raises(PromqlExecutionError, match="is made of itself"):
        Engine(source).instant("a", MINUTE_MS)


async def test_alerts_are_the_history_of_alerts(database: StateDatabase, tmp_path: Path) -> None:
    labels = {"alertname": "Low", "a": "x"}
    steps = [("inactive", "pending", 1), ("pending", "firing", 3), ("firing", "resolved", 5), ("inactive", "firing", 7)]
    changes = [
        Happened("k", "Low", "g", Transition("f", labels, was, now, minute * MINUTE_MS, 1.0))  # type: ignore[arg-type]
        for was, now, minute in steps
    ]
    state = RuleState({"f": Instance(labels, {}, 1.0, 7 * MINUTE_MS, 7 * MINUTE_MS)}, 8 * MINUTE_MS)
    await database.write(
        lambda connection: write_round(
            connection, {"k": KeptState("Low", "g", state)}, [], changes, {"events": 8 * MINUTE_MS}
        )
    )
    source = Sources(await made(database, tmp_path))
    answer = Engine(source, lookback_ms=MINUTE_MS).range("ALERTS", 0, 10 * MINUTE_MS, MINUTE_MS).value
    assert values(answer) == {"pending": [1, 1], "firing": [1, 1, 1, 1]}
    # What was before the time that is asked for is known from what was after it.
    answer = Engine(source, lookback_ms=MINUTE_MS).range("ALERTS", 4 * MINUTE_MS, 4 * MINUTE_MS + 1, MINUTE_MS).value
    assert values(answer) == {"firing": [1]}
    answer = Engine(source, lookback_ms=MINUTE_MS).instant("ALERTS_FOR_STATE", 8 * MINUTE_MS).value
    assert values(answer) == {"x": [420]}
    assert values(Engine(source).instant('ALERTS{a="y"}', 8 * MINUTE_MS).value) == {}
