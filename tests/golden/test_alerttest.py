"""The scripts of what alerts become."""

from __future__ import annotations

from pathlib import Path

import pytest

from golden import alerttest

SCRIPTS = Path(__file__).parent / "alerts"


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.test")), ids=lambda path: path.stem)
def test_alerts_become_what_the_script_says(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = alerttest.main([str(path)])
    printed = capsys.readouterr().out
    assert status == 0, printed


def test_a_script_whose_expectation_is_not_met_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "wrong.test"
    script.write_text(
        'rules\n  - alert: A\n    expr: m > 0\nload 1m\n  m 1\nat 0m\nat 0m\n  firing {alertname="A"} 1 since 0m\n'
    )
    assert alerttest.main([str(script)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"
