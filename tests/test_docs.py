"""The README's commands, run as they stand there."""

from __future__ import annotations

import re
import subprocess
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


def test_every_error_code_is_documented() -> None:
    guide = (_ROOT / "docs" / "guide" / "http-api.md").read_text(encoding="utf-8")
    code = "\n".join(file.read_text(encoding="utf-8") for file in (_ROOT / "src" / "streamgauge").rglob("*.py"))
    found = re.findall(r'\bcode ?= ?"([a-z_]+)"|ItemError\(\s*"([a-z_]+)"|^    \d{3}: "([a-z_]+)"', code, re.MULTILINE)
    never_answered = {"invalid_config", "already_running", "feed_failed", "superseded"}
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
    for document in [*_ROOT.glob("*.md"), *_ROOT.glob("docs/**/*.md"), *_ROOT.glob("bench/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
