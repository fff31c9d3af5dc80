"""Whatever table a question is planned for, its answer is that of the minutes, asked in plain SQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.store_places import StorePlace, pane_batch
from streamgauge.config import QuerySettings
from streamgauge.core.clock import ManualClock
from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS, Rollup
from streamgauge.query.metrics import Group, MetricsService, Point
from streamgauge.query.reads import reads
from streamgauge.store.base import StoreReader
from streamgauge.store.writer import ClickHouseWriter

BEGIN_MS = 1_774_742_400_000
"""2026-03-29T00:00:00Z: an hour later clocks in Berlin are put forward."""
FROM_MS, TO_MS = BEGIN_MS - 5 * DAY_MS, BEGIN_MS + 5 * DAY_MS
ROLLUPS = (
    Rollup("views", dimensions=("country", "page")),
    Rollup("least", dimensions=("country", "page"), measure={"min": "price"}),
)
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Africa/Cairo")
STEPS = {"15m": 15 * MINUTE_MS, "1h": HOUR_MS, "6h": 6 * HOUR_MS, "1d": DAY_MS, "2d": 2 * DAY_MS}


FILTERS = {
    "": "1",
    "country:DE": "dimensions['country'] = 'DE'",
    "country!:DE": "dimensions['country'] != 'DE'",
    "page:/1|/2": "dimensions['page'] IN ('/1', '/2')",
}


class Asking(NamedTuple):
    service: MetricsService
    store: StorePlace


@pytest.fixture
def asking(store: StorePlace, reader: StoreReader) -> Iterator[Asking]:
    """A store with panes in every hour, some of them written late, half of them merged."""
    writer = ClickHouseWriter(store.clients)
    panes = [
        (
            FROM_MS // 1000 + number * 17 * 60 % ((TO_MS - FROM_MS) // 1000),
            float(number % 7 + 1),
            {"country": ["DE", "US", ""][number % 3], "page": f"/{number % 4}"},
        )
        for number in range(1_500)
    ]
    for which in range(2):
        half = panes[which::2]
        for base, metric in (("metrics", "views"), ("metrics_extremes", "least")):
            writer.write(pane_batch(f"b{which}", [(at, metric, value, dims) for at, value, dims in half], base))
        if not which:
            store.merge()
    yield Asking(MetricsService(reader, ROLLUPS, ("country",), QuerySettings(), ManualClock(TO_MS)), store)
    writer.close()


minutes = st.integers(FROM_MS // MINUTE_MS, TO_MS // MINUTE_MS - 1)
asked_how = st.tuples(st.sampled_from(ZONES), st.sampled_from(list(STEPS)), st.sampled_from(list(FILTERS)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    span=st.tuples(minutes, minutes).map(sorted),
    rollup=st.sampled_from(ROLLUPS),
    how=asked_how,
    is_breakdown=st.booleans(),
)
async def test_any_question_has_the_answer_of_the_minutes(
    asking: Asking, span: list[int], rollup: Rollup, how: tuple[str, str, str], *, is_breakdown: bool
) -> None:
    (zone, step, filter_), (from_ms, to_ms) = how, (span[0] * MINUTE_MS, (span[1] + 1) * MINUTE_MS)
    asked = [("name", rollup.name), ("from", str(from_ms)), ("to", str(to_ms)), ("step", step), ("tz", zone)]
    asked += [("filter", filter_)] if filter_ else []
    asked += [("group_by", "country")] if is_breakdown else []
    answer = await asking.service.answer(asking.service.question(asked))
    value, table = ("sum(value)", "metrics") if rollup.name == "views" else ("min(value_min)", "metrics_extremes")
    rows = asking.store.rows(
        f"SELECT toUnixTimestamp(timestamp) * 1000, dimensions['country'], {value} FROM {table} "
        f"WHERE metric_name = '{rollup.name}' AND {FILTERS[filter_]} AND timestamp >= {from_ms // 1000} "
        f"AND timestamp < {to_ms // 1000} GROUP BY timestamp, dimensions['country']"
    )
    combine = sum if rollup.name == "views" else min
    found: dict[object, list[float]] = {}
    for at_ms, country, measured in rows:
        key = country or "(unknown)" if is_breakdown else step_of(at_ms, STEPS[step], ZoneInfo(zone))
        found.setdefault(key, []).append(measured)
    expected = {key: combine(values) for key, values in found.items()}
    if is_breakdown:
        assert {row.names[0]: row.value for row in answer.rows if isinstance(row, Group)} == expected
        return
    points = {
        datetime.fromtimestamp(row.start_ms / 1000, UTC): row.value for row in answer.rows if isinstance(row, Point)
    }
    assert {start: measured for start, measured in points.items() if measured} == expected
    assert set(points.values()) <= {*expected.values(), 0.0 if rollup.name == "views" else None}


def step_of(at_ms: int, step_ms: int, zone: ZoneInfo) -> datetime:
    """The start of the step that a time is in, from what a clock on the wall shows."""
    moment = datetime.fromtimestamp(at_ms / 1000, zone)
    midnight = moment.replace(hour=0, minute=0, second=0, fold=0)
    if step_ms >= DAY_MS:
        days = step_ms // DAY_MS
        midnight -= timedelta(days=(midnight.toordinal() - date(1970, 1, 1).toordinal()) % days)
        return midnight.astimezone(UTC)
    if step_ms > HOUR_MS:
        hours = step_ms // HOUR_MS
        return midnight.replace(hour=moment.hour // hours * hours).astimezone(UTC)
    since = moment.astimezone(UTC) - midnight.astimezone(UTC)
    return midnight.astimezone(UTC) + since // timedelta(milliseconds=step_ms) * timedelta(milliseconds=step_ms)


def test_of_ten_days_the_minutes_are_not_read() -> None:
    assert [read.grain.suffix for read in reads(FROM_MS // 1000, TO_MS // 1000)] == ["_days"]
