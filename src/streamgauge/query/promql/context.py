"""What a node is evaluated with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import promql_parser as ast

from streamgauge.query.promql.annotations import Annotations
from streamgauge.query.promql.series import Times


@dataclass(frozen=True, slots=True)
class Context:
    """`times_ms` are the steps this node is evaluated at, which inside a subquery aren't the question's own.
    `start_ms`, `end_ms` and `step_ms` (0 for an instant) are the question's. `function` and `aggregation` (its node)
    are directly around this node."""

    times_ms: Times
    start_ms: int
    end_ms: int
    step_ms: int
    annotations: Annotations
    function: str = ""
    aggregation: Any = None

    def at(self, times_ms: Times) -> Context:
        return replace(self.alone(), times_ms=times_ms)

    def alone(self) -> Context:
        """For a node whose value goes elsewhere than into a function or an aggregation."""
        return replace(self, function="", aggregation=None)

    def inside_aggregation(self, node: Any) -> Context:
        return replace(self, function="", aggregation=node)

    def inside_function(self, name: str) -> Context:
        """An aggregation is hinted at only around a single function."""
        return replace(self, function=name, aggregation=None if self.function else self.aggregation)

    @property
    def steps(self) -> int:
        return len(self.times_ms)

    @property
    def is_instant(self) -> bool:
        return self.step_ms == 0 and self.steps == 1

    @property
    def aggregation_hints(self) -> dict[str, Any]:
        if self.aggregation is None:
            return {}
        modifier = self.aggregation.modifier
        return {
            "aggregation": str(self.aggregation.op).lower(),
            "labels": () if modifier is None else tuple(modifier.labels),
            "without": modifier is not None and modifier.type == ast.AggModifierType.Without,
        }
