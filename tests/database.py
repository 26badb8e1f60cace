"""Connections to the tests' database as other roles than the application's own, for whoever plays the intruder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.db import connection

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def as_owner() -> Iterator[Connection]:
    """Whoever owns the tables and migrates them; each statement commits by itself."""
    with _connected(os.environ.get("DATABASE_OWNER_URL") or os.environ["DATABASE_URL"]) as owner:
        yield owner


@contextmanager
def as_superuser() -> Iterator[Connection]:
    """The database's administrator, whom nothing inside the database can refuse; each statement commits by itself."""
    parts = urlsplit(os.environ.get("DATABASE_OWNER_URL") or os.environ["DATABASE_URL"])
    at = parts.netloc.rpartition("@")[2]
    with _connected(parts._replace(netloc=f"postgres@{at}").geturl()) as superuser:
        yield superuser


def _connected(url: str) -> Connection:
    """To the database of this test process, which pytest-django has made and named."""
    name = connection.settings_dict["NAME"]
    return psycopg.connect(urlsplit(url)._replace(path=f"/{name}").geturl(), autocommit=True)
