from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from streamgauge.config import DEFAULT_ROLLUPS
from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.log.base import OffsetRange
from streamgauge.model import Rollup
from streamgauge.stream.journal import StateChange
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.state import Admission, Pending, RunnerState
from streamgauge.stream.steps import DropRepeatedSequences

RANGES = (OffsetRange(0, 5, 9), OffsetRange(3, 0, 2**40))
SPEC = PipelineSpec(
    rollups=(
        *DEFAULT_ROLLUPS,
        Rollup(
            name="revenue", event="purchase", measure={"sum": "price"}, where={"plan": ["a", 1, 2.5, True], "x": "y"}
        ),
    ),
    watermark_delay_ms=1,
    idle_partition_ms=2,
    dimension_chars_max=3,
)
PENDING = Pending(RANGES, SPEC, 12, 1_767_268_790_000)


def block(content: bytes, number: int = 0, oldest_kept: int = 0) -> StateChange:
    return StateChange(number, content, oldest_kept)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[RunnerState]:
    state = RunnerState(folder / "stream" / "state.db")
    try:
        yield state
    finally:
        state.close()


def test_a_new_state_knows_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        assert state.offsets() == {}
        assert state.pending() is None
        assert state.watermark_ms() == 0
        assert state.blocks_of("step") == []
        assert state.batch_number() == 0


def test_what_was_begun_is_pending_after_a_crash(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.begin(PENDING)
    with opened(tmp_path) as state:
        assert state.pending() == PENDING
        assert state.offsets() == {}


def test_what_is_begun_again_takes_the_place_of_what_was_pending(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.begin(PENDING)
        state.begin(Pending(RANGES[:1], SPEC))
        assert state.pending() == Pending(RANGES[:1], SPEC)


def test_what_was_finished_is_known_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.begin(PENDING)
        state.finish(PENDING, {"a": block(b"1"), "b": block(b"2")}, 1_767_268_800_000)
    with opened(tmp_path) as state:
        assert state.pending() is None
        assert state.offsets() == {0: 9, 3: 2**40}
        assert state.blocks_of("a") == [(0, b"1")]
        assert state.blocks_of("b") == [(0, b"2")]
        assert state.batch_number() == 12
        assert state.watermark_ms() == 1_767_268_800_000


def test_partitions_and_steps_that_did_not_change_keep_what_they_had(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.finish(PENDING, {"a": block(b"1"), "b": block(b"2")}, 5)
        state.finish(Pending((OffsetRange(0, 9, 12),), SPEC, 13), {"b": block(b"3", 1)}, 6)
        assert state.offsets() == {0: 12, 3: 2**40}
        assert (state.blocks_of("a"), state.blocks_of("b")) == ([(0, b"1")], [(0, b"2"), (1, b"3")])


def test_blocks_that_a_step_does_not_need_any_more_are_removed(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        for number in range(4):
            state.finish(PENDING, {"a": block(b"old", number), "b": block(b"other", number)}, 5)
        state.finish(PENDING, {"a": block(b"new", 4, oldest_kept=3)}, 5)
        assert state.blocks_of("a") == [(3, b"old"), (4, b"new")]
        assert len(state.blocks_of("b")) == 4


def test_a_batch_without_records_has_an_id_of_its_own() -> None:
    assert Pending((), SPEC, 3).batch_id != Pending((), SPEC, 4).batch_id


def test_the_state_of_version_2_is_taken_over_with_what_was_pending(tmp_path: Path) -> None:
    file = tmp_path / "stream" / "state.db"
    file.parent.mkdir()
    old_spec = {"rollups": [], "watermark_delay_ms": 1, "idle_partition_ms": 2, "dimension_chars_max": 3}
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.executescript(
            "CREATE TABLE offsets (partition INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL);"
            "CREATE TABLE pending (ranges BLOB NOT NULL, spec BLOB NOT NULL);"
            "CREATE TABLE steps (name TEXT PRIMARY KEY, snapshot BLOB NOT NULL);"
            "CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);"
            "INSERT INTO facts VALUES ('version', 2); INSERT INTO offsets VALUES (0, 5);"
        )
        database.execute("INSERT INTO steps VALUES ('drop_repeated_sequences', ?)", (b'{"p":{"0":4}}',))
        row = (msgspec.json.encode(RANGES[:1]), msgspec.json.encode(old_spec))
        database.execute("INSERT INTO pending VALUES (?, ?)", row)
    for _ in range(2):
        with opened(tmp_path) as state:
            pending = state.pending()
            assert pending is not None
            assert (pending.ranges, pending.spec.dimension_chars_max, pending.number) == (RANGES[:1], 3, 0)
            assert state.offsets() == {0: 5}
            assert DropRepeatedSequences(state.blocks_of("drop_repeated_sequences")).next_sequence("p") == 5


def test_limits_of_lateness_are_known_from_the_offsets_on_where_they_changed(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.admit_by(SPEC, {0: 5})
        state.admit_by(SPEC, {0: 6})
        state.admit_by(msgspec.structs.replace(SPEC, allowed_lateness_ms=1), {0: 7, 1: 2})
    with opened(tmp_path) as state:
        assert state.admissions() == [
            Admission(SPEC.allowed_lateness_ms, SPEC.future_ms_max, {}),
            Admission(1, SPEC.future_ms_max, {0: 7, 1: 2}),
        ]


def test_a_finish_that_fails_changes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.begin(PENDING)
        with pytest.raises(sqlite3.Error):
            state.finish(PENDING, {"a": block(None)}, 7)  # type: ignore[arg-type]
        assert state.pending() == PENDING
        assert state.offsets() == {}
        assert state.watermark_ms() == 0
        state.finish(PENDING, {"a": block(b"")}, 8)
        assert state.pending() is None


def test_each_change_is_there_for_others_when_the_call_returns(tmp_path: Path) -> None:
    with opened(tmp_path) as state, opened(tmp_path) as other:
        state.begin(PENDING)
        assert other.pending() == PENDING
        state.finish(PENDING, {}, 3)
        assert (other.pending(), other.watermark_ms()) == (None, 3)


@pytest.mark.parametrize("version", [0, 1, 99])
def test_a_file_of_another_version_is_refused_and_left_as_it_was(tmp_path: Path, version: int) -> None:
    with opened(tmp_path) as state:
        state.begin(PENDING)
    file = tmp_path / "stream" / "state.db"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("UPDATE facts SET value = ? WHERE name = 'version'", (version,))
    with pytest.raises(ConfigError) as refused:
        RunnerState(file)
    assert f"state {version}" in refused.value.message
    assert refused.value.hint
    with contextlib.closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT value FROM facts WHERE name = 'version'").fetchone() == (version,)


def test_what_the_disk_refuses_is_unavailable_changes_nothing_and_works_later(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.begin(PENDING)
        with sqlite3.connect(tmp_path / "stream" / "state.db") as other:
            other.execute("BEGIN IMMEDIATE")  # another process holds the file, so that a write is refused
            state._database.execute("PRAGMA busy_timeout = 1")
            with pytest.raises(Unavailable):
                state.finish(PENDING, {"step": block(b"{}")}, 7)
            other.rollback()
        other.close()
        assert (state.pending(), state.offsets(), state.watermark_ms()) == (PENDING, {}, 0)
        state.finish(PENDING, {"step": block(b"{}")}, 7)
        assert (state.pending(), state.offsets(), state.watermark_ms()) == (None, {0: 9, 3: 2**40}, 7)


def test_each_change_is_synced_to_disk(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        assert state._database.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
