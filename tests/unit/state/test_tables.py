"""The rooms of the state database beside each other."""

from __future__ import annotations

from streamgauge.parts import STATE_TABLES


def test_no_two_rooms_have_a_table_of_the_same_name() -> None:
    names = [table.name for metadata in STATE_TABLES for table in metadata.sorted_tables]
    assert sorted(names) == sorted(set(names))
