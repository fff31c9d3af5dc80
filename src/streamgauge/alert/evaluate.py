"""What a rule finds at a time: PromQL's answer, with the rule's labels and annotations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import promql_parser as ast

from streamgauge.alert.base import fingerprint_of
from streamgauge.alert.rules import Named
from streamgauge.alert.state import NEW, RuleState, Sample
from streamgauge.alert.template import Template, TemplateError
from streamgauge.query.promql.engine import Answer, Engine
from streamgauge.query.promql.errors import PromqlExecutionError
from streamgauge.query.promql.labels import NAME
from streamgauge.query.promql.parse import alternatives, parse
from streamgauge.query.promql.series import Matcher, MatchOp
from streamgauge.query.promql.values import Scalar, Vector

SampleAt = tuple[Mapping[str, str], float]
"""Labels and value of one series at one time."""


class Prepared:
    """A rule whose templates are read, and of which it is known what metrics it reads."""

    def __init__(self, named: Named) -> None:
        self.named, self.rule = named, named.rule
        self._labels = {name: Template(text, name) for name, text in self.rule.labels.items()}
        self._annotations = {name: Template(text, name) for name, text in self.rule.annotations.items()}
        self.metrics = metrics_of(self.rule.expr)

    def found(self, engine: Engine, at_ms: int, state: RuleState = NEW) -> list[Sample]:
        """Of an alert rule, whose alerts were so before. Raises what the engine raises."""
        samples = samples_of(engine.instant(self.rule.expr, at_ms))
        limit = self.named.group.limit_alerts
        if limit and len(samples) > limit:
            raise PromqlExecutionError(
                f"{len(samples):,} alerts: at most {limit:,} (limit of group {self.named.group.name})",
                hint="raise the group's limit, or aggregate in the expression",
            )
        return self.lasting(self.expanded(samples), state, lambda expr: samples_of(engine.instant(expr, at_ms)))

    def lasting(self, found: list[Sample], state: RuleState, ask: Callable[[str], Sequence[SampleAt]]) -> list[Sample]:
        """What `expr` found, and those active alerts beside that are not over by what was usual when they began."""
        if not self.rule.lasts:
            return found
        names = {fingerprint_of(sample.labels) for sample in found}
        missing = {name: one for name, one in state.instances.items() if name not in names and one.is_active}
        kept: list[Sample] = []
        for since_ms in sorted({one.active_at_ms for one in missing.values()}):
            for sample in self.expanded(ask(self.rule.lasts.replace("$since", f"{since_ms / 1000:.3f}"))):
                before = missing.get(fingerprint_of(sample.labels))
                if before is not None and before.active_at_ms == since_ms:
                    kept.append(sample)
        return found + kept

    def expanded(self, samples: Sequence[SampleAt]) -> list[Sample]:
        return [self._sample(labels, value) for labels, value in samples]

    def _sample(self, labels: Mapping[str, str], value: float) -> Sample:
        expanded = {name: _expanded(template, labels, value) for name, template in self._labels.items()}
        kept = {name: text for name, text in labels.items() if name != NAME} | expanded
        named = {**{name: text for name, text in kept.items() if text}, "alertname": self.rule.name}
        annotations = {name: _expanded(template, labels, value) for name, template in self._annotations.items()}
        return Sample(named, annotations, value)


def samples_of(answer: Answer) -> list[SampleAt]:
    """Of an instant. Raises PromqlExecutionError for what is neither a vector nor a number."""
    match answer.value:
        case Vector() as vector:
            values = zip(vector.labels, vector.values[:, 0].tolist(), strict=True)
            return [(dict(labels), value) for labels, value in values]
        case Scalar() as scalar:
            return [({}, float(scalar.values[0]))]
    raise PromqlExecutionError("a rule's expression must be an instant vector or a number")


def samples_over(answer: Answer) -> Iterator[tuple[int, list[SampleAt]]]:
    """Of each step of a range. Raises PromqlExecutionError."""
    if isinstance(answer.value, Scalar):
        for at_ms, value in zip(answer.times_ms.tolist(), answer.value.values.tolist(), strict=True):
            yield at_ms, [({}, value)]
        return
    if not isinstance(answer.value, Vector):
        raise PromqlExecutionError("a rule's expression must be an instant vector or a number")
    labels = [dict(one) for one in answer.value.labels]
    values, present = answer.value.values, answer.value.present
    for step, at_ms in enumerate(answer.times_ms.tolist()):
        rows = present[:, step].nonzero()[0].tolist()
        yield at_ms, [(labels[row], float(values[row, step])) for row in rows]


def metrics_of(expr: str) -> frozenset[str]:
    """The names of the metrics that an expression reads; "" where a selector doesn't say. Raises PromqlSyntaxError."""
    names: set[str] = set()
    waiting: list[Any] = [parse(expr)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.VectorSelector):
            names |= {_name_of(matchers) for matchers in alternatives(node)}
        elif isinstance(node, ast.BinaryExpr):
            waiting += [node.lhs, node.rhs]
        elif isinstance(node, ast.Call):
            waiting += node.args
        elif isinstance(node, ast.AggregateExpr):
            waiting += [node.expr] if node.param is None else [node.param, node.expr]
        elif isinstance(node, ast.MatrixSelector):
            waiting.append(node.vector_selector)
        elif isinstance(node, ast.ParenExpr | ast.UnaryExpr | ast.SubqueryExpr):
            waiting.append(node.expr)
    return frozenset(names)


def _name_of(matchers: tuple[Matcher, ...]) -> str:
    return next((one.value for one in matchers if one.name == NAME and one.op is MatchOp.EQUAL), "")


def _expanded(template: Template, labels: Mapping[str, str], value: float) -> str:
    """An alert is worth more than its text: what can't be expanded says so, and the alert goes on."""
    try:
        return template.expand(labels, value)
    except TemplateError as error:
        return f"<error expanding template: {error.message}>"
