"""A job goes on from the newest place of its own log, and isn't begun anew where something was counted."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from streamgauge.core.errors import AlreadyRunning, ConfigError, NotFound
from streamgauge.stream.flink.cluster import JobState
from streamgauge.stream.flink.job import FlinkJob, statements
from streamgauge.stream.flink.resume import newest_in, place_to_go_on_from
from streamgauge.stream.flink.tables import KafkaPlace
from streamgauge.stream.spec import PipelineSpec

NAME = "streamgauge shop"


class Manager(msgspec.Struct, frozen=True):
    """A JobManager that remembers one job, or none."""

    state: str = ""
    place: str | None = None

    def job(self, name: str) -> JobState:
        if not self.state or name != NAME:
            raise NotFound(f"no job {name}")
        return JobState("abc", name, self.state, 0, 0)

    def newest_place(self, job_id: str) -> str | None:
        assert job_id == "abc"
        return self.place


def made(folder: Path, at_s: int, *, complete: bool = True) -> str:
    folder.mkdir(parents=True)
    if complete:
        metadata = folder / "_metadata"
        metadata.touch()
        os.utime(metadata, (at_s, at_s))
    return f"file://{folder}"


def url(folder: Path) -> str:
    return f"file://{folder}"


def test_the_newest_of_checkpoints_and_savepoints_is_found(tmp_path: Path) -> None:
    made(tmp_path / "checkpoints" / "a" / "chk-9", 100)
    newest = made(tmp_path / "checkpoints" / "b" / "chk-1", 300)
    made(tmp_path / "savepoints" / "savepoint-1", 200)
    assert newest_in(url(tmp_path)) == newest
    savepoint = made(tmp_path / "savepoints" / "savepoint-2", 400)
    assert newest_in(url(tmp_path)) == savepoint


def test_a_checkpoint_that_was_not_completed_is_none(tmp_path: Path) -> None:
    made(tmp_path / "checkpoints" / "a" / "chk-2", 0, complete=False)
    assert newest_in(url(tmp_path)) is None


def test_a_folder_whose_name_is_escaped_is_looked_into(tmp_path: Path) -> None:
    place = made(tmp_path / "of us" / "savepoints" / "one", 1)
    assert newest_in(url(tmp_path / "of%20us")) == place


@pytest.mark.parametrize("elsewhere", ["", "s3://bucket/streamgauge/shop", "file:///is/not/there"])
def test_what_cannot_be_looked_into_has_none(elsewhere: str) -> None:
    assert newest_in(elsewhere) is None


def job_of(topic: str, state_url: str) -> FlinkJob:
    spec = PipelineSpec((), watermark_delay_ms=0, idle_partition_ms=1_000, dimension_chars_max=100)
    return FlinkJob(spec, KafkaPlace(topic, {}), None, 1, 1_000, 1_000, 900_000, "rocksdb", state_url)


def test_a_log_does_not_go_on_from_the_checkpoint_of_another(tmp_path: Path) -> None:
    shop, other = (job_of(topic, f"{url(tmp_path)}/") for topic in ("shop", "shop2"))
    written_to = f"SET 'execution.checkpointing.dir' = '{url(tmp_path / 'shop' / 'checkpoints')}'"
    assert written_to in statements(shop)
    place = made(tmp_path / "shop" / "checkpoints" / "a" / "chk-1", 1)
    assert place_to_go_on_from(Manager(), shop.name, shop.folder, was_counted=True) == place
    assert place_to_go_on_from(Manager(), other.name, other.folder, was_counted=False) is None


def test_without_a_folder_of_ours_flink_uses_its_own() -> None:
    job = job_of("shop", "")
    assert job.folder == ""
    assert not [one for one in statements(job) if "checkpointing.dir" in one or "savepoint-dir" in one]


def test_what_flink_remembers_comes_before_the_folder(tmp_path: Path) -> None:
    in_folder = made(tmp_path / "savepoints" / "one", 1)
    folder = url(tmp_path)
    assert place_to_go_on_from(Manager("FAILED", "s3://b/chk-7"), NAME, folder, was_counted=True) == "s3://b/chk-7"
    assert place_to_go_on_from(Manager("FAILED"), NAME, folder, was_counted=True) == in_folder


def test_a_job_that_runs_is_not_begun_again() -> None:
    with pytest.raises(AlreadyRunning, match="abc"):
        place_to_go_on_from(Manager("RESTARTING"), NAME, "", was_counted=True)


def test_a_log_of_which_some_was_counted_is_not_begun_anew() -> None:
    with pytest.raises(ConfigError, match="counted twice") as raised:
        place_to_go_on_from(Manager(), NAME, "s3://bucket/shop", was_counted=True)
    assert "--from" in raised.value.hint
    assert place_to_go_on_from(Manager(), NAME, "s3://bucket/shop", was_counted=False) is None
