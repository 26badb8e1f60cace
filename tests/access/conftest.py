"""One world for a module: made once, in a transaction that is never committed."""

from collections.abc import Iterator
from types import TracebackType

import pytest
from django.core.cache import cache
from django.db import transaction
from pytest_django import DjangoDbBlocker

from tests.access import world
from tests.access.world import World


@pytest.fixture(scope="module")
def db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The name by which pytest-django knows which tests need a database; here it is a module's."""
    with django_db_blocker.unblock(), undone():
        cache.clear()
        yield
        cache.clear()


@pytest.fixture(scope="module")
def small_world(db: None) -> World:
    """What is done in it is undone case by case, by whoever does it (`tests.access.asking.Crowd.ask`)."""
    return world.made()


class undone(transaction.Atomic):
    """A transaction (or a savepoint in one) that is rolled back at the end. Use cases that ask for a transaction of
    their own may begin in it, as they may in every transaction that a test case opens."""

    def __init__(self) -> None:
        super().__init__(using=None, savepoint=True, durable=False)
        self._from_testcase = True

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        transaction.set_rollback(True)
        super().__exit__(kind, raised, trace)
