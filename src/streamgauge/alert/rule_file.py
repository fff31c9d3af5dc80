"""Prometheus' rule files, and our short forms among their rules: from text to `Group`s, or an error that says where."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import msgspec
import yaml

from streamgauge.alert.anomaly import FIELDS, compiled
from streamgauge.alert.rules import Group, Rule, Source
from streamgauge.alert.template import Template
from streamgauge.core.errors import InvalidRequest
from streamgauge.model import Rollup
from streamgauge.query.promql.durations import duration_ms
from streamgauge.query.promql.errors import PromqlSyntaxError
from streamgauge.query.promql.labels import NAME, is_label_name
from streamgauge.query.promql.parse import parse

FILE_BYTES_MAX: Final = 1024 * 1024
RULES_MAX: Final = 5_000
"""Of one file."""

_METRIC_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_OWN_NAMES: Final = ("ALERTS", "streamgauge_", "process_")
"""How the series begin that the program itself has."""
_KINDS: Final = ("alert", "record", "anomaly")


class RuleError(InvalidRequest):
    """A rule can't be used as it is written."""

    code = "invalid_rule"


class _Loader(yaml.BaseLoader):  # type: ignore[misc]
    """Every scalar is text, as Prometheus takes them. Aliases, which make a short text huge, are refused."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not taken", self.peek_event().start_mark)
        return super().compose_node(parent, index)


class _Written(msgspec.Struct, forbid_unknown_fields=True, rename={"for_": "for"}):
    alert: str = ""
    record: str = ""
    anomaly: str = ""
    expr: str = ""
    for_: str = "0s"
    keep_firing_for: str = "0s"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    metric: str = ""
    by: list[str] = []
    where: dict[str, str] = {}
    drop: str = ""
    rise: str = ""
    outside: str = ""
    against: str = ""
    over: str = ""
    min_volume: str = ""


class _WrittenGroup(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    rules: list[_Written] = []
    interval: str = ""
    limit: int = 0
    labels: dict[str, str] = {}


class _WrittenFile(msgspec.Struct, forbid_unknown_fields=True):
    groups: list[_WrittenGroup] = []


def read_rules(text: str, rollups: Sequence[Rollup], *, source: Source, file: str = "") -> tuple[Group, ...]:
    """Raises RuleError."""
    where = file or "the rules"
    if len(text.encode()) > FILE_BYTES_MAX:
        raise RuleError(f"{where}: over {FILE_BYTES_MAX:,} bytes", hint="share the groups out to several files")
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 - a BaseLoader makes nothing but texts, lists and maps
        written = msgspec.convert(content or {}, _WrittenFile, strict=False)
    except yaml.YAMLError as error:
        raise RuleError(f"{where}: not YAML: {' '.join(str(error).split())}", hint="indent by spaces") from error
    except (msgspec.ValidationError, RecursionError) as error:
        raise RuleError(f"{where}: {error}", hint="see docs/guide/alerting.md for what a rule has") from error
    if sum(len(group.rules) for group in written.groups) > RULES_MAX:
        raise RuleError(f"{where}: over {RULES_MAX:,} rules", hint="share the groups out to several files")
    names = [group.name for group in written.groups]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise RuleError(f"{where}: the group {repeated[0]!r} is there twice", hint="give each its own name")
    return tuple(_group(group, where, rollups, source, file) for group in written.groups)


def _group(written: _WrittenGroup, where: str, rollups: Sequence[Rollup], source: Source, file: str) -> Group:
    if not written.name:
        raise RuleError(f"{where}: a group has no name", hint="write name: traffic")
    interval_ms = None
    if written.interval:
        interval_ms = _duration(written.interval, f"{where}: group {written.name!r}: interval")
    rules = []
    for number, one in enumerate(written.rules, 1):
        place = f"{where}: group {written.name!r}, rule {number}"
        if label := one.alert or one.record or one.anomaly:
            place += f" ({label})"
        try:
            rules.append(_rule(one, written.labels, rollups, place))
        except PromqlSyntaxError as error:
            raise RuleError(f"{place}: {error.message}", hint=error.hint) from error
    return Group(written.name, tuple(rules), source, file, interval_ms, written.limit)


def _rule(written: _Written, group_labels: Mapping[str, str], rollups: Sequence[Rollup], place: str) -> Rule:
    kinds = [kind for kind in _KINDS if getattr(written, kind)]
    if len(kinds) != 1:
        raise RuleError(f"{place}: it must be one of {', '.join(_KINDS)}", hint="write alert: NAME")
    (kind,) = kinds
    labels = {**group_labels, **written.labels}
    _check_labels(labels, place)
    short = {name: value for name in FIELDS if (value := getattr(written, name))}
    if kind != "anomaly" and short:
        raise RuleError(f"{place}: {', '.join(short)} is of anomaly rules", hint="write anomaly: NAME")
    if kind == "record":
        return _record_rule(written, labels, {one.name for one in rollups}, place)
    expr, lasts, annotations, kept = written.expr, "", written.annotations, {}
    if kind == "anomaly":
        if expr:
            raise RuleError(f"{place}: an anomaly has no expr: it is made from the rest", hint="write alert: NAME")
        made = compiled(short, rollups, place)
        expr, lasts, kept = made.expr, made.lasts, {name: _shown(value) for name, value in short.items()}
        annotations = {"summary": made.summary, **annotations}
    if not expr:
        raise RuleError(f"{place}: it has no expr", hint="write expr: PromQL that is there where something is wrong")
    parse(expr)
    for name, text in (*labels.items(), *annotations.items()):
        Template(text, f"{place}: {name}")
    return Rule(
        "alert",
        written.alert or written.anomaly,
        expr,
        labels,
        annotations,
        _duration(written.for_, f"{place}: for"),
        _duration(written.keep_firing_for, f"{place}: keep_firing_for"),
        lasts,
        kept,
    )


def _record_rule(written: _Written, labels: Mapping[str, str], metrics: AbstractSet[str], place: str) -> Rule:
    if not _METRIC_NAME.fullmatch(written.record):
        raise RuleError(f"{place}: {written.record!r} is no name of a metric", hint="write record: country:views:sum")
    if written.record in metrics or written.record.startswith(_OWN_NAMES):
        raise RuleError(
            f"{place}: {written.record!r} is a metric already: nobody could ask for it any more",
            hint="choose another name, as in record: country:views:sum",
        )
    if written.annotations or written.for_ != "0s" or written.keep_firing_for != "0s":
        raise RuleError(f"{place}: for, keep_firing_for and annotations are of alerts", hint="take them away")
    if not written.expr:
        raise RuleError(f"{place}: it has no expr", hint="write expr: PromQL")
    parse(written.expr)
    return Rule("record", written.record, written.expr, labels)


def _check_labels(labels: Mapping[str, str], place: str) -> None:
    for name in labels:
        if not is_label_name(name) or name in (NAME, "alertname", "alertstate"):
            raise RuleError(f"{place}: {name!r} can't be the name of a label here", hint="choose another")


def _duration(text: str, place: str) -> int:
    try:
        length_ms = duration_ms(text)
    except PromqlSyntaxError as error:
        raise RuleError(f"{place}: {error.message}", hint=error.hint) from error
    if length_ms < 0:
        raise RuleError(f"{place}: {text!r} is less than nothing", hint="write 5m")
    return length_ms


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {one}" for name, one in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)
