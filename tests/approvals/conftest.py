"""Fixtures that several files about proposals share; a file asks for them by name."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from approvals import probing
from tests import factories
from tests.approvals.till import Till, named
from tests.factories import Desk
from tests.receiver import Receiver, allow_loopback, receiving


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


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiving() as the:
        yield the


@pytest.fixture
def till(server: Receiver, transactional_db: None) -> Till:
    the = factories.desk(at={"undo_seconds": 0})
    allow_loopback()
    named(the, server.url)
    return Till(the, server)
