from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from streamgauge.profiles import copy as copy_module
from streamgauge.profiles.base import Marker
from streamgauge.profiles.copy import ProfileCopy
from streamgauge.profiles.table import ProfileTable

SOURCE = "sqlite:///profiles.db profiles"
MARKER = Marker(newest=5, since_ms=6, read_ms=7)


@pytest.fixture
def table() -> ProfileTable:
    table = ProfileTable(("plan",))
    table.upsert(pl.DataFrame({"user_id": ["ann@example.com", "bob"], "plan": ["pro", None]}))
    return table


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "profiles" / "copy.parquet"


def plans(table: ProfileTable) -> list[str | None]:
    return table.lookup(pl.Series(["ann@example.com", "bob", "eve"]))["plan"].to_list()


def test_what_was_saved_is_loaded(table: ProfileTable, file: Path) -> None:
    assert ProfileCopy(file, SOURCE).save(table, MARKER)
    loaded = ProfileTable(("plan",))
    assert ProfileCopy(file, SOURCE).load(loaded) == MARKER
    assert (len(loaded), plans(loaded)) == (2, ["pro", None, None])


def test_a_copy_has_no_ids_of_users(table: ProfileTable, file: Path) -> None:
    ProfileCopy(file, SOURCE).save(table, MARKER)
    assert b"example.com" not in file.read_bytes()
    assert list(file.parent.iterdir()) == [file]


def test_no_copy_is_nothing_to_load(file: Path) -> None:
    assert not ProfileCopy(file, SOURCE).load(ProfileTable(("plan",)))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"something else entirely" * 50])
def test_a_damaged_copy_is_passed_over(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    table = ProfileTable(("plan",))
    assert not ProfileCopy(file, SOURCE).load(table)
    assert len(table) == 0


def test_a_copy_that_was_cut_off_is_passed_over(table: ProfileTable, file: Path) -> None:
    ProfileCopy(file, SOURCE).save(table, MARKER)
    file.write_bytes(file.read_bytes()[:-20])
    assert not ProfileCopy(file, SOURCE).load(ProfileTable(("plan",)))


def test_a_copy_of_another_database_is_passed_over(table: ProfileTable, file: Path) -> None:
    ProfileCopy(file, SOURCE).save(table, MARKER)
    assert not ProfileCopy(file, "postgresql://elsewhere profiles").load(ProfileTable(("plan",)))


def test_a_copy_of_other_columns_is_passed_over(table: ProfileTable, file: Path) -> None:
    ProfileCopy(file, SOURCE).save(table, MARKER)
    assert not ProfileCopy(file, SOURCE).load(ProfileTable(("plan", "age")))


def test_a_copy_with_other_hashes_is_passed_over(
    table: ProfileTable, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ProfileCopy(file, SOURCE).save(table, MARKER)
    monkeypatch.setattr(copy_module, "hash_fingerprint", lambda: "of another version")
    assert not ProfileCopy(file, SOURCE).load(ProfileTable(("plan",)))


def test_a_copy_that_can_not_be_written_leaves_the_old_one(table: ProfileTable, file: Path) -> None:
    ProfileCopy(file, SOURCE).save(table, MARKER)
    before = file.read_bytes()
    file.with_name(f"{file.name}.new").mkdir()
    table.upsert(pl.DataFrame({"user_id": ["eve"], "plan": ["free"]}))
    assert not ProfileCopy(file, SOURCE).save(table, MARKER)
    assert file.read_bytes() == before
