"""Time series as a line of blocks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_NOTHING: Final = " "


class Point(msgspec.Struct, frozen=True):
    """`value` is None where there is none. `is_filling`: events of its time are still coming in."""

    time: str
    value: float | None
    is_filling: bool = False


class Sparkline(msgspec.Struct, frozen=True):
    """`blocks` is what is complete, `filling` what follows it. The figures are of complete points, where there are any;
    None where no point has a value."""

    blocks: str
    filling: str
    least: Point | None
    greatest: Point | None
    last: Point | None


def sparkline(points: Sequence[Point], width: int) -> Sparkline:
    """At most `width` blocks: where there are more points, a block is the mean of its share of them."""
    width = max(1, min(width, len(points)))
    edges = [number * len(points) // width for number in range(width + 1)]
    shares = [points[start:end] for start, end in pairwise(edges) if start < end]
    means = [_mean(share) for share in shares]
    present = [mean for mean in means if mean is not None]
    low, high = min(present, default=0.0), max(present, default=0.0)
    low = min(low, 0.0)  # so that heights compare: a count twice as high is drawn twice as high
    blocks = [_block(mean, low, high) for mean in means]
    complete = sum(not any(point.is_filling for point in share) for share in shares)
    counted = [point for point in points if point.value is not None]
    counted = [point for point in counted if not point.is_filling] or counted
    return Sparkline(
        "".join(blocks[:complete]),
        "".join(blocks[complete:]),
        min(counted, key=_value, default=None),
        max(counted, key=_value, default=None),
        counted[-1] if counted else None,
    )


def _mean(points: Sequence[Point]) -> float | None:
    values = [point.value for point in points if point.value is not None]
    return sum(values) / len(values) if values else None


def _block(mean: float | None, low: float, high: float) -> str:
    if mean is None:
        return _NOTHING
    if high == low:
        return _BLOCKS[0]
    return _BLOCKS[min(len(_BLOCKS) - 1, int((mean - low) / (high - low) * len(_BLOCKS)))]


def _value(point: Point) -> float:
    return point.value or 0.0
