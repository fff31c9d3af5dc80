"""What `streamgauge query` prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from streamgauge.core.sparkline import Point, sparkline
from streamgauge.feed.question import Answered, Fresh

_TIME: Final = "timestamp"
_VALUE: Final = "value"

Rows = list[dict[str, Any]]


def print_metrics(console: Console, names: Sequence[str], answered: Answered) -> None:
    """A breakdown as a table, a time series as a sparkline for each group and column of numbers."""
    rows: Rows = answered.content
    if not rows:
        console.print("there is nothing to show in this time", style="yellow")
    elif _TIME in rows[0]:
        _print_series(console, names, rows, answered.fresh)
    else:
        _print_table(console, rows)


def print_promql(console: Console, data: dict[str, Any]) -> None:
    """A matrix as sparklines, a vector as a table."""
    kind, result = data["resultType"], data["result"]
    if kind == "matrix":
        for one in result:
            points = [Point(_moment(at_s), _finite(float(value))) for at_s, value in one["values"]]
            _print_line(console, _selector(one["metric"]), points)
    elif kind == "vector":
        _print_table(console, [{"series": _selector(one["metric"]), _VALUE: one["value"][1]} for one in result])
    else:
        console.print(result[1], markup=False)
    if kind in ("matrix", "vector") and not result:
        console.print("no series has a sample there", style="yellow")


def print_plans(console: Console, plans: Rows) -> None:
    """Which tables are read for which times, then the SQL and its values."""
    for plan in plans:
        table = Table()
        for name in ("table", "from", "to"):
            table.add_column(name)
        for read in plan["reads"]:
            for one in read["ranges"]:
                table.add_row(read["table"], one["from"], one["to"])
        console.print(table)
        console.print(plan["sql"], markup=False, soft_wrap=True)
        for name, value in plan["parameters"].items():
            console.print(f"  {name} = {value!r}", markup=False, soft_wrap=True, style="dim")


def print_freshness(console: Console, fresh: Fresh) -> None:
    if not fresh.complete_up_to:
        return
    cached = f", from the cache, {fresh.age_s} s old" if fresh.cache == "hit" else ""
    text = f"complete up to {fresh.complete_up_to}, {fresh.lag_ms / 1000:.1f} s behind{cached}"
    console.print(text, style="dim", soft_wrap=True)


def _print_table(console: Console, rows: Rows) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table()
    for name in names:
        is_right = name == _VALUE or any(is_number(row.get(name)) for row in rows)
        table.add_column(escape(name), justify="right" if is_right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(_shown(row.get(name))) for name in names))
    console.print(table)


def _print_series(console: Console, names: Sequence[str], rows: Rows, fresh: Fresh) -> None:
    values = [one for one in rows[0] if one != _TIME and any(is_number(row.get(one)) for row in rows)] or [_VALUE]
    groups: dict[tuple[str, ...], Rows] = {}
    for row in rows:
        key = tuple(f"{one}={row[one]}" for one in row if one not in (_TIME, *values) and isinstance(row[one], str))
        groups.setdefault(key, []).append(row)
    for key, found in groups.items():
        for value in values:
            own = [value] if len(names) > 1 else [*names, value] if value != _VALUE else names
            title = " ".join([*own, *key])
            points = [Point(row[_TIME], row.get(value), _is_filling(row[_TIME], fresh)) for row in found]
            _print_line(console, title, points)


def _print_line(console: Console, title: str, points: Sequence[Point]) -> None:
    line = sparkline(points, max(10, console.width - 2))
    console.print(Text(title, style="bold"), Text(f"  {points[0].time} to {points[-1].time}", style="dim"), sep="")
    console.print(Text(f" {line.blocks}", style="cyan"), Text(line.filling, style="dim cyan"), sep="", soft_wrap=True)
    figures = {"min": line.least, "max": line.greatest, "last": line.last}
    said = [f"{name} {_shown(point.value)} at {point.time}" for name, point in figures.items() if point is not None]
    filling = sum(point.value or 0 for point in points if point.is_filling)
    if any(point.is_filling for point in points):
        said.append(f"still filling {_shown(filling)}")
    console.print(" " + ("  ".join(said) or "no values"), markup=False, soft_wrap=True)


def _is_filling(start: str, fresh: Fresh) -> bool:
    if not fresh.complete_up_to or fresh.step_ms is None:
        return False
    return _ms(start) + fresh.step_ms > _ms(fresh.complete_up_to)


def _ms(time: str) -> float:
    return datetime.fromisoformat(time).timestamp() * 1000


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _selector(labels: dict[str, str]) -> str:
    """As PromQL writes it."""
    rest = ", ".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
    return labels.get("__name__", "") + (f"{{{rest}}}" if rest else "") or "{}"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if is_number(value):
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"
    return str(value)
