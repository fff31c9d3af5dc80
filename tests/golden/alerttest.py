"""Runs scripts that say what alerts become: `python tests/golden/alerttest.py FILE…`.

    interval 1m                      how often rules are evaluated
    rules                            one group of a rule file, indented
      - alert: Low
        expr: m < 5
        for: 2m
    load 1m                          series, as Prometheus' own test format has them
      m{a="x"} 10 4x5
    at 3m                            evaluate every interval up to then; these alerts, and no others, are there
      firing {alertname="Low",a="x"} 4 since 3m
      pending {…} 4 since 2m         since: active, firing, or resolved
    note {…} summary "text"          the annotation of an alert that is there
    changes                          what happened since the script began, in order
      1m {…} inactive pending
    skip to 10m                      nothing is evaluated before then

Times are counted from 0. `since` is of an evaluation. The last line printed counts, and the exit code is 0 where
nothing failed.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from golden.promqltest import Loaded, label_set
from streamgauge.alert.base import fingerprint_of
from streamgauge.alert.evaluate import Prepared
from streamgauge.alert.rule_file import read_rules
from streamgauge.alert.rules import named_rules
from streamgauge.alert.state import Instance, RuleState, Timing, Transition, step
from streamgauge.model import Rollup
from streamgauge.query.promql.durations import duration_ms
from streamgauge.query.promql.engine import Engine
from streamgauge.query.promql.written import written_number

ROLLUPS = (Rollup(name="page_views", event="page_view", dimensions=("country", "device")),)
"""What short forms may name."""


class Mismatch(Exception):
    """What came out isn't what was expected."""


class Script:
    """One script's world."""

    def __init__(self) -> None:
        self._loaded = Loaded()
        self._interval_ms, self._next_ms = 60_000, 0
        self._rules: list[Prepared] = []
        self._states: list[RuleState] = []
        self._changes: list[Transition] = []

    def run(self, command: str, block: Sequence[str]) -> None:
        """Raises Mismatch."""
        word, _, rest = command.partition(" ")
        getattr(self, f"_{word}")(rest, block)

    def _interval(self, rest: str, _: Sequence[str]) -> None:
        self._interval_ms = duration_ms(rest)

    def _rules_of(self, text: str) -> list[Prepared]:
        content = "groups:\n- name: g\n  rules:\n" + textwrap.indent(textwrap.dedent(text), "  ")
        return [Prepared(named) for named in named_rules(read_rules(content, ROLLUPS, source="made"))]

    def _rules_(self, block: Sequence[str]) -> None:
        """What alerts remember outlives it, as it does when a file is edited."""
        before = dict(zip([one.named.key for one in self._rules], self._states, strict=True))
        self._rules = self._rules_of("\n".join(block))
        self._states = [before.get(one.named.key, RuleState()) for one in self._rules]

    def _load(self, rest: str, block: Sequence[str]) -> None:
        self._loaded.load(duration_ms(rest), [line.strip() for line in block], with_native_buckets=False)

    def _skip(self, rest: str, _: Sequence[str]) -> None:
        self._next_ms = duration_ms(rest.removeprefix("to "))

    def _at(self, rest: str, block: Sequence[str]) -> None:
        until_ms = duration_ms(rest)
        while self._next_ms <= until_ms:
            self._evaluate(self._next_ms)
            self._next_ms += self._interval_ms
        self._compare([_alert(line.strip()) for line in block], sorted(self._alerts()))

    def _changes_(self, block: Sequence[str]) -> None:
        found = [f"{_time(one.at_ms)} {_labels(one.labels)} {one.was} {one.now}" for one in self._changes]
        expected = [line.strip() for line in block]
        normal = [re.sub(r"\{.*\}", lambda labels: _labels(dict(label_set(labels[0]))), line) for line in expected]
        self._compare(normal, found, in_order=True)

    def _note(self, rest: str, _: Sequence[str]) -> None:
        found = re.fullmatch(r'(\{.*\}) (\w+) "(.*)"', rest)
        assert found is not None, rest
        fingerprint = fingerprint_of(dict(label_set(found[1])))
        instance = next(
            (state.instances[fingerprint] for state in self._states if fingerprint in state.instances), None
        )
        text = instance.annotations.get(found[2]) if instance else None
        if text != found[3]:
            raise Mismatch(f"the annotation is {text!r}")

    def _evaluate(self, at_ms: int) -> None:
        engine = Engine(self._loaded)
        for place, one in enumerate(self._rules):
            state = self._states[place]
            timing = Timing(one.rule.for_ms, one.rule.keep_firing_for_ms, self._interval_ms)
            self._states[place], changes = step(state, one.found(engine, at_ms, state), at_ms, timing)
            self._changes += changes

    def _alerts(self) -> Iterator[str]:
        for instance in (instance for state in self._states for instance in state.instances.values()):
            yield (
                f"{instance.phase} {_labels(instance.labels)} {written_number(instance.value)} "
                f"since {_time(_since_ms(instance))}"
            )

    def _compare(self, expected: Sequence[str], found: Sequence[str], *, in_order: bool = False) -> None:
        wanted = list(expected) if in_order else sorted(expected)
        if wanted != list(found):
            raise Mismatch(f"expected {wanted}, found {list(found)}")


def _since_ms(instance: Instance) -> int:
    if instance.resolved_at_ms is not None:
        return instance.resolved_at_ms
    return instance.active_at_ms if instance.fired_at_ms is None else instance.fired_at_ms


def _alert(line: str) -> str:
    phase, labels, rest = re.fullmatch(r"(\w+) (\{.*\}) (.*)", line).groups()  # type: ignore[union-attr]
    return f"{phase} {_labels(dict(label_set(labels)))} {rest}"


def _labels(labels: object) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(dict(labels).items())) + "}"  # type: ignore[call-overload]


def _time(time_ms: int) -> str:
    minutes, seconds = divmod(time_ms // 1000, 60)
    return f"{minutes}m{seconds}s" if seconds else f"{minutes}m"


def commands(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Line, command, and the lines indented below it."""
    number, command, block = 0, "", list[str]()
    for place, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace():
            block.append(line)
            continue
        if command:
            yield number, command, block
        number, command, block = place, line.strip(), []
    if command:
        yield number, command, block


def main(files: Sequence[str]) -> int:
    passed = failed = 0
    for file in map(Path, files):
        script = Script()
        try:
            for line, command, block in commands(file.read_text(encoding="utf-8")):
                try:
                    if command in ("rules", "changes"):
                        getattr(script, f"_{command}_")(block)
                    else:
                        script.run(command, block)
                    passed += command.split()[0] in ("at", "note", "changes")
                except Mismatch as error:
                    failed += 1
                    print(f"FAILED {file.name}:{line}: {command}: {error}")
        except Exception as error:  # a script that can't be read fails, and the others are run
            failed += 1
            print(f"FAILED {file.name}: {type(error).__name__}: {error}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main(sys.argv[1:]))
