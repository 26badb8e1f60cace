"""Who the tests are in the database: the application's own role, except where a test is somebody else on purpose."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.db import connection

from audit.roles import GUARDED, TRIGGERS, Role
from config import addresses
from tests.services import SUPERUSER_URL

Connection = psycopg.Connection[tuple[Any, ...]]


def url_of(role: Role) -> str:
    """Where the role finds this test process's database."""
    return _here(os.environ[addresses.VARIABLES[role]])


@contextmanager
def as_owner() -> Iterator[Connection]:
    """Whoever owns the tables and migrates them; each statement commits by itself."""
    with connected("owner") as owner:
        yield owner


@contextmanager
def as_superuser() -> Iterator[Connection]:
    """The database's administrator, whom nothing inside the database can refuse; each statement commits by itself."""
    with psycopg.connect(_here(os.environ[SUPERUSER_URL]), autocommit=True) as superuser:
        yield superuser


def connected(role: Role) -> Connection:
    return psycopg.connect(url_of(role), autocommit=True)


@contextmanager
def acting_as(role: Role) -> Iterator[None]:
    """All of Django is the role meanwhile, in threads that connect now too."""
    before = settings.DATABASE_ROLE
    become(role)
    try:
        yield
    finally:
        become(before)


def become(role: Role) -> None:
    """Django's connections are the role's from here on; those of other threads when they connect again."""
    connection.close()
    settings.DATABASE_ROLE = role
    entry = addresses.entry(os.environ[addresses.VARIABLES[role]])
    connection.settings_dict.update({name: entry[name] for name in ("USER", "PASSWORD", "HOST", "PORT")})


class Emptying:
    """Empties the tables between tests, which neither the application nor anybody else is allowed to do.

    The owner can take the triggers off for a moment, by the DDL that the verifier's alarms are about."""

    def __init__(self) -> None:
        self._owner: Connection | None = None

    def __call__(self, statements: Sequence[str]) -> None:
        """Stands in for Django's `execute_sql_flush`."""
        if self._owner is None:
            self._owner = connected("owner")
        off = [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in GUARDED]
        on = [
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}"
            for table in GUARDED
            for trigger in TRIGGERS
        ]
        parts = ["SET LOCAL lock_timeout = '30s'", *off, *(part.rstrip(";") for part in statements), *on]
        with self._owner.transaction():
            self._owner.execute("; ".join(parts).encode())

    def close(self) -> None:
        if self._owner is not None:
            self._owner.close()
            self._owner = None


def _here(url: str) -> str:
    """The address with the database of this test process, which pytest-django has made and named."""
    return urlsplit(url)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
