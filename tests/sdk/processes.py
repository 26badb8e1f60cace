"""Processes that can be killed: the server on the tests' database, and waiting for what they do."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 60
"""Seconds for another process to do what is waited for."""


def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@contextmanager
def process(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The server as a process of its own, which can be killed, on the tests' database."""
    name = connection.settings_dict["NAME"]
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    started = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "config.asgi:application", "--port", str(port), "--no-access-log"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"},
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait(20)


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", timeout=20).status_code == 200
    except httpx.TransportError:
        return False
