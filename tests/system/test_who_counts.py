"""One log is counted by Flink or by the embedded runner, never by both."""

from __future__ import annotations

from pathlib import Path

from running import RunningSystem

# Nobody listens there: it must refuse before it reads anything.
_CONFIG = """
log = "kafka://127.0.0.1:1/events"
store = "clickhouse://127.0.0.1:1/default"
runner = "flink://127.0.0.1:1"
"""


def test_streamgauge_stream_refuses_to_count_where_flink_does(tmp_path: Path) -> None:
    system = RunningSystem(tmp_path / "stream", config=_CONFIG, command="stream")
    system.spawn()
    assert system.wait() != 0
    assert "Flink counts, at flink://127.0.0.1:1" in system.output
    assert "streamgauge loader" in system.output
