"""Which tables a question reads: of each piece of its time, the coarsest one that answers exactly. Pure but for names.

A row by the hour stands for all panes that begin in the hour. It may be read where the question takes that hour whole,
and into one step: where no bound (the question's ends, the steps between them) is inside. What days can't answer is
asked of hours, and what these can't, of the minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from streamgauge.store.grains import DAYS, HOURS, MINUTES, Grain

RANGES_MAX: Final = 100
"""Pieces of time that are read of a coarser table; where there are more, the next finer one is asked instead."""

Range = tuple[int, int]
"""`[from, to)` in s since 1970."""


class Read(NamedTuple):
    """What is read of one table: rows that begin in these times, which are in order and don't touch."""

    grain: Grain
    ranges: tuple[Range, ...]


def reads(from_s: int, to_s: int, bounds: Sequence[int] = ()) -> tuple[Read, ...]:
    """Together they are `[from_s, to_s)`. `bounds`, ascending, in s: where one step ends and the next begins."""
    left: list[Range] = [(from_s, to_s)]
    found = []
    for grain in (DAYS, HOURS):
        whole, rest = _taken_out(left, grain.seconds, bounds)
        if whole and len(whole) <= RANGES_MAX and len(rest) <= max(RANGES_MAX, len(left)):
            found.append(Read(grain, tuple(whole)))
            left = rest
    if left or not found:
        found.append(Read(MINUTES, tuple(left)))
    return tuple(found)


def source(base: str, parts: Iterable[Read], columns: str, condition: str, parameters: dict[str, Any]) -> str:
    """FROM, of the columns of the rows that are read and satisfy the condition. Adds to the parameters."""
    selects = []
    for number, read in enumerate(parts):
        times = []
        for which, (from_s, to_s) in enumerate(read.ranges):
            name = f"{number}_{which}"
            parameters |= {f"from_{name}": from_s, f"to_{name}": to_s}
            times.append(
                f"timestamp >= toDateTime({{from_{name}:UInt32}}, 'UTC') "
                f"AND timestamp < toDateTime({{to_{name}:UInt32}}, 'UTC')"
            )
        at = times[0] if len(times) == 1 else " OR ".join(f"({one})" for one in times)
        selects.append(f"SELECT {columns} FROM {read.grain.table(base)} WHERE {condition} AND ({at})")
    return f"FROM ({' UNION ALL '.join(selects)})"


def _taken_out(ranges: Iterable[Range], width: int, bounds: Sequence[int]) -> tuple[list[Range], list[Range]]:
    """The whole hours or days, and the rest."""
    whole: list[Range] = []
    rest: list[Range] = []
    for from_s, to_s in ranges:
        for begin, end, is_cut in _pieces(from_s, to_s, width, bounds):
            first, last = -(-begin // width) * width, end // width * width
            if is_cut or first >= last:
                _add(rest, begin, end)
            else:
                _add(rest, begin, first)
                _add(whole, first, last)
                _add(rest, last, end)
    return whole, rest


def _pieces(from_s: int, to_s: int, width: int, bounds: Sequence[int]) -> Iterator[tuple[int, int, bool]]:
    """What bounds cut a range into: (from, to, whether bounds are inside it). Where steps are shorter than the width,
    all of them are one piece: there are thousands."""
    inside = [bound for bound in bounds if from_s < bound < to_s]
    is_dense = len(inside) > 1 and inside[-1] - inside[0] < (len(inside) - 1) * width
    edges = [from_s, inside[0], inside[-1], to_s] if is_dense else [from_s, *inside, to_s]
    for number, (begin, end) in enumerate(pairwise(edges)):
        yield begin, end, is_dense and number == 1


def _add(ranges: list[Range], from_s: int, to_s: int) -> None:
    """At the end; one with the last where they touch."""
    if from_s >= to_s:
        return
    if ranges and ranges[-1][1] == from_s:
        ranges[-1] = (ranges[-1][0], to_s)
    else:
        ranges.append((from_s, to_s))
