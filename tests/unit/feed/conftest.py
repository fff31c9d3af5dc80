from __future__ import annotations

from collections.abc import Iterator

import pytest

from unit.feed.fake_server import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running
