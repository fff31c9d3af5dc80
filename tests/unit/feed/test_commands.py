from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streamgauge.feed.commands import import_app
from streamgauge.feed.errors import FeedError
from unit.feed.fake_server import FakeServer

LINE = '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8"\n'


def run(*arguments: object) -> Result:
    return CliRunner().invoke(import_app, [str(argument) for argument in arguments])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text(LINE * 3 + "oops\n")
    return path


def test_an_access_log_is_imported_and_summed_up(server: FakeServer, log: Path) -> None:
    result = run("access-log", log, "--shift-to-now", "--url", server.url)
    assert result.exit_code == 0
    assert "imported 3 events" in result.stdout
    assert "1 line: not_a_log_line 1" in result.stdout
    assert "line 4: it is in neither" in result.stdout
    assert f"{server.url}/?metric=requests&range=7d" in result.stdout


def test_a_second_run_says_that_nothing_is_new(server: FakeServer, log: Path) -> None:
    run("access-log", log, "--shift-to-now", "--url", server.url)
    result = run("access-log", log, "--url", server.url)
    assert result.exit_code == 0
    assert "nothing new: all 4 lines were imported before" in result.stdout
    assert "an import keeps its times" in result.stdout.replace("\n", " ")
    assert len(server.events) == 3


def test_old_events_are_linked_by_the_range_they_are_in(server: FakeServer, log: Path) -> None:
    result = run("access-log", log, "--url", server.url)
    assert "?metric=requests&from=2015-05-17T10:05:03Z&to=2015-05-17T10:06:03Z" in result.stdout
    assert "--shift-to-now" in result.stdout


def test_a_dry_run_prints_events_and_sends_nothing(log: Path) -> None:
    result = run("access-log", log, "--dry-run", "--url", "http://127.0.0.1:9")
    assert result.exit_code == 0
    first = json.loads(result.stdout.splitlines()[0])
    assert (first["event"], first["device"]) == ("request", "bot")
    assert "would send 3 events" in result.stdout


def test_ndjson_may_be_given_a_name_for_events(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text('{"n":1}\n')
    assert run("ndjson", path, "--event", "visit", "--url", server.url).exit_code == 0
    assert server.events == [{"event": "visit", "n": 1}]


def test_csv_is_mapped_by_its_options(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("who\tpaid\nu1\t5\n")
    options = ("--event", "purchase", "--map", "user_id=who", "--number", "paid", "--delimiter", "tab")
    assert run("csv", path, *options, "--url", server.url).exit_code == 0
    assert server.events == [{"event": "purchase", "user_id": "u1", "paid": 5}]


@pytest.mark.parametrize("mapping", ["event", "event=", "=column", "="])
def test_a_mapping_that_is_none_says_how_to_write_it(tmp_path: Path, mapping: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a\n1\n")
    result = run("csv", path, "--map", mapping)
    assert isinstance(result.exception, FeedError)
    assert "FIELD=COLUMN" in result.exception.message


def test_a_field_is_mapped_once(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    result = run("csv", path, "--map", "event=a", "--map", "event=b")
    assert isinstance(result.exception, FeedError)


def test_a_server_that_is_not_there_ends_with_how_to_start_it(log: Path) -> None:
    result = run("access-log", log, "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert isinstance(result.exception, FeedError)
    assert "streamgauge up" in result.exception.hint


def test_an_import_of_which_every_line_is_rejected_has_failed(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("oops\noops\n")
    result = run("access-log", path, "--url", server.url)
    assert result.exit_code == 1
    assert "2 lines: not_a_log_line 2" in result.stdout


def test_a_file_that_is_not_there_is_a_wrong_call(tmp_path: Path) -> None:
    assert run("access-log", tmp_path / "none").exit_code == 2


@pytest.mark.parametrize("command", ["access-log", "ndjson", "csv"])
def test_every_command_explains_itself(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "--shift-to-now" in result.stdout
