"""A data folder of which parts are gone: refused, rather than counted a second time."""

from __future__ import annotations

import shutil
from pathlib import Path

from running import RunningSystem


def test_a_log_whose_stream_state_is_gone_is_refused_with_the_reason(tmp_path: Path) -> None:
    with RunningSystem(tmp_path / "data") as system:
        system.send([{"event": "e"}] * 3)
        system.wait_until_counted(3)
        assert system.stop() == 0
        shutil.rmtree(system.data / "stream")
        system.spawn()
        assert system.wait() == 1
        assert "counted a second time" in system.output
        assert "Traceback" not in system.output


def test_a_stream_state_that_is_damaged_is_refused_with_the_reason(tmp_path: Path) -> None:
    with RunningSystem(tmp_path / "data") as system:
        assert system.stop() == 0
        (system.data / "stream" / "state.db").write_bytes(b"not a database" * 100)
        system.spawn()
        assert system.wait() == 1
        assert "state.db can't be used" in system.output
        assert "Traceback" not in system.output
