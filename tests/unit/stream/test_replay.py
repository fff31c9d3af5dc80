from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from streamgauge.core.errors import InvalidRequest
from streamgauge.model import Rollup
from streamgauge.stream.replay import Replays
from streamgauge.stream.state import RunnerState
from unit.stream.crashing import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await World.open(tmp_path, (Rollup("count"),))
    yield world
    await world.close()


def no_store() -> Any:
    raise AssertionError("nothing is replayed here")


async def test_of_two_requests_at_a_time_one_begins_and_the_other_is_refused(world: World, tmp_path: Path) -> None:
    state = RunnerState(tmp_path / "replays.db")
    replays = Replays(world.log, world.runner(), state, world.spec, profiles=world.profiles, open_store=no_store)
    outcomes = await asyncio.gather(
        replays.request(0, None, "count"), replays.request(0, None, None), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, InvalidRequest)]
    assert [error.code for error in refused] == ["replay_running"]
    requested = state.requested_replay()
    assert requested is not None
    assert replays.newest is not None
    assert requested.metrics == replays.newest.metrics
    replays.close()
    state.close()
