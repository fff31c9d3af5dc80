"""A stateful join: what the profile of an event's user adds to the event."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
import polars as pl

from streamgauge.stream.batch import Batch
from streamgauge.stream.spec import PipelineSpec

ENRICHED: Final = "enriched"
"""The column of events that says what was added: one JSON object, empty where nothing was."""


class Profiles(Protocol):
    """Profiles by user, in memory, as they are now. Used from the stream's thread; others may change it meanwhile."""

    def __len__(self) -> int: ...

    def lookup(self, user_ids: pl.Series) -> pl.DataFrame:
        """One row for each user id, in order, with a String column for each column of a profile; null where there is
        no profile, or nothing in it."""
        ...


class EnrichFromProfiles:
    """Adds the columns of the user's profile, each where the event has no property of its own by that name. A profile
    that changes applies to the events that are processed from then on."""

    name = "enrich_from_profiles"

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles

    def apply(self, batch: Batch, spec: PipelineSpec) -> Batch:
        columns = [name for name in spec.profile_columns if f"p:{name}" in batch.events.columns]
        if not (columns and len(self._profiles) and batch.events.height):
            return batch
        found = self._profiles.lookup(batch.events["user_id"].fill_null("")).select(columns)
        added = found.with_columns(
            pl.when(batch.events[f"p:{name}"].is_null()).then(pl.col(name)).alias(name) for name in columns
        )
        texts = added.join(_as_json(added), on=columns, how="left", nulls_equal=True, maintain_order="left")
        events = batch.events.with_columns(
            *[batch.events[f"p:{name}"].fill_null(added[name]) for name in columns], texts[ENRICHED]
        )
        return msgspec.structs.replace(batch, events=events)

    def changes(self) -> None:
        return None


def _as_json(added: pl.DataFrame) -> pl.DataFrame:
    """Each different row once, with its JSON: profiles have few different values."""
    rows = added.unique()
    texts = [_text({name: value for name, value in row.items() if value}) for row in rows.iter_rows(named=True)]
    return rows.with_columns(pl.Series(ENRICHED, texts, dtype=pl.String()))


def _text(fields: dict[str, str]) -> str:
    return msgspec.json.encode(fields).decode() if fields else ""
