"""What alerts remember in the state database: states, history, groups made through the API.

A round is one transaction: the states that changed, what changed, and when the round was. Whoever is told of alerts is
told after it: a crash in between tells them at the next start, and nothing is forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)

from streamgauge.alert.state import RuleState, Transition

TABLES: Final = MetaData()
"""For the constructor of `StateDatabase`."""

HISTORY_MAX: Final = 5_000
"""Transitions of one answer."""

_STATES: Final = Table(
    "alert_states",
    TABLES,
    Column("rule_key", String(64), primary_key=True),
    Column("rule_name", Text, nullable=False),
    Column("group_name", Text, nullable=False),
    Column("state", Text, nullable=False),
)
_CLOCKS: Final = Table(
    "alert_clocks",
    TABLES,
    Column("name", String(32), primary_key=True),
    Column("evaluated_at_ms", BigInteger, nullable=False),
)
_HISTORY: Final = Table(
    "alert_history",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("rule_key", String(64), nullable=False),
    Column("rule_name", Text, nullable=False),
    Column("group_name", Text, nullable=False),
    Column("fingerprint", String(16), nullable=False),
    Column("labels", Text, nullable=False),
    Column("was", String(16), nullable=False),
    Column("now", String(16), nullable=False),
    Column("value", Float),
    Index("alert_history_at", "at_ms"),
)
_GROUPS: Final = Table(
    "rule_groups",
    TABLES,
    Column("name", String(256), primary_key=True),
    Column("text", Text, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
)


class KeptState(NamedTuple):
    """With the names that the rule had, for when it is gone."""

    rule: str
    group: str
    state: RuleState


class Happened(NamedTuple):
    key: str
    rule: str
    group: str
    transition: Transition


def read_states(connection: Connection) -> dict[str, KeptState]:
    rows = connection.execute(select(_STATES.c.rule_key, _STATES.c.rule_name, _STATES.c.group_name, _STATES.c.state))
    return {key: KeptState(rule, group, _state(state)) for key, rule, group, state in rows}


def read_clocks(connection: Connection) -> dict[str, int]:
    return {name: at_ms for name, at_ms in connection.execute(select(_CLOCKS.c.name, _CLOCKS.c.evaluated_at_ms))}


def write_round(
    connection: Connection,
    states: Mapping[str, KeptState],
    gone: Sequence[str],
    happened: Sequence[Happened],
    clocks: Mapping[str, int],
) -> None:
    """`states` are those that changed, `gone` the keys of rules that are no more."""
    for key in (*states, *gone):
        connection.execute(delete(_STATES).where(_STATES.c.rule_key == key))
    if states:
        connection.execute(
            insert(_STATES),
            [
                {"rule_key": key, "rule_name": one.rule, "group_name": one.group, "state": _state_text(one.state)}
                for key, one in states.items()
            ],
        )
    if happened:
        connection.execute(insert(_HISTORY), [_row(one) for one in happened])
    for name, at_ms in clocks.items():
        connection.execute(delete(_CLOCKS).where(_CLOCKS.c.name == name))
        connection.execute(insert(_CLOCKS).values(name=name, evaluated_at_ms=at_ms))


def forget_history(connection: Connection, before_ms: int) -> None:
    connection.execute(delete(_HISTORY).where(_HISTORY.c.at_ms < before_ms))


def read_history(
    connection: Connection, from_ms: int, to_ms: int, rule: str | None = None, limit: int = HISTORY_MAX
) -> list[Happened]:
    """Of `[from_ms, to_ms)`, the newest `limit` of them, the newest first."""
    wanted = select(_HISTORY).where(_HISTORY.c.at_ms >= from_ms, _HISTORY.c.at_ms < to_ms)
    if rule is not None:
        wanted = wanted.where(_HISTORY.c.rule_name == rule)
    rows = connection.execute(wanted.order_by(_HISTORY.c.at_ms.desc(), _HISTORY.c.id.desc()).limit(limit))
    return [
        Happened(
            row.rule_key,
            row.rule_name,
            row.group_name,
            Transition(
                row.fingerprint,
                msgspec.json.decode(row.labels, type=dict[str, str]),
                row.was,
                row.now,
                row.at_ms,
                float("nan") if row.value is None else row.value,
            ),
        )
        for row in rows
    ]


def read_groups(connection: Connection) -> dict[str, str]:
    """The text of each group that was made, by its name."""
    found = connection.execute(select(_GROUPS.c.name, _GROUPS.c.text).order_by(_GROUPS.c.name))
    return {name: text for name, text in found}


def write_group(connection: Connection, name: str, text: str, now_ms: int) -> None:
    connection.execute(delete(_GROUPS).where(_GROUPS.c.name == name))
    connection.execute(insert(_GROUPS).values(name=name, text=text, changed_at_ms=now_ms))


def delete_group(connection: Connection, name: str) -> bool:
    """Whether it was there."""
    return bool(connection.execute(delete(_GROUPS).where(_GROUPS.c.name == name)).rowcount)


def _row(one: Happened) -> dict[str, Any]:
    change = one.transition
    return {
        "at_ms": change.at_ms,
        "rule_key": one.key,
        "rule_name": one.rule,
        "group_name": one.group,
        "fingerprint": change.fingerprint,
        "labels": _json(change.labels),
        "was": change.was,
        "now": change.now,
        # No database has a NaN that JSON, SQLite and PostgreSQL agree on.
        "value": change.value if abs(change.value) < float("inf") else None,
    }


def _state_text(state: RuleState) -> str:
    """JSON, and beyond it `NaN` and `Infinity`, which are values that an alert may have."""
    return json.dumps(msgspec.to_builtins(state))


def _state(text: str) -> RuleState:
    return msgspec.convert(json.loads(text), RuleState)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
