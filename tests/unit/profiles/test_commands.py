from __future__ import annotations

import contextlib
import gzip
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import ConfigError, NotFound, StreamgaugeError, Unavailable
from streamgauge.feed.errors import FeedError
from streamgauge.profiles.commands import profiles_app
from streamgauge.profiles.importer import ImportSummary, ProfileWriter
from streamgauge.profiles.rows import Row
from streamgauge.profiles.sqlite import SqliteProfiles

Profiles = dict[str, dict[str, Any]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(profiles_app, [str(argument) for argument in arguments])


def import_text(data: Path, text: str | bytes, *options: str, name: str = "users.csv") -> Result:
    file = data.parent / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return run("import", file, "--data", data, *options)


def imported(data: Path, text: str | bytes, *options: str, name: str = "users.csv") -> str:
    result = import_text(data, text, *options, name=name)
    assert result.exit_code == 0, result.exception
    return " ".join(result.stdout.split())


def failed(data: Path, text: str | bytes, *options: str, name: str = "users.csv") -> StreamgaugeError:
    result = import_text(data, text, *options, name=name)
    assert isinstance(result.exception, FeedError), result.exception
    assert result.exit_code == 1
    return result.exception


def stored(data: Path) -> Profiles:
    with contextlib.closing(sqlite3.connect(data / "profiles.db")) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM profiles ORDER BY user_id")]
    return {row.pop("user_id"): {name: value for name, value in row.items() if name != "updated_at"} for row in rows}


def times(data: Path) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(data / "profiles.db")) as database:
        return dict(database.execute("SELECT user_id, updated_at FROM profiles"))


def test_a_table_becomes_profiles(data: Path) -> None:
    told = imported(data, 'user_id,plan,name\nann,pro,"Ann, the\nfirst"\nbob,,\n')
    assert "imported 2 profiles" in told
    assert "new 2, changed 0, unchanged 0" in told
    assert stored(data) == {"ann": {"plan": "pro", "name": "Ann, the\nfirst"}, "bob": {"plan": None, "name": None}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", "plan\tuser_id\npro\tann\n"),
        ("a.ndjson", '{"user_id": "ann", "plan": "pro"}\n\n'),
        ("a.CSV", "\ufeffuser_id,plan\r\n\r\nann,pro\r\n"),
        ("a.csv", "user_id,plan\nann,pro"),
        ("a.b.jsonl", '{"plan":"pro","user_id":"ann"}'),
    ],
)
@pytest.mark.parametrize("is_gzip", [False, True])
def test_formats_are_known_by_their_names(data: Path, name: str, text: str, is_gzip: bool) -> None:
    if is_gzip:
        imported(data, gzip.compress(text.encode()), name=f"{name}.gz")
    else:
        imported(data, text, name=name)
    assert stored(data) == {"ann": {"plan": "pro"}}


def test_a_second_import_says_what_changed_and_touches_nothing_else(data: Path) -> None:
    imported(data, "user_id,plan\nann,pro\nbob,free\n")
    before = times(data)
    told = imported(data, "user_id,plan\nann,pro\nbob,pro\neve,free\n")
    assert "new 1, changed 1, unchanged 1" in told
    assert times(data)["ann"] == before["ann"]
    assert times(data)["bob"] >= before["bob"]


def test_columns_that_are_new_are_added_and_others_stay(data: Path) -> None:
    imported(data, "user_id,plan\nann,pro\n")
    imported(data, "user_id,age\nann,42\n")
    assert stored(data) == {"ann": {"plan": "pro", "age": "42"}}


def test_an_empty_cell_takes_a_value_away_and_an_absent_key_does_not(data: Path) -> None:
    imported(data, "user_id,plan,age\nann,pro,42\n")
    imported(data, '{"user_id":"ann","plan":null}\n{"user_id":"bob","age":7}\n', name="a.ndjson")
    assert stored(data) == {"ann": {"plan": None, "age": "42"}, "bob": {"plan": None, "age": "7"}}


def test_values_of_json_are_texts_as_the_stream_sees_them(data: Path) -> None:
    imported(data, '{"user_id": 7, "n": 404.0, "f": 1.5, "yes": true, "list": [1, "a"], "no": ""}\n', name="a.ndjson")
    assert stored(data) == {"7": {"n": "404", "f": "1.5", "yes": "true", "list": '[1,"a"]', "no": None}}


def test_of_equal_ids_the_last_row_counts(data: Path) -> None:
    told = imported(data, "user_id,plan\nann,pro\nann,free\n")
    assert "new 1, changed 0, unchanged 1" in told
    assert stored(data) == {"ann": {"plan": "free"}}


def test_the_id_may_be_in_another_column(data: Path) -> None:
    imported(data, "mail,plan\na@b.c,pro\n", "--id-column", "mail")
    assert stored(data) == {"a@b.c": {"plan": "pro"}}


def test_ids_alone_are_profiles_too(data: Path) -> None:
    assert "new 2" in imported(data, "user_id\nann\nbob\n")
    assert "unchanged 2" in imported(data, "user_id\nann\nbob\n")


def test_more_rows_than_one_transaction_takes_are_all_imported(data: Path) -> None:
    told = imported(data, "user_id,plan\n" + "".join(f"u{n},p{n % 3}\n" for n in range(45_000)))
    assert "new 45,000" in told
    assert len(stored(data)) == 45_000


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("user_id,plan\nann,pro\n,free\n", "line 3", "no user_id"),
        ('user_id,plan\nann,"two\nlines"\n  ,free\n', "line 4", "no user_id"),
        ("user_id,plan\nann,pro,more\n", "line 2", "3 cells where the header has 2"),
        ('user_id,plan\nann,"pro"x\n', "line 2", "not valid CSV"),
        ('user_id,plan\nann,pro\nbob,"never ends\n', "line 3", "not valid CSV"),
        (f"user_id,plan\nann,{'x' * 70_000}\n", "line 2", "over 65,536 bytes"),
    ],
)
def test_a_row_that_is_no_profile_is_named_by_its_line(data: Path, text: str, line: str, message: str) -> None:
    error = failed(data, text)
    assert error.message.startswith(line)
    assert message in error.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"user_id": "ann"}\n{"plan": "pro"}\n', "line 2: there is no user_id"),
        ('{"user_id": "ann"}\n["bob"]\n', "line 2: this is not a JSON object"),
        ('{"user_id": "ann"}\n{"user_id": \n', "line 2: this is not a JSON object"),
        ('{"user_id": "ann"}\n{"user_id": "bob", "a b": 1}\n', "line 2: 'a b' can't be the name"),
    ],
)
def test_an_object_that_is_no_profile_is_named_by_its_line(data: Path, text: str, message: str) -> None:
    assert message in failed(data, text, name="a.ndjson").message


def test_what_comes_before_a_bad_row_is_imported_and_said_so(data: Path) -> None:
    error = failed(data, "user_id,plan\nann,pro\nbob,free\n,free\n")
    assert "the 2 profiles before it are imported" in error.hint
    assert set(stored(data)) == {"ann", "bob"}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("plan,age", "no column 'user_id'"),
        ("user_id,user_id", "more than one column 'user_id'"),
        ("user_id,a b", "can't be the name"),
        ("user_id,plan,Plan", "repeat a name"),
        ("user_id,updated_at", "a name that every profile has for itself"),
        ("user_id,", "can't be the name"),
        (",".join(["user_id", *(f"c{n}" for n in range(300))]), "can't have 300 columns"),
    ],
)
def test_bad_columns_are_refused_before_anything_is_written(data: Path, header: str, message: str) -> None:
    assert message in failed(data, f"{header}\n1,2\n").message
    assert not (data / "profiles.db").exists() or stored(data) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.xlsx", b"PK"),
        ("a.csv", b""),
        ("a.csv", b"user_id\n"),
        ("a.csv.gz", gzip.compress(b"user_id\nann\n" * 1_000)[:-9]),
    ],
)
def test_files_without_profiles_are_errors(data: Path, name: str, text: bytes) -> None:
    assert failed(data, text, name=name).message


def test_a_database_that_is_none_is_left_alone(data: Path) -> None:
    data.mkdir()
    (data / "profiles.db").write_bytes(b"not a database" * 100)
    result = import_text(data, "user_id\nann\n")
    assert isinstance(result.exception, Unavailable)
    assert (data / "profiles.db").read_bytes() == b"not a database" * 100


def test_profiles_in_postgresql_are_not_imported(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text('profiles = "postgresql://me:s3cret@host/db"\n')
    result = import_text(data, "user_id\nann\n", "--config", str(config))
    assert isinstance(result.exception, ConfigError)
    assert "SQLite" in result.exception.message
    assert "s3cret" not in result.exception.message + result.exception.hint


def test_show_prints_one_profile(data: Path) -> None:
    imported(data, "user_id,plan,age\nann,[bold]pro,\n")
    result = run("show", "ann", "--data", data)
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["user_id", "ann"] in lines
    assert ["plan", "[bold]pro"] in lines
    assert ["age"] in lines
    assert isinstance(run("show", "eve", "--data", data).exception, NotFound)


def test_list_prints_some_profiles_or_how_to_get_any(data: Path) -> None:
    assert "streamgauge profiles import" in " ".join(run("list", "--data", data).stdout.split())
    imported(data, "user_id,plan\n" + "".join(f"u{n},[red]\n" for n in range(30)))
    result = run("list", "--data", data, "--limit", 5)
    assert result.stdout.count("[red]") == 5


def test_a_source_sees_an_import_while_it_reads(data: Path) -> None:
    clock = ManualClock()
    row = Row(1, "ann", ("plan",), ("pro",))
    with ProfileWriter(data / "profiles.db", clock) as writer:
        writer.upsert([row, *(row._replace(user_id=f"u{n}") for n in range(60_000))], ImportSummary())
        source = SqliteProfiles(data / "profiles.db", ("plan",), clock)
        reading = source.read()
        seen = next(reading).profiles.height
        clock.advance(100)
        writer.upsert([row._replace(values=("free",))], ImportSummary())
        rest = list(reading)
        assert seen + sum(chunk.profiles.height for chunk in rest) == 60_001
        after = [profile for chunk in source.read(rest[-1].marker) for profile in chunk.profiles.rows()]
        assert ("ann", "free") in after
    source.close()
