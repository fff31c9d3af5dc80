"""Secrets don't show in messages, whole or in part."""

from __future__ import annotations

import pytest

from streamgauge.alert.notify.secrets import Secret

URL = "https://user:passw0rd99@hooks.example/services/T0000/B0000/XyZ1234567890?key=abcdefghijk"


@pytest.mark.parametrize(
    "message",
    [
        f"no answer from {URL}",
        "404 for /services/T0000/B0000/XyZ1234567890?key=abcdefghijk",
        "no hook XyZ1234567890",
        "key abcdefghijk is revoked",
        "user with passw0rd99 is unknown",
    ],
)
def test_neither_a_url_nor_its_path_nor_its_tokens_are_shown(message: str) -> None:
    shown = Secret(URL).hidden_in(message)
    assert "***" in shown
    assert not any(part in shown for part in ("XyZ1234567890", "abcdefghijk", "passw0rd99"))


def test_the_host_is_shown() -> None:
    assert Secret(URL).hidden_in("can't reach hooks.example") == "can't reach hooks.example"
