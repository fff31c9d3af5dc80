"""A running system that has keys."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from running import RunningSystem


def keys_command(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`streamgauge keys …`, as in a terminal."""
    command = [sys.executable, "-m", "streamgauge", "keys", *arguments, "--data", str(data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def new_key(data: Path, name: str, scope: str, *arguments: str) -> str:
    """The secret of a key that is made for the system in this folder."""
    made = keys_command(data, "create", name, "--scope", scope, "--quiet", *arguments)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


class KeyedSystem(RunningSystem):
    """Asks with an admin key where nothing else is said."""

    def __init__(self, data: Path, **options: Any) -> None:
        super().__init__(data, **options)
        self.admin = new_key(data, "admin", "admin")

    def spawn(self) -> None:
        super().spawn()
        self.client.headers.update(bearer(self.admin))

    def ask(self, path: str, method: str = "GET", **options: Any) -> httpx.Response:
        """Without any key but what is given."""
        return httpx.request(method, self.url(path), trust_env=False, timeout=20, **options)
