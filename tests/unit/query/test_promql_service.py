"""A question ends when its time is over or nobody waits, and says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry

from streamgauge.config import QuerySettings
from streamgauge.core.errors import Overloaded
from streamgauge.model import Freshness
from streamgauge.query.promql_service import QUESTIONS_MAX, PromqlService, QueryCanceled, QueryTimeout, Sources
from streamgauge.query.selfseries import SelfSeries
from streamgauge.query.series import RollupSeries

FRESH = Freshness(0, 0, 0)


class NoStore:
    """A reader that nobody may ask."""

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        raise AssertionError(sql)

    def table(self, sql: str, parameters: Mapping[str, Any], seconds_max: float) -> pa.Table:
        raise AssertionError(sql)

    def close(self) -> None: ...


@pytest.fixture
def service() -> Iterator[PromqlService]:
    limits = QuerySettings(threads=1)
    service = PromqlService(RollupSeries(NoStore(), (), (), limits), SelfSeries(CollectorRegistry()), limits)
    yield service
    service.close()


class Endless:
    """Work that only a check ends."""

    def __init__(self) -> None:
        self.began, self.ended = threading.Event(), threading.Event()
        self.error: Exception | None = None

    def __call__(self, sources: Sources) -> None:
        self.began.set()
        try:
            while True:
                sources.check()
        except Exception as error:
            self.error = error
            raise
        finally:
            self.ended.set()


async def test_a_question_over_its_time_is_a_timeout_and_its_thread_ends(service: PromqlService) -> None:
    work = Endless()
    with pytest.raises(QueryTimeout, match=r"longer than 0\.05 s"):
        await service.answer(work, FRESH, 0.05)
    assert await asyncio.to_thread(work.ended.wait, 5)


async def test_a_question_that_nobody_waits_for_is_given_up(service: PromqlService) -> None:
    work = Endless()
    asked = asyncio.ensure_future(service.answer(work, FRESH))
    assert await asyncio.to_thread(work.began.wait, 5)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await asyncio.to_thread(work.ended.wait, 5)
    assert isinstance(work.error, QueryCanceled)


async def test_only_so_many_questions_wait(service: PromqlService) -> None:
    work = Endless()
    asked = [asyncio.ensure_future(service.answer(work, FRESH)) for _ in range(QUESTIONS_MAX)]
    assert await asyncio.to_thread(work.began.wait, 5)
    with pytest.raises(Overloaded):
        await service.answer(lambda _: 1, FRESH)
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert await service.answer(lambda _: 1, FRESH) == 1
