"""Rules for whoever writes them: kept, checked, and tried on the past."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from streamgauge.alert.backtest import Tested, backtest
from streamgauge.alert.book import RuleBook
from streamgauge.alert.evaluate import Prepared
from streamgauge.alert.records import HISTORY_MAX, Happened, delete_group, read_history, write_group
from streamgauge.alert.rule_file import RuleError, read_rules
from streamgauge.alert.rules import Group, named_rules
from streamgauge.alert.series import RuleSeries
from streamgauge.core.clock import Clock
from streamgauge.core.errors import Conflict, InvalidRequest, NotFound
from streamgauge.model import DAY_MS, SESSION_METRICS, Freshness
from streamgauge.query.promql.engine import Engine
from streamgauge.query.promql_service import PromqlService, Sources
from streamgauge.state.database import StateDatabase

MADE_MAX: Final = 500
"""Groups made through the API."""

BACKTEST_RULES_MAX: Final = 20


class Backtest(NamedTuple):
    start_ms: int
    end_ms: int
    rules: Sequence[tuple[Prepared, Tested]]


class RuleService:
    """Used on the event loop."""

    def __init__(
        self,
        book: RuleBook,
        promql: PromqlService,
        freshness: Callable[[], Awaitable[Freshness]],
        database: StateDatabase,
        *,
        clock: Clock,
        interval_ms: int,
    ) -> None:
        self.book = book
        self._promql, self._freshness, self._database = promql, freshness, database
        self._clock, self._interval_ms = clock, interval_ms

    def check(self, text: str) -> tuple[tuple[Group, ...], list[str]]:
        """The groups, and what is to be said about them although they can be used. Raises InvalidRequest."""
        groups = read_rules(text, self.book.rollups, source="made")
        known = {rollup.name for rollup in self.book.rollups}
        known |= {rule.name for group in (*groups, *self.book.groups) for rule in group.rules if rule.kind == "record"}
        return groups, [note for group in groups for note in _notes(group, known)]

    async def put(self, name: str, text: str) -> Group:
        """Make or replace the group of this name, the only one of the text. Raises InvalidRequest, Conflict."""
        groups, _ = self.check(text)
        if [group.name for group in groups] != [name]:
            raise RuleError(f"the text is not of the one group {name!r}", hint=f"write groups: [{{name: {name}, …}}]")
        taken = next((group for group in self.book.groups if group.name == name and group.source != "made"), None)
        if taken is not None:
            where = f"in the file {taken.file}" if taken.file else "part of the program"
            raise Conflict(f"the group {name!r} is {where}, and can't be changed here", hint="choose another name")
        made = sum(group.source == "made" for group in self.book.groups)
        if made >= MADE_MAX and self.book.made_text(name) is None:
            raise Conflict(f"there are {MADE_MAX} groups already", hint="delete one, or write rule files")
        await self._database.write(partial(write_group, name=name, text=text, now_ms=self._clock.now_ms()))
        await self.book.refresh()
        return groups[0]

    async def delete(self, name: str) -> None:
        """Raises NotFound, Conflict."""
        if not await self._database.write(partial(delete_group, name=name)):
            if any(group.name == name for group in self.book.groups):
                raise Conflict(f"the group {name!r} is not of those made here", hint="take it out of its file")
            raise NotFound(f"there is no group {name!r}", hint="see GET /rules")
        await self.book.refresh()

    async def history(self, from_ms: int, to_ms: int, rule: str | None, limit: int = HISTORY_MAX) -> list[Happened]:
        """The newest first."""
        return await self._database.read(
            partial(read_history, from_ms=from_ms, to_ms=to_ms, rule=rule, limit=min(limit, HISTORY_MAX))
        )

    async def backtest(self, text: str, start_ms: int | None, end_ms: int | None) -> Backtest:
        """Of the last 7 days where nothing else is asked. Raises InvalidRequest, what the evaluation raises."""
        groups, _ = self.check(text)
        tried = [Prepared(named) for named in named_rules(groups)]
        rules = [one for one in tried if one.rule.kind == "alert"]
        if not rules or len(rules) > BACKTEST_RULES_MAX:
            raise RuleError(f"{len(rules)} alert rules: 1 to {BACKTEST_RULES_MAX} can be tried at once")
        fresh = await self._freshness()
        end_ms = min(end_ms or fresh.complete_up_to_ms, fresh.complete_up_to_ms)
        start_ms = end_ms - 7 * DAY_MS if start_ms is None else start_ms
        if start_ms >= end_ms:
            raise InvalidRequest("`from` is not before `to`, or not in the past", code="invalid_range")
        series = RuleSeries(self.book, self._database, self._interval_ms, tried)

        def test(rule: Prepared, sources: Sources) -> Tested:
            engine = Engine(sources.beside(series), check=sources.check)
            return backtest(rule, engine, start_ms, end_ms, self._interval_ms)

        tested = [(one, await self._promql.answer(partial(test, one), fresh)) for one in rules]
        return Backtest(start_ms, end_ms, tested)


def _notes(group: Group, known: set[str]) -> list[str]:
    notes = []
    for named in named_rules([group]):
        metrics = Prepared(named).metrics
        place = f"group {group.name!r}, rule {named.rule.name!r}"
        unknown = sorted(
            name for name in metrics if name and name not in known and not name.startswith(("streamgauge_", "ALERTS"))
        )
        if unknown:
            notes.append(f"{place}: there is no metric {unknown[0]!r} by now")
        if metrics & set(SESSION_METRICS):
            notes.append(
                f"{place}: sessions are complete only up to the start of the oldest open one, and so is the rule"
            )
    return notes
