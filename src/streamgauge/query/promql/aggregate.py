"""Aggregations: over the series of each group, at every step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import promql_parser as ast

from streamgauge.query.promql.context import Context
from streamgauge.query.promql.errors import PromqlExecutionError, PromqlUnsupported
from streamgauge.query.promql.functions.histograms import check_quantiles
from streamgauge.query.promql.interruption import check_interruption
from streamgauge.query.promql.labels import NAME, Labels, is_label_name, only, with_label, without
from streamgauge.query.promql.numbers import exact_mean, exact_sum, quantile, variance
from streamgauge.query.promql.series import Bools, Floats, Positions
from streamgauge.query.promql.text import quoted
from streamgauge.query.promql.values import Scalar, Text, Value, Vector, check_size
from streamgauge.query.promql.written import general_number, written_number

Reduction = Callable[[Floats, Bools], Floats]
"""(n, T) values and presence of a group's series to (T,); asked only where at least one is present."""


@dataclass(frozen=True, slots=True)
class Group:
    labels: Labels
    rows: Positions


def aggregate(node: Any, vector: Vector, parameter: Value | None, context: Context) -> Vector:
    """The value of an aggregation node over `vector`. Raises PromqlExecutionError for a parameter that can't be."""
    name = str(node.op).lower()
    numbers = parameter.values if isinstance(parameter, Scalar) else np.zeros(context.steps)
    if name == "count_values":
        return _count_values(node, vector, parameter.value if isinstance(parameter, Text) else "")
    if name in ("topk", "bottomk", "limitk"):
        return _first_k(name, vector, _groups(node, vector), _sizes(numbers, len(vector.labels)), context)
    if name == "limit_ratio":
        return _limit_ratio(vector, numbers, context)
    if name == "quantile":
        return _reduced(vector, _groups(node, vector), _quantile(numbers, context))
    if name not in REDUCTIONS:
        raise PromqlUnsupported(f"the aggregation {name} is not offered")
    return _reduced(vector, _groups(node, vector), REDUCTIONS[name])


def _group_labels(node: Any, labels: Labels) -> Labels:
    if node.modifier is None:
        return ()
    if node.modifier.type == ast.AggModifierType.By:
        return only(labels, node.modifier.labels)
    return without(labels, (*node.modifier.labels, NAME))


def _groups(node: Any, vector: Vector) -> list[Group]:
    rows: dict[Labels, list[int]] = {}
    for row, labels in enumerate(vector.labels):
        rows.setdefault(_group_labels(node, labels), []).append(row)
    return [Group(labels, np.array(positions, dtype=np.int64)) for labels, positions in rows.items()]


def _reduced(vector: Vector, groups: list[Group], reduce: Reduction) -> Vector:
    shape = (len(groups), vector.values.shape[1])
    values, present = np.zeros(shape), np.zeros(shape, dtype=bool)
    drop_name = np.zeros(len(groups), dtype=bool)
    for position, group in enumerate(groups):
        check_interruption()
        here = vector.present[group.rows]
        present[position] = here.any(axis=0)
        values[position] = reduce(vector.values[group.rows], here)
        drop_name[position] = vector.drop_name[group.rows].any()
    return Vector([group.labels for group in groups], values, present, drop_name)


def _sum(values: Floats, present: Bools) -> Floats:
    return exact_sum(np.where(present, values, 0.0))


def _mean(values: Floats, present: Bools) -> Floats:
    return exact_mean(np.where(present, values, 0.0), present.sum(axis=0).astype(np.float64))


def _extreme(choose: np.ufunc) -> Reduction:
    """NaN only where there is nothing else."""
    return lambda values, present: np.asarray(choose.reduce(np.where(present, values, np.nan), axis=0))


def _quantile(q: Floats, context: Context) -> Reduction:
    check_quantiles(context, "quantile", q)
    return lambda values, present: quantile(q, values, present)


REDUCTIONS: dict[str, Reduction] = {
    "sum": _sum,
    "avg": _mean,
    "min": _extreme(np.fmin),
    "max": _extreme(np.fmax),
    "count": lambda _, present: present.sum(axis=0).astype(np.float64),
    "group": lambda _, present: np.ones(present.shape[1]),
    "stdvar": variance,
    "stddev": lambda values, present: np.sqrt(variance(values, present)),
}


def _sizes(numbers: Floats, series: int) -> Positions:
    if np.isnan(numbers).any():
        raise PromqlExecutionError("Parameter value is NaN", hint="give a number of series")
    if (np.abs(numbers) >= 2.0**63).any():
        worst = general_number(float(numbers[np.abs(numbers).argmax()]))
        raise PromqlExecutionError(f"Scalar value {worst} overflows int64", hint="give a number of series")
    return np.minimum(numbers, series).astype(np.int64)


def _first_k(name: str, vector: Vector, groups: list[Group], sizes: Positions, context: Context) -> Vector:
    """The `sizes` (T,) largest, smallest or first series of each group, at each step; NaN comes last."""
    present = np.zeros(vector.present.shape, dtype=bool)
    ordered = []
    for group in groups:
        here = vector.present[group.rows]
        order = _ranked(name, vector.values[group.rows], here)
        chosen = np.arange(len(group.rows))[:, np.newaxis] < sizes
        kept = np.zeros(here.shape, dtype=bool)
        np.put_along_axis(kept, order, chosen, axis=0)
        present[group.rows] = kept & here
        ordered.append(group.rows[order[:, 0]])
    found = vector.filtered(present)
    return found.rows(np.concatenate(ordered)) if context.is_instant and ordered else found


def _ranked(name: str, values: Floats, present: Bools) -> Positions:
    if name == "limitk":
        return np.argsort(~present, axis=0, kind="stable")
    known = np.where(present & ~np.isnan(values), values, 0.0)
    keys = np.stack([known if name == "bottomk" else -known, np.isnan(values), ~present])
    return np.asarray(np.lexsort(keys, axis=0))


def _limit_ratio(vector: Vector, ratios: Floats, context: Context) -> Vector:
    """A share of the series that depends on their labels alone; `-0.2` gives those that `0.8` leaves out."""
    if np.isnan(ratios).any():
        raise PromqlExecutionError("Ratio value is NaN", hint="give a ratio between -1 and 1")
    for ratio in np.unique(ratios[np.abs(ratios) > 1]).tolist():
        context.annotations.warn(
            "limit_ratio",
            f"ratio value should be between -1 and 1, got {general_number(ratio)}, capping to {1 if ratio > 0 else -1}",
        )
    capped = np.clip(ratios, -1.0, 1.0)
    place = np.array([_place(labels) for labels in vector.labels]).reshape(-1, 1)
    return vector.filtered(vector.present & np.where(capped >= 0, place < capped, place >= 1.0 + capped))


def _place(labels: Labels) -> float:
    """A number in [0, 1) that is the same for these labels wherever they're asked for."""
    digest = hashlib.blake2b(repr(labels).encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def _count_values(node: Any, vector: Vector, label: str) -> Vector:
    if not is_label_name(label):
        raise PromqlExecutionError(f"invalid label name {quoted(label)}")
    numbers: dict[Labels, int] = {}
    counts: list[Floats] = []
    drop_name: list[bool] = []
    for row, labels in enumerate(vector.labels):
        group = _group_labels(node, labels)
        here = vector.present[row]
        # Told apart by their bits: 0 and -0 are written differently, and all NaN the same.
        bits = np.where(np.isnan(vector.values[row]), np.nan, vector.values[row]).view(np.int64)
        for pattern in np.unique(bits[here]):
            same, value = here & (bits == pattern), float(pattern.view(np.float64))
            position = numbers.setdefault(with_label(group, label, written_number(value)), len(numbers))
            if position == len(counts):
                check_size(len(numbers) * len(here))
                counts.append(np.zeros(len(here)))
                drop_name.append(False)
            counts[position] += same
            drop_name[position] |= bool(vector.drop_name[row])
    values = np.array(counts).reshape(len(counts), vector.values.shape[1])
    return Vector(list(numbers), values, values > 0, np.array(drop_name, dtype=bool))
