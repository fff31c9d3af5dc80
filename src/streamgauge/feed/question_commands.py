"""`streamgauge query`: questions from a terminal. The rest of the program is imported when it runs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console

from streamgauge.core.clock import SystemClock
from streamgauge.feed.errors import FeedError
from streamgauge.model import parse_duration_ms

_STEPS: Final = 200
"""Of a range in PromQL whose step isn't given."""

_Option = typer.Option


def query(
    metrics: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="METRIC...", help="Rollups, like page_views, or ratios: signups/page_views.", show_default=False
        ),
    ] = None,
    *,
    range_: Annotated[str | None, _Option("--range", help="The last …: 15m, 24h, 7d.", show_default="24h")] = None,
    from_: Annotated[str | None, _Option("--from", metavar="TIME", help="Instead: RFC 3339 or milliseconds.")] = None,
    to: Annotated[str | None, _Option("--to", metavar="TIME", help="The end, which is not included.")] = None,
    step: Annotated[str | None, _Option("--step", help="The width of a point: 1m, 1h.", show_default="fits")] = None,
    group_by: Annotated[
        list[str] | None, _Option("--group-by", metavar="DIMENSION", help="A breakdown instead of a time series.")
    ] = None,
    filters: Annotated[list[str] | None, _Option("--filter", metavar="D:VALUE", help="All must hold.")] = None,
    limit: Annotated[int | None, _Option("--limit", min=1, help="Rows of a breakdown.")] = None,
    more: Annotated[
        list[str] | None, _Option("--with", metavar="NAME=VALUE", help="Any other parameter of GET /metrics.")
    ] = None,
    promql: Annotated[
        str | None, _Option("--promql", metavar="EXPR", help="Ask PromQL instead: now, or over --range.")
    ] = None,
    as_json: Annotated[bool, _Option("--json", help="What the server answers, as it is.")] = False,
    explain: Annotated[bool, _Option("--explain", help="Instead: which tables would be read, and the SQL.")] = False,
    url: Annotated[str, _Option("--url", metavar="URL", help="The server.")] = "http://localhost:8080",
) -> None:
    """Ask a running server: `query page_views --range 7d`, `query page_views --group-by country`, several at once with
    `query page_views signups/page_views`, or PromQL with `query --promql 'sum by (country) (page_views)' --range 1h`.

    A time series is drawn as a sparkline, a breakdown is a table. How fresh the answer is goes to stderr, so that
    `--json` can be piped. Exit code 1 where the server refuses or doesn't answer.
    """
    given = {"range": range_, "from": from_, "to": to, "step": step, "limit": None if limit is None else str(limit)}
    asked = [(name, value) for name, value in given.items() if value is not None]
    asked += [("group_by", name) for name in group_by or []] + [("filter", one) for one in filters or []]
    asked += [_pair(one) for one in more or []]
    if explain:
        asked.append(("explain", "1"))
    if promql is not None:
        _ask_promql(url, promql, metrics or [], asked, as_json=as_json)
    elif not metrics:
        raise FeedError("what shall be asked?", hint="streamgauge query METRIC, or streamgauge query --promql EXPR")
    else:
        _ask_metrics(url, metrics, asked, as_json=as_json)


def _ask_metrics(url: str, metrics: list[str], asked: list[tuple[str, str]], *, as_json: bool) -> None:
    from streamgauge.feed.question import ask_metric
    from streamgauge.feed.question_display import print_freshness, print_metrics, print_plans

    answered = asyncio.run(ask_metric(url, [*(("name", metric) for metric in metrics), *asked]))
    if as_json:
        typer.echo(msgspec.json.encode(answered.content))
    elif ("explain", "1") in asked:
        print_plans(Console(highlight=False), answered.content)
    else:
        print_metrics(Console(highlight=False), metrics, answered)
    print_freshness(Console(stderr=True, highlight=False), answered.fresh)


def _ask_promql(url: str, promql: str, metrics: list[str], asked: list[tuple[str, str]], *, as_json: bool) -> None:
    from streamgauge.feed.question import ask_promql
    from streamgauge.feed.question_display import print_freshness, print_promql

    span = dict(asked)
    refused = sorted(set(span) - {"range", "step"})
    if metrics or refused:
        raise FeedError(
            f"--promql doesn't go with {', '.join(metrics or refused)}",
            hint="what is selected and grouped stands in the expression; only --range and --step go with it",
        )
    parameters = [("query", promql), *_span(span)]
    answered, notes = asyncio.run(ask_promql(url, parameters, is_range="range" in span))
    if as_json:
        typer.echo(msgspec.json.encode(answered.content))
    else:
        print_promql(Console(highlight=False), answered.content)
    errors = Console(stderr=True, highlight=False)
    for note in notes:
        errors.print(note, style="yellow", markup=False, soft_wrap=True)
    print_freshness(errors, answered.fresh)


def _span(span: dict[str, str]) -> list[tuple[str, str]]:
    """Of Prometheus' API, in seconds; nothing for a question about now."""
    if "range" not in span:
        if "step" in span:
            raise FeedError("--step is of a range", hint="add --range, like --range 24h")
        return []
    length_ms = _duration_ms(span["range"], "--range")
    step_ms = _duration_ms(span["step"], "--step") if "step" in span else max(60_000, length_ms // _STEPS)
    end_ms = SystemClock().now_ms() // step_ms * step_ms
    times_ms = {"start": end_ms - length_ms, "end": end_ms, "step": step_ms}
    return [(name, str(time_ms / 1000)) for name, time_ms in times_ms.items()]


def _duration_ms(text: str, option: str) -> int:
    try:
        return parse_duration_ms(text)
    except ValueError as error:
        raise FeedError(f"{option}: {error}", hint=f"write it like {option} 24h") from error


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise FeedError(f"--with {text!r} is not NAME=VALUE", hint="write it like --with country=US")
    return name, value
