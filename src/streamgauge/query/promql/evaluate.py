"""The evaluator: walks the tree of a question, each node once, for all steps together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import promql_parser as ast

from streamgauge.query.promql.aggregate import aggregate
from streamgauge.query.promql.binary import binary
from streamgauge.query.promql.context import Context
from streamgauge.query.promql.durations import milliseconds
from streamgauge.query.promql.errors import PromqlExecutionError, PromqlUnsupported
from streamgauge.query.promql.functions import FUNCTIONS
from streamgauge.query.promql.functions.presence import absent, absent_over_time
from streamgauge.query.promql.interruption import check_interruption
from streamgauge.query.promql.parse import unwrapped
from streamgauge.query.promql.select import instant_vector, present_samples, range_vector, shifted_times, windowed
from streamgauge.query.promql.series import Queryable, SeriesBatch
from streamgauge.query.promql.values import Scalar, Text, Value, Vector, Windows, vector_of

SUBQUERY_STEPS_MAX = 100_000


class Evaluator:
    """Values of nodes over one Queryable. `default_step_ms` is the step of a subquery that names none."""

    def __init__(self, queryable: Queryable, *, lookback_ms: int, default_step_ms: int) -> None:
        self._queryable = queryable
        self._lookback_ms = lookback_ms
        self._default_step_ms = default_step_ms
        self._nodes: dict[type, Callable[[Any, Context], Value]] = {
            ast.NumberLiteral: lambda node, context: Scalar(np.full(context.steps, node.val)),
            ast.StringLiteral: lambda node, _: Text(node.val),
            ast.ParenExpr: lambda node, context: self.value(node.expr, context),
            ast.UnaryExpr: self._negated,
            ast.VectorSelector: lambda node, context: self._instant(node, context)[0],
            ast.MatrixSelector: lambda node, context: range_vector(node, context, self._queryable),
            ast.SubqueryExpr: self._subquery,
            ast.BinaryExpr: self._binary,
            ast.AggregateExpr: self._aggregate,
            ast.Call: self._call,
        }

    def value(self, node: Any, context: Context) -> Value:
        """The value of a node at `context.times_ms`. Raises PromqlExecutionError, PromqlUnsupported."""
        check_interruption()
        return self._nodes[type(node)](node, context)

    def _instant(self, node: Any, context: Context) -> tuple[Vector, np.ndarray[Any, np.dtype[np.int64]]]:
        return instant_vector(node, context, self._queryable, self._lookback_ms)

    def _negated(self, node: Any, context: Context) -> Value:
        value = self.value(node.expr, context.alone())
        if isinstance(value, Vector):
            return value.mapped(-value.values)
        if isinstance(value, Scalar):
            return Scalar(-value.values)
        raise PromqlUnsupported("only numbers and instant vectors have a negative")

    def _binary(self, node: Any, context: Context) -> Value:
        alone = context.alone()
        return binary(node, self.value(node.lhs, alone), self.value(node.rhs, alone))

    def _aggregate(self, node: Any, context: Context) -> Value:
        parameter = None if node.param is None else self.value(node.param, context.alone())
        vector = self.value(node.expr, context.inside_aggregation(node))
        if not isinstance(vector, Vector):
            raise PromqlExecutionError(f"{node.op} aggregates an instant vector")
        return aggregate(node, vector, parameter, context)

    def _call(self, node: Any, context: Context) -> Value:
        name = node.func.name
        if name == "timestamp" and isinstance(selector := unwrapped(node.args[0]), ast.VectorSelector):
            vector, taken = self._instant(selector, context.inside_function(name))
            return vector.mapped(taken / 1000)
        inside = context.inside_function(name)
        arguments = [self.value(argument, inside) for argument in node.args]
        if name == "absent":
            return absent(unwrapped(node.args[0]), arguments[0])
        if name == "absent_over_time":
            return absent_over_time(unwrapped(node.args[0]), arguments[0])
        function = FUNCTIONS.get(name)
        if function is None:
            raise PromqlUnsupported(f"the function {name} is not offered", hint="it is experimental in Prometheus")
        return function(context, *arguments)

    def _subquery(self, node: Any, context: Context) -> Windows:
        """The inner expression at its own steps, which are multiples of the step since the epoch."""
        ends, range_ms = shifted_times(node, context), milliseconds(node.range)
        step_ms = self._default_step_ms if node.step is None else milliseconds(node.step)
        begin = int(ends.min()) - range_ms
        first = (begin // step_ms + 1) * step_ms
        steps = max(0, (int(ends.max()) - first) // step_ms + 1)
        if steps > SUBQUERY_STEPS_MAX:
            raise PromqlExecutionError(
                f"a subquery of {steps} steps: at most {SUBQUERY_STEPS_MAX}",
                hint="use a longer step or a shorter range",
            )
        times = first + step_ms * np.arange(steps, dtype=np.int64)
        if not steps:
            return windowed(SeriesBatch.of([]), np.zeros(0, dtype=bool), ends, range_ms)
        inner = self.value(node.expr, context.at(times))
        if isinstance(inner, Scalar):
            inner = vector_of([()], inner.values[np.newaxis], np.ones((1, steps), dtype=bool))
        if not isinstance(inner, Vector):
            raise PromqlExecutionError("a subquery is made of an instant vector")
        samples = present_samples(inner.labels, times, inner.values, inner.present)
        return windowed(samples, inner.drop_name, ends, range_ms)
