from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import msgspec
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.model import DAY_MS, MINUTE_MS, SESSION_METRICS, Envelope
from streamgauge.stream import session
from streamgauge.stream.session import Sessions
from streamgauge.stream.session_rows import SessionChanges
from streamgauge.stream.session_runs import FIELDS
from streamgauge.stream.spec import PipelineSpec
from unit.stream.making import NOON_MS, decoded, event
from unit.stream.naive import NaiveSession, expected_sums, naive_sessions

GAP_MS = 30 * MINUTE_MS
SPEC = PipelineSpec((), 10_000, 5_000, 512, session_gap_ms=GAP_MS)


class Store:
    """What the store holds after all changes: the newest row of each session, and the sums of the rollups."""

    def __init__(self) -> None:
        self._rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._sums: Counter[tuple[Any, ...]] = Counter()

    def take(self, changes: SessionChanges) -> None:
        for row in changes.rows.iter_rows(named=True):
            key = (row["user_id"], row["is_anonymous"], row["opened_at"])
            assert row["version"] >= self._rows.get(key, row)["version"]
            self._rows[key] = row
        for row in changes.closed.iter_rows(named=True):
            for metric in SESSION_METRICS:
                place = (metric, row["timestamp"], row["p:country"], row["p:device"], row["p:entry_page"])
                self._sums[place] += row[metric]

    def sessions(self) -> set[NaiveSession]:
        return {
            NaiveSession(
                row["user_id"],
                row["is_anonymous"],
                row["identified_user_id"],
                row["started_at"],
                row["ended_at"],
                row["events"],
                row["page_views"],
                row["entry_page"],
                row["exit_page"],
                row["country"],
                row["device"],
                row["is_open"],
            )
            for row in self._rows.values()
            if not row["is_deleted"]
        }

    def sums(self) -> dict[tuple[Any, ...], float]:
        return {place: round(value, 3) for place, value in self._sums.items() if round(value, 3)}


class Run:
    """Sessions that may be stopped and resumed between any two batches."""

    def __init__(self, spec: PipelineSpec = SPEC) -> None:
        self.spec, self.store, self.blocks = spec, Store(), list[tuple[int, bytes]]()
        self.sessions = Sessions(self.blocks)
        self._version = 0

    def batch(self, envelopes: Sequence[Envelope], watermark_ms: int = 0, *, crashes: bool = False) -> SessionChanges:
        """Where the process `crashes` after the store took the batch, it is done again, and the store doesn't take it
        a second time."""
        self._version += 1
        events = decoded(*envelopes, fields=FIELDS).events if envelopes else decoded(event(), fields=FIELDS).events[:0]
        changes = self.sessions.apply(events, watermark_ms, self._version, self.spec)
        self.store.take(changes)
        if crashes:
            self.restart()
            self.sessions.apply(events, watermark_ms, self._version, self.spec)
        if (change := self.sessions.changes()) is not None:
            self.blocks = [block for block in self.blocks if block[0] >= change.oldest_kept]
            self.blocks.append((change.number, change.block))
        return changes

    def restart(self) -> None:
        self.sessions = Sessions(self.blocks)


def test_events_less_than_the_gap_apart_are_one_session_and_exactly_the_gap_begins_another() -> None:
    run = Run()
    run.batch([event(at_ms=NOON_MS, user_id="u"), event(at_ms=NOON_MS + GAP_MS - 1, user_id="u")])
    run.batch([event(at_ms=NOON_MS + 2 * GAP_MS - 1, user_id="u")])
    spans = sorted((one.start_ms, one.end_ms, one.events) for one in run.store.sessions())
    assert spans == [(NOON_MS, NOON_MS + GAP_MS - 1, 2), (NOON_MS + 2 * GAP_MS - 1, NOON_MS + 2 * GAP_MS - 1, 1)]


def test_an_open_session_is_visible_at_once_and_updated_in_place() -> None:
    run = Run()
    first = run.batch([event(at_ms=NOON_MS, user_id="u", page="/in")]).rows
    second = run.batch([event(at_ms=NOON_MS + 1000, user_id="u", page="/out")]).rows
    assert first.select("user_id", "opened_at").equals(second.select("user_id", "opened_at"))
    (found,) = run.store.sessions()
    assert found.is_open
    assert (found.entry_page, found.exit_page, found.page_views) == ("/in", "/out", 2)


def test_a_session_is_counted_once_when_the_watermark_is_a_gap_past_its_end_and_not_before() -> None:
    run = Run()
    run.batch([event(at_ms=NOON_MS, user_id="u")], NOON_MS)
    assert run.batch([], NOON_MS + GAP_MS - 1).rows.height == 0
    assert run.store.sums() == {}
    assert run.sessions.has_due(NOON_MS + GAP_MS, SPEC)
    run.batch([], NOON_MS + GAP_MS)
    run.batch([], NOON_MS + 2 * GAP_MS)
    assert run.store.sums() == expected_sums(run.store.sessions())
    assert not run.sessions.has_due(NOON_MS + 9 * GAP_MS, SPEC)
    assert {place[0] for place in run.store.sums()} == {"sessions", "bounces"}


def test_a_late_event_joins_two_closed_sessions_to_one_and_their_counts_are_taken_back() -> None:
    run = Run()
    run.batch([event(at_ms=NOON_MS, user_id="u"), event(at_ms=NOON_MS + GAP_MS + 60_000, user_id="u")])
    run.batch([], NOON_MS + 9 * GAP_MS)
    assert sum(value for place, value in run.store.sums().items() if place[0] == "sessions") == 2
    run.batch([event(at_ms=NOON_MS + 10 * MINUTE_MS, user_id="u")], NOON_MS + 9 * GAP_MS)
    (found,) = run.store.sessions()
    assert (found.start_ms, found.end_ms, found.events) == (NOON_MS, NOON_MS + GAP_MS + 60_000, 3)
    assert run.store.sums() == expected_sums([found])


def test_a_late_event_that_extends_a_closed_session_past_the_watermark_opens_it_again() -> None:
    run = Run()
    run.batch([event(at_ms=NOON_MS, user_id="u")])
    run.batch([], NOON_MS + GAP_MS)
    run.batch([event(at_ms=NOON_MS + 60_000, user_id="u")], NOON_MS + GAP_MS)
    assert run.store.sums() == {}
    assert [one.is_open for one in run.store.sessions()] == [True]


def test_events_of_nobody_make_no_session_and_an_anonymous_id_is_no_user_id() -> None:
    run = Run()
    run.batch([event(), event(user_id="7"), event(anonymous_id="7"), event(user_id="7")])
    assert sorted((one.user, one.is_anonymous, one.events) for one in run.store.sessions()) == [
        ("7", False, 2),
        ("7", True, 1),
    ]


def test_a_visitor_who_is_identified_stays_in_the_same_session_as_that_user() -> None:
    run = Run()
    run.batch([event(at_ms=NOON_MS, anonymous_id="x", page="/")])
    assert [one.identified for one in run.store.sessions()] == [""]
    run.restart()
    run.batch([event(at_ms=NOON_MS + 2, anonymous_id="x", user_id="7"), event(at_ms=NOON_MS + 3, anonymous_id="x")])
    assert [(one.user, one.events, one.entry_page, one.identified) for one in run.store.sessions()] == [
        ("x", 3, "/", "7")
    ]
    run.restart()
    run.batch([event(at_ms=NOON_MS + 1, anonymous_id="x", user_id="8")])  # late, and so not the last to say who it is
    assert [(one.events, one.identified) for one in run.store.sessions()] == [(4, "7")]


def test_sessions_that_were_kept_before_it_was_known_who_a_visitor_is_go_on() -> None:
    run = Run()
    run.batch([event(at_ms=NOON_MS, anonymous_id="x")])
    kept = [
        (number, pl.read_ipc(io.BytesIO(block)).drop("identified", "identified_ms")) for number, block in run.blocks
    ]
    run.blocks = []
    for number, rows in kept:
        rows.write_ipc(block := io.BytesIO())
        run.blocks.append((number, block.getvalue()))
    run.restart()
    run.batch([event(at_ms=NOON_MS + 1, anonymous_id="y")])
    run.restart()
    run.batch([event(at_ms=NOON_MS + 2, anonymous_id="x", user_id="7")])
    assert {(one.user, one.events, one.identified) for one in run.store.sessions()} == {("x", 2, "7"), ("y", 1, "")}


def test_a_user_at_two_devices_has_two_sessions() -> None:
    run = Run()
    run.batch([event(user_id="7", anonymous_id="x"), event(user_id="7", anonymous_id="y"), event(user_id="7")])
    assert {(one.user, one.is_anonymous, one.identified) for one in run.store.sessions()} == {
        ("x", True, "7"),
        ("y", True, "7"),
        ("7", False, "7"),
    }


def test_the_oldest_open_session_is_known() -> None:
    run = Run()
    assert run.sessions.oldest_open_ms is None
    run.batch([event(at_ms=NOON_MS, user_id="u"), event(at_ms=NOON_MS - GAP_MS, user_id="v")], NOON_MS - GAP_MS)
    assert run.sessions.oldest_open_ms == NOON_MS - GAP_MS
    run.batch([], NOON_MS)
    assert run.sessions.oldest_open_ms == NOON_MS


USERS = st.sampled_from(
    [
        {"user_id": "a"},
        {"user_id": "b"},
        {"anonymous_id": "a"},
        {"anonymous_id": "a", "user_id": "a"},
        {"anonymous_id": "a", "user_id": "b"},
        {},
    ]
)
TEXTS = st.sampled_from([None, "", "x", "y", "é\U0001f600"])
ITEMS = st.builds(
    lambda minute, user, name, page, country, device: event(
        name,
        NOON_MS + minute * 5 * MINUTE_MS,
        **user,
        **{key: text for key, text in (("page", page), ("country", country), ("device", device)) if text is not None},
    ),
    st.integers(0, 60),
    USERS,
    st.sampled_from(["page_view", "click"]),
    TEXTS,
    TEXTS,
    TEXTS,
)
BATCHES = st.lists(st.tuples(st.lists(ITEMS, max_size=8), st.integers(0, 80), st.booleans()), max_size=12)


@settings(max_examples=60, deadline=None)
@given(BATCHES)
def test_however_events_come_the_sessions_are_those_of_the_sorted_list(
    batches: list[tuple[list[Envelope], int, bool]],
) -> None:
    """Out of order, in any batches, with closing and restarts between them."""
    run, came, watermark_ms = Run(), list[Envelope](), 0
    for envelopes, minute, restarts in batches:
        watermark_ms = max(watermark_ms, NOON_MS + minute * 5 * MINUTE_MS)
        run.batch(envelopes, watermark_ms)
        came += envelopes
        if restarts:
            run.restart()
        expected = naive_sessions(came, GAP_MS, watermark_ms)
        assert run.store.sessions() == expected
        assert run.store.sums() == expected_sums(expected)


@settings(max_examples=40, deadline=None)
@given(BATCHES)
def test_under_load_rows_of_sessions_that_only_go_on_come_later_and_what_was_closed_at_once(
    batches: list[tuple[list[Envelope], int, bool]],
) -> None:
    """Also where some batches are done again after a crash."""
    run, came, watermark_ms = Run(), list[Envelope](), 0
    with patch.object(session, "_ROWS_AT_ONCE", 0):
        for number, (envelopes, minute, crashes) in enumerate(batches):
            watermark_ms = max(watermark_ms, NOON_MS + minute * 5 * MINUTE_MS)
            received_ms = NOON_MS + number * 2_000
            envelopes = [msgspec.structs.replace(one, received_at=received_ms) for one in envelopes]  # noqa: PLW2901
            run.batch(envelopes, watermark_ms, crashes=crashes)
            came += envelopes
            expected = naive_sessions(came, GAP_MS, watermark_ms)
            assert {one for one in expected if not one.is_open} <= run.store.sessions()
            assert run.store.sums() == expected_sums(expected)
        run.batch([], watermark_ms)
    assert run.store.sessions() == naive_sessions(came, GAP_MS, watermark_ms)
    assert not run.sessions.has_due(watermark_ms, SPEC)


def test_under_load_a_session_is_stored_again_five_seconds_later_and_when_nothing_comes() -> None:
    run = Run()
    with patch.object(session, "_ROWS_AT_ONCE", 0):

        def rows_of(at_ms: int) -> int:
            return run.batch([event(at_ms=at_ms, user_id="u")]).rows.height

        assert [rows_of(NOON_MS + after_ms) for after_ms in (0, 1, 4_999, 5_000, 5_001)] == [1, 0, 0, 1, 0]
        assert rows_of(NOON_MS - 10_000) == 1, "the clock was set back"
        assert rows_of(NOON_MS - 9_000) == 0
        run.restart()
        assert run.sessions.has_due(0, SPEC)
        assert run.batch([]).rows["events"].to_list() == [7]
        assert run.batch([]).rows["events"].to_list() == [7], "that may have been one which the store knew already"
    assert not run.sessions.has_due(0, SPEC)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(ITEMS, min_size=1, max_size=30), min_size=3, max_size=6), st.randoms())
def test_forgetting_what_no_event_in_time_can_join_changes_nothing(batches: list[list[Envelope]], random: Any) -> None:
    """As many sessions of others as it takes to make the memory look for some to forget."""
    spec = msgspec.structs.replace(SPEC, allowed_lateness_ms=DAY_MS, sessions_max=1_000_000)
    run, came = Run(spec), list[Envelope]()
    batches[0].append(event(user_id="now"))
    crowd = pl.DataFrame({"n": range(110_000)})
    run.batch(batches[0])
    events = decoded(event(user_id="c", at_ms=NOON_MS - 3 * DAY_MS), fields=FIELDS).events
    many = events.drop("user_id").join(crowd.select(pl.format("crowd{}", "n").alias("user_id")), how="cross")
    run.sessions.apply(many.select(events.columns), NOON_MS, 2, spec)
    run.sessions.changes()
    came += batches[0]
    for envelopes in batches[1:]:
        run.batch(envelopes, NOON_MS + 10 * MINUTE_MS)
        came += envelopes
    assert run.sessions.kept_count < 1_000
    assert run.store.sessions() == naive_sessions(came, GAP_MS, NOON_MS + 10 * MINUTE_MS)


def test_over_the_limit_of_memory_the_oldest_closed_sessions_are_forgotten_and_it_is_counted() -> None:
    spec = msgspec.structs.replace(SPEC, sessions_max=1_000)
    run = Run(spec)
    run.batch([event(at_ms=NOON_MS + number, user_id=f"u{number}") for number in range(1_500)], NOON_MS + DAY_MS)
    run.batch([event(at_ms=NOON_MS + DAY_MS, user_id="new")], NOON_MS + DAY_MS)
    assert run.sessions.kept_count <= 1_000
    assert run.sessions.forgotten_early == 750
    assert len(run.store.sessions()) == 1_501


def test_over_the_limit_of_memory_the_oldest_open_sessions_are_closed_early_and_counted_and_forgotten() -> None:
    run = Run(msgspec.structs.replace(SPEC, sessions_max=1_000))
    for first in range(0, 5_000, 500):
        run.batch([event(at_ms=NOON_MS + number, user_id=f"u{number}") for number in range(first, first + 500)])
        assert run.sessions.open_count <= 1_000
        assert run.sessions.kept_count <= 1_500
    assert run.sessions.forgotten_early > 0
    sums = sum(value for place, value in run.store.sums().items() if place[0] == "sessions")
    assert sums + run.sessions.open_count == 5_000
    assert len(run.store.sessions()) == 5_000


def test_pages_that_no_session_has_any_more_are_forgotten() -> None:
    run = Run()
    with patch.object(session, "_TEXTS_MAX", 100):
        for number in range(400):
            run.batch([event(at_ms=NOON_MS + number, user_id="u", page=f"/{number}")])
            assert len(run.sessions._texts) <= 102
    (found,) = run.store.sessions()
    assert (found.entry_page, found.exit_page, found.page_views) == ("/0", "/399", 400)


def test_a_million_open_sessions_take_less_than_a_gibibyte() -> None:
    run, count = Run(), 1_000_000
    events = decoded(event(user_id="c", page="/a"), fields=FIELDS).events
    crowd = pl.DataFrame({"n": range(count)}).select(pl.format("user-{}", "n").alias("user_id"))
    many = events.drop("user_id").join(crowd, how="cross").select(events.columns)
    run.sessions.apply(many, NOON_MS, 1, SPEC)
    assert run.sessions.open_count == count
    assert run.sessions.memory_bytes < 1024**3
