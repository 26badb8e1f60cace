"""kill -9 in the middle of a delivery: another sender delivers again, and none is lost."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.receiver import Heard, says
from tests.webhooks.conftest import Hook

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
SENDER = """
import os, django
from django.conf import settings
django.setup()
settings.DATABASES["default"]["NAME"] = os.environ["NAME_OF_THE_TESTS_DATABASE"]
from approvals.services import send_webhooks
send_webhooks.send_due(seconds=60)
"""


def test_a_killed_sender_delivers_again(hook: Hook) -> None:
    asked, let_go = threading.Event(), threading.Event()

    def hang(handler: Any, heard: Heard) -> None:
        asked.set()
        let_go.wait(60)
        handler.close_connection = True

    hook.server.answer = hang
    hook.the.propose()
    sender = subprocess.Popen(
        [sys.executable, "-c", SENDER],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "NAME_OF_THE_TESTS_DATABASE": str(connection.settings_dict["NAME"]),
        },
    )
    try:
        assert asked.wait(60), "the sender never came"
    finally:
        sender.send_signal(signal.SIGKILL)
        sender.wait(30)
        let_go.set()

    [row] = hook.rows()
    assert (row.state, row.attempts, row.tries.count()) == ("queued", 1, 0)
    hook.server.answer = says(204)
    assert hook.send() == 0, "lease and pause hold"
    hook.later(seconds=60)
    _until_the_place_is_free()
    assert hook.send() == 1
    [row] = hook.rows()
    assert (row.state, row.attempts) == ("sent", 2)
    assert [one.id for one in hook.server.heard] == [f"msg_{row.message.hex}"] * 2


def _until_the_place_is_free() -> None:
    """The server notices the end of the killed one's connection a moment later."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
            if cursor.fetchone()[0] == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the killed sender still holds its place")
