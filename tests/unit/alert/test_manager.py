"""The manager: rounds at complete times, held rules, restarts; over both kinds of state database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection

from promql_series import Memory
from streamgauge.alert.base import Alert
from streamgauge.alert.book import RuleBook
from streamgauge.alert.manager import AlertManager
from streamgauge.alert.records import TABLES, read_history
from streamgauge.config import AlertSettings
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import Unavailable
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import Freshness
from streamgauge.query.promql.labels import labels_of
from streamgauge.query.promql.series import Series
from streamgauge.state.database import StateDatabase

MINUTE_MS = 60_000
START_MS = 1_700_000_040_000
"""A whole minute."""

LOW = "groups: [{name: g, rules: [{alert: Low, expr: m < 5}]}]"


class Sources(Memory):
    def check(self) -> None:
        """It is never over."""


class World:
    """What the manager sees. `values[n]` is the sample n minutes after the start."""

    def __init__(self, database: StateDatabase, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.clock = ManualClock(START_MS + 11_000)
        self.values: list[float] = []
        self.delay_ms: int | None = 10_000
        self.lag_events = 0
        self.told: list[list[Alert]] = []
        self.metrics = SelfMetrics()
        self.trouble: Exception | None = None
        self.rules(LOW)

    def rules(self, text: str) -> None:
        (self.folder / "a.yml").write_text(text, encoding="utf-8")

    def manager(self) -> AlertManager:
        book = RuleBook(self.folder, self.database, (), 300)
        seen: Any = self
        return AlertManager(
            book,
            seen,
            self.freshness,
            self.database,
            AlertSettings(),
            metrics=self.metrics,
            clock=self.clock,
            notifier=self,
        )

    async def freshness(self) -> Freshness:
        if self.delay_ms is None:
            raise Unavailable("the runner is gone")
        return Freshness(self.clock.now_ms() - self.delay_ms, 5_000, self.lag_events)

    async def answer(self, work: Callable[[Any], Any], fresh: Freshness, timeout_s: float | None = None) -> Any:
        if self.trouble is not None:
            raise self.trouble
        times = START_MS + MINUTE_MS * np.arange(len(self.values), dtype=np.int64)
        return work(Sources(Series(labels_of({"__name__": "m"}), times, np.array(self.values))))

    async def notify(self, alerts: Sequence[Alert], now_ms: int) -> None:
        self.told.append(list(alerts))

    async def minute(self, manager: AlertManager, value: float, minutes: int = 1) -> None:
        for _ in range(minutes):
            self.values.append(value)
            await manager.turn()
            self.clock.advance(MINUTE_MS)

    async def history(self) -> list[tuple[str, str]]:
        found = await self.database.read(partial(read_history, from_ms=0, to_ms=2**62))
        return [(one.transition.was, one.transition.now) for one in reversed(found)]

    def firing(self) -> list[Alert]:
        return [alert for alert in self.told[-1] if alert.ends_at_ms is None]


@pytest.fixture
async def world(state_url: str, tmp_path: Path) -> AsyncIterator[World]:
    database = await StateDatabase.open(state_url, [TABLES])
    (tmp_path / "rules").mkdir()
    yield World(database, tmp_path / "rules")
    database.close()


async def test_what_is_wrong_fires_once_and_is_told_of_at_every_evaluation_until_it_is_resolved(world: World) -> None:
    manager = world.manager()
    await world.minute(manager, 9)
    await world.minute(manager, 4, minutes=3)
    assert [len(told) for told in world.told] == [0, 1, 1, 1]
    (alert,) = world.firing()
    assert alert.labels == {"alertname": "Low"}
    assert alert.starts_at_ms == START_MS + MINUTE_MS
    await world.minute(manager, 9, minutes=2)
    assert [alert.ends_at_ms for alert in world.told[-1]] == [START_MS + 4 * MINUTE_MS]
    await world.minute(manager, 9, minutes=15)
    assert world.told[-1] == []
    assert await world.history() == [("inactive", "firing"), ("firing", "resolved")]


async def test_one_time_is_evaluated_once_however_often_it_is_looked(world: World) -> None:
    manager = world.manager()
    world.values = [4]
    for _ in range(5):
        await manager.turn()
    assert len(world.told) == 1


async def test_a_restart_neither_forgets_nor_begins_anew(world: World) -> None:
    await world.minute(world.manager(), 4)
    began_ms = world.firing()[0].starts_at_ms
    manager = world.manager()
    await world.minute(manager, 4)
    assert [alert.starts_at_ms for alert in world.firing()] == [began_ms]
    assert await world.history() == [("inactive", "firing")]


async def test_a_pending_alert_outlives_a_restart_and_the_time_between_does_not_count(world: World) -> None:
    world.rules(LOW.replace("expr: m < 5", "expr: m < 5, for: 3m"))
    await world.minute(world.manager(), 4, minutes=2)  # active for one minute
    world.values += [4] * 10
    world.clock.advance(10 * MINUTE_MS)
    manager = world.manager()
    await world.minute(manager, 4)
    assert world.firing() == []
    await world.minute(manager, 4)
    assert len(world.firing()) == 1


async def test_what_was_written_and_not_told_is_told_after_the_crash(world: World) -> None:
    manager = world.manager()

    async def crash(*_: Any) -> None:
        raise RuntimeError("killed")

    manager._notifier.notify = crash  # type: ignore[union-attr,method-assign]
    with pytest.raises(RuntimeError):
        await world.minute(manager, 4)
    del world.notify  # type: ignore[attr-defined]
    world.clock.advance(MINUTE_MS)
    await world.minute(world.manager(), 4)
    assert len(world.firing()) == 1
    assert await world.history() == [("inactive", "firing")]


async def test_where_data_is_not_complete_rules_are_held_with_the_reason_and_nothing_is_resolved(world: World) -> None:
    manager = world.manager()
    await world.minute(manager, 4)
    world.delay_ms, world.lag_events = 10 * MINUTE_MS, 5_120
    await world.minute(manager, 9)  # within patience
    assert manager.held is None
    await world.minute(manager, 9, minutes=2)
    assert manager.held is not None
    assert "data is complete only up to 2023-11-14T" in manager.held.reason
    assert "5,120 events wait" in manager.held.reason
    assert [one.phase for status in manager.status() for one in status.state.instances.values()] == ["firing"]
    assert len(world.firing()) == 1  # the alert about self-metrics goes on to be evaluated, and so does telling
    world.delay_ms, world.lag_events = 10_000, 0
    await world.minute(manager, 9)
    assert manager.held is None
    assert world.firing() == []
    assert world.metrics.alert_missed._value.get() == 3


async def test_a_runner_that_can_not_be_asked_holds_rules_too(world: World) -> None:
    manager = world.manager()
    await world.minute(manager, 9)
    world.delay_ms = None
    await world.minute(manager, 9, minutes=3)
    assert manager.held is not None
    assert manager.held.reason == "the runner is gone"


async def test_a_rule_that_fails_keeps_its_alerts_and_says_why(world: World) -> None:
    manager = world.manager()
    await world.minute(manager, 4)
    world.trouble = Unavailable("the store is away")
    await world.minute(manager, 9, minutes=2)
    (status,) = [one for one in manager.status() if one.prepared.rule.name == "Low"]
    assert status.problem == "the store is away"
    assert len(world.firing()) == 1
    world.trouble = None
    await world.minute(manager, 9)
    assert world.firing() == []


async def test_a_rule_that_is_gone_is_resolved_and_one_that_is_edited_goes_on(world: World) -> None:
    manager = world.manager()
    await world.minute(manager, 4)
    world.rules(LOW.replace("m < 5", "m < 6"))
    await world.minute(manager, 4)
    assert len(world.firing()) == 1
    world.rules("groups: []")
    await world.minute(manager, 4)
    assert world.firing() == []
    assert await world.history() == [("inactive", "firing"), ("firing", "resolved")]


async def test_a_file_that_can_not_be_used_leaves_its_rules_as_they_were(world: World) -> None:
    manager = world.manager()
    await world.minute(manager, 4)
    world.rules("groups: [{name: g, rules: [{alert: Low, expr: 'sum('}]}]")
    await world.minute(manager, 4)
    assert len(world.firing()) == 1
    assert "parse error" in manager.book.problems["a.yml"]
    world.rules(LOW)
    await world.minute(manager, 9)
    assert manager.book.problems == {}


async def test_a_group_has_an_interval_of_its_own(world: World) -> None:
    world.rules("groups: [{name: g, interval: 90s, rules: [{alert: Low, expr: m < 5}]}]")  # 2 minutes, then
    manager = world.manager()
    await world.minute(manager, 9, minutes=2)
    await world.minute(manager, 4, minutes=4)
    assert [change[1] for change in await world.history()] == ["firing"]
    fired = await world.database.read(partial(read_history, from_ms=0, to_ms=2**62))
    assert fired[0].transition.at_ms % (2 * MINUTE_MS) == 0


async def test_two_managers_with_one_leader_tell_once(world: World) -> None:
    class Leader:
        epoch = ""

        def __init__(self, leads: bool) -> None:
            self.is_leading = leads

        async def leads(self) -> bool:
            return self.is_leading

        def check(self, connection: Connection, epoch: str) -> None:
            """It leads for ever."""

    first, second = world.manager(), world.manager()
    first._leader, second._leader = (one, other) = Leader(True), Leader(False)
    await world.minute(first, 4)
    await second.turn()
    assert len(world.told) == 1
    assert [one.phase for status in second.status() for one in status.state.instances.values()] == ["firing"]
    one.is_leading, other.is_leading = False, True
    await first.turn()
    await world.minute(second, 4)
    assert len(world.told) == 2
    assert await world.history() == [("inactive", "firing")]


async def test_a_file_that_is_broken_at_a_restart_resolves_nothing_until_it_is_gone(world: World) -> None:
    await world.minute(world.manager(), 4)
    world.rules("groups: [{name: g, rules: [{alert: Low, expr: 'm <'}]}]")
    manager = world.manager()
    await world.minute(manager, 4, minutes=3)
    assert [alert.ends_at_ms for alert in world.told[-1]] == [None]
    assert "a.yml" in manager.book.problems
    (world.folder / "a.yml").unlink()
    await world.minute(manager, 4)
    assert await world.history() == [("inactive", "firing"), ("firing", "resolved")]


async def test_a_folder_that_is_away_at_a_restart_resolves_nothing(world: World) -> None:
    await world.minute(world.manager(), 4)
    away = world.folder.rename(world.folder.with_name("away"))
    manager = world.manager()
    await world.minute(manager, 4, minutes=3)
    away.rename(world.folder)
    await world.minute(manager, 9)
    assert await world.history() == [("inactive", "firing"), ("firing", "resolved")]


async def test_who_stopped_leading_during_a_round_writes_nothing_and_tells_nobody(world: World) -> None:
    class Slow:
        epoch = "1"
        holder = "1"

        async def leads(self) -> bool:
            return True

        def check(self, connection: Connection, epoch: str) -> None:
            if epoch != self.holder:
                raise Unavailable("another does this work")

    manager = world.manager()
    manager._leader = leader = Slow()
    leader.holder = "2"
    with pytest.raises(Unavailable):
        await world.minute(manager, 4)
    assert (await world.history(), world.told) == ([], [])
    leader.epoch = leader.holder = "3"
    await world.minute(manager, 4)
    assert (await world.history(), len(world.told)) == ([("inactive", "firing")], 1)


async def test_who_only_answers_says_when_nobody_evaluates(world: World) -> None:
    class Nobody:
        epoch = ""

        async def leads(self) -> bool:
            return False

        def check(self, connection: Connection, epoch: str) -> None:
            """It leads for ever."""

    manager = world.manager()
    manager._leader = Nobody()
    await world.minute(manager, 4)
    assert (manager.held, world.told) == (None, [])
    await world.minute(manager, 4, minutes=3)
    assert manager.held is not None
    assert manager.held.reason.startswith("no process evaluates rules")


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
async def test_an_alert_outlives_a_restart_whatever_number_its_value_is(world: World, value: float) -> None:
    world.rules("groups: [{name: g, rules: [{alert: Odd, expr: m != 5}]}]")
    await world.minute(world.manager(), value)
    manager = world.manager()
    await world.minute(manager, value)
    assert [alert.labels["alertname"] for alert in world.firing()] == ["Odd"]
    assert await world.history() == [("inactive", "firing")]


async def test_a_folder_that_is_away_for_a_moment_ends_no_alert_and_is_said(world: World) -> None:
    manager = world.manager()
    await world.minute(manager, 4)
    away = world.folder.rename(world.folder.with_name("away"))
    await world.minute(manager, 4)
    assert len(world.firing()) == 1
    assert "can't be read" in manager.book.problems["folder"]
    away.rename(world.folder)
    await world.minute(manager, 4)
    assert len(world.firing()) == 1
    assert manager.book.problems == {}


async def test_a_file_that_leads_to_itself_is_a_problem_of_that_file(world: World) -> None:
    (world.folder / "loop.yml").symlink_to("loop.yml")
    manager = world.manager()
    await world.minute(manager, 4)
    assert len(world.firing()) == 1
    assert "loop.yml" in manager.book.problems
