"""Regular expressions as Prometheus has them: RE2's syntax, over whole values, `.` matching every character.

Polars brings Rust's engine, which promql-parser checks patterns with too: linear time, no look-around, and templates
with `$1` and `${name}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamgauge.core import regex
from streamgauge.query.promql.errors import PromqlSyntaxError


@lru_cache(maxsize=1024)
def check(pattern: str) -> None:
    """Raises PromqlSyntaxError for what is no regular expression."""
    matching(pattern, [""])


def matching(pattern: str, values: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the values the pattern matches as a whole. Raises PromqlSyntaxError."""
    try:
        return regex.matching(pattern, values).to_numpy().astype(np.bool_)
    except ValueError as error:
        raise PromqlSyntaxError(str(error), hint="use RE2's syntax, without look-around") from None


def expanded(pattern: str, template: str, values: Sequence[str]) -> list[str]:
    """The template for each value, with the groups matched in it; values the pattern doesn't match stay as they are."""
    return pl.Series(values, dtype=pl.String).str.replace(regex.whole(pattern), template).to_list()
