"""Matchers of labels, in Alertmanager's syntax: `severity="page"`, `country!=US`, `team=~"shop|web"`. Pure.

A label that isn't there is as one that is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, Literal

import msgspec

from streamgauge.core.regex import matching

Operator = Literal["=", "!=", "=~", "!~"]

MATCHERS_MAX: Final = 64
"""Of one silence, receiver or rule."""

TEXT_CHARS_MAX: Final = 4_096

_PART: Final = re.compile(
    r"""\s*(?P<name>[A-Za-z_:][A-Za-z0-9_:]*|"(?:[^"\\]|\\.)*")
        \s*(?P<operator>=~|!~|!=|=)
        \s*(?P<value>"(?:[^"\\]|\\.)*"|[^\s"',{}=!~\\`]*)\s*""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


class Matcher(msgspec.Struct, frozen=True):
    name: str
    operator: Operator
    value: str

    def __post_init__(self) -> None:
        """Raises ValueError for what is no regular expression."""
        if self.operator in ("=~", "!~"):
            matching(self.value, [""])

    def matches(self, labels: Mapping[str, str]) -> bool:
        found = labels.get(self.name, "")
        match self.operator:
            case "=":
                return found == self.value
            case "!=":
                return found != self.value
            case "=~":
                return _matches(self.value, found)
            case "!~":
                return not _matches(self.value, found)

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{quoted(self.value)}"


def match_all(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every one matches."""
    return all(matcher.matches(labels) for matcher in matchers)


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """One or several, separated by commas, with or without braces around them. Raises ValueError that says where."""
    if len(text) > TEXT_CHARS_MAX:
        raise ValueError(f"matchers are longer than {TEXT_CHARS_MAX} characters")
    inner = text.strip()
    if inner.startswith("{") != inner.endswith("}"):
        raise ValueError(f"{text!r} has one brace of two")
    inner = inner.removeprefix("{").removesuffix("}")
    found: list[Matcher] = []
    position = 0
    while position < len(inner) or not found:
        part = _PART.match(inner, position)
        if part is None:
            raise ValueError(f'{inner[position : position + 64]!r} is no matcher: write it like severity="page"')
        found.append(Matcher(_unquoted(part["name"]), part["operator"], _unquoted(part["value"])))  # type: ignore[arg-type]
        position = part.end()
        if position < len(inner):
            if inner[position] != ",":
                raise ValueError(
                    f"{inner[position : position + 64]!r} is left over: separate matchers by commas, and put values "
                    "with other characters than letters and digits in double quotes"
                )
            position += 1
    if len(found) > MATCHERS_MAX:
        raise ValueError(f"there are more than {MATCHERS_MAX} matchers")
    return tuple(found)


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), text[1:-1])


@lru_cache(maxsize=16_384)
def _matches(pattern: str, value: str) -> bool:
    return bool(matching(pattern, [value])[0])
