"""The README's commands, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from running import RunningSystem

_ROOT = Path(__file__).parents[1]
_BLOCKS = re.findall(r"```sh\n(.*?)```", (_ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
_CURLS = [block for block in _BLOCKS if block.startswith("curl")]


@pytest.mark.parametrize("block", _CURLS)
def test_each_curl_of_the_readme_is_answered_as_it_promises(block: str, running_system: RunningSystem) -> None:
    command = block.replace("http://localhost:8080", running_system.url()).replace(
        "curl ", "curl -sS --fail-with-body "
    )
    done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


_PYTHON = [
    program
    for document in ("README.md", "sdk/python/README.md")
    for program in re.findall(
        r"```python\n(from streamgauge_sdk import Client.*?)```",
        (_ROOT / document).read_text(encoding="utf-8"),
        re.DOTALL,
    )
]


@pytest.mark.parametrize("program", _PYTHON)
def test_each_python_program_of_the_docs_sends_its_events(program: str, running_system: RunningSystem) -> None:
    running_system.wait_until_idle()
    before = running_system.total()
    program = program.replace("http://localhost:8080", running_system.url())
    environment = {**os.environ, "PYTHONPATH": str(_ROOT / "sdk/python/src")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    running_system.wait_until_counted(before + len(re.findall(r"\.(?:track|page|identify)\(", program)))


def test_every_error_code_is_documented() -> None:
    guide = (_ROOT / "docs" / "guide" / "http-api.md").read_text(encoding="utf-8")
    code = "\n".join(file.read_text(encoding="utf-8") for file in (_ROOT / "src" / "streamgauge").rglob("*.py"))
    found = re.findall(r'\bcode ?= ?"([a-z_]+)"|ItemError\(\s*"([a-z_]+)"|^    \d{3}: "([a-z_]+)"', code, re.MULTILINE)
    never_answered = {
        "invalid_config",
        "already_running",
        "feed_failed",
        "superseded",
        "stream_over",
    }
    codes = {name for names in found for name in names if name} - never_answered
    assert len(codes) > 20
    assert {name for name in codes if f"`{name}`" not in guide} == set()


def test_every_make_target_that_the_docs_name_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (_ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md", "bench/README.md"):
        text = (_ROOT / document).read_text(encoding="utf-8")
        named = set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE))
        assert named <= targets, f"{document} names {named - targets}"


def test_every_relative_link_of_the_docs_leads_somewhere() -> None:
    patterns = ("*.md", "docs/**/*.md", "bench/*.md", "sdk/python/*.md")
    for document in [found for pattern in patterns for found in _ROOT.glob(pattern)]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
