"""`streamgauge alert test`: tries a receiver. The rest of the program is imported when it runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from streamgauge.config import load_settings
from streamgauge.core.clock import SystemClock
from streamgauge.core.errors import ReceiverFailed

if TYPE_CHECKING:
    from streamgauge.config import Settings


alert_app = typer.Typer(name="alert", help="Alerts, and who is told of them.")


@alert_app.command("test")
def try_receiver(
    receiver: Annotated[str, typer.Argument(metavar="RECEIVER", help="Its name.", show_default=False)],
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Send from here, as this config file says.", show_default="ask the server"),
    ] = None,
    url: Annotated[str, typer.Option("--url", metavar="URL", help="The running server.")] = "http://localhost:8080",
) -> None:
    """Send a marked test notification to a receiver, and say what it answered. Exit code 1 where it didn't take it.

    The running server sends it, with the secrets that it has; with --config this command does, before there is one.
    """
    if config is None:
        answer = asyncio.run(_asked(url, receiver))
    else:
        answer = asyncio.run(_sent(load_settings(config), receiver))
    out = Console(highlight=False)
    out.print(f"[bold green]{receiver} took it[/bold green]")
    out.print(f"  {answer}", markup=False, soft_wrap=True)


async def _asked(url: str, receiver: str) -> str:
    from urllib.parse import quote

    import httpx

    from streamgauge.feed.errors import FeedError
    from streamgauge.feed.producer import connect

    async with connect(url) as client:
        try:
            response = await client.post(f"/receivers/{quote(receiver, safe='')}/test")
        except httpx.TransportError as error:
            raise FeedError(
                f"no answer from {url}: {str(error) or type(error).__name__}",
                hint="is it running? without a server: streamgauge alert test RECEIVER --config streamgauge.toml",
            ) from error
    try:
        content = response.json()
        if response.is_error:
            raise ReceiverFailed(content["error"]["message"], hint=content["error"]["hint"])
        return str(content["answer"])
    except (ValueError, KeyError, TypeError) as error:
        raise FeedError(f"{url} doesn't answer like Streamgauge", hint="check --url") from error


async def _sent(settings: Settings, receiver: str) -> str:
    from streamgauge.alert.notify.receivers.made import Makers
    from streamgauge.alert.notify.service import tested, unknown_receiver

    # Of this one alone: the secrets of others may not be here.
    chosen = [one for one in settings.receivers if one.name == receiver]
    if not chosen:
        raise unknown_receiver(receiver, [one.name for one in settings.receivers])
    clock = SystemClock()
    s_max, url = settings.notifications.delivery_s_max, settings.alerts.dashboard_url
    makers = Makers(clock, os.environ, s_max=s_max, external_url=url)
    made = makers.make(chosen[0])
    try:
        return await tested(made, clock.now_ms())
    finally:
        await made.close()
