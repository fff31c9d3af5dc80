"""A question to SQL. Values are always parameters; names in the text come from the schema, never from a request."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from streamgauge.model import OTHER, UNKNOWN
from streamgauge.query.question import Question
from streamgauge.store.schema import promoted_column


class Plan(msgspec.Struct, frozen=True):
    sql: str
    parameters: dict[str, Any]


class Planner:
    def __init__(self, promoted_dimensions: Collection[str]) -> None:
        self._promoted = frozenset(promoted_dimensions)

    def series(self, question: Question) -> Plan:
        """Rows (start of the step in s since 1970, value), oldest first, only steps that have panes."""
        source = self._source(question)
        source.parameters["step"] = question.step_ms // 1000
        return Plan(
            "SELECT intDiv(toUnixTimestamp(timestamp), {step:UInt32}) * {step:UInt32} AS start, "
            f"{_value(question)} AS value {source.sql} GROUP BY start ORDER BY start",
            source.parameters,
        )

    def breakdown(self, question: Question, dimension: str) -> Plan:
        """Rows (value of the dimension, value, and over all rows: their sum, their number, whether one is `(other)`),
        largest first, at most `question.limit`; sums and counts of 0 are not among them."""
        source = self._source(question)
        group = self._dimension(question, dimension, source.parameters, "group_by")
        source.parameters.update(unknown=UNKNOWN, other=OTHER, limit=question.limit)
        # Rows that add up to 0 are gone once the engine has merged them: a group of 0 is never listed, instead of
        # until some time.
        having = " HAVING value != 0" if _additive(question) else ""
        inner = (
            f"SELECT if({group} = '', {{unknown:String}}, {group}) AS name, {_value(question)} AS value {source.sql}"
        )
        return Plan(
            "SELECT name, value, sum(value) OVER (), count() OVER (), countIf(name = {other:String}) OVER () > 0 "
            f"FROM ({inner} GROUP BY name{having}) "
            "ORDER BY value DESC, name LIMIT {limit:UInt32}",
            source.parameters,
        )

    def _source(self, question: Question) -> Plan:
        """FROM and WHERE of a question."""
        parameters: dict[str, Any] = {
            "metric": question.metric.name,
            "from": question.from_ms // 1000,
            "to": question.to_ms // 1000,
        }
        conditions = [
            "metric_name = {metric:String}",
            "timestamp >= toDateTime({from:UInt32}, 'UTC')",
            "timestamp < toDateTime({to:UInt32}, 'UTC')",
        ]
        for number, (dimension, wanted) in enumerate(question.filters):
            value = self._dimension(question, dimension, parameters, f"dimension_{number}")
            parameters[f"wanted_{number}"] = wanted
            equal = f"{value} = {{wanted_{number}:String}}"
            # Panes from before a dimension was configured don't have it.
            conditions.append(f"({equal} OR {value} = '')" if wanted == UNKNOWN else equal)
        table = "metrics" if _additive(question) else "metrics_extremes"
        return Plan(f"FROM {table} WHERE {' AND '.join(conditions)}", parameters)

    def _dimension(self, question: Question, name: str, parameters: dict[str, Any], parameter: str) -> str:
        if _additive(question) and name in self._promoted:
            return promoted_column(name)
        parameters[parameter] = name
        return f"dimensions[{{{parameter}:String}}]"


NEWEST_PANES = Plan(
    "SELECT metric_name, toUnixTimestamp(max(timestamp)) FROM {table:Identifier} GROUP BY metric_name", {}
)
"""Rows (metric, start of its newest pane in s since 1970)."""


def _additive(question: Question) -> bool:
    return question.metric.measured.kind in ("count", "sum")


def _value(question: Question) -> str:
    return {"count": "sum(value)", "sum": "sum(value)", "min": "min(value_min)", "max": "max(value_max)"}[
        question.metric.measured.kind
    ]
