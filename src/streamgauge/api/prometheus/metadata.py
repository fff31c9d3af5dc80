"""What the metrics are, in Prometheus' words."""

from __future__ import annotations

from collections.abc import Collection

from prometheus_client import CollectorRegistry

from streamgauge.model import Rollup

Metadata = dict[str, list[dict[str, str]]]


def metadata(rollups: Collection[Rollup], registry: CollectorRegistry) -> Metadata:
    """Of each metric its type, what it is, and its unit. The value of a rollup is that of one window: a gauge."""
    found = {rollup.name: _entry("gauge", _help(rollup)) for rollup in rollups}
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = _entry(family.type, family.documentation)
    return found


def _entry(kind: str, text: str) -> list[dict[str, str]]:
    return [{"type": kind, "help": text, "unit": ""}]


def _help(rollup: Rollup) -> str:
    measure = rollup.measured
    what = "Number" if measure.kind == "count" else f"{measure.kind.capitalize()} of {measure.field}"
    of = f"{rollup.event} events" if rollup.event else "events"
    return f"{what} of {of} in a window of {rollup.window}, stamped with its end."
