"""Stable 128-bit hashes of texts: what is remembered of ids and users, on the disk too, so they must never change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh

Hashes = npt.NDArray[np.uint64]


def hashes_of(texts: pl.Series) -> tuple[Hashes, Hashes]:
    """Two independent 64-bit hashes of each text (XXH3 and wyhash), which may not be null. Two of 10^9 texts have both
    in common with a chance of 10^-21."""
    column = plh.col("text")
    both = pl.DataFrame({"text": texts}).select(column.nchash.xxh3_64().alias("a"), column.nchash.wyhash().alias("b"))
    return both["a"].to_numpy(), both["b"].to_numpy()
