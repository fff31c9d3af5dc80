"""`streamgauge replay`: asks the server to rebuild rollups, and shows how it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import httpx
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streamgauge.feed.errors import FeedError
from streamgauge.feed.producer import ask, connect, tell

_POLL_S: Final = 0.2


class Replay(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """As `GET /replays` says it."""

    number: int
    phase: str
    from_: str
    to: str
    metrics: tuple[str, ...]
    read_events: int
    total_events: int
    problem: str


class _Newest(msgspec.Struct, frozen=True):
    replay: Replay | None


async def rebuild(console: Console, url: str, wish: Mapping[str, str | None]) -> None:
    """Return when the rollups are rebuilt. Raises FeedError where the server refuses, fails or is gone."""
    given = {name: value for name, value in wish.items() if value is not None}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with connect(url) as client:
        begun = await tell(client, "/replays", Replay, given)
        console.print(f"rebuilding {', '.join(begun.metrics)} from {begun.from_} to {begun.to}")
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            bar = progress.add_task("reading the log", total=None)
            while (state := await _state(client, begun)).phase in ("reading", "replacing"):
                name = "reading the log" if state.phase == "reading" else "replacing the rollups"
                progress.update(bar, completed=state.read_events, total=state.total_events, description=name)
                await asyncio.sleep(_POLL_S)
    if state.phase == "failed":
        raise FeedError(f"the replay failed: {state.problem}", hint="what was counted before is as it was")
    console.print(f"[green]done[/green]: {state.read_events:,} events of the log were counted again")


async def _state(client: httpx.AsyncClient, begun: Replay) -> Replay:
    newest = (await ask(client, "/replays", _Newest, {})).replay
    if newest is None or newest.number < begun.number:
        raise FeedError(
            "the server was started again meanwhile", hint="it takes up the replay by itself: see GET /replays"
        )
    return newest
