"""A question can be given up while it is evaluated: whoever asks hands over a check, and what takes long makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Check = Callable[[], None]
"""Raises where the question is to be given up."""


def never() -> None:
    """The check of a question that is always answered."""


_check: ContextVar[Check] = ContextVar("promql_interruption", default=never)


@contextmanager
def interrupted_by(check: Check) -> Iterator[None]:
    """What is evaluated inside, in this thread, ends by what `check` raises."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def check_interruption() -> None:
    """To be called between pieces of work of some milliseconds."""
    _check.get()()
