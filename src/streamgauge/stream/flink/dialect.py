"""Flink SQL's texts, names and small expressions. Nothing here comes from events: all of it is settings and names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streamgauge.model import UNKNOWN


def text(value: str) -> str:
    """A text of any characters."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    return "`" + value.replace("`", "``") + "`"


def texts(values: Iterable[str]) -> str:
    return ", ".join(map(text, values))


def array(values: Iterable[str]) -> str:
    """Of expressions, one at least: SQL has no empty array."""
    return f"ARRAY[{', '.join(values)}]"


def interval(milliseconds: int) -> str:
    minutes, rest_ms = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    seconds = f"{rest_ms // 1000:02}.{rest_ms % 1000:03}"
    return f"INTERVAL '{days} {hours:02}:{minutes:02}:{seconds}' DAY TO SECOND(3)"


def known(expression: str, chars_max: int) -> str:
    """As a dimension: never null or empty, and at most so many characters."""
    return (
        f"CASE WHEN {expression} IS NULL OR {expression} = '' THEN {text(UNKNOWN)} "
        f"WHEN CHAR_LENGTH({expression}) > {chars_max} THEN SUBSTRING({expression}, 1, {chars_max - 1}) || '…' "
        f"ELSE {expression} END"
    )


def options(values: Mapping[str, str]) -> str:
    """What follows WITH."""
    return "(\n" + ",\n".join(f"  {text(key)} = {text(value)}" for key, value in values.items()) + "\n)"
