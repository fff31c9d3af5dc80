"""The config file that all of Streamgauge's parts share in the cluster profile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from streamgauge.config import DEFAULT_ROLLUPS, Settings, load_settings
from streamgauge.feed.demo import DEMO_ROLLUPS
from streamgauge.model import Rollup

_BY_PLAN: Final = Rollup(name="page_views_by_plan", event="page_view", dimensions=("plan", "user_country"))
"""By what only PostgreSQL knows of a user."""

_HEAD: Final = """# Written by make up-cluster at each start: where the parts are. For any command of streamgauge:
# --config {file}
"""


def write_settings(file: Path, chosen: Mapping[str, str], flink: Mapping[str, str | int], ingest_url: str) -> Settings:
    """`chosen`: settings of the file's top, by name; `flink`: those of its section. What was written, as the roles will
    read it."""
    lines = [_HEAD.format(file=file), *(f"{name} = {_text(value)}" for name, value in chosen.items())]
    lines += ["", "[server]", f"public_ingest_url = {_text(ingest_url)}"]
    lines += ["", "[flink]", *(f"{name} = {_value(value)}" for name, value in flink.items())]
    for rollup in (*DEFAULT_ROLLUPS, *DEMO_ROLLUPS, _BY_PLAN):
        lines += ["", "[[rollups]]", *_rollup(rollup)]
    file.touch(0o600)  # it names PostgreSQL's password
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_settings(file)


def _rollup(rollup: Rollup) -> list[str]:
    lines = [f"name = {_text(rollup.name)}"]
    if rollup.event is not None:
        lines.append(f"event = {_text(rollup.event)}")
    lines.append(f"dimensions = [{', '.join(map(_text, rollup.dimensions))}]")
    if not isinstance(rollup.measure, str):
        lines += [f"measure = {{{kind} = {_text(value)}}}" for kind, value in rollup.measure.items()]
    return lines


def _value(value: str | int) -> str:
    return str(value) if isinstance(value, int) else _text(value)


def _text(value: str) -> str:
    """TOML's basic strings are JSON's."""
    return msgspec.json.encode(value).decode()
