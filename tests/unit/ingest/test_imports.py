"""The register of imports."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamgauge.core.errors import InvalidRequest, Unavailable
from streamgauge.ingest.imports import Import, ImportRegistry


def numbers_seen(producer: str) -> int:
    return {"shop": 42}.get(producer, 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "not there yet" / "imports.db"


@pytest.fixture
def registry(file: Path) -> Iterator[ImportRegistry]:
    opened = ImportRegistry(file, numbers_seen)
    yield opened
    opened.close()


async def test_an_import_is_created_at_its_first_registration_only(registry: ImportRegistry) -> None:
    assert await registry.register("shop", "a.log", 7) == Import("shop", "a.log", 7, 42, created=True)
    assert await registry.register("shop", "a.log", 7) == Import("shop", "a.log", 7, 42, created=False)


async def test_what_was_registered_first_stays(registry: ImportRegistry) -> None:
    await registry.register("shop", "a.log", 7)
    assert await registry.register("shop", "other.log", -9) == Import("shop", "a.log", 7, 42, created=False)


async def test_imports_do_not_know_each_other(registry: ImportRegistry) -> None:
    await registry.register("shop", "a.log", 7)
    assert await registry.register("Shop", "b.log", 8) == Import("Shop", "b.log", 8, 0, created=True)


async def test_the_register_survives_a_restart(file: Path) -> None:
    for created in (True, False):
        registry = ImportRegistry(file, numbers_seen)
        found = await registry.register("shop", "a.log" if created else "later.log", 7)
        registry.close()
        assert found == Import("shop", "a.log", 7, 42, created)


async def test_of_many_at_once_exactly_one_creates_the_import(registry: ImportRegistry) -> None:
    found = await asyncio.gather(*(registry.register("shop", f"{number}.log", number) for number in range(20)))
    assert sum(one.created for one in found) == 1
    assert len({(one.source, one.shift_ms) for one in found}) == 1


@pytest.mark.parametrize("source", ["x", "x" * 1_024, "😀\x00\n'\"; DROP TABLE imports; --"])
@pytest.mark.parametrize("shift_ms", [0, 2**53 - 1, -(2**53) + 1])
async def test_sources_and_shifts_are_kept_up_to_their_limits(
    registry: ImportRegistry, source: str, shift_ms: int
) -> None:
    found = await registry.register("shop", source, shift_ms)
    assert (found.source, found.shift_ms) == (source, shift_ms)


@pytest.mark.parametrize(
    ("source", "shift_ms"), [("", 0), ("x" * 1_025, 0), ("x", 2**53), ("x", -(2**53)), ("x", 10**30)]
)
async def test_a_source_or_a_shift_out_of_bounds_is_refused(
    registry: ImportRegistry, source: str, shift_ms: int
) -> None:
    with pytest.raises(InvalidRequest):
        await registry.register("shop", source, shift_ms)


async def test_a_register_that_can_not_be_written_is_unavailable(registry: ImportRegistry, file: Path) -> None:
    with sqlite3.connect(file) as other:
        other.execute("DROP TABLE imports")
    other.close()
    with pytest.raises(Unavailable):
        await registry.register("shop", "a.log", 7)
