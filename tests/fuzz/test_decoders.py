"""Whatever strangers send is read or refused, and never a bug. `make fuzz` tries for longer."""

from __future__ import annotations

import pytest

from fuzz import run
from fuzz.decoders import Decoder
from fuzz.run import Crash, fuzz
from unit.ingest.memory_log import Desk


async def test_no_input_makes_a_decoder_fail() -> None:
    await fuzz(20_000, seed=7)


async def test_a_decoder_that_fails_is_found_with_what_it_failed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: Desk, data: bytes) -> None:
        if b"}" in data:
            raise KeyError(data)

    monkeypatch.setattr(run, "decoders", lambda: [Decoder("broken", [b"{}", b"["], fail)])
    with pytest.raises(Crash, match=r"broken failed on .*}"):
        await fuzz(1_000, seed=7)
