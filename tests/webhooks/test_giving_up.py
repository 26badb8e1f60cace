"""What is given up, and who is told: messages after three days, endpoints that fail for long, rows after a month."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from approvals import webhooks
from approvals.models import Notification, Verdict, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from approvals.services import webhooks as managing
from audit.models import AuditEvent
from tests.api.listening import until
from tests.receiver import says
from tests.webhooks.conftest import Hook

pytestmark = pytest.mark.django_db(transaction=True)
DEAD, QUEUED, SENT = (WebhookDelivery.State[name] for name in ("DEAD", "QUEUED", "SENT"))


def test_after_three_days_it_is_dead_and_the_next_version_has_its_turn(hook: Hook) -> None:
    proposal = hook.the.propose()
    hook.the.decide(proposal, Verdict.APPROVE)

    def answer(handler: Any, heard: Any) -> None:
        says(400 if heard.said["type"] == "proposal.pending" else 204)(handler, heard)

    hook.server.answer = answer
    for _ in range(60):
        hook.send()
        hook.later(hours=4)
        if hook.rows(state=DEAD):
            break
        WebhookEndpoint.objects.update(failing_since=None)  # others arrive meanwhile
    hook.send()
    first, second = hook.rows()
    assert (first.state, first.error) == (DEAD, "It answers 400.")
    begun, ended = first.begun_at, first.tries.latest("pk").at
    assert begun is not None and ended - begun >= timedelta(days=3)
    assert second.state == SENT
    assert Notification.objects.filter(recipient=hook.the.agent.owner, kind="agent").exists()


def test_an_endpoint_that_fails_for_long_is_paused_its_owner_told_and_resumed_loses_nothing(
    hook: Hook,
) -> None:
    hook.server.answer = says(503)
    hook.the.propose()
    for _ in range(40):
        hook.send()
        hook.later(hours=4)
    endpoint = hook.reread()
    assert endpoint.paused_at is not None and "three days" in endpoint.paused_why

    told = Notification.objects.filter(recipient=hook.the.agent.owner, kind="agent").order_by("pk")
    assert ["has taken nothing for 6 hours" in told[0].text, "is paused" in told.last().text] == [True, True]  # type: ignore[union-attr]
    assert told[0].link == f"/agents/{hook.the.agent.slug}/webhooks/{endpoint.pk}/"
    assert len(told) == 2, "once each, not with every attempt"
    event = AuditEvent.objects.get(kind="webhook.paused")
    assert (event.actor_kind, event.actor_id) == ("system", "webhooks")

    heard = len(hook.server.heard)
    hook.server.answer = says(204)
    hook.the.propose()
    hook.send()
    assert len(hook.server.heard) == heard, "nothing leaves while it is paused"

    managing.resume(endpoint_id=endpoint.pk, actor=hook.the.agent.owner)
    assert managing.redrive(endpoint_id=endpoint.pk, actor=hook.the.agent.owner) == 1
    assert hook.send() == 2
    assert [row.state for row in hook.rows()] == [SENT, SENT]
    assert hook.reread().failing_since is None


def test_an_endpoint_that_is_gone_is_paused_at_once(hook: Hook) -> None:
    hook.server.answer = says(410)
    hook.the.propose()
    hook.send()
    assert hook.reread().paused_why == "It answers 410: it is gone."


def test_an_endpoint_that_is_down_costs_few_attempts_however_much_waits(hook: Hook) -> None:
    for _ in range(12):
        hook.the.propose()
    hook.server.answer = says(503)
    hook.send()
    assert len(hook.server.heard) == 3
    hook.later(seconds=6)
    hook.send()
    assert len(hook.server.heard) == 4, "after a rest one message finds out"
    hook.later(minutes=11)
    hook.server.answer = says(204)
    assert hook.send() == 12


def test_attempts_and_arrived_messages_go_after_a_month(hook: Hook) -> None:
    hook.the.propose()
    hook.send()
    assert managing.clear(now=hook.clock() + timedelta(days=29)) == 0
    assert managing.clear(now=hook.clock() + timedelta(days=31)) == 1
    assert (hook.rows(), WebhookAttempt.objects.count()) == ([], 0)


def test_what_waits_for_a_paused_endpoint_is_dead_after_a_month(hook: Hook) -> None:
    hook.the.propose()
    managing.pause(endpoint_id=hook.endpoint.pk, actor=hook.the.agent.owner)
    managing.clear(now=hook.clock() + timedelta(days=31))
    [row] = hook.rows()
    assert (row.state, row.error) == (DEAD, "The endpoint has been paused for a month.")
    managing.clear(now=hook.clock() + timedelta(days=60))
    assert hook.rows() == [row], "in sight for another month"
    managing.clear(now=hook.clock() + timedelta(days=62))
    assert hook.rows() == []


def test_what_is_resumed_at_that_moment_does_not_die(hook: Hook) -> None:
    """Listed while the endpoint is paused, and let go before it is given up."""
    hook.the.propose()
    managing.pause(endpoint_id=hook.endpoint.pk, actor=hook.the.agent.owner)

    def give_up() -> None:
        managing.clear(now=hook.clock() + timedelta(days=31))
        connection.close()

    clearing = threading.Thread(target=give_up)
    with transaction.atomic():
        resumed = WebhookEndpoint.objects.select_for_update().filter(pk=hook.endpoint.pk)
        resumed.update(paused_at=None, paused_why="")
        clearing.start()
        until(lambda: not clearing.is_alive() or _somebody_waits())
    clearing.join(60)
    assert [row.state for row in hook.rows()] == [QUEUED]


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def test_a_message_whose_every_attempt_was_interrupted_is_told_of(hook: Hook) -> None:
    hook.the.propose()
    WebhookDelivery.objects.update(attempts=webhooks.MOST_ATTEMPTS)
    assert hook.send() == 0
    [row] = hook.rows()
    assert (row.state, row.error) == (DEAD, "Every attempt was interrupted.")
    [told] = Notification.objects.filter(recipient=hook.the.agent.owner, kind="agent")
    assert "every attempt was interrupted" in told.text
