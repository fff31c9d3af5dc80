"""`streamgauge rules`: rules on the command line. The rest is imported when a command runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from streamgauge.alert.rules import Rule

rules_app = typer.Typer(name="rules", no_args_is_help=True, help="Rules: what is watched for.")

_Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Rule files.", show_default=False)]
_Url = Annotated[str, typer.Option("--url", metavar="URL", help="The server.")]
_Config = Annotated[Path | None, typer.Option("--config", help="Settings, a TOML file.", show_default="none")]
_DEFAULT_URL = "http://localhost:8080"


@rules_app.command("check")
def check(files: _Files, config: _Config = None) -> None:
    """Say whether rule files can be used, and what short forms mean in PromQL. Exit code 1 where one can't."""
    from streamgauge.alert.rule_file import read_rules
    from streamgauge.config import load_settings
    from streamgauge.core.errors import InvalidRequest
    from streamgauge.model import SESSION_ROLLUPS

    settings, out = load_settings(config), Console(highlight=False)
    rollups, bad = (*settings.rollups, *SESSION_ROLLUPS), 0
    for file in files:
        try:
            groups = read_rules(_text(file), rollups, source="file", file=file.name)
        except InvalidRequest as error:
            bad += 1
            out.print(f"[bold red]{escape(str(file))}[/bold red]: {escape(error.message)}", soft_wrap=True)
            if error.hint:
                out.print(f"  {escape(error.hint)}", soft_wrap=True)
            continue
        rules = [rule for group in groups for rule in group.rules]
        out.print(f"[bold green]{escape(str(file))}[/bold green]: {len(rules)} rules in {len(groups)} groups")
        for rule in (rule for rule in rules if rule.written):
            out.print(f"  {escape(_written_out(rule))}", soft_wrap=True)
    if bad:
        raise typer.Exit(1)


@rules_app.command("list")
def list_rules(url: _Url = _DEFAULT_URL) -> None:
    """Print the rules of a running server, and how they are."""
    from rich.table import Table

    answer = asyncio.run(_asked(url, "/rules"))
    out = Console(highlight=False)
    table = Table("rule", "group", "from", "state", "expr", box=None)
    for group in answer["groups"]:
        for rule in group["rules"]:
            state = rule.get("problem") or rule.get("held_reason") or rule.get("state", rule["kind"])
            source = group["file"] or group["source"]
            table.add_row(*map(escape, (rule["name"], group["name"], source, state, rule["expr"])))
    out.print(table)
    for one in answer["problems"]:
        out.print(f"[bold red]{escape(one['of'])}[/bold red]: {escape(one['problem'])}", soft_wrap=True)


@rules_app.command("backtest")
def backtest(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A rule file.", show_default=False)],
    range_: Annotated[str, typer.Option("--range", help="The last …: 24h, 7d.")] = "7d",
    url: _Url = _DEFAULT_URL,
) -> None:
    """Say when the alerts of a file would have fired, from what a running server has counted."""
    answer = asyncio.run(_told(url, "/rules/backtest", {"text": _text(file), "range": range_}))
    out = Console(highlight=False)
    out.print(f"from {answer['from']} to {answer['to']}", style="dim")
    for rule in answer["rules"]:
        out.print(
            f"[bold]{escape(rule['name'])}[/bold]: fired {rule['firings_count']} times, {_length(rule['firing_ms'])} "
            f"altogether; {rule['notifications']} notifications"
        )
        for one in rule["firings"]:
            labels = ", ".join(f"{name}={value}" for name, value in one["labels"].items() if name != "alertname")
            until = one["ended_at"] or "now"
            out.print(f"  {one['started_at']} to {until}  {escape(labels)}  {one['value']}", soft_wrap=True)


def _text(file: Path) -> str:
    from streamgauge.alert.rule_file import RuleError

    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"can't read {file}: {error}", hint="check the path") from error


def _written_out(rule: Rule) -> str:
    lasts = f"\n    lasts while {rule.lasts}" if rule.lasts else ""
    return f"{rule.name}: {rule.expr}{lasts}"


def _length(ms: int) -> str:
    minutes = ms // 60_000
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


async def _asked(url: str, path: str) -> Any:
    from streamgauge.feed.producer import ask, connect

    async with connect(url) as client:
        return await ask(client, path, Any, {})


async def _told(url: str, path: str, content: dict[str, str]) -> Any:
    from streamgauge.feed.producer import connect, tell

    async with connect(url) as client:
        return await tell(client, path, Any, content)
