"""Session windows: the events of one visitor that are less than a gap apart.

A visitor is an anonymous id, or a user where an event has none, and is called a user below. Somebody who was anonymous
and is identified then stays in the same session; which user that is, `identified`, is that of the last event that says
so (docs/adr/0021).

The events of a batch are first made into runs, the sessions that they would be alone, by sorting. Then each run joins
what it touches of its user's sessions. All of a user's sessions are a chain, newest first; nearly always a run only
concerns the newest, and all runs of that kind are done at once, in columns. The others (a late event before the newest
session, which may also join two into one) are done one by one.

Closed sessions stay in memory for as long as a late event may still join them. What a session has added to the rollups
is taken back when it changes, and added anew.
"""

from __future__ import annotations

import io
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from streamgauge.model import MINUTE_MS
from streamgauge.stream.journal import Blocks, Journal, StateChange
from streamgauge.stream.session_rows import TEXTS, SessionChanges, stored, summed
from streamgauge.stream.session_runs import Columns, Index, Texts, Users, runs_of, slots_or_none
from streamgauge.stream.spec import PipelineSpec

_FIRSTS: Final = ("entry_page", "country", "device")
"""Texts of the first event that has one; `exit_page` is that of the last."""

_NUMBERS: Final = {
    "opened": np.int64,
    "start": np.int64,
    "end": np.int64,
    "received": np.int64,
    "entry_page_ms": np.int64,
    "exit_page_ms": np.int64,
    "country_ms": np.int64,
    "device_ms": np.int64,
    "identified": np.int64,
    "identified_ms": np.int64,
    "events": np.uint32,
    "page_views": np.uint32,
    "entry_page": np.int32,
    "exit_page": np.int32,
    "country": np.int32,
    "device": np.int32,
    "closed": np.bool_,
}
_ANY_LENGTH: Final = 1 << 30

_REWRITE_BYTES_MIN: Final = 4 * 1024 * 1024

_TEXTS_MAX: Final = 200_000
"""Where so many pages, countries and devices have been seen, those that no session has any more are forgotten."""

_ROWS_AT_ONCE: Final = 10_000
_ROW_INTERVAL_MS: Final = 5_000
"""Where more rows than `_ROWS_AT_ONCE` wait for the store, that of a session that only went on waits so long since the
last one: under load most sessions go on in each batch, and the store would do little else than replace their rows."""


class _Measures(NamedTuple):
    open_count: int
    kept_count: int
    memory_bytes: int
    oldest_open_ms: int | None


class Sessions:
    """All sessions of all users that an event may still join."""

    name = "sessions"

    def __init__(self, blocks: Blocks) -> None:
        self._journal = Journal(blocks)
        self._whole_bytes = 0
        self._newest_received_ms = 0
        self._forgotten_early = 0
        self._kept_at_last = self._texts_at_last = 0
        self._changed: pl.DataFrame | None = None
        self._has_resumed = False
        self._room_was_made = False
        # Of the batch: the sessions that it changed, and what those that were closed had added to the rollups.
        self._batch_touched: list[Index] = []
        self._before: list[pl.DataFrame] = []
        self._clear()
        self._resume(blocks)
        self._measures = self._measure()

    def _clear(self, room: int = 1) -> None:
        room = max(1, room)  # so that there is something to look at in the place of a user's head that isn't there
        self._users, self._texts = Users(room), Texts()
        self._head = np.zeros(0, dtype=np.int64)
        self._count = 0
        self._columns: Columns = {name: np.zeros(room, dtype) for name, dtype in _NUMBERS.items()}
        self._user = np.zeros(room, dtype=np.int64)
        self._older = np.zeros(room, dtype=np.int64)
        self._gone = np.zeros(room, dtype=np.bool_)
        self._touched = np.zeros(room, dtype=np.bool_)
        self._unwritten = np.zeros(room, dtype=np.bool_)
        self._written_ms = np.zeros(room, dtype=np.int64)

    # What is known of it: measured after each batch, so that other threads may ask

    @property
    def open_count(self) -> int:
        return self._measures.open_count

    @property
    def kept_count(self) -> int:
        """Open ones, and closed ones that a late event may join."""
        return self._measures.kept_count

    @property
    def memory_bytes(self) -> int:
        """About: texts are counted with 80 bytes each."""
        return self._measures.memory_bytes

    @property
    def oldest_open_ms(self) -> int | None:
        """The start of the oldest open session; None where none is open."""
        return self._measures.oldest_open_ms

    @property
    def forgotten_early(self) -> int:
        """Sessions that were closed or forgotten before their time since the start, because of `sessions_max`."""
        return self._forgotten_early

    def _measure(self) -> _Measures:
        gone = self._gone[: self._count]
        is_open = ~self._columns["closed"][: self._count] & ~gone
        arrays = [*self._columns.values(), self._user, self._older, self._head]
        arrays += [self._gone, self._touched, self._unwritten, self._written_ms]
        texts = 80 * (len(self._users) + len(self._texts))
        return _Measures(
            open_count=int(np.count_nonzero(is_open)),
            kept_count=self._count - int(np.count_nonzero(gone)),
            memory_bytes=sum(array.nbytes for array in arrays) + self._users.memory_bytes + texts,
            oldest_open_ms=int(self._columns["start"][: self._count][is_open].min()) if is_open.any() else None,
        )

    def has_due(self, watermark_ms: int, spec: PipelineSpec) -> bool:
        """Whether a batch without records would do something now: close a session, or give a row that waits."""
        return self._due(watermark_ms, spec).size > 0 or bool(self._unwritten[: self._count].any())

    # A batch

    def apply(self, events: pl.DataFrame, watermark_ms: int, version: int, spec: PipelineSpec) -> SessionChanges:
        """Take in the events of a batch, then close what no further event in time can join: where the watermark is a
        gap past the end. `version` of the rows; it rises from batch to batch."""
        self._batch_touched, self._before = [], []
        if events.height:
            self._take_in(events, spec)
        due = self._due(watermark_ms, spec)
        self._columns["closed"][due] = True
        surplus = self._surplus(spec)
        self._columns["closed"][surplus] = True
        changed = np.unique(np.concatenate([*self._batch_touched, due, surplus]))
        self._touched[changed] = False
        present = changed[~self._gone[changed]]
        after = self._contribution(present[self._columns["closed"][present]], 1)
        self._unwritten[changed] = True
        written = self._to_write(events)
        # The first batch after a start may be one that the store has already, with other rows of it: once more, then.
        self._unwritten[written] = self._has_resumed
        self._has_resumed = False
        self._changed = self._frame(changed)
        changes = SessionChanges(stored(self._frame(written), version), summed([*self._before, after]))
        # Last, and written down as a whole: a batch that is done again after a crash sees what it saw.
        self._room_was_made |= self._make_room(watermark_ms, spec)
        self._measures = self._measure()
        return changes

    def changes(self) -> StateChange | None:
        rows, self._changed = self._changed, None
        if rows is None or not (rows.height or self._room_was_made):
            return None
        if self._room_was_made or self._journal.size_bytes > max(_REWRITE_BYTES_MIN, 3 * self._whole_bytes):
            block = _pack(self._frame(np.flatnonzero(~self._gone[: self._count])))
            self._whole_bytes, self._room_was_made = len(block), False
            return self._journal.replace(block)
        return self._journal.add(_pack(rows))

    def _take_in(self, events: pl.DataFrame, spec: PipelineSpec) -> None:
        gap_ms = spec.session_gap_ms
        user, runs = runs_of(events, self._users, self._texts, spec)
        if not len(user):
            return
        self._know_users()
        self._newest_received_ms = max(self._newest_received_ms, int(runs["received"].max()))
        first_of_user = np.flatnonzero(np.diff(user, prepend=-1))
        rank = np.arange(len(user)) - np.repeat(first_of_user, np.diff(first_of_user, append=len(user)))
        for turn in range(int(rank.max()) + 1):
            at = np.flatnonzero(rank == turn) if turn or rank.any() else np.arange(len(user))
            head = self._head[user[at]]
            opens, joins = self._beside_newest(head, runs["start"][at], runs["end"][at], gap_ms)
            is_late = ~opens & ~joins
            if joins.any():
                self._join(head[joins], {name: column[at[joins]] for name, column in runs.items()})
            if opens.any():
                self._open(user[at[opens]], {name: column[at[opens]] for name, column in runs.items()}, head[opens])
            for run in at[is_late]:
                self._join_late(int(user[run]), {name: column[run : run + 1] for name, column in runs.items()}, gap_ms)

    def _beside_newest(
        self, head: Index, start: Index, end: Index, gap_ms: int
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which runs open a session after their user's newest (`head`, -1 where there is none), and which join it and
        no other."""
        columns = self._columns
        is_first = head < 0
        opens = is_first | (start - columns["end"][head] >= gap_ms)
        older = self._older[head]
        apart_from_older = (older < 0) | (start - columns["end"][older] >= gap_ms)
        joins = ~opens & (columns["start"][head] - end < gap_ms) & apart_from_older
        return opens, joins

    # Runs to sessions

    def _know_users(self) -> None:
        """Those that are new have no session yet."""
        self._head = np.append(self._head, np.full(len(self._users) - len(self._head), -1, dtype=np.int64))

    def _open(self, user: Index, runs: Columns, older: Index) -> Index:
        """New sessions; `older` are the next in their chains. They are the newest of their users."""
        added = np.arange(self._count, self._count + len(user))
        self._grow(self._count + len(user))
        for name, column in runs.items():
            self._columns[name][added] = column
        self._user[added], self._older[added] = user, older
        self._gone[added], self._written_ms[added] = False, 0
        self._head[user] = added
        self._count += len(user)
        self._touch(added)
        return added

    def _join(self, sessions: Index, runs: Columns) -> None:
        """Add a run to each of these sessions, no session twice."""
        self._touch(sessions)
        columns = self._columns
        for name in _FIRSTS:
            earlier = runs[f"{name}_ms"] < columns[f"{name}_ms"][sessions]
            columns[name][sessions[earlier]] = runs[name][earlier]
            columns[f"{name}_ms"][sessions[earlier]] = runs[f"{name}_ms"][earlier]
        later = runs["exit_page_ms"] >= columns["exit_page_ms"][sessions]
        columns["exit_page"][sessions[later]] = runs["exit_page"][later]
        columns["exit_page_ms"][sessions[later]] = runs["exit_page_ms"][later]
        later = runs["identified_ms"] >= columns["identified_ms"][sessions]
        columns["identified"][sessions[later]] = runs["identified"][later]
        columns["identified_ms"][sessions[later]] = runs["identified_ms"][later]
        columns["start"][sessions] = np.minimum(columns["start"][sessions], runs["start"])
        for name in ("end", "received"):
            columns[name][sessions] = np.maximum(columns[name][sessions], runs[name])
        for name in ("events", "page_views"):
            columns[name][sessions] += runs[name]

    def _join_late(self, user: int, run: Columns, gap_ms: int) -> None:
        """A run that begins before the newest session of its user."""
        start, end = int(run["start"][0]), int(run["end"][0])
        newer, met = -1, []
        session = int(self._head[user])
        while session >= 0 and end <= int(self._columns["start"][session]) - gap_ms:
            newer, session = session, int(self._older[session])
        while session >= 0 and start - int(self._columns["end"][session]) < gap_ms:
            met.append(session)
            session = int(self._older[session])
        if met:
            self._merge(newer, met, run)
        else:
            head = int(self._head[user])
            added = int(self._open(np.array([user]), run, np.array([session]))[0])
            if newer >= 0:
                self._head[user], self._older[newer] = head, added

    def _merge(self, newer: int, met: list[int], run: Columns) -> None:
        """Make one session of the run and those that it meets, newest first: that which began first remains."""
        *absorbed, remaining = met
        target = np.array([remaining])
        for session in reversed(absorbed):
            self._touch(np.array([session]))
            self._join(target, {name: column[session : session + 1] for name, column in self._columns.items()})
            self._gone[session] = True
        self._join(target, run)  # last, as it came: of texts of the same time the order decides
        if absorbed:
            if newer >= 0:
                self._older[newer] = remaining
            else:
                self._head[self._user[remaining]] = remaining

    def _touch(self, sessions: Index) -> None:
        """Before they are changed: take back what they have added to the rollups. They are open until the sweep."""
        fresh = sessions[~self._touched[sessions]]
        self._touched[fresh] = True
        self._batch_touched.append(fresh)
        was_closed = fresh[self._columns["closed"][fresh]]
        if was_closed.size:
            self._before.append(self._contribution(was_closed, -1))
            self._columns["closed"][was_closed] = False
            self._written_ms[was_closed] = 0

    # What the store gets

    def _to_write(self, events: pl.DataFrame) -> Index:
        """The sessions whose rows are due. All that wait where that isn't many, or nothing comes; else those that are
        new, closed, opened again or merged, and those that have waited."""
        waiting = np.flatnonzero(self._unwritten[: self._count])
        now_ms = int(events["received_at"].max() or 0)  # type: ignore[arg-type]
        if now_ms and len(waiting) > _ROWS_AT_ONCE:
            since_ms = np.abs(now_ms - self._written_ms[waiting])  # also of a clock that was set back
            is_due = (since_ms >= _ROW_INTERVAL_MS) | self._columns["closed"][waiting] | self._gone[waiting]
            waiting = waiting[is_due]
        self._written_ms[waiting] = 0 if self._has_resumed else now_ms
        return waiting

    # Closing

    def _due(self, watermark_ms: int, spec: PipelineSpec) -> Index:
        kept = self._count
        is_open = ~self._columns["closed"][:kept] & ~self._gone[:kept]
        return np.flatnonzero(is_open & (self._columns["end"][:kept] <= watermark_ms - spec.session_gap_ms))

    def _surplus(self, spec: PipelineSpec) -> Index:
        """Where more are open than there may be sessions: the oldest, to be closed before their time."""
        is_open = np.flatnonzero(~self._columns["closed"][: self._count] & ~self._gone[: self._count])
        if len(is_open) <= spec.sessions_max:
            return is_open[:0]
        surplus = len(is_open) - spec.sessions_max * 3 // 4
        self._forgotten_early += surplus
        return is_open[np.argsort(self._columns["end"][is_open], kind="stable")[:surplus]]

    def _contribution(self, sessions: Index, sign: int) -> pl.DataFrame:
        """What closed sessions add to the rollups (`sign` 1), or take back (-1)."""
        columns = self._columns
        start = columns["start"][sessions]
        return pl.DataFrame(
            {
                "timestamp": start - start % MINUTE_MS,
                "p:country": self._texts_of("country", sessions),
                "p:device": self._texts_of("device", sessions),
                "p:entry_page": self._texts_of("entry_page", sessions),
                "sessions": np.full(len(sessions), float(sign)),
                "session_seconds": sign * (columns["end"][sessions] - start) / 1000,
                "bounces": sign * (columns["events"][sessions] == 1).astype(np.float64),
            }
        )

    # Memory

    def _grow(self, needed: int) -> None:
        room = len(self._user)
        if needed <= room:
            return
        more = max(1024, needed, room + room // 2) - room
        self._columns = {name: _longer(column, more) for name, column in self._columns.items()}
        self._user, self._older = _longer(self._user, more), _longer(self._older, more)
        self._gone, self._touched = _longer(self._gone, more), _longer(self._touched, more)
        self._unwritten, self._written_ms = _longer(self._unwritten, more), _longer(self._written_ms, more)

    def _make_room(self, watermark_ms: int, spec: PipelineSpec) -> bool:
        """Now and then forget what no event in time can join, and the oldest of too many; whether it did."""
        texts_max = max(_TEXTS_MAX, 2 * self._texts_at_last)
        many = self._count >= max(100_000, 2 * self._kept_at_last) or self._count > spec.sessions_max
        if not many and len(self._texts) < texts_max:
            return False
        kept = self._count
        columns = self._columns
        until_ms = spec.session_gap_ms + spec.allowed_lateness_ms
        is_over = columns["closed"][:kept] & (columns["end"][:kept] + until_ms <= watermark_ms)
        is_over &= columns["received"][:kept] + spec.allowed_lateness_ms <= self._newest_received_ms
        stays = np.flatnonzero(~is_over & ~self._gone[:kept])
        room = spec.sessions_max * 3 // 4
        if len(stays) > spec.sessions_max:
            closed = stays[columns["closed"][stays]]
            surplus = len(stays) - room
            oldest = closed[np.argsort(columns["end"][closed], kind="stable")[:surplus]]
            self._forgotten_early += len(oldest)
            stays = np.setdiff1d(stays, oldest, assume_unique=True)
        self._load(self._frame(stays))
        self._kept_at_last, self._texts_at_last = self._count, len(self._texts)
        return True

    # To the disk and back

    def _frame(self, sessions: Index) -> pl.DataFrame:
        """Sessions as rows that stand for themselves; `gone` are those that were merged into another, `unwritten` those
        that the store knows otherwise. What is resumed as unwritten may have been written since: it is once more."""
        user = self._user[sessions]
        columns = {
            name: self._texts_of(name, sessions) if name in TEXTS else pl.Series(self._columns[name][sessions])
            for name in _NUMBERS
        }
        return pl.DataFrame(
            {
                "user": self._users.of(user),
                "anonymous": self._users.anonymous[user],
                **columns,
                "identified": self._users.of(self._columns["identified"][sessions]),
                "gone": self._gone[sessions],
                "unwritten": self._unwritten[sessions],
            }
        )

    def _texts_of(self, name: str, sessions: Index) -> pl.Series:
        return self._texts.of(self._columns[name][sessions])

    def _resume(self, blocks: Blocks) -> None:
        if not blocks:
            return
        # Of blocks of before there was `unwritten`, all is written.
        rows = pl.concat([pl.read_ipc(io.BytesIO(block)) for _, block in blocks], how="diagonal")
        newest = rows.unique(["user", "anonymous", "opened"], keep="last", maintain_order=True)
        self._whole_bytes, self._has_resumed = len(blocks[0][1]), True
        self._load(newest.filter(~pl.col("gone")))
        self._kept_at_last = self._count

    def _load(self, rows: pl.DataFrame) -> None:
        """Have these sessions and no others."""
        self._clear(rows.height)
        if not rows.height:
            return
        rows = rows.sort("start")
        if "identified" not in rows.columns:  # of before there was one
            rows = rows.with_columns(identified=pl.lit(None, pl.String()), identified_ms=pl.lit(None, pl.Int64()))
        rows = rows.with_columns(pl.col("identified_ms").fill_null(-1))
        user = self._users.slots_of(rows["user"], rows["anonymous"].to_numpy())
        identified = slots_or_none(rows["identified"], self._users)
        self._know_users()
        for name in _NUMBERS:
            if name == "identified":
                self._columns[name] = identified
                continue
            column = rows[name]
            numbers = self._texts.codes_of(column, _ANY_LENGTH) if name in TEXTS else column.to_numpy()
            self._columns[name] = numbers.copy()  # what comes from a frame can't be written to
        self._user[:] = user
        if "unwritten" in rows.columns:
            self._unwritten = rows["unwritten"].fill_null(False).to_numpy().copy()
        # Sorted by user and start, each is the next older of the one after it.
        order = np.argsort(user, kind="stable")
        before = np.where(np.diff(user[order], prepend=-1) == 0, np.roll(order, 1), -1)
        self._older[order] = before
        self._head[user[order]] = order  # of equal users, the last assignment stays: the newest
        self._count = rows.height
        self._newest_received_ms = max(self._newest_received_ms, int(self._columns["received"].max()))


def _longer(column: npt.NDArray[Any], more: int) -> npt.NDArray[Any]:
    return np.append(column, np.zeros(more, column.dtype))


def _pack(rows: pl.DataFrame) -> bytes:
    packed = io.BytesIO()
    rows.write_ipc(packed, compression="lz4")
    return packed.getvalue()
