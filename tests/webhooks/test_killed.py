"""kill -9 in the middle of a delivery: another sender delivers again, and none is lost."""

import os
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from approvals.models import Verdict, WebhookDelivery
from tests.receiver import says
from tests.webhooks.conftest import Hook

pytestmark = pytest.mark.django_db(transaction=True)


def killed_while_sending(hook: Hook) -> None:
    """A sender in a process of its own that is gone before the endpoint has answered."""
    url = urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    code = "import django; django.setup(); from approvals.services import send_webhooks; send_webhooks.send_due()"
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=settings.BASE_DIR)
    hook.server.answer = lambda handler, heard: os.kill(process.pid, signal.SIGKILL)
    assert process.wait(100) == -signal.SIGKILL
    hook.server.answer = says(204)


def test_a_killed_sender_delivers_again(hook: Hook) -> None:
    hook.the.propose()
    killed_while_sending(hook)

    [row] = hook.rows()
    assert (row.state, row.attempts, row.tries.count()) == ("queued", 1, 0)
    assert hook.send() == 0, "lease and pause hold"
    hook.later(seconds=60)
    assert hook.send() == 1
    [row] = hook.rows()
    assert (row.state, row.attempts) == ("sent", 2)
    assert [one.id for one in hook.server.heard] == [f"msg_{row.message.hex}"] * 2


def test_a_sender_killed_during_a_retry_loses_nothing_and_keeps_the_order(hook: Hook) -> None:
    hook.server.answer = says(500)
    hook.the.decide(hook.the.propose(), Verdict.APPROVE)
    hook.send()
    WebhookDelivery.objects.update(not_before=timezone.now())
    killed_while_sending(hook)

    assert [(row.state, row.attempts) for row in hook.rows()] == [("queued", 2), ("queued", 0)]
    hook.later(seconds=60)
    assert hook.send() == 2
    assert [one.said["data"]["version"] for one in hook.server.heard] == [1, 1, 1, 2]
    assert [(row.state, row.attempts, row.tries.count()) for row in hook.rows()] == [
        ("sent", 3, 2),
        ("sent", 1, 1),
    ]
