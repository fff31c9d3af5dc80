"""One evaluation of many rules at one time: what it reads is shared, what fails fails alone. Runs in a thread."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import msgspec

from streamgauge.alert.evaluate import Prepared
from streamgauge.alert.reads import Asked, Asking, SharedReads
from streamgauge.alert.state import RuleState, Sample
from streamgauge.core.errors import InvalidRequest, StreamgaugeError
from streamgauge.query.promql.engine import Engine
from streamgauge.query.promql.interruption import Check, never
from streamgauge.query.promql.series import Queryable

_logger = logging.getLogger(__name__)


class Found(msgspec.Struct, frozen=True):
    """Of one rule. With a `problem` there are no samples, and its alerts stay what they are."""

    samples: Sequence[Sample] = ()
    problem: str = ""


class Reader:
    """Remembers of each rule what it asks, which is the same at any time."""

    def __init__(self) -> None:
        self._asked: dict[str, Sequence[Asked]] = {}

    def shared(self, rules: Sequence[Prepared], at_ms: int) -> SharedReads:
        return SharedReads([one for rule in rules for one in self._of(rule)], at_ms)

    def keep(self, rules: Sequence[Prepared]) -> None:
        """Forget what no rule asks any more."""
        exprs = {one.rule.expr for one in rules}
        self._asked = {expr: asked for expr, asked in self._asked.items() if expr in exprs}

    def _of(self, rule: Prepared) -> Sequence[Asked]:
        expr = rule.rule.expr
        if expr not in self._asked:
            at_ms = 1_700_000_000_000
            asking = Asking(at_ms)
            try:
                Engine(asking).instant(expr, at_ms)
            except InvalidRequest:  # which it will be too when it is evaluated, and says so there
                asking.asked.clear()
            self._asked[expr] = asking.asked
        return self._asked[expr]


def evaluate(
    rules: Sequence[tuple[Prepared, RuleState]],
    reads: SharedReads,
    source: Queryable,
    at_ms: int,
    *,
    check: Check = never,
) -> Mapping[str, Found]:
    """By the keys of the rules, which come with how their alerts were before. Raises what isn't the fault of a rule:
    Unavailable, the end of the time."""
    engine = Engine(reads.over(source), check=check)
    found: dict[str, Found] = {}
    for one, state in rules:
        try:
            found[one.named.key] = Found(one.found(engine, at_ms, state))
        except InvalidRequest as error:
            found[one.named.key] = Found(problem=error.message)
        except StreamgaugeError:
            raise
        except Exception as error:
            # A bug that one rule finds costs that rule, not the others, and not the process that takes events.
            _logger.exception("the rule %s can't be evaluated", one.rule.name)
            found[one.named.key] = Found(problem=f"{type(error).__name__}: {error}")
    return found
