"""What a filter keeps: `dimension:value`, `dimension!:value`, `dimension:a|b`, `dimension:prefix*`. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from streamgauge.core.errors import InvalidRequest
from streamgauge.model import UNKNOWN

FILTER_ALTERNATIVES_MAX: Final = 200
"""Of all filters of a question together."""

_SPECIAL: Final = "\\|*"


class Filter(msgspec.Struct, frozen=True, order=True):
    """Keeps the panes of which the dimension has one of `values` or begins with one of `prefixes`; where it
    `is_negated`, all others. Both are sorted, each alternative once."""

    dimension: str
    values: tuple[str, ...]
    prefixes: tuple[str, ...] = ()
    is_negated: bool = False

    @property
    def alternatives_count(self) -> int:
        return len(self.values) + len(self.prefixes)


def exactly(dimension: str, value: str) -> Filter:
    """The short form `country=US`: all of the text is the value. Nothing stands for what is unknown."""
    return Filter(dimension, (value or UNKNOWN,))


def parse_filter(text: str) -> Filter:
    """Reads `filter=…`. A backslash takes `|`, `*` and itself as they are; before anything else it is one.
    Raises InvalidRequest."""
    dimension, colon, pattern = text.partition(":")
    if not colon:
        raise InvalidRequest(f"the filter {text[:64]!r} has no colon", hint="write filter=dimension:value")
    values, prefixes = set(), set()
    for alternative, is_prefix in _alternatives(pattern):
        if is_prefix:
            prefixes.add(alternative)
        else:
            values.add(alternative or UNKNOWN)
    is_negated = dimension.endswith("!")
    return Filter(dimension.removesuffix("!"), tuple(sorted(values)), tuple(sorted(prefixes)), is_negated)


def check_filters(filters: tuple[Filter, ...]) -> None:
    if sum(one.alternatives_count for one in filters) > FILTER_ALTERNATIVES_MAX:
        raise InvalidRequest(
            f"the filters have over {FILTER_ALTERNATIVES_MAX} alternatives together",
            code="too_many_alternatives",
            hint="ask for a prefix (dimension:prefix*), or ask several questions",
        )


def _alternatives(pattern: str) -> list[tuple[str, bool]]:
    """(text, whether it is a prefix) of each."""
    found, text, is_prefix, at = [], "", False, 0
    while at < len(pattern):
        character = pattern[at]
        if character == "|":
            found.append((text, is_prefix))
            text, is_prefix = "", False
        elif is_prefix:
            raise InvalidRequest(
                f"in the filter for {pattern[:64]!r} a star is not at the end",
                code="invalid_filter",
                hint=r"a star stands for any end, as in dimension:prefix*; write \* for the character",
            )
        elif character == "*":
            is_prefix = True
        else:
            if character == "\\" and pattern[at + 1 : at + 2] and pattern[at + 1] in _SPECIAL:
                at += 1
            text += pattern[at]
        at += 1
    return [*found, (text, is_prefix)]
