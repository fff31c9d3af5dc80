from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamgauge.config import DEFAULT_ROLLUPS
from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.log.base import OffsetRange
from streamgauge.model import Rollup
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.state import Pending, RunnerState

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
PENDING = Pending(RANGES, SPEC)


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
        assert state.snapshot_of("step") is None


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
        state.finish(RANGES, {"a": b"1", "b": b"2"}, 1_767_268_800_000)
    with opened(tmp_path) as state:
        assert state.pending() is None
        assert state.offsets() == {0: 9, 3: 2**40}
        assert state.snapshot_of("a") == b"1"
        assert state.snapshot_of("b") == b"2"
        assert state.watermark_ms() == 1_767_268_800_000


def test_partitions_and_steps_that_did_not_change_keep_what_they_had(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.finish(RANGES, {"a": b"1", "b": b"2"}, 5)
        state.finish((OffsetRange(0, 9, 12),), {"b": b"3"}, 6)
        assert state.offsets() == {0: 12, 3: 2**40}
        assert (state.snapshot_of("a"), state.snapshot_of("b")) == (b"1", b"3")


def test_a_finish_that_fails_changes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.begin(PENDING)
        with pytest.raises(sqlite3.Error):
            state.finish(RANGES, {"a": None}, 7)  # type: ignore[dict-item]
        assert state.pending() == PENDING
        assert state.offsets() == {}
        assert state.watermark_ms() == 0
        state.finish(RANGES, {"a": b""}, 8)
        assert state.pending() is None


def test_each_change_is_there_for_others_when_the_call_returns(tmp_path: Path) -> None:
    with opened(tmp_path) as state, opened(tmp_path) as other:
        state.begin(PENDING)
        assert other.pending() == PENDING
        state.finish(RANGES, {}, 3)
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
                state.finish(RANGES, {"step": b"{}"}, 7)
            other.rollback()
        other.close()
        assert (state.pending(), state.offsets(), state.watermark_ms()) == (PENDING, {}, 0)
        state.finish(RANGES, {"step": b"{}"}, 7)
        assert (state.pending(), state.offsets(), state.watermark_ms()) == (None, {0: 9, 3: 2**40}, 7)


def test_each_change_is_synced_to_disk(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        assert state._database.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
