"""What the store gets of sessions: rows of the table, and by how much the rollups change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
import polars as pl

from streamgauge.model import SESSION_METRICS

TEXTS: Final = ("entry_page", "exit_page", "country", "device")


class SessionChanges(msgspec.Struct, frozen=True):
    """What one batch did. `rows`: sessions to be stored as they are now, columns of the table `sessions`, times in ms;
    of many that only went on, some come in a later batch. `closed`: by how much the rollups change, a row for each
    minute (ms) of a start and each `SESSION_DIMENSIONS`, columns `p:name` (null where unknown), with the metrics as
    columns."""

    rows: pl.DataFrame
    closed: pl.DataFrame


def summed(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    keys = ("timestamp", "p:country", "p:device", "p:entry_page")
    sums = pl.concat(parts).group_by(keys, maintain_order=True).agg(pl.col(SESSION_METRICS).sum())
    return sums.filter(pl.any_horizontal(pl.col(SESSION_METRICS) != 0))


def stored(rows: pl.DataFrame, version: int) -> pl.DataFrame:
    texts = [pl.col(name).fill_null("") for name in TEXTS]
    return rows.select(
        pl.col("user").alias("user_id"),
        pl.col("anonymous").alias("is_anonymous"),
        pl.when("anonymous").then(pl.col("identified").fill_null("")).otherwise("user").alias("identified_user_id"),
        pl.col("opened").alias("opened_at"),
        pl.col("start").alias("started_at"),
        pl.col("end").alias("ended_at"),
        "events",
        "page_views",
        *texts,
        pl.col("closed").not_().alias("is_open"),
        pl.col("received").alias("received_at"),
        pl.lit(version, pl.UInt64).alias("version"),
        pl.col("gone").cast(pl.UInt8).alias("is_deleted"),
    )
