"""One key for equal questions, that a person can read: `page_views:2026-01-01T00:00+7d:step=1h:country=US`."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS
from streamgauge.query.cache.answers import Scope
from streamgauge.query.filters import Filter
from streamgauge.query.question import Question
from streamgauge.query.several import Several

KEY_CHARS_MAX: Final = 200
"""Of a longer one the end is a hash."""

_HASH_CHARS: Final = 32


def several_key(several: Several) -> str:
    """`page_views,signups/page_views:…`: the columns, in their order, in place of the metric."""
    return question_key(several.any, ",".join(column.name for column in several.columns))


def several_scope(several: Several) -> Scope:
    """Of any metric, where there is more than one."""
    scope = question_scope(several.any)
    return scope if len(several.questions) == 1 else scope._replace(metric=None)


def question_key(question: Question, title: str | None = None) -> str:
    """The same for all questions that have the same answer, whatever they left out or in which order they were asked;
    another for any other. `title`: in place of the metric's name."""
    shape = _rows(question) if question.group_by else f"step={_duration(question.step_ms)}"
    filters = [_filter(one) for one in sorted(set(question.filters))]
    start = datetime.fromtimestamp(question.from_ms // 1000, UTC)
    span = f"{start:%Y-%m-%dT%H:%M}+{_duration(question.to_ms - question.from_ms)}"
    compared = [f"earlier={_duration(question.earlier_ms)}"] if question.earlier_ms else []
    zone = [] if question.zone == "UTC" else [f"tz={question.zone}"]
    return bounded(":".join([title or question.metric.name, span, shape, *zone, *compared, *filters]))


def question_scope(question: Question) -> Scope:
    """From the beginning of what it is compared with: a write there changes the answer too."""
    return Scope(question.metric.name, question.earlier.from_ms, question.to_ms)


def _rows(question: Question) -> str:
    """`by=country,device:top=10`, and what is not the largest first."""
    first = "" if question.selection == "-value" else f":of={question.selection}"
    shown = "" if question.order == question.selection else f":order={question.order}"
    return f"by={','.join(question.group_by)}:top={question.limit}{first}{shown}"


def _filter(wanted: Filter) -> str:
    """`country=US`, `page!=/shop/*|/cart`: what a value has of these characters itself is escaped."""
    alternatives = [_escaped(value) for value in wanted.values] + [f"{_escaped(text)}*" for text in wanted.prefixes]
    return f"{wanted.dimension}{'!=' if wanted.is_negated else '='}{'|'.join(alternatives)}"


def _escaped(text: str) -> str:
    return quote(text, safe=" /()")


def bounded(key: str) -> str:
    if len(key) <= KEY_CHARS_MAX:
        return key
    return f"{key[: KEY_CHARS_MAX - _HASH_CHARS - 1]}#{hashlib.sha256(key.encode()).hexdigest()[:_HASH_CHARS]}"


def _duration(duration_ms: int) -> str:
    for unit, unit_ms in (("d", DAY_MS), ("h", HOUR_MS), ("m", MINUTE_MS)):
        if duration_ms % unit_ms == 0:
            return f"{duration_ms // unit_ms}{unit}"
    return f"{duration_ms}ms"
