"""`streamgauge dead-letter`: what was not counted, on the command line. The rest is imported when a command runs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from streamgauge.core.clock import SystemClock
from streamgauge.feed.errors import FeedError
from streamgauge.model import parse_duration_ms

if TYPE_CHECKING:
    from streamgauge.feed.replay import DeadLetter, Summary

_EXIT_INTERRUPTED: Final = 130
_DEFAULT_URL: Final = "http://localhost:8080"
_LIMIT_MAX: Final = 500

dead_letter_app = typer.Typer(
    name="dead-letter",
    no_args_is_help=True,
    help="Events that were not counted: rejected, too late, or too far ahead of their time.",
)

_Reason = Annotated[str | None, typer.Option("--reason", metavar="R", help="Only letters with this reason.")]
_Url = Annotated[str, typer.Option("--url", metavar="URL", help="The server.")]


@dead_letter_app.command("list")
def list_letters(
    reason: _Reason = None,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Received in the last …: 90m, 24h, 7d.")
    ] = "24h",
    limit: Annotated[int, typer.Option("--limit", min=1, max=_LIMIT_MAX, help="How many, the newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, whole.")] = False,
    url: _Url = _DEFAULT_URL,
) -> None:
    """Print the newest letters, and how many there are of each reason."""
    from streamgauge.feed.replay_display import print_letters

    letters, counts = asyncio.run(_newest(url, _filters(reason, since, None), limit))
    print_letters(Console(highlight=False), letters, counts, as_json=as_json)


@dead_letter_app.command("replay")
def replay(
    reason: _Reason = None,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="Received in the last …: 90m, 24h, 7d.")] = "7d",
    event_id: Annotated[
        str | None, typer.Option("--event-id", metavar="ID", help="Only the letters of this id.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing: print what would be sent.")] = False,
    url: _Url = _DEFAULT_URL,
) -> None:
    """Send letters again, as a backfill for which no time is too late. Each event is counted once, however often it is
    replayed, for as long as the server keeps events (retention.events_days).

    What is still wrong is rejected again, with its reason, and the exit code is 1. An event that is too far ahead is
    sent when its time has come: run the command again then. What is no JSON object can't be replayed.
    """
    from streamgauge.feed import replay as replaying
    from streamgauge.feed.replay_display import ReplayProgress, print_summary

    # The display tells of each retry in words.
    logging.getLogger("stamina").setLevel(logging.ERROR)
    filters = _filters(reason, since, event_id)
    try:
        with ReplayProgress(Console(stderr=True, highlight=False)) as progress:
            summary: Summary = asyncio.run(replaying.replay(url, filters, SystemClock(), progress, dry_run=dry_run))
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted: run the same command again, and it goes on")
        raise typer.Exit(_EXIT_INTERRUPTED) from None
    print_summary(Console(highlight=False), summary, dry_run=dry_run)
    if summary.rejected:
        raise typer.Exit(1)


def _filters(reason: str | None, since: str, event_id: str | None) -> dict[str, str | int]:
    """Raises FeedError where the time is none."""
    try:
        from_ms = max(0, SystemClock().now_ms() - parse_duration_ms(since))
    except ValueError as error:
        raise FeedError(f"--since: {error}", hint="write it like --since 24h") from error
    given = {"reason": reason, "event_id": event_id}
    return {"from": from_ms, **{name: value for name, value in given.items() if value}}


async def _newest(url: str, filters: dict[str, str | int], limit: int) -> tuple[list[DeadLetter], dict[str, int]]:
    from streamgauge.feed.producer import connect
    from streamgauge.feed.replay import count_letters, read_letters

    async with connect(url) as client:
        counts = {one.reason: one.count for one in await count_letters(client, filters)}
        async for letters in read_letters(client, {**filters, "limit": limit}):
            return letters, counts
    return [], counts
