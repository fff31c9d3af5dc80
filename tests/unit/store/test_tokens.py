from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from streamgauge.config import RetentionSettings, StoreSettings
from streamgauge.store.base import RowBatch
from streamgauge.store.client import StoreClients, migrate
from streamgauge.store.tokens import forget_tokens_without_rows
from streamgauge.store.writer import ClickHouseWriter

DAY_S = 86_400


def rows(batch: int, days: int = 1) -> RowBatch:
    """A row in each of so many days."""
    table = pa.table(
        {
            "timestamp": pa.array([20_000 * DAY_S + day * DAY_S for day in range(days)], pa.uint32()),
            "metric_name": ["m"] * days,
            "value": [1.0] * days,
            "dimensions": pa.array([[]] * days, pa.map_(pa.string(), pa.string())),
        }
    )
    return RowBatch("metrics", f"{batch}/metrics", table)


class Engine:
    """The embedded engine, opened for one piece of work at a time as by one process after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, *batches: RowBatch) -> float:
        clients = StoreClients(f"chdb:///{self.folder}")
        with closing(clients.connect()) as client:
            migrate(client, RetentionSettings(), StoreSettings())
            with closing(ClickHouseWriter(clients)) as writer:
                for batch in batches:
                    writer.write(batch)
            return float(client.query("SELECT sum(value) FROM metrics").result_rows[0][0])

    def parts(self) -> list[Path]:
        logs = list(self.folder.glob("store/*/*/deduplication_logs"))
        return sorted(part for log in logs for part in log.parent.glob("2024*_*") if part.is_dir())


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


def test_of_an_insert_over_many_days_only_what_is_missing_comes_again(engine: Engine) -> None:
    engine.write(rows(1, days=4))
    for part in engine.parts()[:2]:
        shutil.rmtree(part)
    assert forget_tokens_without_rows(engine.folder) == 2
    assert engine.write(rows(1, days=4)) == 4


def test_tokens_with_rows_are_kept_also_where_parts_were_merged(engine: Engine) -> None:
    engine.write(*(rows(number) for number in range(5)))
    with closing(StoreClients(f"chdb:///{engine.folder}").connect()) as client:
        client.command("OPTIMIZE TABLE metrics FINAL")
    assert forget_tokens_without_rows(engine.folder) == 0
    assert engine.write(*(rows(number) for number in range(5))) == 5


def test_it_can_be_done_again_and_again(engine: Engine) -> None:
    engine.write(rows(1), rows(2))
    shutil.rmtree(engine.parts()[0])
    assert [forget_tokens_without_rows(engine.folder) for _ in range(3)] == [1, 0, 0]


def test_a_record_that_was_cut_off_is_removed(engine: Engine) -> None:
    engine.write(rows(1))
    (log,) = [log for log in engine.folder.glob("store/*/*/deduplication_logs/*.txt") if log.stat().st_size]
    with log.open("ab") as file:
        file.write(b"1\t2024")
    assert forget_tokens_without_rows(engine.folder) == 0
    assert log.read_bytes().endswith(b"\n")
    assert engine.write(rows(1), rows(2)) == 2


def test_a_folder_without_a_store_is_left_alone(tmp_path: Path) -> None:
    assert forget_tokens_without_rows(tmp_path / "none") == 0
    assert not (tmp_path / "none").exists()
