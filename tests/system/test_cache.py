"""The cache in a real system: in memory, and in a Redis that comes and goes."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local_cluster.redis import RedisServer
from redis_server import PASSWORD
from running import RunningSystem, eventually
from streamgauge.model import HOUR_MS, MINUTE_MS

CONFIG = """
cache = "{cache}"

[stream]
watermark_delay_ms = 0
idle_partition_ms = 100
"""
DAY = {"name": "page_views", "range": "24h", "group_by": "country"}
OLD_MS = time.time_ns() // 1_000_000 // HOUR_MS * HOUR_MS - 3 * HOUR_MS
HISTORY = {"name": "page_views", "from": str(OLD_MS), "to": str(OLD_MS + HOUR_MS), "country": "US"}


@pytest.fixture(scope="module", params=["memory", "redis"])
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """For tests that ask what no other asks."""
    url = "memory://" if request.param == "memory" else request.getfixturevalue("redis").url
    data = tmp_path_factory.mktemp("cache") / "data"
    with RunningSystem(data, config=CONFIG.format(cache=url)) as running:
        yield running
        assert running.stop() == 0, running.output
        assert not any(bad in running.output for bad in (" ERROR ", "Traceback", PASSWORD)), running.output


def view(country: str, **more: Any) -> dict[str, Any]:
    return {"event": "page_view", "country": country, "device": "mobile", "page": "/", **more}


def outcome(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["streamgauge-cache"]


def outcomes(system: RunningSystem) -> list[float]:
    """How many hits, misses, and questions that went past the cache there were."""
    return [system.self_metric("streamgauge_cache_answers_total", outcome=one) for one in ("hit", "miss", "bypass")]


def complete_up_to_ms(system: RunningSystem) -> float:
    return system.self_metric("streamgauge_stream_complete_up_to_seconds") * 1000


def test_an_answer_says_whether_it_was_kept_how_old_it_is_and_what_took_how_long(system: RunningSystem) -> None:
    question = {**DAY, "range": "23h"}
    system.send([view("FR"), view("DE"), view("FR")])
    system.wait_until_counted(2, "page_views", country="FR")
    system.wait_until_idle()
    first = system.get("/metrics", params=question)
    assert (outcome(first), first.headers["age"]) == ("miss", "0")
    eventually(lambda: int(system.get("/metrics", params=question).headers["age"]) >= 1, "it is a second old", 5)
    second = system.get("/metrics", params=[*reversed(question.items()), ("step", "10m"), ("limit", "1000")])
    assert outcome(second) == "hit"
    assert second.content == first.content
    for name in ("streamgauge-complete-up-to", "streamgauge-lag-ms", "streamgauge-from", "streamgauge-to"):
        assert second.headers[name] == first.headers[name], "it is as fresh as it was when it was asked for"
    assert second.headers["cache-control"] == "no-store"
    assert second.headers["content-type"] == "application/json"
    for answer, store in ((first, r"[1-9]|0\.[1-9]"), (second, r"0\.0$")):
        times = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["server-timing"]))
        assert set(times) == {"cache", "store", "total"}
        assert re.match(store, times["store"]), times
        assert float(times["total"]) >= float(times["cache"])


def test_no_event_is_hidden_neither_one_of_now_nor_a_late_one(system: RunningSystem) -> None:
    for number in range(1, 6):
        with system.live() as updates:
            next(updates)
            system.send([view("US"), view("US", timestamp=OLD_MS + number * MINUTE_MS)])
            counted = 0
            while counted < 2:  # the page asks when it is told that something was counted
                name, data = next(updates)
                counted += data["events_count"] if name == "update" else 0
        for _ in range(2):
            now, late = (system.get("/metrics", params=asked) for asked in (DAY, HISTORY))
            assert {row["country"]: row["value"] for row in now.json()}["US"] == 2 * number
            assert sum(point["value"] for point in late.json()) == number
        assert (outcome(now), outcome(late)) == ("hit", "hit")


@pytest.mark.parametrize("header", ["no-cache", "max-age=0, no-cache", "No-Store", "max-age=0"])
def test_no_cache_really_bypasses(system: RunningSystem, header: str) -> None:
    question, before = {**HISTORY, "country": header}, outcomes(system)
    for _ in range(2):
        system.get("/metrics", params=question)
    assert outcome(system.get("/metrics", params=question, headers={"Cache-Control": "max-age=60"})) == "hit"
    answer = system.get("/metrics", params=question, headers={"Cache-Control": header})
    assert (outcome(answer), answer.headers["age"]) == ("bypass", "0")
    assert float(re.findall(r"store;dur=([\d.]+)", answer.headers["server-timing"])[0]) > 0
    assert outcome(system.get("/metrics", params=question)) == "hit"
    assert outcomes(system) == [before[0] + 3, before[1] + 1, before[2] + 1]


def test_an_error_is_answered_as_ever_and_not_kept(system: RunningSystem) -> None:
    before = outcomes(system)
    answers = [system.get("/metrics", params={"name": "page_view"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert outcomes(system) == before


def test_what_there_is_to_ask_is_kept_until_something_comes(system: RunningSystem) -> None:
    def last_seen() -> str | None:
        answer = system.get("/metrics/names")
        return {one["name"]: one["last_seen"] for one in answer.json()}["requests"]

    before = [last_seen() for _ in range(2)]
    assert before[0] == before[1]
    assert outcome(system.get("/metrics/names")) == "hit"
    system.send([{"event": "request", "page": f"/{time.time_ns()}"}])
    eventually(lambda: last_seen() is not None and last_seen() != before[0], "a request was seen")


def test_a_person_can_read_the_keys_and_other_rollups_have_others(redis: RedisServer, tmp_path: Path) -> None:
    redis.ask("FLUSHALL")
    config = CONFIG.format(cache=redis.url) + "[answer_cache]\nttl_s = 600\n"
    with RunningSystem(tmp_path / "data", config=config) as system:
        system.send([view("US", timestamp=OLD_MS)])
        system.wait_until_counted(1, "page_views")
        eventually(lambda: complete_up_to_ms(system) > OLD_MS + 2 * HOUR_MS, "that hour is history")
        assert [outcome(system.get("/metrics", params=HISTORY)) for _ in range(2)] == ["miss", "hit"]
        keys = redis.ask("KEYS", "*:page_views:*1h:step=1m:country=US").decode()
        assert re.search(r"streamgauge:[0-9a-f]{16}:metrics:page_views:[-0-9T:]+\+1h:step=1m:country=US\r", keys), keys
        assert system.stop() == 0
        assert PASSWORD not in system.output
        system.start()
        assert outcome(system.get("/metrics", params=HISTORY)) == "hit"
        assert system.stop() == 0
        system.reconfigure(
            config + '[[rollups]]\nname = "page_views"\nevent = "page_view"\ndimensions = ["device", "country"]\n'
        )
        system.start()
        assert outcome(system.get("/metrics", params=HISTORY)) == "miss"


class Asking:
    """Questions one after the other from several clients, until it is left: whatever happens, each is answered."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(4)]
        self.answers: list[tuple[int, float]] = []

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def answered(self, more: int) -> bool:
        if not hasattr(self, "_goal"):
            self._goal = len(self.answers) + more
        reached = len(self.answers) >= self._goal
        if reached:
            del self._goal
        return reached

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=10) as client:
            number = 0
            while not self._stop.is_set():
                number += 1
                began_s = time.monotonic()
                answer = client.get("/metrics", params={**DAY, "range": f"{number % 7 + 1}h"})
                self.answers.append((answer.status_code, time.monotonic() - began_s))


def test_redis_may_go_and_come_back_while_questions_go_on(own_redis: RedisServer, tmp_path: Path) -> None:
    config = CONFIG.format(cache=own_redis.url)
    with RunningSystem(tmp_path / "data", config=config) as system, Asking(system.url()) as asking:

        def cache_state() -> str:
            answer = system.get("/readyz")
            assert answer.status_code == 200
            assert answer.json()["status"] == "ready"
            return str(answer.json()["stages"]["cache"]["state"])

        assert cache_state() == "ready"
        for _ in range(2):
            system.send([view("US")])
            eventually(lambda: asking.answered(50), "50 questions answered")
            own_redis.kill()
            eventually(lambda: cache_state() == "degraded", "the cache is said to be away", 5)
            assert system.self_metric("streamgauge_cache_up") == 0
            system.send([view("US")])
            eventually(lambda: asking.answered(50), "50 questions answered without Redis")
            own_redis.start()
            eventually(lambda: cache_state() == "ready", "the cache is used again", 5)
        hits = system.self_metric("streamgauge_cache_answers_total", outcome="hit")
        eventually(
            lambda: system.self_metric("streamgauge_cache_answers_total", outcome="hit") > hits, "there are hits again"
        )
        own_redis.freeze()
        try:
            eventually(lambda: asking.answered(50), "50 questions answered while Redis says nothing")
            assert cache_state() == "degraded"
        finally:
            own_redis.thaw()
        system.wait_until_counted(4, "page_views")
        asking.__exit__()
        assert {status for status, _ in asking.answers} == {200}
        assert max(seconds for _, seconds in asking.answers) < 5
        assert system.self_metric("streamgauge_cache_errors_total", operation="get") > 0
        assert system.stop() == 0
        assert "Traceback" not in system.output, system.output


def test_a_cache_that_is_none_is_refused_at_the_start_without_its_password(tmp_path: Path) -> None:
    for number, url in enumerate(["redis://:hush@", "redis://:hush@host/zero", "memcached://:hush@host"]):
        system = RunningSystem(tmp_path / f"data{number}", config=CONFIG.format(cache=url))
        system.spawn()
        assert system.wait() == 1
        assert "the setting cache is" in system.output
        assert "hush" not in system.output
