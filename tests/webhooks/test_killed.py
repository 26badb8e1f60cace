"""kill -9 in the middle of a delivery: another sender delivers again, and none is lost."""

import os
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection

from tests.receiver import says
from tests.webhooks.conftest import Hook

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_killed_sender_delivers_again(hook: Hook) -> None:
    hook.the.propose()
    url = urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    code = "import django; django.setup(); from approvals.services import send_webhooks; send_webhooks.send_due()"
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=settings.BASE_DIR)
    hook.server.answer = lambda handler, heard: os.kill(process.pid, signal.SIGKILL)
    assert process.wait(100) == -signal.SIGKILL
    hook.server.answer = says(204)

    [row] = hook.rows()
    assert (row.state, row.attempts, row.tries.count()) == ("queued", 1, 0)
    assert hook.send() == 0, "lease and pause hold"
    hook.later(seconds=60)
    assert hook.send() == 1
    [row] = hook.rows()
    assert (row.state, row.attempts) == ("sent", 2)
    assert [one.id for one in hook.server.heard] == [f"msg_{row.message.hex}"] * 2
