import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import Unavailable
from streamgauge.profiles.erase import erase_profile
from streamgauge.profiles.identify import Traits
from streamgauge.profiles.importer import ImportSummary, ProfileWriter
from streamgauge.profiles.rows import COLUMNS_MAX, Row
from streamgauge.profiles.traits import TraitsWriter


def writer(file: Path, profiles_max: int = 1_000) -> TraitsWriter:
    return TraitsWriter(file, ManualClock(77), profiles_max)


def profiles(file: Path, columns: str = "plan") -> dict[str, tuple[str | None, ...]]:
    with sqlite3.connect(file) as database:
        rows = database.execute(f"SELECT user_id, {columns} FROM profiles").fetchall()
    database.close()
    return {user: tuple(values) for user, *values in rows}


def test_traits_make_a_profile_and_change_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "profiles.db"
    traits = writer(file)
    assert traits.upsert([Traits("u", 1, {"plan": "free", "age": "7"})]) == {"kept": 2}
    assert traits.upsert([Traits("u", 2, {"PLAN": "pro"}), Traits("v", 2, {"age": None})]) == {"kept": 2}
    assert profiles(file, "plan, age, updated_at") == {"u": ("pro", "7", 77), "v": (None, None, 77)}


def test_what_was_said_before_only_fills_gaps(tmp_path: Path) -> None:
    file = tmp_path / "profiles.db"
    writer(file).upsert([Traits("u", 5, {"plan": "pro"})])
    writer(file).upsert([Traits("u", 4, {"plan": "free", "age": "7"})])
    assert profiles(file, "plan, age") == {"u": ("pro", "7")}


def test_an_unchanged_profile_keeps_its_time(tmp_path: Path) -> None:
    file, clock = tmp_path / "profiles.db", ManualClock(1)
    traits = TraitsWriter(file, clock, 10)
    traits.upsert([Traits("u", 5, {"plan": "pro"})])
    clock.advance(5)
    traits.upsert([Traits("u", 5, {"plan": "pro"}), Traits("u", 6, {"plan": "pro"})])
    assert profiles(file, "updated_at") == {"u": (1,)}


def test_what_was_imported_is_written_over_by_what_is_said_later(tmp_path: Path) -> None:
    file = tmp_path / "profiles.db"
    with ProfileWriter(file, ManualClock(1)) as imports:
        imports.upsert([Row(1, "u", ("plan", "region"), ("free", "EU"))], ImportSummary())
        writer(file).upsert([Traits("u", 5, {"plan": "pro"})])
    assert profiles(file, "plan, region") == {"u": ("pro", "EU")}


def test_over_the_limits_nothing_is_added_and_that_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "profiles.db"
    names = {f"t{number}": "x" for number in range(COLUMNS_MAX)}
    outcomes = writer(file, 1).upsert([Traits("u", 1, names, unnamed_count=3), Traits("v", 1, {"t1": "y"})])
    assert outcomes == {"kept": COLUMNS_MAX - 2, "too_many_columns": 2, "name": 3, "too_many_profiles": 1}
    assert writer(file, 1).upsert([Traits("w", 1, {"t1": "y"}), Traits("u", 2, {"t1": "z"})]) == {
        "kept": 1,
        "too_many_profiles": 1,
    }
    assert profiles(file, "t1") == {"u": ("z",)}


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    file = tmp_path / "profiles.db"
    file.write_bytes(b"no database" * 1_000)
    with pytest.raises(Unavailable, match=r"can't be written"):
        writer(file).upsert([Traits("u", 1, {"plan": "pro"})])


_SAID = st.builds(
    Traits,
    st.sampled_from("uv"),
    st.integers(0, 9),
    st.dictionaries(st.sampled_from(["plan", "age"]), st.sampled_from("abc"), min_size=1),
)


@settings(max_examples=25, deadline=None)
@given(said=st.lists(_SAID, max_size=12, unique_by=lambda one: (one.user_id, one.time_ms)), rng=st.randoms())
def test_in_whatever_order_and_however_often_traits_come_the_last_that_was_said_stands(
    tmp_path_factory: pytest.TempPathFactory, said: Sequence[Traits], rng: random.Random
) -> None:
    file = tmp_path_factory.mktemp("traits") / "profiles.db"
    traits = writer(file)
    traits.upsert([Traits("u", 0, {"plan": "a", "age": "a"})])
    newest: dict[str, Traits] = {}
    for one in said:
        newest[one.user_id] = max(one, newest.get(one.user_id, one), key=lambda other: other.time_ms)
    came = [*said, *said]
    rng.shuffle(came)
    for one in came:
        traits.upsert([one])
    found = profiles(file, "plan, age")
    for user, one in newest.items():
        assert {"plan": found[user][0], "age": found[user][1]}.items() >= one.values.items()


def test_what_was_said_of_an_erased_user_before_makes_no_profile_and_leaves_no_trace(tmp_path: Path) -> None:
    file = tmp_path / "profiles.db"
    traits = writer(file)
    traits.upsert([Traits("erased-one", 5, {"plan": "pro"}), Traits("v", 5, {"plan": "pro"})])
    assert erase_profile(f"sqlite:///{file}", "", "erased-one", 10, 0) == 1
    assert traits.upsert([Traits("erased-one", 10, {"plan": "late"}), Traits("v", 6, {"plan": "free"})]) == {
        "kept": 1,
        "erased": 1,
    }
    assert profiles(file) == {"v": ("free",)}
    with sqlite3.connect(file) as database:
        assert "erased-one" not in "".join(database.iterdump())
    database.close()
    assert traits.upsert([Traits("erased-one", 11, {"plan": "back"})]) == {"kept": 1}
    assert profiles(file)["erased-one"] == ("back",)


def test_a_user_who_is_erased_before_the_first_traits_are_read_gets_no_profile(tmp_path: Path) -> None:
    file = tmp_path / "new" / "profiles.db"
    assert erase_profile(f"sqlite:///{file}", "", "u", 10, 0) == 0
    assert writer(file).upsert([Traits("u", 9, {"plan": "pro"})]) == {"erased": 1}
    assert profiles(file, "updated_at") == {}
    assert erase_profile(f"sqlite:///{file}", "", "w", 30, 20) == 0  # the first erasure is forgotten by now
    assert writer(file).upsert([Traits("u", 9, {"plan": "pro"})]) == {"kept": 1}
