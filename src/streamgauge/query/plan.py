"""A question to SQL. Values are always parameters; names in the text come from the schema, never from a request."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from streamgauge.model import OTHER, UNKNOWN
from streamgauge.query.filters import Filter
from streamgauge.query.question import Order, Question
from streamgauge.query.reads import Range, Read, reads, source
from streamgauge.store.grains import ADDITIVE, EXTREMES
from streamgauge.store.schema import promoted_column


class Plan(msgspec.Struct, frozen=True):
    """`reads` says what the SQL asks of which grain of the tables `base`."""

    sql: str
    parameters: dict[str, Any]
    base: str = ADDITIVE
    reads: tuple[Read, ...] = ()

    @property
    def tables(self) -> Sequence[tuple[str, Sequence[Range]]]:
        return [(read.grain.table(self.base), read.ranges) for read in self.reads]


class Planner:
    def __init__(self, promoted_dimensions: Collection[str]) -> None:
        self._promoted = frozenset(promoted_dimensions)

    def series(self, question: Question, starts_ms: Iterable[int]) -> Plan:
        """Rows (start of the step in s since 1970, value), oldest first, only steps that have panes."""
        starts = sorted({start_ms // 1000 for start_ms in starts_ms})
        plan = self._source(question, "toUnixTimestamp(timestamp) AS at", starts[1:])
        plan.parameters["starts"] = starts
        sql = f"SELECT roundDown(at, {{starts:Array(UInt32)}}) AS start, {_value(question)} AS value {plan.sql}"
        return msgspec.structs.replace(plan, sql=f"{sql} GROUP BY start ORDER BY start")

    def breakdown(self, question: Question) -> Plan:
        """Rows (a value of each dimension, value, and over all rows: their sum, their number, and of each dimension
        whether one is `(other)`), the first `question.limit` in the order of the selection; sums and counts of 0 are
        not among them."""
        names = [f"name_{number}" for number in range(len(question.group_by))]
        named: dict[str, Any] = {}
        columns = [
            f"{self._dimension(question, dimension, named, f'group_by_{number}')} AS group_{number}"
            for number, dimension in enumerate(question.group_by)
        ]
        plan = self._source(question, ", ".join(columns))
        plan.parameters.update(named, unknown=UNKNOWN, other=OTHER, limit=question.limit)
        # Rows that add up to 0 are gone once the engine has merged them: a group of 0 is never listed, instead of
        # until some time.
        having = " HAVING value != 0" if _additive(question) else ""
        known = ", ".join(
            f"if(group_{number} = '', {{unknown:String}}, group_{number}) AS {name}"
            for number, name in enumerate(names)
        )
        inner = f"SELECT {known}, {_value(question)} AS value {plan.sql} GROUP BY {', '.join(names)}{having}"
        limited = ", ".join(f"countIf({name} = {{other:String}}) OVER () > 0" for name in names)
        sql = (
            f"SELECT {', '.join(names)}, value, sum(value) OVER (), count() OVER (), {limited} FROM ({inner}) "
            f"ORDER BY {_order(question.selection, names)} LIMIT {{limit:UInt32}}"
        )
        return msgspec.structs.replace(plan, sql=sql)

    def _source(self, question: Question, columns: str, bounds: Sequence[int] = ()) -> Plan:
        """FROM, of these columns and what the value is made of."""
        parameters: dict[str, Any] = {"metric": question.metric.name}
        conditions = ["metric_name = {metric:String}"]
        for number, wanted in enumerate(question.filters):
            value = self._dimension(question, wanted.dimension, parameters, f"dimension_{number}")
            conditions.append(_condition(wanted, value, parameters, f"wanted_{number}"))
        base, measure = (
            (ADDITIVE, "value") if _additive(question) else (EXTREMES, f"value_{question.metric.measured.kind}")
        )
        parts = reads(question.from_ms // 1000, question.to_ms // 1000, bounds)
        sql = source(base, parts, f"{columns}, {measure}", " AND ".join(conditions), parameters)
        return Plan(sql, parameters, base, parts)

    def _dimension(self, question: Question, name: str, parameters: dict[str, Any], parameter: str) -> str:
        if _additive(question) and name in self._promoted:
            return promoted_column(name)
        parameters[parameter] = name
        return f"dimensions[{{{parameter}:String}}]"


NEWEST_PANES = Plan(
    "SELECT metric_name, toUnixTimestamp(max(timestamp)) FROM {table:Identifier} GROUP BY metric_name", {}
)
"""Rows (metric, start of its newest pane in s since 1970)."""


def _condition(wanted: Filter, value: str, parameters: dict[str, Any], parameter: str) -> str:
    """Of the panes that a filter keeps; `value` is the SQL of its dimension."""
    tests = []
    for kind, test, texts in (("value", "{} = {}", wanted.values), ("prefix", "startsWith({}, {})", wanted.prefixes)):
        for number, text in enumerate(texts):
            parameters[f"{parameter}_{kind}_{number}"] = text
            tests.append(test.format(value, f"{{{parameter}_{kind}_{number}:String}}"))
    if UNKNOWN in wanted.values or any(map(UNKNOWN.startswith, wanted.prefixes)):
        tests.append(f"{value} = ''")  # panes from before the dimension was configured don't have it
    either = f"({' OR '.join(tests)})" if len(tests) > 1 else tests[0]
    return f"NOT {either}" if wanted.is_negated else either


def _order(order: Order, names: Sequence[str]) -> str:
    by_name = {"name": names, "-name": [f"{name} DESC" for name in names]}
    by_value = {"value": ["value", *names], "-value": ["value DESC", *names]}
    return ", ".join((by_name | by_value)[order])


def _additive(question: Question) -> bool:
    return question.metric.measured.kind in ("count", "sum")


def _value(question: Question) -> str:
    return {"count": "sum(value)", "sum": "sum(value)", "min": "min(value_min)", "max": "max(value_max)"}[
        question.metric.measured.kind
    ]
