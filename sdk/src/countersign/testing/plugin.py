"""pytest's plugin: the fixture `countersign_server`. Everything else is loaded when a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from countersign.testing.server import FakeServer


@pytest.fixture
def countersign_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A fake server for this test; COUNTERSIGN_URL and COUNTERSIGN_TOKEN lead there, so code needs no change."""
    from countersign.testing.server import FakeServer

    with FakeServer() as server:
        monkeypatch.setenv("COUNTERSIGN_URL", server.url)
        monkeypatch.setenv("COUNTERSIGN_TOKEN", server.token)
        monkeypatch.delenv("COUNTERSIGN_TOKEN_FILE", raising=False)
        yield server
