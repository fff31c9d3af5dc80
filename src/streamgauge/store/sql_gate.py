"""What other people's SQL may be: one SELECT, of four tables, with functions that compute and do nothing else.

The engine itself parses the text, and this reads the tree that it made (`EXPLAIN AST`): nothing here guesses at
syntax. What is not known to be harmless is refused, so that what a new version of the engine brings is refused too.
It is one of three fences: `sql` has the others, the grants of a role and the settings of the connection.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from streamgauge.core.errors import InvalidRequest

TABLES: Final = ("metrics", "sessions", "events", "dead_letter")

_NODES: Final = frozenset({
    "SelectWithUnionQuery", "SelectIntersectExceptQuery", "SelectQuery", "ExpressionList", "Subquery", "WithElement",
    "TablesInSelectQuery", "TablesInSelectQueryElement", "TableExpression", "TableIdentifier", "TableJoin", "ArrayJoin",
    "SampleRatio", "Asterisk", "QualifiedAsterisk", "Identifier", "Literal", "Function", "OrderByElement",
    "InterpolateElement", "WindowDefinition", "WindowListElement", "ColumnsRegexpMatcher", "ColumnsListMatcher",
    "QualifiedColumnsRegexpMatcher", "QualifiedColumnsListMatcher", "ColumnsTransformerList",
    "ColumnsExceptTransformer", "ColumnsReplaceTransformer", "ColumnsReplaceTransformer::Replacement",
})  # fmt: skip
"""Kinds of nodes. Not there: `Set` (settings), `ColumnsApplyTransformer` (which hides a function's name)."""
_PURE: Final = frozenset({
    "Arithmetic", "Arrays", "Bit", "Bitmap", "Comparison", "Conditional", "Dates and Times", "Distance", "Encoding",
    "Financial", "Geo", "Geo Polygon", "Hash", "IP Address", "JSON", "Logical", "Map", "Mathematical", "Null",
    "Random Number", "Rounding", "String", "String Replacement", "String Search", "String Splitting", "Time Window",
    "Tuple", "Type Conversion", "URL", "UUID",
})  # fmt: skip
"""The engine's categories of functions that compute from their arguments alone."""
_PURE_OTHERS: Final = frozenset({
    "_CAST", "lambda", "exists", "grouping", "caseWithExpression", "bar", "byteSize", "countDigits", "digits",
    "finalizeAggregation", "formatReadableDecimalSize", "formatReadableQuantity", "formatReadableSize",
    "formatReadableTimeDelta", "identity", "ignore", "initializeAggregation", "isConstant", "materialize", "neighbor",
    "parseReadableSize", "parseTimeDelta", "rowNumberInAllBlocks", "runningAccumulate", "runningDifference",
    "toColumnTypeName", "toTypeName", "transform", "variantElement", "variantType", "visibleWidth",
})  # fmt: skip
_NOT_PURE: Final = frozenset({"chdb", "formatRow", "formatRowNoNewline"})
_TABLE_ARGUMENT: Final = frozenset({
    "in", "notIn", "globalIn", "globalNotIn", "nullIn", "notNullIn", "globalNullIn", "globalNotNullIn",
    "inIgnoreSet", "notInIgnoreSet", "globalInIgnoreSet", "globalNotInIgnoreSet", "nullInIgnoreSet",
    "notNullInIgnoreSet", "globalNullInIgnoreSet", "globalNotNullInIgnoreSet",
})  # fmt: skip
_COMBINATORS: Final = (
    "SimpleState", "OrDefault", "Distinct", "Resample", "ForEach", "ArgMax", "ArgMin", "OrNull", "Merge", "State",
    "Array", "Map", "If",
)  # fmt: skip
_PLAIN: Final = "write one SELECT, without FORMAT, SETTINGS or INTO OUTFILE; the format is chosen beside it"

_NODE: Final = re.compile(r"( *)([A-Za-z:]+)(?: (.*?))?(?: \(children \d+\))?", re.DOTALL)
_ALIAS: Final = re.compile(r" \(alias .*\)$", re.DOTALL)
_WORD: Final = re.compile(r"\w+")
_TOKEN: Final = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\w+|[^\s\w]", re.DOTALL)


class Function(NamedTuple):
    """As the engine lists it in `system.functions`."""

    name: str
    alias_to: str
    is_aggregate: bool
    is_case_insensitive: bool
    category: str


class _Node(NamedTuple):
    """Of the tree: how deep, what kind, and what it says."""

    depth: int
    kind: str
    text: str


class SqlGate:
    """Knows one engine's words."""

    def __init__(
        self,
        functions: Iterable[Function],
        table_functions: Collection[str],
        columns: Collection[str],
        stored: Iterable[str],
        database: str,
    ) -> None:
        """`columns` are those of the four tables; `stored` all tables of the database."""
        known = list(functions)
        pure = {one.name for one in known if _is_pure(one)} | _PURE_OTHERS
        pure |= {one.name for one in known if one.alias_to in pure}
        pure -= {*table_functions, *_NOT_PURE}
        self._aggregates = _names(known, {one.name for one in known if one.is_aggregate})
        self._allowed = _names(known, pure) | self._aggregates
        # A function's name stands for the function where one is expected: arrayMap(file, ['/etc/passwd']).
        self._known = {one.name.lower() for one in known} | {one.lower() for one in table_functions}
        self._as_argument = {one.name.lower() for one in known} - {one.lower() for one in (*self._allowed, *columns)}
        self._stored = frozenset(stored)
        self._columns = frozenset(columns)
        self._database = database

    def check(self, canonical: str, tree: Sequence[str]) -> None:
        """`canonical`: the statement as the engine writes it; `tree`: the lines of its `EXPLAIN AST`. Raises
        InvalidRequest."""
        own = _named_in_with(canonical)
        if hidden := own & self._stored:
            raise _forbidden(f"{min(hidden)!r} is a table of the store", "call what WITH names otherwise")
        # One with a dot in it would let a table of another database pass for it.
        if odd := [name for name in own if not _WORD.fullmatch(name)]:
            raise _forbidden(f"WITH can't name something {odd[0][:64]!r}", "use letters, digits and _")
        allowed = {*TABLES, *(f"{self._database}.{table}" for table in TABLES), *own}
        self._check_nodes(_parsed(tree), allowed)

    def _check_nodes(self, nodes: Sequence[_Node], tables: Collection[str]) -> None:
        for position, node in enumerate(nodes):
            if node.kind not in _NODES:
                raise _node_refused(node.kind)
            if node.kind == "TableIdentifier" and node.text not in tables:
                raise _table_refused(node.text)
            if node.kind == "Identifier":
                self._check_identifier(node.text)
            if node.kind == "Function":
                self._check_function(node.text)
                if node.text in _TABLE_ARGUMENT:
                    self._check_searched(nodes[position:], tables)

    def _check_searched(self, nodes: Sequence[_Node], tables: Collection[str]) -> None:
        """What stands right of IN, in the function that `nodes` begin with: a name there is a table's."""
        depth = nodes[0].depth
        inside = itertools.takewhile(lambda node: node.depth > depth, nodes[1:])
        arguments = [node for node in inside if node.depth == depth + 2]
        if len(arguments) > 1 and arguments[1].kind == "Identifier":
            name = arguments[1].text
            if name not in (*tables, *self._columns):
                raise _table_refused(name)

    def _check_function(self, name: str) -> None:
        if not (name in self._allowed or name.lower() in self._allowed or self._is_combined(name)):
            if name.lower() not in self._known:
                close = difflib.get_close_matches(name, self._allowed, n=1)
                hint = f"did you mean {close[0]}?" if close else "the functions are ClickHouse's"
                raise InvalidRequest(f"there is no function {name[:64]}", code="invalid_sql", hint=hint)
            raise _forbidden(f"the function {name} is not to be called", "functions that compute from columns are")

    def _check_identifier(self, name: str) -> None:
        if name.lower() in self._as_argument:
            raise _forbidden(f"{name!r} is the name of a function that is not to be called", "call it otherwise")

    def _is_combined(self, name: str) -> bool:
        """Whether it is an aggregate function with combinators: sumIf, quantileOrNull."""
        while True:
            ending = next((one for one in _COMBINATORS if name.endswith(one) and name != one), "")
            if not ending:
                return False
            name = name.removesuffix(ending)
            if name in self._aggregates or name.lower() in self._aggregates:
                return True


def _is_pure(one: Function) -> bool:
    return not one.alias_to and (one.is_aggregate or one.category in _PURE)


def _names(functions: Iterable[Function], chosen: Collection[str]) -> frozenset[str]:
    """With those in small letters that may be written in any."""
    found = {one.name.lower() for one in functions if one.is_case_insensitive and one.name in chosen}
    return frozenset({*chosen, *found})


def _parsed(tree: Iterable[str]) -> list[_Node]:
    found = []
    for line in tree:
        match = _NODE.fullmatch(line)
        if match is None:
            raise _node_refused(line.strip())
        found.append(_Node(len(match[1]), match[2], _ALIAS.sub("", match[3] or "")))
    return found


def _named_in_with(canonical: str) -> set[str]:
    """Names that WITH gives to subqueries: what stands before `AS (`."""
    tokens = _TOKEN.findall(canonical)
    return {
        name.strip("`")
        for name, word, bracket in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if word == "AS" and bracket == "(" and (name[0] == "`" or name[0].isalpha() or name[0] == "_")
    }


_WHY: Final[Mapping[str, str]] = {
    "Set": "SETTINGS is not to be given",
    "ColumnsApplyTransformer": "APPLY is not to be used",
}


def reads_tables(tree: Iterable[str]) -> bool:
    return any(line.lstrip().startswith("TableIdentifier ") for line in tree)


def not_a_select(statement: str) -> InvalidRequest:
    """`statement` can be read, but doesn't stand in brackets."""
    first = statement.split(" ", 1)[0].upper()[:32]
    what = "a SELECT has nothing after it" if first in ("SELECT", "WITH") else f"{first} is not to be done"
    return _forbidden(f"{what}: only a SELECT can be asked", _PLAIN)


def _node_refused(kind: str) -> InvalidRequest:
    return _forbidden(_WHY.get(kind, f"{kind or 'this'} is not a part of what can be asked here"), _PLAIN)


def _table_refused(name: str) -> InvalidRequest:
    return _forbidden(f"there is no table {name!r} to be asked", f"the tables are {', '.join(TABLES)}")


def _forbidden(message: str, hint: str) -> InvalidRequest:
    return InvalidRequest(message, code="sql_not_allowed", hint=hint)
