"""Texts of PromQL in words that the parser reads as Prometheus would.

The parser takes `\\xc5` for the character U+00C5, Prometheus for the byte. So byte escapes are read here; a byte that
is no UTF-8 becomes a character of a private area, from which it's told apart later. Digits may be grouped by `_`, which
the parser doesn't know. And times before 1970 (`@ -5`) are more than it can say: they're shifted behind all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from streamgauge.query.promql.durations import duration_ms

BEFORE_EPOCH_S = 200_000_000_000
"""`@ -5` is handed to the parser as this plus 5: a time of the year 8307, which stands for one before 1970."""

_PRIVATE = 0xF700
_SURROGATE = 0xDC00
_ESCAPED_BYTES = re.compile(r"(?<!\\)((?:\\\\)*)((?:\\x[0-9a-fA-F]{2}|\\[0-3][0-7]{2})+)")
_ONE_BYTE = re.compile(r"\\x([0-9a-fA-F]{2})|\\([0-3][0-7]{2})")
_LITERAL = re.compile(r"`[^`]*(?:`|\Z)|\"(?:[^\"\\]|\\(?s:.))*(?:\"|\\?\Z)|'(?:[^'\\]|\\(?s:.))*(?:'|\\?\Z)|#[^\n]*")
_WORD = re.compile(r"(?<![\w:.])[\d.][\w.]*(?!:)")
_GROUPED_NUMBER = re.compile(
    r"0[xX](?:_?[0-9a-fA-F])+|(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:[eE]\d*)?"
)
_TIME_BEFORE_EPOCH = re.compile(r"@\s*-\s*([\d.]+(?:[eE][-+]?\d+|[a-z\d]+)?)")


def for_parser(query: str) -> str:
    """The query in the parser's words."""
    return _outside_literals(_with_bytes_read(query), _plain)


def without_literals(query: str) -> str:
    """The query with blanks for its strings and comments, so that each character stays where it was."""
    return _LITERAL.sub(lambda literal: " " * len(literal[0]), query)


def is_utf8(text: str) -> bool:
    return not any(_PRIVATE + 0x80 <= ord(character) <= _PRIVATE + 0xFF for character in text)


def quoted(text: str) -> str:
    """As Go's %q prints it, for messages."""
    shown = "".join(
        f"\\x{ord(character) - _PRIVATE:02x}" if not is_utf8(character) else character
        for character in text.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'"{shown}"'


def _outside_literals(query: str, change: Callable[[str], str]) -> str:
    parts, begin = [], 0
    for literal in _LITERAL.finditer(query):
        parts += [change(query[begin : literal.start()]), literal[0]]
        begin = literal.end()
    return "".join([*parts, change(query[begin:])])


def _plain(code: str) -> str:
    ungrouped = _WORD.sub(lambda word: _ungrouped(word[0]), code)
    return _TIME_BEFORE_EPOCH.sub(lambda found: f"@ {BEFORE_EPOCH_S + duration_ms(found[1]) / 1000}", ungrouped)


def _ungrouped(word: str) -> str:
    return word.replace("_", "") if "_" in word and _GROUPED_NUMBER.fullmatch(word) else word


def _with_bytes_read(query: str) -> str:
    return _LITERAL.sub(lambda literal: _read(literal[0]) if literal[0][0] in "\"'" else literal[0], query)


def _read(literal: str) -> str:
    return _ESCAPED_BYTES.sub(lambda found: found[1] + _characters(found[2]), literal)


def _characters(escapes: str) -> str:
    raw = bytes(int(one[1], 16) if one[1] else int(one[2], 8) for one in _ONE_BYTE.finditer(escapes))
    return "".join(_character(character) for character in raw.decode("utf-8", "surrogateescape"))


def _character(character: str) -> str:
    code = ord(character)
    if _SURROGATE + 0x80 <= code <= _SURROGATE + 0xFF:
        return chr(code - _SURROGATE + _PRIVATE)
    return f"\\u{code:04x}" if code < 0x80 else character  # an escaped quote must not end the literal
