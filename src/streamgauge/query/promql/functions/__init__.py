"""The functions of PromQL, by family. Each takes the Context and its evaluated arguments."""

from __future__ import annotations

from collections.abc import Callable

from streamgauge.query.promql.functions import (
    calendar,
    counters,
    elementwise,
    histograms,
    ordering,
    over_time,
    presence,
    regression,
    relabel,
)
from streamgauge.query.promql.values import Value

FUNCTIONS: dict[str, Callable[..., Value]] = {
    **calendar.FUNCTIONS,
    **counters.FUNCTIONS,
    **elementwise.FUNCTIONS,
    **histograms.FUNCTIONS,
    **ordering.FUNCTIONS,
    **over_time.FUNCTIONS,
    **presence.FUNCTIONS,
    **regression.FUNCTIONS,
    **relabel.FUNCTIONS,
}
