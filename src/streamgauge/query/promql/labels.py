"""Label sets as sorted tuples of (name, value): hashable, ordered, and without empty values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streamgauge.query.promql.text import is_utf8, quoted

Labels = tuple[tuple[str, str], ...]
NAME = "__name__"
BUCKET = "le"
TYPE = "__type__"
METADATA = (NAME, TYPE, "__unit__")
"""What says of which metric a series is, and what a computed value no longer has."""


def labels_of(pairs: Mapping[str, str]) -> Labels:
    """An empty value is the same as no label."""
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


def value_of(labels: Labels, name: str) -> str:
    """The value of the label, "" where there is none."""
    return next((value for label, value in labels if label == name), "")


def without(labels: Labels, names: Iterable[str]) -> Labels:
    dropped = frozenset(names)
    return tuple(pair for pair in labels if pair[0] not in dropped)


def only(labels: Labels, names: Iterable[str]) -> Labels:
    kept = frozenset(names)
    return tuple(pair for pair in labels if pair[0] in kept)


def with_label(labels: Labels, name: str, value: str) -> Labels:
    return labels_of({**dict(labels), name: value})


def is_label_name(name: str) -> bool:
    """Prometheus 3 takes any UTF-8 text but the empty one."""
    return bool(name) and is_utf8(name)


def written(labels: Labels) -> str:
    """As messages show it: `{__name__="up", job="a"}`."""
    return "{" + ", ".join(f"{name}={quoted(value)}" for name, value in labels) + "}"
