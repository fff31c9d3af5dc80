"""Warnings and infos an answer carries, with the place in the question they are about."""

from __future__ import annotations

import re
from itertools import pairwise

from streamgauge.query.promql.text import without_literals

_GROUPING = r"(?:(?:by|without)\s*\([^)]*\)\s*)?"


class Annotations:
    """Collected while one question is answered; each text once, in the order they came up."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._warnings: dict[str, None] = {}
        self._infos: dict[str, None] = {}

    @property
    def warnings(self) -> list[str]:
        return list(self._warnings)

    @property
    def infos(self) -> list[str]:
        return list(self._infos)

    def warn(self, about: str, text: str, *, argument: int = 0) -> None:
        """`about` is the function or aggregation, `argument` which of its arguments is meant."""
        self._warnings[f"PromQL warning: {text} ({self._place(about, argument)})"] = None

    def warn_call(self, about: str, text: str) -> None:
        """The function itself is meant."""
        self._warnings[f"PromQL warning: {text} ({self._place(about, None)})"] = None

    def info(self, about: str, text: str, *, argument: int = 0) -> None:
        self._infos[f"PromQL info: {text} ({self._place(about, argument)})"] = None

    def _place(self, about: str, argument: int | None) -> str:
        """Line and column: the parser tells no positions, so the first use of the function is looked for."""
        blank = without_literals(self._query)
        found = re.search(rf"\b{about}\s*{_GROUPING}\(", blank, re.IGNORECASE)
        position = 0
        if found:
            position = found.start() if argument is None else _argument(blank, found.end(), argument)
        before = self._query[:position]
        return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def _argument(text: str, opening: int, argument: int) -> int:
    """Where the argument begins in the list of arguments that begins at `opening`."""
    depth, commas = 0, []
    for position in range(opening, len(text)):
        depth += (text[position] in "([{") - (text[position] in ")]}")
        if depth < 0:
            break
        if text[position] == "," and depth == 0:
            commas.append(position + 1)
    starts = [opening, *commas, len(text)]
    begin = [first for first, _ in pairwise(starts)][min(argument, len(commas))]
    return begin + len(text[begin:]) - len(text[begin:].lstrip())
