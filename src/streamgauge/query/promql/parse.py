"""From text to promql-parser's tree, and the small words of that tree in ours.

The parser speaks almost all of Prometheus 3's PromQL. What it doesn't is written in other words before it sees it
(bytes and numbers in `text.py`), refused after it (lengths of 0), or said to be experimental where it gives up.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from typing import Any

import promql_parser as ast

from streamgauge.query.promql import regex
from streamgauge.query.promql.errors import PromqlSyntaxError, PromqlUnsupported
from streamgauge.query.promql.labels import NAME
from streamgauge.query.promql.series import Matcher, Matchers, MatchOp
from streamgauge.query.promql.text import for_parser, without_literals

QUERY_CHARACTERS_MAX = 65_536
DEPTH_MAX = 200
OPERATORS_MAX = 1_000
"""Each may make the tree one level deeper, and the parser overflows its stack on trees of tens of thousands."""

_KEPT_CHARACTERS_MAX = 1_000
"""Longer questions are not kept: their trees take much memory."""

_OPS = (
    (ast.MatchOp.Equal, MatchOp.EQUAL),
    (ast.MatchOp.NotEqual, MatchOp.NOT_EQUAL),
    (ast.MatchOp.Re, MatchOp.REGEX),
    (ast.MatchOp.NotRe, MatchOp.NOT_REGEX),
)
_OPERATOR = re.compile(r"[-+*/%^=!<>]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
_EXPERIMENTAL = (
    (re.compile(r"[\])}\w]\s+(?:anchored|smoothed)\b"), "extended range selectors (anchored, smoothed)"),
    (re.compile(r"\[[^\]]*(?:[-+*/%^(]|\b(?:step|range|min|max)\b)"), "arithmetic on durations"),
    (re.compile(r"\boffset\s*(?:[-+]\s*)?(?:\(|step\b|range\b|min\b|max\b)"), "arithmetic on durations"),
    (re.compile(r">/|</"), "trimming of native histograms"),
)


def parse(query: str) -> Any:
    """The tree of a question, which nobody changes: rules ask the same ones every minute. Raises PromqlSyntaxError with
    what the parser says, PromqlUnsupported."""
    return _kept(query) if len(query) <= _KEPT_CHARACTERS_MAX else _parsed(query)


def _parsed(query: str) -> Any:
    if len(query) > QUERY_CHARACTERS_MAX:
        raise PromqlSyntaxError(
            f"the query is longer than {QUERY_CHARACTERS_MAX} characters", hint="record parts of it, or ask for less"
        )
    bare = without_literals(query)
    if _depth(bare) > DEPTH_MAX:
        raise PromqlSyntaxError(f"the query nests deeper than {DEPTH_MAX} brackets", hint="take brackets away")
    if sum(1 for _ in _OPERATOR.finditer(bare)) > OPERATORS_MAX:
        raise PromqlSyntaxError(
            f"the query has more than {OPERATORS_MAX} operators", hint="match with =~ instead of or"
        )
    try:
        tree = ast.parse(for_parser(query))
    except ValueError as error:
        for pattern, feature in _EXPERIMENTAL:
            if pattern.search(bare):
                raise PromqlUnsupported(f"{feature}: experimental in Prometheus, and not offered") from None
        raise PromqlSyntaxError(f"parse error: {error}", hint="see docs/guide/promql.md") from None
    except OverflowError:
        raise _out_of_range() from None
    except BaseException as error:
        # The parser panics where a duration has more seconds than it can hold, and a panic is no `Exception`.
        if type(error).__module__ != "pyo3_runtime":
            raise
        raise _out_of_range() from None
    _check_all(tree)
    return tree


_kept = lru_cache(maxsize=2_048)(_parsed)


def alternatives(selector: Any) -> list[Matchers]:
    """The matchers of a selector: usually one set; with `or` several, any of which may hold."""
    named = (Matcher(NAME, MatchOp.EQUAL, selector.name),) if selector.name else ()
    groups = selector.matchers.or_matchers or [selector.matchers.matchers]
    return [named + tuple(map(_matcher, group)) for group in groups]


def _matcher(found: Any) -> Matcher:
    return Matcher(found.name, next(ours for theirs, ours in _OPS if theirs == found.op), found.value)


def unwrapped(node: Any) -> Any:
    """The node without brackets around it."""
    while isinstance(node, ast.ParenExpr):
        node = node.expr
    return node


def _check_all(tree: Any) -> None:
    """Each node, with how deep it is. The parser's own walk copies what is below each node it visits."""
    level, depth = [tree], 0
    while level:
        if depth > DEPTH_MAX:
            raise PromqlSyntaxError(
                f"the query nests deeper than {DEPTH_MAX} levels", hint="use brackets to group long chains of operators"
            )
        for node in level:
            _check(node)
        level, depth = [child for node in level for child in _children(node)], depth + 1


def _children(node: Any) -> list[Any]:
    if isinstance(node, ast.BinaryExpr):
        return [node.lhs, node.rhs]
    if isinstance(node, ast.Call):
        return list(node.args)
    if isinstance(node, ast.AggregateExpr):
        return [node.expr] if node.param is None else [node.param, node.expr]
    if isinstance(node, ast.MatrixSelector):
        return [node.vector_selector]
    return [node.expr] if isinstance(node, ast.ParenExpr | ast.UnaryExpr | ast.SubqueryExpr) else []


def _out_of_range() -> PromqlSyntaxError:
    return PromqlSyntaxError("parse error: a duration or time is out of range", hint="write times like 5m, 1h, 7d")


def _check(node: Any) -> None:
    if isinstance(node, ast.VectorSelector | ast.SubqueryExpr):
        try:
            _ = node.at and node.at.at, node.offset
        except (ValueError, OverflowError):
            raise _out_of_range() from None
    if isinstance(node, ast.Call):
        _check_arguments(node)
    if isinstance(node, ast.MatrixSelector | ast.SubqueryExpr):
        step = node.step if isinstance(node, ast.SubqueryExpr) else None
        if (node.range or timedelta(0)) <= timedelta(0) or (step is not None and step <= timedelta(0)):
            raise PromqlSyntaxError("parse error: duration must be greater than 0", hint="write [5m]")
    if isinstance(node, ast.BinaryExpr):
        _check_filling(node)
    if isinstance(node, ast.VectorSelector):
        for matcher in (matcher for matchers in alternatives(node) for matcher in matchers):
            if matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
                regex.check(matcher.value)


def _check_arguments(node: Any) -> None:
    """The parser takes negative numbers for vectors."""
    for wanted, argument in zip(node.func.arg_types, node.args, strict=False):
        if wanted == ast.ValueType.Vector and isinstance(unwrapped(argument), ast.NumberLiteral):
            raise PromqlSyntaxError(
                f"parse error: expected type instant vector in call to function {node.func.name!r}, got scalar",
                hint="write vector(…) around the number",
            )


def _check_filling(node: Any) -> None:
    fill = None if node.modifier is None else node.modifier.fill_values
    if fill is not None and (fill.lhs, fill.rhs) != (None, None) and str(node.op).lower() in ("and", "or", "unless"):
        raise PromqlSyntaxError("parse error: filling in missing series is not allowed for set operators")


def _depth(query: str) -> int:
    depth = deepest = 0
    for character in query:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest
