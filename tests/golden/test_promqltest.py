"""Scripts in Prometheus' test format: our own, and Prometheus' where they are at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from golden import promqltest
from streamgauge.query.promql.engine import Engine
from streamgauge.query.promql.errors import PromqlExecutionError, PromqlSyntaxError

OWN = Path(__file__).parent / "promql"
SHARED = Path(__file__).parents[3] / "shared" / "promqltest"


@pytest.mark.parametrize("path", sorted(OWN.glob("*.test")), ids=lambda path: path.stem)
def test_our_own_scripts_pass_without_a_skip(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = promqltest.main([str(path)])
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert printed.endswith(" 0 failed, 0 skipped\n"), printed


@pytest.mark.parametrize("path", sorted(SHARED.glob("*.test")), ids=lambda path: path.stem)
def test_scripts_of_prometheus_pass_but_for_native_histograms(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = promqltest.main([str(path)])
    printed = capsys.readouterr().out.splitlines()
    assert status == 0, "\n".join(line for line in printed if line.startswith("FAILED"))
    skipped = [line for line in printed if line.startswith("SKIPPED")]
    assert all(line.endswith(": native histograms") for line in skipped), skipped


def test_a_wrong_answer_fails_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "wrong.test"
    script.write_text("load 1m\n  m 1 2 3\n\neval instant at 2m m\n  m 4\n\neval instant at 2m m\n  m 3\n")
    assert promqltest.main([str(script)]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("FAILED wrong.test:4: m: ")
    assert printed[-1] == "1 passed, 1 failed, 0 skipped"


def test_a_script_that_cannot_be_read_fails_and_the_others_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.test", tmp_path / "bad.test"
    good.write_text("eval instant at 0 1 + 1\n  2\n")
    bad.write_text("load 1m\n  m 1 two 3\n")
    assert promqltest.main([str(bad), str(good), str(tmp_path / "none.test")]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 2 failed, 0 skipped"


@pytest.mark.parametrize(
    ("expectation", "query"),
    [
        ("expect fail", "m"),
        ("expect warn", "m"),
        ("expect no_warn", "quantile(2, m)"),
        ("expect info", "m"),
        ("expect no_info", "rate(m[5m])"),
        ("expect fail msg: another", "m + on () group_left () (n or m)"),
        ('expect string "b"', '"a"'),
    ],
)
def test_an_expectation_that_is_not_met_fails(expectation: str, query: str, tmp_path: Path) -> None:
    script = tmp_path / "unmet.test"
    rows = "  m 3\n" if query == "m" else "  {} +Inf\n" if "quantile" in query else "  {} 0.0166666666\n"
    script.write_text(f"load 1m\n  m 1 2 3\n  n 1 2 3\n\neval instant at 2m {query}\n  {expectation}\n{rows}")
    assert promqltest.main([str(script)]) == 1


# What depends on the range itself, or on the order of an instant answer.
_OF_THE_RANGE = ("start()", "end()", "step()", "range()", "limit_ratio")


@pytest.mark.parametrize("path", sorted([*OWN.glob("*.test"), *SHARED.glob("*.test")]), ids=lambda path: path.stem)
def test_an_instant_is_worth_what_the_same_step_of_a_range_is(path: Path) -> None:
    loaded, compared = promqltest.Loaded(), 0
    for case in promqltest.cases(path.read_text(encoding="utf-8"), loaded):
        if case.step_ms or any(word in case.query for word in _OF_THE_RANGE):
            continue
        engine, at_ms = Engine(loaded), case.start_ms
        try:
            instant = engine.instant(case.query, at_ms)
            ranged = engine.range(case.query, at_ms - 60_000, at_ms + 60_000, 60_000)
        except (promqltest.NativeHistogram, PromqlSyntaxError, PromqlExecutionError):
            continue
        wanted = {labels: values for labels, values in promqltest.found_samples(instant) if values}
        found = {
            labels: {at_ms: values[at_ms]} for labels, values in promqltest.found_samples(ranged) if at_ms in values
        }
        assert str(found.keys() ^ wanted.keys()) == "set()", case.query
        for labels, values in wanted.items():
            assert promqltest.almost_equal(found[labels][at_ms], values[at_ms]), (case.query, labels)
        compared += 1
    assert compared > 0 or path.stem == "limit"  # which is of native histograms throughout
