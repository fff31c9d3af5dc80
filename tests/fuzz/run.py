"""`make fuzz`: every decoder in turn gets inputs that nobody meant, until one fails or they are all refused or read.

An input is at most 16 KiB and nothing of it is kept, so that memory stays where it was after the first few thousand.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from random import Random
from typing import Final

from fuzz.corpus import mutated
from fuzz.decoders import REFUSALS, Decoder, decoders
from unit.ingest.memory_log import Desk

_DESK_INPUTS: Final = 5_000
"""What was accepted is forgotten after so many."""

_BAR_INPUTS: Final = 1_000


class Crash(Exception):
    def __init__(self, decoder: Decoder, data: bytes) -> None:
        super().__init__(f"{decoder.name} failed on {data!r}")


async def fuzz(inputs: int, seed: int, *, shows_progress: bool = False) -> None:
    """Raises Crash from what a decoder raised. The same seed makes the same inputs."""
    random, all_of_them, desk = Random(seed), decoders(), Desk()
    for number in range(inputs):
        if number % _DESK_INPUTS == 0:
            desk = Desk()
        if shows_progress and number % _BAR_INPUTS == 0:
            _show(number, inputs)
        decoder = all_of_them[number % len(all_of_them)]
        data = mutated(decoder.corpus, random)
        try:
            await decoder.decode(desk, data)
        except REFUSALS:
            continue
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise
        except BaseException as error:  # a panic of a library in Rust is no `Exception`
            raise Crash(decoder, data) from error


def _show(done: int, inputs: int) -> None:
    full = 40 * done // inputs
    sys.stderr.write(f"\r[{'#' * full}{'.' * (40 - full)}] {done:,} of {inputs:,}")
    sys.stderr.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1, help="the same one makes the same inputs")
    asked = parser.parse_args()
    began_s = time.perf_counter()
    asyncio.run(fuzz(asked.inputs, asked.seed, shows_progress=sys.stderr.isatty()))
    seconds = time.perf_counter() - began_s
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    print(f"\n{asked.inputs:,} inputs, {asked.inputs / seconds:,.0f} inputs/s, {peak_mib:,.0f} MiB at most, no crash")


if __name__ == "__main__":
    main()
