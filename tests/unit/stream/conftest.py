from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import stamina

from streamgauge.model import Rollup
from unit.stream.crashing import World

NewWorld = Callable[..., Awaitable[World]]


@pytest.fixture
def retries_at_once() -> Iterator[None]:
    with stamina.set_testing(True, attempts=1_000):
        yield


@pytest.fixture
async def new_world(tmp_path: Path, retries_at_once: None) -> AsyncIterator[NewWorld]:
    worlds: list[World] = []

    async def new(*rollups: Rollup, batch_bytes_max: int = 1024 * 1024) -> World:
        folder = tmp_path / f"world-{len(worlds)}"
        worlds.append(await World.open(folder, rollups, batch_bytes_max=batch_bytes_max))
        return worlds[-1]

    yield new
    for world in worlds:
        await world.close()
