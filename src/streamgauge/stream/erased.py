"""Events of people who were erased, left out of what counts the log again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl
import polars_hash as plh

from streamgauge.stream.batch import Batch


class Erased(msgspec.Struct, frozen=True):
    """Events received until `erased_ms` of whoever `hash` is: SHA-256 of `user:ID` or `anonymous:ID`."""

    hash: str
    erased_ms: int


async def nobody() -> Sequence[Erased]:
    return ()


def without_erased(batch: Batch, erased: Sequence[Erased]) -> Batch:
    """As the store was erased: those with the user's id, and those with an erased anonymous id and no user's. What was
    refused has no columns that say whose it is, and is not counted anyway."""
    if not erased or not batch.events.height:
        return batch
    until = pl.DataFrame({"hash": [each.hash for each in erased], "erased_ms": [each.erased_ms for each in erased]})
    whose = (
        pl.when(pl.col("user_id").is_not_null())
        .then(_hash("user:", "user_id"))
        .otherwise(_hash("anonymous:", "anonymous_id"))
    )
    kept = (
        batch.events.with_columns(whose.alias("hash"))
        .join(until, on="hash", how="left", maintain_order="left")
        .filter(pl.col("erased_ms").is_null() | (pl.col("received_at") > pl.col("erased_ms")))
    )
    return msgspec.structs.replace(batch, events=kept.drop("hash", "erased_ms"))


def _hash(prefix: str, column: str) -> pl.Expr:
    return plh.concat_str(pl.lit(prefix), pl.col(column)).chash.sha2_256()
