"""Regular expressions as Prometheus has them: RE2's syntax, over whole values, `.` matching every character.

Polars brings Rust's engine: linear time whatever the pattern, no look-around.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def whole(pattern: str) -> str:
    """The pattern that matches values as a whole."""
    return f"^(?s:{pattern})$"


def matching(pattern: str, values: Sequence[str]) -> pl.Series:
    """For each of the values whether the pattern matches it as a whole. Raises ValueError for what is no pattern."""
    import polars as pl  # noqa: PLC0415 - a fifth of a second, which most settings don't need
    from polars.exceptions import ComputeError  # noqa: PLC0415

    try:
        return pl.Series(values, dtype=pl.String).str.contains(whole(pattern))
    except ComputeError as error:
        raise ValueError(f"invalid regular expression {pattern!r}: {error}") from None
