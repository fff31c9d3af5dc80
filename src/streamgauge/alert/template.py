"""Go's templates as far as labels and annotations of Prometheus' rules use them.

There are: text, `{{ $labels.x }}`, `{{ .Labels.x }}`, `{{ $value }}`, pipes, brackets, variables (`{{ $x := … }}`),
`if`, `else if`, `else`, `with`, `end`, comments, trimming (`{{-`), and the functions in `template_functions`. There is
no `range`, `define`, `template`, and nothing that asks queries (`query`, `first`, `value` …): those are refused when a
rule is read, not when it fires.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from streamgauge.alert.template_functions import FUNCTIONS, is_true, shown
from streamgauge.core.errors import InvalidRequest

TEMPLATE_CHARS_MAX: Final = 16_384
EXPANDED_CHARS_MAX: Final = 65_536

_ACTION: Final = re.compile(
    r'\{\{(-\s)?((?:"(?:[^"\\]|\\.)*"|`[^`]*`|/\*(?:(?!\*/).)*\*/|(?!/\*)[^"`])*?)(\s-)?\}\}', re.DOTALL
)
_TOKEN: Final = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)'
    r"|(?P<sign>:=|=|\(|\)|\|)|(?P<name>\$?\w*(?:\.\w+)*\.?))"
)
_UNSUPPORTED: Final = ("range", "define", "template", "block", "break", "continue")

Scope = ChainMap[str, Any]
"""The variables of a block, then those of the blocks around it."""
Evaluate = Callable[[Scope], Any]


class TemplateError(InvalidRequest):
    """The text is no template that is taken here, or could not be expanded."""

    code = "invalid_template"


class _Action(NamedTuple):
    word: str
    rest: str


class Template:
    """Raises TemplateError, which begins with `place`, where it can't be one."""

    def __init__(self, text: str, place: str) -> None:
        self._place = place
        if len(text) > TEMPLATE_CHARS_MAX:
            raise self._wrong(f"a template of over {TEMPLATE_CHARS_MAX:,} characters", "write less")
        parts = list(self._parts(text))
        self._nodes, rest, _ = self._block(parts, 0, ())
        if rest != len(parts):
            raise self._wrong("`end` or `else` without an `if`", "take it away")

    def expand(self, labels: Mapping[str, str], value: float) -> str:
        """Raises TemplateError."""
        data = {"Labels": labels, "Value": value, "ExternalLabels": {}, "ExternalURL": ""}
        scope: Scope = ChainMap(
            {
                ".": data,
                "$": data,
                "$labels": labels,
                "$value": value,
                "$externalLabels": {},
                "$externalURL": "",
            }
        )
        try:
            text = "".join(node(scope) for node in self._nodes)
        except (TypeError, ValueError, LookupError, ArithmeticError, OSError, RecursionError, InvalidRequest) as error:
            raise self._wrong(f"the template can't be expanded: {error}", "see docs/guide/alerting.md") from error
        return text[:EXPANDED_CHARS_MAX]

    def _wrong(self, message: str, hint: str) -> TemplateError:
        return TemplateError(f"{self._place}: {message}", hint=hint)

    def _parts(self, text: str) -> Iterator[str | _Action]:
        """Text, and what is between braces."""
        end, trim = 0, False
        for found in _ACTION.finditer(text):
            before = text[end : found.start()]
            before = before.lstrip() if trim else before
            yield before.rstrip() if found[1] else before
            end, trim = found.end(), bool(found[3])
            inside = found[2].strip()
            if not inside.startswith("/*"):
                word = inside.split(None, 1)[0] if inside else ""
                yield _Action(word, inside)
        rest = text[end:].lstrip() if trim else text[end:]
        if "{{" in rest:
            raise self._wrong("`{{` without `}}`", "close it")
        yield rest

    def _block(
        self, parts: Sequence[str | _Action], position: int, ends: Sequence[str]
    ) -> tuple[list[Callable[[Scope], str]], int, _Action | None]:
        """The nodes up to one of `ends`, the position behind it, and it."""
        nodes: list[Callable[[Scope], str]] = []
        while position < len(parts):
            part = parts[position]
            position += 1
            if isinstance(part, str):
                nodes.append(_constant(part))
            elif part.word in ("end", "else"):
                if part.word in ends:
                    return nodes, position, part
                return nodes, position - 1, None
            elif part.word in ("if", "with"):
                node, position = self._condition(parts, position, part.word, part.rest[len(part.word) :])
                nodes.append(node)
            elif part.word in _UNSUPPORTED:
                raise self._wrong(f"`{part.word}` is not offered", "see docs/guide/alerting.md for what is")
            else:
                nodes.append(self._printed(part.rest))
        if ends:
            raise self._wrong("an `if` or `with` without `end`", "write {{ end }}")
        return nodes, position, None

    def _condition(
        self, parts: Sequence[str | _Action], position: int, word: str, condition: str
    ) -> tuple[Callable[[Scope], str], int]:
        evaluate = self._expression(condition)
        then, position, end = self._block(parts, position, ("end", "else"))
        otherwise: list[Callable[[Scope], str]] = []
        if end is not None and end.word == "else":
            rest = end.rest.removeprefix("else").strip()
            if rest.startswith("if ") or rest.startswith("if("):
                node, position = self._condition(parts, position, "if", rest.removeprefix("if"))
                otherwise = [node]
            elif rest:
                raise self._wrong(f"`else {rest}` is not offered", "write else if, or else")
            else:
                otherwise, position, _ = self._block(parts, position, ("end",))

        def expand(scope: Scope) -> str:
            value = evaluate(scope)
            inner = scope.new_child()
            if word == "with" and is_true(value):
                inner["."] = value
            return "".join(node(inner) for node in (then if is_true(value) else otherwise))

        return expand, position

    def _printed(self, text: str) -> Callable[[Scope], str]:
        evaluate = self._expression(text)
        if re.match(r"\$\w+\s*:?=", text):
            return lambda scope: (evaluate(scope), "")[1]
        return lambda scope: shown(evaluate(scope))

    def _expression(self, text: str) -> Evaluate:
        tokens = self._tokens(text)
        if len(tokens) > 2 and tokens[1] in (("sign", ":="), ("sign", "=")) and tokens[0][0] == "name":
            name = tokens[0][1]
            value, rest = self._pipeline(tokens, 2)
            evaluate = _declared(name, value) if tokens[1][1] == ":=" else _assigned(name, value)
        else:
            evaluate, rest = self._pipeline(tokens, 0)
        if rest != len(tokens):
            raise self._wrong(f"`{text.strip()}` is not understood", "see docs/guide/alerting.md for what is")
        return evaluate

    def _tokens(self, text: str) -> list[tuple[str, str]]:
        text, position, tokens = text.strip(), 0, []
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None or found.end() == position or not found.lastgroup or not found[found.lastgroup]:
                raise self._wrong(f"`{text}` is not understood", "see docs/guide/alerting.md for what is")
            tokens.append((found.lastgroup, found[found.lastgroup]))
            position = found.end()
        return tokens

    def _pipeline(self, tokens: Sequence[tuple[str, str]], position: int) -> tuple[Evaluate, int]:
        evaluate, position = self._command(tokens, position, None)
        while position < len(tokens) and tokens[position] == ("sign", "|"):
            evaluate, position = self._command(tokens, position + 1, evaluate)
        return evaluate, position

    def _command(
        self, tokens: Sequence[tuple[str, str]], position: int, piped: Evaluate | None
    ) -> tuple[Evaluate, int]:
        """A function with its arguments, the last of which is what was piped into it; or one operand."""
        operands: list[Evaluate] = []
        function: Callable[..., Any] | None = None
        if position < len(tokens) and tokens[position][0] == "name" and tokens[position][1][0] not in "$.":
            name = tokens[position][1]
            if name not in ("true", "false"):
                function = FUNCTIONS.get(name)
                if function is None:
                    raise self._wrong(f"the function `{name}` is not offered", "see docs/guide/alerting.md for what is")
                position += 1
        while position < len(tokens) and tokens[position] not in (("sign", "|"), ("sign", ")")):
            operand, position = self._operand(tokens, position)
            operands.append(operand)
        if piped is not None:
            operands.append(piped)
        if function is None:
            if len(operands) != 1:
                raise self._wrong("an action is one value, or a function with arguments", "write {{ $value }}")
            return operands[0], position
        call = function
        return lambda scope: _bounded(call(*(operand(scope) for operand in operands))), position

    def _operand(self, tokens: Sequence[tuple[str, str]], position: int) -> tuple[Evaluate, int]:
        kind, text = tokens[position]
        if (kind, text) == ("sign", "("):
            evaluate, position = self._pipeline(tokens, position + 1)
            if position >= len(tokens) or tokens[position] != ("sign", ")"):
                raise self._wrong("`(` without `)`", "close it")
            return evaluate, position + 1
        if kind == "text":
            return _constant(text[1:-1] if text[0] == "`" else _unescaped(text[1:-1])), position + 1
        if kind == "number":
            return _constant(float(text)), position + 1
        if text in ("true", "false"):
            return _constant(text == "true"), position + 1
        if kind == "name" and text[0] in "$.":
            return self._field(text), position + 1
        raise self._wrong(f"`{text}` is not understood", "see docs/guide/alerting.md for what is")

    def _field(self, text: str) -> Evaluate:
        base, *names = text.split(".")
        root, names = base or ".", [name for name in names if name]

        def value(scope: Scope) -> Any:
            if root not in scope:
                raise KeyError(f"there is no variable {root}")
            found = scope[root]
            for name in names:
                if not isinstance(found, Mapping):
                    raise TypeError(f"{text}: only labels have names")
                found = found.get(name, "")  # a label that isn't there is empty
            return found

        return value


def _declared(name: str, value: Evaluate) -> Evaluate:
    def evaluate(scope: Scope) -> None:
        scope[name] = value(scope)

    return evaluate


def _assigned(name: str, value: Evaluate) -> Evaluate:
    """To the variable of the block that declared it."""

    def evaluate(scope: Scope) -> None:
        declaring = next((variables for variables in scope.maps if name in variables), None)
        if declaring is None:
            raise KeyError(f"there is no variable {name}: declare it with :=")
        declaring[name] = value(scope)

    return evaluate


def _bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > EXPANDED_CHARS_MAX:
        raise ValueError(f"a text of over {EXPANDED_CHARS_MAX:,} characters")
    return value


def _constant(value: Any) -> Evaluate:
    return lambda _: value


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)
