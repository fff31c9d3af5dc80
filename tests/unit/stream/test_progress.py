"""How fresh answers are where others count, also while the log doesn't answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import Unavailable
from streamgauge.log.base import Place
from streamgauge.stream.progress import GroupFreshness, Progress
from unit.stream.making import SPEC

_NOW_MS = 1_800_000_000_000


class Brokers:
    """Only what is asked of them here: where the log ends, and how far the group is."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.answer.set()
        self.refuse = False
        self.ends: dict[int, int] = {0: 5}
        self.group: dict[int, Place] = {0: Place(5, Progress(_NOW_MS - 1_000, _NOW_MS).note())}

    async def end_offsets(self) -> dict[int, int]:
        return dict(self.ends)

    async def places(self) -> Mapping[int, Place]:
        if self.refuse:
            raise Unavailable("Kafka can't be used")
        await self.answer.wait()
        return dict(self.group)


def _fresh(brokers: Brokers, clock: ManualClock) -> GroupFreshness:
    return GroupFreshness(brokers, brokers.places, clock, SPEC)  # type: ignore[arg-type]


async def test_an_answer_is_not_kept_waiting_by_a_log_that_does_not_say_how_far_the_group_is() -> None:
    brokers, clock = Brokers(), ManualClock(_NOW_MS)
    fresh = _fresh(brokers, clock)
    before = await fresh.freshness()
    brokers.answer.clear()
    clock.advance(60_000)
    during = await asyncio.wait_for(fresh.freshness(), 5)
    assert during.complete_up_to_ms == before.complete_up_to_ms
    assert during.lag_ms == 60_000
    clock.advance(60_000)
    again = await asyncio.wait_for(fresh.freshness(), 0.5)  # what was asked is still under way
    assert again.lag_ms == 120_000
    brokers.answer.set()
    await asyncio.sleep(0)
    after = await asyncio.wait_for(fresh.freshness(), 5)
    assert (after.lag_ms, after.lag_events) == (0, 0)


async def test_an_answer_says_how_long_ago_the_log_was_known_while_it_refuses() -> None:
    brokers, clock = Brokers(), ManualClock(_NOW_MS)
    fresh = _fresh(brokers, clock)
    before = await fresh.freshness()
    brokers.refuse = True
    clock.advance(30_000)
    during = await fresh.freshness()
    assert (during.complete_up_to_ms, during.lag_ms) == (before.complete_up_to_ms, 30_000)
