"""All rules there are: of files, made through the API, and those of the program itself. Changes are seen by themselves.

A file or group that can't be used says why, and the rules that it had before stay.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from streamgauge.alert.evaluate import Prepared
from streamgauge.alert.records import read_groups
from streamgauge.alert.rule_file import FILE_BYTES_MAX, RULES_MAX, RuleError, read_rules
from streamgauge.alert.rules import Group, Named, named_rules
from streamgauge.core.errors import InvalidRequest
from streamgauge.model import Rollup
from streamgauge.state.database import StateDatabase

FILES_MAX: Final = 500
BUILT_IN: Final = """
groups:
- name: streamgauge
  rules:
  - alert: StreamgaugeRulesHeld
    expr: max(streamgauge_alert_held_seconds) > {held_s}
    labels: {{severity: warning}}
    annotations:
      summary: "Alerts have been held for {{{{ $value | humanizeDuration }}}}: data is not complete"
      description: "The pipeline is behind, so that traffic can't be judged. See the lag at /readyz and in GET /alerts."
"""

_logger = logging.getLogger(__name__)

_FOLDER: Final = "folder"
_Stamp = tuple[int, int]
_NEVER_READ: Final[_Stamp] = (-1, -1)


class RuleBook:
    """Used on the event loop."""

    def __init__(self, folder: Path, database: StateDatabase, rollups: Sequence[Rollup], held_alert_s: int) -> None:
        self._folder, self._database, self._rollups = folder, database, rollups
        built_in = read_rules(BUILT_IN.format(held_s=held_alert_s), rollups, source="built-in")
        self._built_in = built_in
        self._files: dict[str, tuple[_Stamp, tuple[Group, ...]]] = {}
        self._made: dict[str, tuple[str, tuple[Group, ...]]] = {}
        self._rules: tuple[Prepared, ...] = ()
        self._metrics: dict[str, frozenset[str]] = {}
        self.groups: tuple[Group, ...] = ()
        self._unread: set[str] = {_FOLDER}
        self.problems: dict[str, str] = {}
        """What can't be used, by the name of the file or group."""
        self._arrange()

    @property
    def rules(self) -> Sequence[Prepared]:
        return self._rules

    def metrics(self, one: Prepared) -> frozenset[str]:
        """That a rule reads, itself or by the names of record rules; "" where a selector doesn't say."""
        return self._metrics[one.named.key]

    @property
    def is_whole(self) -> bool:
        """Whether the folder and each of its files could be read since the start. Else there may be more rules."""
        return not self._unread

    @property
    def rollups(self) -> Sequence[Rollup]:
        return self._rollups

    async def refresh(self) -> bool:
        """Read what changed; whether anything did. Raises Unavailable where the state database is away."""
        made = await self._database.read(read_groups)
        changed = self._read_folder() | self._read_made(made)
        if changed:
            self._arrange()
        return changed

    def made_text(self, name: str) -> str | None:
        return self._made[name][0] if name in self._made else None

    def _read_folder(self) -> bool:
        try:
            found = {path.name: path for path in _files_of(self._folder)}
        except OSError as error:
            # Where there never was a folder there are no rules; one that is away for a moment is not an end of alerts.
            if self._files or not isinstance(error, FileNotFoundError):
                self._is_bad(_FOLDER, f"the folder of rules can't be read: {error}")
            return False
        self.problems.pop(_FOLDER, None)
        self._unread &= found.keys()
        changed = bool(self._files.keys() - found.keys())
        for name in self._files.keys() - found.keys():
            del self._files[name]
            self.problems.pop(name, None)
        for name, path in found.items():
            changed |= self._read_file(name, path)
        return changed

    def _read_file(self, name: str, path: Path) -> bool:
        before = self._files.get(name, (_NEVER_READ, ()))
        stamp = _NEVER_READ
        try:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp == before[0]:
                return False
            if stat.st_size > FILE_BYTES_MAX:
                raise RuleError(f"{name}: over {FILE_BYTES_MAX:,} bytes")
            groups = read_rules(path.read_text(encoding="utf-8"), self._rollups, source="file", file=name)
        except FileNotFoundError:
            return False
        except (InvalidRequest, OSError, UnicodeDecodeError) as error:
            self._is_bad(name, str(error))
            if name not in self._files:
                self._unread.add(name)
            self._files[name] = (stamp, before[1])
            return False
        self.problems.pop(name, None)
        self._unread.discard(name)
        self._files[name] = (stamp, groups)
        return True

    def _read_made(self, made: Mapping[str, str]) -> bool:
        changed = False
        for name in self._made.keys() - made.keys():
            del self._made[name]
            self.problems.pop(name, None)
            changed = True
        for name, text in made.items():
            before = self._made.get(name, ("", ()))
            if before[0] == text:
                continue
            try:
                self._made[name] = (text, read_rules(text, self._rollups, source="made"))
                self.problems.pop(name, None)
            except InvalidRequest as error:  # a metric that it needs is no longer configured
                self._is_bad(name, error.message)
                self._made[name] = (text, before[1])
            changed = True
        return changed

    def _is_bad(self, name: str, problem: str) -> None:
        if self.problems.get(name) != problem:
            _logger.warning("rules stay as they were: %s", problem)
        self.problems[name] = problem

    def _arrange(self) -> None:
        of_files = [group for name in sorted(self._files) for group in self._files[name][1]]
        of_people = [group for name in sorted(self._made) for group in self._made[name][1]]
        self.groups = (*of_files, *of_people, *self._built_in)
        named = list(named_rules(self.groups))
        if len(named) > RULES_MAX:
            self._is_bad("all", f"{len(named):,} rules altogether: only the first {RULES_MAX:,} are evaluated")
        known = {one.named.key: one for one in self._rules}
        self._rules = tuple(_prepared(one, known.get(one.key)) for one in named[:RULES_MAX])
        records: dict[str, AbstractSet[str]] = {}
        for one in self._rules:
            if one.rule.kind == "record":
                records[one.rule.name] = one.metrics | records.get(one.rule.name, frozenset())
        self._metrics = {one.named.key: _behind(one.metrics, records) for one in self._rules}


def _prepared(named: Named, before: Prepared | None) -> Prepared:
    return before if before is not None and before.named == named else Prepared(named)


def _behind(metrics: AbstractSet[str], records: Mapping[str, AbstractSet[str]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(metrics)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += records.get(name, ())
    return frozenset(found - records.keys())


def _files_of(folder: Path) -> list[Path]:
    """Raises OSError."""
    found = [path for path in folder.iterdir() if path.suffix in (".yml", ".yaml") and not path.name.startswith(".")]
    return sorted(found)[:FILES_MAX]
