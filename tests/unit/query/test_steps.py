from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS
from streamgauge.query.steps import next_start_ms, shown_ms, step_starts, when_shown_ms

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu")
BERLIN = ZoneInfo("Europe/Berlin")
STEPS_MS = (MINUTE_MS * 15, MINUTE_MS * 30, HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, DAY_MS, 7 * DAY_MS)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def shown(starts: list[int] | range, zone: ZoneInfo) -> list[str]:
    return [datetime.fromtimestamp(start_ms / 1000, zone).isoformat() for start_ms in starts]


def test_the_day_on_which_clocks_are_put_forward_has_23_hours() -> None:
    day = ms("2026-03-29T00:00:00+01:00"), ms("2026-03-30T00:00:00+02:00")
    hours = step_starts(*day, HOUR_MS, BERLIN)
    assert len(hours) == 23
    assert shown(list(hours[1:3]), BERLIN) == ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"]
    assert shown(list(step_starts(*day, 6 * HOUR_MS, BERLIN)), BERLIN) == [
        "2026-03-29T00:00:00+01:00",
        "2026-03-29T06:00:00+02:00",
        "2026-03-29T12:00:00+02:00",
        "2026-03-29T18:00:00+02:00",
    ]


def test_the_day_on_which_clocks_are_put_back_has_25_hours_and_is_one_day() -> None:
    day = ms("2026-10-25T00:00:00+02:00"), ms("2026-10-26T00:00:00+01:00")
    assert day[1] - day[0] == 25 * HOUR_MS
    assert len(step_starts(*day, HOUR_MS, BERLIN)) == 25
    assert list(step_starts(day[0] - 1, day[1] + 1, DAY_MS, BERLIN)) == [ms("2026-10-24T00:00:00+02:00"), *day]


def test_days_of_a_zone_begin_at_its_midnight() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    starts = step_starts(ms("2026-01-01T12:00:00Z"), ms("2026-01-03T12:00:00Z"), DAY_MS, kolkata)
    assert shown(list(starts), kolkata) == [f"2026-01-0{day}T00:00:00+05:30" for day in (1, 2, 3)]


@pytest.mark.parametrize("zone", [None, *map(ZoneInfo, ZONES)], ids=str)
@given(
    st.integers(ms("1990-01-01T00:00:00Z") // MINUTE_MS, ms("2040-01-01T00:00:00Z") // MINUTE_MS),
    st.integers(1, 20 * 24 * 60),
    st.sampled_from(STEPS_MS),
)
def test_steps_cover_the_time_from_the_one_that_it_begins_in(
    zone: ZoneInfo | None, from_minute: int, length: int, step_ms: int
) -> None:
    from_ms, to_ms = from_minute * MINUTE_MS, (from_minute + length) * MINUTE_MS
    starts = list(step_starts(from_ms, to_ms, step_ms, zone))
    assert starts == sorted(set(starts))
    assert starts[0] <= from_ms
    assert starts[-1] < to_ms <= next_start_ms(to_ms, step_ms, zone)
    assert all(start > from_ms for start in starts[1:])
    # The same steps, whatever part of them is asked for.
    assert list(step_starts(starts[-1], to_ms, step_ms, zone)) == starts[-1:]
    assert next_start_ms(starts[-1], step_ms, zone) == starts[-1]
    for start in starts:
        clock = datetime.fromtimestamp(start / 1000, zone or UTC)
        is_put_forward = clock.utcoffset() != datetime.fromtimestamp(start / 1000 - 1, zone or UTC).utcoffset()
        if step_ms > HOUR_MS and not is_put_forward:
            assert clock.minute == 0
            assert clock.hour * HOUR_MS % min(step_ms, DAY_MS) == 0


@pytest.mark.parametrize("zone", [None, *map(ZoneInfo, ZONES)], ids=str)
@given(st.integers(ms("1990-01-01T00:00:00Z") // MINUTE_MS, ms("2040-01-01T00:00:00Z") // MINUTE_MS))
def test_clocks_are_read_and_found_again(zone: ZoneInfo | None, minute: int) -> None:
    time_ms = minute * MINUTE_MS
    found = when_shown_ms(shown_ms(time_ms, zone), zone)
    assert found == time_ms or time_ms - found in (HOUR_MS, HOUR_MS // 2)  # shown twice: the first time
    assert shown_ms(found, zone) == shown_ms(time_ms, zone)
