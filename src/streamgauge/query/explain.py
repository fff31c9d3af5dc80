"""Explains an event by its id: what became of each record that came with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from streamgauge.model import OTHER, Envelope, Pane
from streamgauge.query.lookup import COUNTED, DUPLICATES, REJECTED_WITH_OWN_ID, SESSION, SET_ASIDE, panes_plan
from streamgauge.store.base import StoreReader

OCCURRENCES_MAX: Final = 100
"""Of each kind: a client that sends one id for ever must not get an answer of that size."""

PanesOf = Callable[[Envelope, Mapping[str, str]], Sequence[Pane]]
"""The panes of an event, by what the profile of its user added to it."""


class Place(msgspec.Struct, frozen=True, order=True):
    """When a record was received, and where it lies in the log."""

    received_ms: int
    partition: int
    offset: int


class Session(msgspec.Struct, frozen=True):
    opened_ms: int
    started_ms: int
    ended_ms: int
    events: int
    page_views: int
    bounced: bool
    is_open: bool


class Counted(msgspec.Struct, frozen=True):
    """`counted_in`: the panes of today's rollups that it is in. `session` is None where the event has no user, or the
    session is older than retention."""

    place: Place
    event: Envelope
    enriched: Mapping[str, str]
    counted_in: Sequence[Pane]
    session: Session | None


class Duplicate(msgspec.Struct, frozen=True):
    """`duplicate_of` is None where that is older than retention."""

    place: Place
    duplicate_of: Place | None


class SetAside(msgspec.Struct, frozen=True):
    """In the dead letter table. `event_id` is that of the record, which an item that was rejected doesn't have by
    itself."""

    place: Place
    reason: str
    message: str
    event_id: str
    original: str


Occurrence = Counted | Duplicate | SetAside


class ExplainService:
    def __init__(self, reader: StoreReader, panes_of: PanesOf) -> None:
        self._reader = reader
        self._panes_of = panes_of

    async def occurrences(self, event_id: str) -> list[Occurrence]:
        """All records with this id, and items that were rejected and gave themselves this id, in the order of their
        receipt; of each kind the newest. Raises what the reader raises."""
        asked = {"event_id": event_id, "limit": OCCURRENCES_MAX}
        counted, duplicates, *set_aside = await asyncio.gather(
            *[self._reader.query(sql, asked) for sql in (COUNTED, DUPLICATES, SET_ASIDE, REJECTED_WITH_OWN_ID)]
        )
        found: list[Occurrence] = [await self._counted(event_id, row) for row in counted]
        found += [_duplicate(row, [one for one in found if isinstance(one, Counted)]) for row in duplicates]
        found += [SetAside(Place(*row[:3]), *row[3:]) for rows in set_aside for row in rows]
        return sorted(found, key=lambda one: one.place)

    async def _counted(self, event_id: str, row: tuple[Any, ...]) -> Counted:
        place = Place(*row[:3])
        name, timestamp_ms, user_id, anonymous_id, properties, enriched_text = row[3:]
        event = Envelope(
            event_id=event_id,
            event=name,
            timestamp=timestamp_ms,
            received_at=place.received_ms,
            user_id=user_id or None,
            anonymous_id=anonymous_id or None,
            properties=msgspec.json.decode(properties),
        )
        enriched = msgspec.json.decode(enriched_text, type=dict[str, str]) if enriched_text else {}
        panes = await asyncio.to_thread(self._panes_of, event, enriched)
        return Counted(place, event, enriched, await self._there(panes), await self._session(event))

    async def _there(self, panes: Sequence[Pane]) -> list[Pane]:
        """These panes as they are in the store: a value over the limit of cardinality is `(other)`. A rollup that came
        to the settings after the event did not count it, and has no such pane."""
        additive = [pane for pane in panes if pane.kind in ("count", "sum")]
        extremes = [pane for pane in panes if pane.kind not in ("count", "sum")]
        rows: list[tuple[Any, ...]] = []
        for table, asked in (("metrics", additive), ("metrics_extremes", extremes)):
            if asked:
                plan = panes_plan(table, asked)
                rows += await self._reader.query(plan.sql, plan.parameters)
        return [found for pane in panes if (found := _among(pane, rows)) is not None]

    async def _session(self, event: Envelope) -> Session | None:
        visitor = event.anonymous_id or event.user_id
        if visitor is None:
            return None
        asked = {"user_id": visitor, "is_anonymous": event.anonymous_id is not None, "time_ms": event.timestamp}
        rows = await self._reader.query(SESSION, asked)
        return Session(*rows[0]) if rows else None


def _duplicate(row: tuple[Any, ...], counted: Sequence[Counted]) -> Duplicate:
    """It repeats the last event before it of the same user, which is in the same partition."""
    place, whose = Place(*row[:3]), (row[3], row[4])
    before = [
        one.place
        for one in counted
        if (one.event.user_id or "", one.event.anonymous_id or "") == whose
        and one.place.partition == place.partition
        and one.place.offset < place.offset
    ]
    return Duplicate(place, max(before, key=lambda one: one.offset, default=None))


def _among(pane: Pane, rows: Sequence[tuple[Any, ...]]) -> Pane | None:
    """A value is either told apart all day or never, so of several rows that with the fewest `(other)` is right."""
    fitting = [
        dimensions
        for metric, start_s, dimensions in rows
        if (metric, start_s * 1000) == (pane.metric, pane.start_ms) and _fits(pane, dimensions)
    ]
    if not fitting:
        # Rows that add up to 0 are gone once the engine has merged them.
        return pane if pane.kind == "sum" and pane.value == 0 else None
    dimensions = min(fitting, key=lambda found: sum(found[name] != value for name, value in pane.dimensions.items()))
    return msgspec.structs.replace(pane, dimensions={name: dimensions[name] for name in pane.dimensions})


def _fits(pane: Pane, dimensions: Mapping[str, str]) -> bool:
    return dimensions.keys() == pane.dimensions.keys() and all(
        dimensions[name] in (value, OTHER) for name, value in pane.dimensions.items()
    )
