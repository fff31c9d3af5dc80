from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streamgauge.store.tokens import forget_tokens_without_rows
from unit.store.engines import Engine, rows


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path / "store")


def test_a_token_whose_part_never_got_its_name_does_not_stop_the_rows_from_coming_again(engine: Engine) -> None:
    assert engine.write(rows(1), rows(2), rows(3)) == 3
    newest = max(engine.parts(), key=lambda part: int(part.name.split("_")[2]))
    shutil.rmtree(newest)
    assert engine.write(rows(3)) == 2, "the engine has changed: what is mended here does not happen any more"
    assert forget_tokens_without_rows(engine.folder) == 1
    assert engine.write(rows(3)) == 3


def test_hours_that_never_got_their_name_come_again_though_the_minutes_are_there(engine: Engine) -> None:
    engine.write(rows(1), rows(2), rows(3))
    newest = max(engine.parts("202410"), key=lambda part: int(part.name.split("_")[2]))
    shutil.rmtree(newest)
    assert engine.write_and_sum("metrics_hours", rows(3)) == 2
    assert forget_tokens_without_rows(engine.folder) == 1
    assert engine.write_and_sum("metrics_hours", rows(3)) == 3
    assert engine.write(rows(3)) == 3


def test_of_an_insert_over_many_days_only_what_is_missing_comes_again(engine: Engine) -> None:
    engine.write(rows(1, days=4))
    for part in engine.parts()[:2]:
        shutil.rmtree(part)
    assert forget_tokens_without_rows(engine.folder) == 2
    assert engine.write(rows(1, days=4)) == 4


def test_tokens_with_rows_are_kept_also_where_parts_were_merged(engine: Engine) -> None:
    engine.write(*(rows(number) for number in range(5)))
    engine.command("OPTIMIZE TABLE metrics FINAL")
    assert forget_tokens_without_rows(engine.folder) == 0
    assert engine.write(*(rows(number) for number in range(5))) == 5


def test_it_can_be_done_again_and_again(engine: Engine) -> None:
    engine.write(rows(1), rows(2))
    shutil.rmtree(engine.parts()[0])
    assert [forget_tokens_without_rows(engine.folder) for _ in range(3)] == [1, 0, 0]


def test_a_record_that_was_cut_off_is_removed(engine: Engine) -> None:
    engine.write(rows(1))
    (part,) = engine.parts()
    (log,) = [log for log in part.parent.glob("deduplication_logs/*.txt") if log.stat().st_size]
    with log.open("ab") as file:
        file.write(b"1\t2024")
    assert forget_tokens_without_rows(engine.folder) == 0
    assert log.read_bytes().endswith(b"\n")
    assert engine.write(rows(1), rows(2)) == 2


def test_a_folder_without_a_store_is_left_alone(tmp_path: Path) -> None:
    assert forget_tokens_without_rows(tmp_path / "none") == 0
    assert not (tmp_path / "none").exists()
