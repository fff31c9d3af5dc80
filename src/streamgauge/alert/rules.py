"""Rules as inert data. Where they are written down is for `rule_file`; what they do, for `state` and `evaluate`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

Source = Literal["file", "made", "built-in"]
"""A file of the folder of rules, made through the API, or part of the program."""


class Rule(msgspec.Struct, frozen=True):
    """`alert` rules have `for_ms` and what follows it; `record` rules give the expression a name."""

    kind: Literal["alert", "record"]
    name: str
    expr: str
    """PromQL."""
    labels: Mapping[str, str] = {}
    """Of alerts, values are templates."""
    annotations: Mapping[str, str] = {}
    for_ms: int = 0
    keep_firing_for_ms: int = 0
    lasts: str = ""
    """PromQL too, with `$since` for when an alert became active, in seconds: it stays active while this finds it,
    though `expr` no longer does. Empty: `expr` alone says."""
    written: Mapping[str, str] = {}
    """The short form that `expr` was made from, as it was written; empty: PromQL was written."""


class Group(msgspec.Struct, frozen=True):
    """Rules that are evaluated together, in their order."""

    name: str
    rules: tuple[Rule, ...]
    source: Source
    file: str = ""
    """The file's name; empty unless the source is one."""
    interval_ms: int | None = None
    """None: `alerts.interval`."""
    limit_alerts: int = 0
    """Over it a rule fails; 0: no limit."""


def effective_interval_ms(group: Group, interval_ms: int) -> int:
    """That of the group as a whole number of `alerts.interval`s."""
    return -(-(group.interval_ms or interval_ms) // interval_ms) * interval_ms


class Named(msgspec.Struct, frozen=True):
    """A rule in its place. `key` stays the same when the expression, `for` or an annotation is edited, and when the
    group moves to another file, so that what an alert remembers outlives that."""

    key: str
    group: Group
    rule: Rule


def named_rules(groups: Sequence[Group]) -> Iterator[Named]:
    """All of them, in their order."""
    seen: dict[str, int] = {}
    for group in groups:
        for rule in group.rules:
            parts = [group.name, rule.kind, rule.name, *(text for pair in sorted(rule.labels.items()) for text in pair)]
            base = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
            number = seen[base] = seen.get(base, -1) + 1
            yield Named(f"{base}-{number}" if number else base, group, rule)
