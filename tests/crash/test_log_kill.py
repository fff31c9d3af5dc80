"""SIGKILL while the log is written: what was acknowledged is there, where it should be, once, in order.

This file is also the program that is killed: `python test_log_kill.py FOLDER ROUND` appends, and prints each number
once its append has returned. Its clock runs a day per 50 appends, so that it is killed while files change as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from streamgauge.config import LogSettings
from streamgauge.core.clock import ManualClock
from streamgauge.log.base import Record, partition_of
from streamgauge.log.sqlite import SqliteLog
from streamgauge.model import DAY_MS

ROUNDS = 8
TASKS = 8
SETTINGS = LogSettings(partitions=3)
RETENTION_DAYS = 1_000_000

Positions = dict[bytes, tuple[int, int]]
"""Value → partition and offset."""


async def append_for_ever(folder: Path, round_: str) -> None:
    clock = ManualClock()
    log = await SqliteLog.open(folder, SETTINGS, RETENTION_DAYS, clock)

    async def append_in_order(task: int) -> None:
        chance = random.Random(task)
        number = 0
        while True:
            count = chance.randrange(1, 12)
            values = [b"%s-%d-%d" % (round_.encode(), task, number + n) for n in range(count)]
            await log.append([Record(b"task-%d" % task, value) for value in values])
            os.write(1, b"".join(value + b"\n" for value in values))
            number += count
            clock.advance(DAY_MS // 50)

    await asyncio.gather(*(append_in_order(task) for task in range(TASKS)))


def acknowledged_before_kill(folder: Path, round_: int, kill_after: int) -> list[bytes]:
    """Run the program, kill it after so many acknowledgements, and return all that it had printed by then."""
    command = [sys.executable, __file__, str(folder), str(round_)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        lines = [program.stdout.readline() for _ in range(kill_after)]
        program.kill()
        lines += program.stdout.readlines()
    assert all(line.endswith(b"\n") for line in lines[:kill_after]), "the program ended by itself"
    return [line.rstrip(b"\n") for line in lines if line.endswith(b"\n")]


async def positions_in(folder: Path) -> Positions:
    """Where each record is, after reopening. Checks that offsets are dense and no record is there twice."""
    log = await SqliteLog.open(folder, SETTINGS, RETENTION_DAYS, ManualClock())
    ends = await log.end_offsets()
    positions: Positions = {}
    expected = dict.fromkeys(ends, 0)
    async with contextlib.aclosing(log.read("check")) as batches:  # type: ignore[type-var]
        while expected != ends:
            batch = await asyncio.wait_for(anext(batches), 20)
            for part in batch.slices:
                assert part.start == expected[part.partition]
                expected[part.partition] = part.end
                values = part.lines.split(b"\n")
                assert len(values) == part.count
                positions |= {value: (part.partition, part.start + n) for n, value in enumerate(values)}
    await log.close()
    assert len(positions) == sum(ends.values())
    return positions


def assert_in_order(positions: Positions) -> None:
    """The records of each task are in the partition of its key, in the order it appended them, without a gap."""
    of_task: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for value, (partition, offset) in positions.items():
        round_, task, number = (int(field) for field in value.split(b"-"))
        assert partition == partition_of(b"task-%d" % task, SETTINGS.partitions)
        of_task.setdefault((round_, task), []).append((number, offset))
    for numbers_and_offsets in of_task.values():
        numbers_and_offsets.sort()
        assert [number for number, _ in numbers_and_offsets] == list(range(len(numbers_and_offsets)))
        assert all(offset < following for (_, offset), (_, following) in pairwise(numbers_and_offsets))


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
async def test_every_acknowledged_record_is_in_its_place_after_kill_9(tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    print("seed", seed)
    chance = random.Random(seed)
    folder = tmp_path / "log"
    before: Positions = {}
    for round_ in range(ROUNDS):
        acknowledged = acknowledged_before_kill(folder, round_, kill_after=chance.randrange(1, 4000))
        after = await positions_in(folder)
        assert set(acknowledged) <= after.keys()
        assert before.items() <= after.items()
        assert_in_order(after)
        before = after
    assert len(list(folder.glob("*.db"))) > 3, "no day ended: the test is not testing what it says"


if __name__ == "__main__":
    asyncio.run(append_for_ever(Path(sys.argv[1]), sys.argv[2]))
