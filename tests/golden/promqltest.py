"""Runs scripts of Prometheus' test format against our evaluator: `python tests/golden/promqltest.py FILE…`.

A script loads series (`load 5m` and lines `metric{label="a"} 0+10x5 _ stale`), asks (`eval instant at 10m …`,
`eval range from 0 to 1h step 5m …`) and says what must come out. What touches native histograms or features that we
don't offer is skipped, with its reason; the last line printed counts, and the exit code is 0 where nothing failed.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import promql_parser

from streamgauge.query.promql.durations import duration_ms
from streamgauge.query.promql.engine import Answer, Engine
from streamgauge.query.promql.errors import PromqlExecutionError, PromqlSyntaxError, PromqlUnsupported
from streamgauge.query.promql.labels import NAME, Labels, labels_of, value_of, without
from streamgauge.query.promql.series import STALE, Hints, Matcher, Series, SeriesBatch, satisfying
from streamgauge.query.promql.values import Scalar, Text

EPSILON = 1e-6
SMALLEST_NORMAL = 2.2250738585072014e-308
MINUTE_MS = 60_000


class NativeHistogram(Exception):
    """The case has to do with native histograms."""


class Mismatch(Exception):
    """What came out isn't what was expected."""


# ---- the samples loaded


@dataclass
class Loaded:
    """Float samples by series, and when there were native histograms."""

    floats: dict[Labels, dict[int, np.ndarray]] = field(default_factory=dict)
    histograms: dict[Labels, set[int]] = field(default_factory=dict)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, _: Hints) -> SeriesBatch:
        for labels, times in self.histograms.items():
            if satisfying([labels], matchers)[0] and any(start_ms <= time <= end_ms for time in times):
                raise NativeHistogram
        known = list(self.floats)
        found = [labels for labels, here in zip(known, satisfying(known, matchers), strict=True) if here]
        return SeriesBatch.of([self._series(labels, start_ms, end_ms) for labels in found])

    def _series(self, labels: Labels, start_ms: int, end_ms: int) -> Series:
        samples = sorted((time, value) for time, value in self.floats[labels].items() if start_ms <= time <= end_ms)
        values = np.concatenate([np.empty(0), *(value for _, value in samples)])
        return Series(labels, np.array([time for time, _ in samples], dtype=np.int64), values)

    def load(self, step_ms: int, lines: Sequence[str], *, with_native_buckets: bool) -> None:
        for line in lines:
            labels, values = series_line(line)
            for place, value in enumerate(values):
                if value is None:
                    continue
                if isinstance(value, str):
                    self.histograms.setdefault(labels, set()).add(place * step_ms)
                else:
                    self.floats.setdefault(labels, {})[place * step_ms] = value
                    if with_native_buckets and value_of(labels, NAME).endswith("_bucket"):
                        native = labels_of({**dict(without(labels, ("le",))), NAME: value_of(labels, NAME)[:-7]})
                        self.histograms.setdefault(native, set()).add(place * step_ms)


_VALUE = re.compile(
    r"(?P<histogram>\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x(?P<times>\d+))?)"
    r"|_(?:x(?P<missing>\d+))?|(?P<stale>stale)(?:x(?P<stale_times>\d+))?"
    r"|(?P<first>[+-]?(?:[\d.]+(?:e[+-]?\d+)?|inf|nan))"
    r"(?:(?P<step>[+-](?:[\d.]+(?:e[+-]?\d+)?|inf|nan)))?(?:x(?P<repeat>\d+))?",
    re.IGNORECASE,
)


def series_values(text: str) -> Iterator[np.ndarray | str | None]:
    """Samples, None where one is missing, text where it is a native histogram."""
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        found = _VALUE.match(text, position)
        if found is None:
            raise ValueError(f"not a sequence of samples: {text[position:]!r}")
        position = found.end()
        if found["histogram"]:
            yield from [found["histogram"]] * (int(found["times"] or 0) + 1)
        elif found["stale"]:
            yield from [STALE] * (int(found["stale_times"] or 0) + 1)
        elif found["first"] is None:
            yield from [None] * int(found["missing"] or 1)
        else:
            value = float(found["first"])
            yield np.array([value])
            for _ in range(int(found["repeat"] or 0)):
                value += float(found["step"] or "0")
                yield np.array([value])


def label_set(text: str) -> Labels:
    """`name{label="value"}`, either part left out at will, quoted names too."""
    if text in ("", "{}"):
        return ()
    bare = re.fullmatch(r"([a-zA-Z_:][\w:]*)?\s*(\{.*\})?", text, re.DOTALL)
    pairs = {NAME: bare[1]} if bare and bare[1] else {}
    inside = text[len(bare[1] or "") :].strip()[1:-1] if bare else text[1:-1]
    pattern = re.compile(
        r'\s*("(?:[^"\\]|\\.)*"|[^\s=,"]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'))?\s*(?:,|$)'
    )
    position = 0
    while position < len(inside):
        found = pattern.match(inside, position)
        if found is None:
            raise ValueError(f"not a set of labels: {text}")
        name = promql_parser.parse(found[1]).val if found[1].startswith('"') else found[1]
        pairs |= {NAME: name} if found[2] is None else {name: promql_parser.parse(found[2]).val}
        position = found.end()
    return labels_of(pairs)


def series_line(line: str) -> tuple[Labels, list[np.ndarray | str | None]]:
    found = re.match(
        r"((?:[a-zA-Z_:][\w:]*)?\s*(?:\{(?!\{)(?:[^\"'}]|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')*\})?)\s*(.*)$", line
    )
    if found is None or not found[1]:
        raise ValueError(f"not a series: {line}")
    return label_set(found[1].strip()), list(series_values(found[2]))


# ---- the cases of a script


@dataclass
class Case:
    """One `eval` with all that is expected of it. `step_ms` is 0 for an instant."""

    line: int
    query: str
    start_ms: int
    end_ms: int
    step_ms: int
    expects: list[tuple[str, str, str]] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)

    def expected(self, kind: str) -> list[tuple[str, str, str]]:
        return [expect for expect in self.expects if expect[0] == kind]


_EVAL = re.compile(r"eval(?:_(fail|warn|info|ordered))?\s+(instant|range)\s+(.*)$", re.DOTALL)
_INSTANT = re.compile(r"(?:at\s+(\S+))\s+(.*)$", re.DOTALL)
_RANGE = re.compile(r"from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.*)$", re.DOTALL)
_EXPECT = re.compile(
    r"expect\s+(ordered|fail|warn|no_warn|info|no_info|string|range vector)\b\s*(?:(msg|regex):)?\s*(.*)$"
)


def cases(text: str, loaded: Loaded) -> Iterator[Case]:
    """The cases one after another, with the samples loaded until then."""
    for line, head, body in _blocks(text):
        command = head.split()[0]
        if command == "clear":
            loaded.floats.clear()
            loaded.histograms.clear()
        elif command in ("load", "load_with_nhcb"):
            loaded.load(duration_ms(head.split()[1]), body, with_native_buckets=command == "load_with_nhcb")
        elif command.startswith("eval"):
            yield _case(line, head, body)
        else:
            raise ValueError(f"line {line}: unknown command {command!r}")


def _blocks(text: str) -> Iterator[tuple[int, str, list[str]]]:
    lines = [line.strip() for line in text.splitlines()]
    place = 0
    while place < len(lines):
        head, start = lines[place], place + 1
        place += 1
        if not head or head.startswith("#"):
            continue
        body = []
        while place < len(lines) and lines[place] and head.split()[0] != "clear":
            if not lines[place].startswith("#"):
                body.append(lines[place])
            place += 1
        yield start, head, body


def _case(line: int, head: str, body: list[str]) -> Case:
    flavour, kind, rest = _EVAL.match(head).groups()  # type: ignore[union-attr]
    if kind == "instant":
        at, query = _INSTANT.match(rest).groups()  # type: ignore[union-attr]
        case = Case(line, query.strip(), duration_ms(at), duration_ms(at), 0)
    else:
        first, last, step, query = _RANGE.match(rest).groups()  # type: ignore[union-attr]
        case = Case(line, query.strip(), duration_ms(first), duration_ms(last), duration_ms(step))
    if flavour:
        case.expects.append((flavour, "", ""))
    for row in body:
        old = re.match(r"expected_fail_(message|regexp)\s+(.*)$", row)
        new = _EXPECT.match(row)
        if old:
            case.expects.append(("fail", {"message": "msg", "regexp": "regex"}[old[1]], old[2]))
        elif new:
            case.expects.append((new[1], new[2] or "", new[3].strip()))
        else:
            case.rows.append(row)
    return case


# ---- answers and expectations


def ask(case: Case, loaded: Loaded) -> Answer:
    engine = Engine(loaded)
    if case.step_ms:
        return engine.range(case.query, case.start_ms, case.end_ms, case.step_ms)
    return engine.instant(case.query, case.start_ms)


def check(case: Case, loaded: Loaded) -> None:
    """Raises Mismatch, NativeHistogram, PromqlUnsupported."""
    failing = case.expected("fail")
    if any("{{" in row for row in case.rows):
        raise NativeHistogram
    try:
        answer = ask(case, loaded)
    except PromqlUnsupported:
        raise
    except (PromqlSyntaxError, PromqlExecutionError) as error:
        if not failing:
            raise Mismatch(f"failed: {error}") from error
        for _, how, text in failing:
            _check_text(how, text, str(error))
        return
    if failing:
        raise Mismatch("was expected to fail, and did not")
    _check_annotations(case, "warn", answer.warnings)
    _check_annotations(case, "info", answer.infos)
    _check_value(case, answer)


def _check_text(how: str, text: str, said: str) -> None:
    if (how == "msg" and text != said) or (how == "regex" and not re.search(text, said)):
        raise Mismatch(f"said {said!r}, expected {text!r}")


def _check_annotations(case: Case, kind: str, said: list[str]) -> None:
    if case.expected(f"no_{kind}") and said:
        raise Mismatch(f"said {said}, expected no {kind}")
    expected = case.expected(kind)
    if expected and not said:
        raise Mismatch(f"expected a {kind}")
    for _, how, text in expected:
        if how == "msg" and text not in said:
            raise Mismatch(f"said {said}, expected {text!r}")
        if how == "regex" and not any(re.search(text, one_said) for one_said in said):
            raise Mismatch(f"said {said}, expected {text!r}")


def _check_value(case: Case, answer: Answer) -> None:
    texts = case.expected("string")
    if texts or isinstance(answer.value, Text):
        found = answer.value.value if isinstance(answer.value, Text) else answer.value
        if not texts or found != (texts[0][2][1:-1] if texts[0][2].startswith("`") else ast.literal_eval(texts[0][2])):
            raise Mismatch(f"got {found!r}, expected {texts}")
        return
    scalar = _as_number(case.rows[0]) if len(case.rows) == 1 else None
    if scalar is not None:
        if not isinstance(answer.value, Scalar) or not almost_equal(float(answer.value.values[0]), scalar):
            raise Mismatch(f"got {answer.value}, expected the number {scalar}")
        return
    expected = [series_line(row) for row in case.rows]
    step_ms, start_ms = case.step_ms, case.start_ms
    for _, _, text in case.expected("range vector"):
        first, step = re.match(r"from\s+(\S+)\s+to\s+\S+\s+step\s+(\S+)", text).groups()  # type: ignore[union-attr]
        start_ms, step_ms = duration_ms(first), duration_ms(step)
    _compare(case, expected_samples(expected, start_ms, step_ms), found_samples(answer))


Samples = list[tuple[Labels, dict[int, float]]]


def expected_samples(expected: list[tuple[Labels, list]], start_ms: int, step_ms: int) -> Samples:
    return [
        (
            labels,
            {start_ms + place * step_ms: float(value[0]) for place, value in enumerate(values) if value is not None},
        )
        for labels, values in expected
    ]


def found_samples(answer: Answer) -> Samples:
    times = answer.times_ms.tolist()
    if answer.value is None:
        return [
            (series.labels, dict(zip(series.times_ms.tolist(), series.values.tolist(), strict=True)))
            for series in answer.matrix
        ]
    if isinstance(answer.value, Scalar):
        return [((), dict(zip(times, answer.value.values.tolist(), strict=True)))]
    assert not isinstance(answer.value, Text)
    vector = answer.value
    return [
        (labels, {time: value for time, value, here in zip(times, values, present, strict=True) if here})
        for labels, values, present in zip(vector.labels, vector.values.tolist(), vector.present.tolist(), strict=True)
    ]


def _compare(case: Case, expected: Samples, found: Samples) -> None:
    if case.expected("ordered") and [labels for labels, _ in expected] != [labels for labels, _ in found]:
        raise Mismatch(f"order: got {found}, expected {expected}")
    if len(dict(found)) != len(found):
        raise Mismatch(f"a label set twice: {found}")
    by_labels = dict(found)
    if set(by_labels) != {labels for labels, _ in expected}:
        raise Mismatch(f"got {found}, expected {expected}")
    for labels, samples in expected:
        got = by_labels[labels]
        if set(got) != set(samples) or not all(almost_equal(got[time], samples[time]) for time in samples):
            raise Mismatch(f"{labels}: got {got}, expected {samples}")


def _as_number(row: str) -> float | None:
    try:
        return float(row)
    except ValueError:
        return None


def almost_equal(a: float, b: float) -> bool:
    if (np.isnan(a) and np.isnan(b)) or a == b:
        return True
    if np.isnan(a) or np.isnan(b) or np.isinf(a) or np.isinf(b):
        return False
    total, difference = abs(a) + abs(b), abs(a - b)
    if a == 0 or b == 0 or total < SMALLEST_NORMAL:
        return difference < EPSILON * SMALLEST_NORMAL
    return difference / min(total, sys.float_info.max) < EPSILON


# ---- running


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0


def run(path: Path, tally: Tally) -> None:
    loaded = Loaded()
    for case in cases(path.read_text(encoding="utf-8"), loaded):
        place = f"{path.name}:{case.line}: {case.query}"
        try:
            check(case, loaded)
            tally.passed += 1
        except NativeHistogram:
            tally.skipped += 1
            print(f"SKIPPED {place}: native histograms")
        except PromqlUnsupported as error:
            tally.skipped += 1
            print(f"SKIPPED {place}: {error}")
        except Mismatch as mismatch:
            tally.failed += 1
            print(f"FAILED {place}: {mismatch}")
        except Exception as error:  # a bug fails its case, and the others are still told
            tally.failed += 1
            print(f"FAILED {place}: {type(error).__name__}: {error}")


def main(names: Sequence[str]) -> int:
    tally = Tally()
    for name in names:
        try:
            run(Path(name), tally)
        except (OSError, ValueError) as error:  # what can't be read is no reason to keep the count from whoever asks
            tally.failed += 1
            print(f"FAILED {name}: {error}")
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
