"""Fixtures that several files about proposals share; a file asks for them by name."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from approvals import probing
from tests import factories
from tests.factories import Desk


@pytest.fixture
def desk() -> Desk:
    return factories.desk()


@pytest.fixture
def always_drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every coin falls on a probe; what the coin itself does has its own test."""
    monkeypatch.setattr(probing, "is_drawn", lambda probability: True)
    yield


@pytest.fixture
def no_hints() -> None:
    """What an earlier test counted is none of this one's."""
    cache.clear()
