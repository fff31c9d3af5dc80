"""Backends for the contract suites."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.log_places import LogPlace, NewLogPlace, SqlitePlace
from streamgauge.log.base import EventLog


@pytest.fixture(params=["sqlite"])
async def new_log_place(tmp_path: Path) -> AsyncIterator[NewLogPlace]:
    places: list[LogPlace] = []

    def new(partitions: int) -> LogPlace:
        places.append(SqlitePlace(tmp_path / f"log-{len(places)}", partitions))
        return places[-1]

    yield new
    for place in places:
        await place.close_all()


@pytest.fixture
def log_place(new_log_place: NewLogPlace) -> LogPlace:
    return new_log_place(4)


@pytest.fixture
async def log(log_place: LogPlace) -> EventLog:
    return await log_place.open()
