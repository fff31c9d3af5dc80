"""What a metric did lately: the sparkline beside an alert."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from streamgauge.alert.evaluate import samples_over
from streamgauge.core.errors import InvalidRequest
from streamgauge.core.matchers import quoted
from streamgauge.model import Rollup
from streamgauge.query.promql.engine import Engine

POINTS: Final = 60
TRENDS_MAX: Final = 50
"""Drawn after one evaluation; further alerts have none."""

Points = tuple[tuple[int, float], ...]
"""Time in ms and value, the oldest first."""


class Curve(NamedTuple):
    """An expression, and how far apart its points are."""

    expr: str
    step_ms: int


def curve_of(metrics: AbstractSet[str], rollups: Iterable[Rollup], labels: Mapping[str, str]) -> Curve | None:
    """The first of the metrics that a rule reads, where its dimensions are as in the labels of an alert. A rule's own
    expression would not do: mostly it has a value only while something is wrong."""
    read = sorted((rollup for rollup in rollups if rollup.name in metrics), key=lambda rollup: rollup.name)
    if not read:
        return None
    rollup, kind = read[0], read[0].measured.kind
    matchers = ",".join(f"{name}={quoted(labels[name])}" for name in rollup.dimensions if name in labels)
    combine = kind if kind in ("min", "max") else "sum"
    return Curve(f"{combine}({rollup.name}{{{matchers}}})", rollup.window_ms)


def drawn(curves: Mapping[str, Curve], engine: Engine, at_ms: int) -> dict[str, Points]:
    """By the same keys. One that can't be drawn is left out: an alert is told without it."""
    found: dict[str, Points] = {}
    for key, curve in curves.items():
        end_ms = at_ms // curve.step_ms * curve.step_ms
        try:
            answer = engine.range(curve.expr, end_ms - (POINTS - 1) * curve.step_ms, end_ms, curve.step_ms)
            found[key] = tuple((time_ms, samples[0][1]) for time_ms, samples in samples_over(answer) if samples)
        except InvalidRequest:
            continue
    return found
