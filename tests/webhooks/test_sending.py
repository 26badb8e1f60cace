"""From a change of state to an endpoint's ears: once it is committed, in order, at least once, or visibly dead."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from approvals import outbox, transitions, webhooks
from approvals.models import Notification, Verdict, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from approvals.redaction import Subject as Whose
from approvals.requests import OutcomeRequest, Subject
from approvals.services import amend, erase, redeem, report, send_webhooks
from approvals.services import webhooks as managing
from approvals.states import State
from audit.events import system
from tests.factories import admin, desk
from tests.receiver import says
from tests.webhooks.conftest import Hook
from tests.webhooks.verifying import verified

pytestmark = pytest.mark.django_db(transaction=True)
DEAD, QUEUED, SENT = (WebhookDelivery.State[name] for name in ("DEAD", "QUEUED", "SENT"))


def test_every_change_arrives_signed_in_order_with_the_proposal_as_it_was(hook: Hook) -> None:
    proposal = hook.the.propose()
    hook.the.decide(proposal, Verdict.APPROVE)

    assert hook.send() == 2

    first, second = hook.server.heard
    assert hook.server.types == ["proposal.pending", "proposal.approved"]
    assert [verified(one, hook.secret) for one in (first, second)] == [first.said, second.said]
    assert (first.said["data"]["version"], second.said["data"]["version"]) == (1, 2)
    assert first.said["data"]["status"] == "pending"
    assert (first.said["data"]["decision"], first.said["data"]["grant"]) == (None, None)
    assert second.said["data"]["decision"]["verdict"] == "approve"
    assert second.said["data"]["arguments"] == {"order_id": "A-1001", "amount": 42.5, "reason": "damaged"}
    assert second.said["data"]["grant"]["token"]
    assert [row.state for row in hook.rows()] == [SENT, SENT]
    assert hook.send() == 0


def test_the_data_is_the_representation_of_the_api(hook: Hook, client: Any) -> None:
    proposal = hook.the.decide(hook.the.propose(), Verdict.APPROVE).proposal
    hook.send()
    answer = client.get(f"/api/v1/proposals/{proposal.pk}", headers=hook.the.headers)
    assert hook.server.heard[-1].said["data"] == answer.json()


def test_a_whole_life_is_told_and_an_edit_too(hook: Hook) -> None:
    proposal = hook.the.propose()
    changed = {"order_id": "A-1001", "amount": 40, "reason": "damaged"}
    hook.the.decide(proposal, Verdict.EDIT, arguments=changed)
    proposal.refresh_from_db()
    redeem.redeem(proposal_id=proposal.pk, bearer=hook.the.bearer, digest=proposal.digest)
    report.report(
        proposal_id=proposal.pk,
        agent=hook.the.agent,
        request=OutcomeRequest(status="succeeded", external_id="R-1"),
    )
    hook.send()
    assert hook.server.types == [
        *("proposal.pending", "proposal.approved", "proposal.executing", "proposal.succeeded"),
    ]
    last, executing = hook.server.heard[-1].said["data"], hook.server.heard[-2].said["data"]
    assert (last["outcome"]["external_id"], executing["outcome"]) == ("R-1", None)
    assert [one.said["data"]["arguments"]["amount"] for one in hook.server.heard] == [42.5, 40, 40, 40]


def test_a_grant_that_is_used_up_or_revoked_is_not_handed_out_late(hook: Hook) -> None:
    proposal = hook.the.approved()
    redeem.redeem(proposal_id=proposal.pk, bearer=hook.the.bearer, digest=proposal.digest)
    hook.send()
    approved = hook.server.heard[1].said
    assert (approved["type"], approved["data"]["status"]) == ("proposal.approved", "approved")
    assert approved["data"]["grant"] is None


def test_what_is_rolled_back_is_told_to_nobody(hook: Hook) -> None:
    proposal = hook.the.propose()

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        found = transitions.locked(proposal.pk)
        transitions.apply(found, State.EXPIRED, actor=system("test"), at=hook.clock())
        raise ZeroDivisionError

    assert [row.event for row in hook.rows()] == ["proposal.pending"]


def test_an_agent_without_an_endpoint_has_no_rows_and_pays_no_further_statement(hook: Hook) -> None:
    """The same statements, whoever listens: the row is part of the one that tells waiting agents."""
    other = desk()

    def cost(of: Any) -> int:
        proposal = of.propose()
        with CaptureQueriesContext(connection) as made:
            amend.withdraw(proposal_id=proposal.pk, agent=of.agent, reason="")
        return len(made)

    assert cost(other) == cost(hook.the)
    assert WebhookDelivery.objects.exclude(endpoint=hook.endpoint).count() == 0
    assert [row.event for row in hook.rows()] == ["proposal.pending", "proposal.withdrawn"]


def test_only_chosen_events_are_written_down(hook: Hook) -> None:
    managing.change(
        endpoint_id=hook.endpoint.pk,
        url=hook.endpoint.url,
        events=["proposal.approved"],
        label="",
        actor=hook.the.agent.owner,
    )
    hook.the.decide(hook.the.propose(), Verdict.APPROVE)
    hook.the.decide(hook.the.propose(), Verdict.REJECT)
    hook.send()
    assert hook.server.types == ["proposal.approved"]
    assert set(webhooks.types_of(hook.reread())) == {"proposal.approved"}


def test_a_failure_is_tried_again_after_growing_pauses(hook: Hook) -> None:
    hook.server.answer = says(500, b"<b>broken</b>\x00")
    hook.the.propose()

    assert hook.send() == 0
    assert hook.send() == 0
    assert len(hook.server.heard) == 1, "the pause holds"
    hook.later(seconds=7)
    hook.server.answer = says(200, b"thanks")
    assert hook.send() == 1

    [row] = hook.rows()
    first, second = row.tries.order_by("pk")
    assert (row.state, row.attempts) == (SENT, 2)
    assert (first.status, first.error, first.excerpt) == (
        500,
        "It answers 500.",
        "<b>broken</b>\N{REPLACEMENT CHARACTER}",
    )
    assert (second.status, second.error, second.excerpt) == (200, "", "thanks")
    assert hook.server.heard[0].id == hook.server.heard[1].id, "a receiver can tell a repetition"
    assert first.digest == second.digest


def test_a_later_version_waits_for_an_earlier_one_and_other_proposals_do_not(hook: Hook) -> None:
    one = hook.the.propose()
    hook.the.decide(one, Verdict.APPROVE)
    other = hook.the.propose()
    refused = str(one.pk)

    def answer(handler: Any, heard: Any) -> None:
        says(500 if heard.said["data"]["id"] == refused else 204)(handler, heard)

    hook.server.answer = answer
    hook.send()
    told = [(one.said["data"]["id"], one.said["type"]) for one in hook.server.heard]
    assert told == [(refused, "proposal.pending"), (str(other.pk), "proposal.pending")]

    hook.server.answer = says(204)
    hook.later(seconds=7)
    hook.send()
    assert hook.server.types[2:] == ["proposal.pending", "proposal.approved"]


def test_one_proposal_that_is_refused_does_not_hide_the_others(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More versions behind a refused one than one look holds, all of them older than another's first."""
    monkeypatch.setattr(send_webhooks, "LOOKED_AT", 1)
    held = [hook.the.propose() for _ in range(3)]
    refused = {str(one.pk) for one in held}
    hook.server.answer = lambda handler, heard: says(500 if heard.said["data"]["id"] in refused else 204)(
        handler, heard
    )
    hook.send()
    for one in held:
        hook.the.decide(one, Verdict.APPROVE)
    other = hook.the.propose()
    hook.later(seconds=1)
    WebhookEndpoint.objects.update(rests_until=None)
    hook.send()
    assert hook.server.heard[-1].said["data"]["id"] == str(other.pk)
    assert hook.server.types == ["proposal.pending"] * 4

    hook.server.answer = says(204)
    hook.later(minutes=11)
    assert hook.send() == 6
    assert [(row.version, row.state) for row in hook.rows()] == [(1, SENT)] * 3 + [(2, SENT)] * 3 + [
        (1, SENT)
    ]
    told = [(one.said["data"]["id"], one.said["data"]["version"]) for one in hook.server.heard[-6:]]
    assert all(told.index((pk, 1)) < told.index((pk, 2)) for pk in refused)


def test_two_senders_keep_the_order_and_send_everything_once(hook: Hook) -> None:
    """Two processes' worth of work on two endpoints of one agent, each on a connection of its own."""
    second, _ = managing.add(
        agent_id=hook.the.agent.pk,
        url=f"{hook.server.url}?two",
        events=[],
        label="",
        actor=hook.the.agent.owner,
    )
    for _ in range(4):
        hook.the.decide(hook.the.propose(), Verdict.APPROVE)

    def work() -> int:
        try:
            return send_webhooks.send_due(clock=hook.clock, seconds=60)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        counts = [one.result() for one in (pool.submit(work), pool.submit(work))]
    assert sum(counts) == 16
    for path in ("/hook", "/hook?two"):
        told = [
            (one.said["data"]["id"], one.said["data"]["version"])
            for one in hook.server.heard
            if one.path == path
        ]
        assert len(told) == len(set(told)) == 8
        assert all(told.index((pk, 1)) < told.index((pk, 2)) for pk, _ in told)
    assert {row.state for row in (*hook.rows(), *second.deliveries.all())} == {SENT}


def test_a_slow_endpoint_gives_its_turn_away(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_webhooks, "TURN", 0.0)
    managing.add(
        agent_id=hook.the.agent.pk,
        url=f"{hook.server.url}?two",
        events=[],
        label="",
        actor=hook.the.agent.owner,
    )
    for _ in range(2):
        hook.the.propose()
    hook.send()
    assert [one.path for one in hook.server.heard] == ["/hook", "/hook?two"] * 2


def test_an_unknown_outcome_is_told_as_it_was(hook: Hook) -> None:
    proposal = hook.the.approved()
    redeem.redeem(proposal_id=proposal.pk, bearer=hook.the.bearer, digest=proposal.digest)
    report.report(proposal_id=proposal.pk, agent=hook.the.agent, request=OutcomeRequest(status="unknown"))
    report.settle(proposal_id=proposal.pk, person=hook.the.agent.owner, status="succeeded", note="Found out")
    hook.send()
    told = [one.said["data"]["outcome"] for one in hook.server.heard[-2:]]
    assert [one["status"] for one in told] == ["unknown", "succeeded"]


def test_one_endpoint_that_fails_holds_up_no_other(hook: Hook) -> None:
    second, _ = managing.add(
        agent_id=hook.the.agent.pk,
        url=hook.server.url + "?two",
        events=[],
        label="",
        actor=hook.the.agent.owner,
    )

    def answer(handler: Any, heard: Any) -> None:
        says(204 if heard.path.endswith("two") else 500)(handler, heard)

    hook.server.answer = answer
    hook.the.decide(hook.the.propose(), Verdict.APPROVE)
    hook.send()
    assert [row.state for row in second.deliveries.order_by("pk")] == [SENT, SENT]
    assert [row.state for row in hook.rows()] == [QUEUED, QUEUED]


def test_a_sender_that_was_overtaken_sends_nothing_more(hook: Hook) -> None:
    hook.the.propose()
    taken = send_webhooks._take(hook.clock())
    assert taken is not None
    hook.later(seconds=60)
    assert send_webhooks._take(hook.clock()) is not None, "its lease has run out"
    assert send_webhooks._begin(*taken, now=hook.clock()) is None


def test_what_was_planted_is_told_to_no_endpoint(hook: Hook) -> None:
    proposal = hook.the.propose()
    WebhookDelivery.objects.all().delete()
    proposal.planted = True
    with transaction.atomic():
        outbox.changed(proposal, channel="other")
    assert hook.rows() == []


def test_mail_and_chat_name_an_endpoint_without_what_may_be_a_secret(hook: Hook) -> None:
    WebhookEndpoint.objects.update(url="https://hooks.example/in?token=s3cret")
    hook.the.propose()
    WebhookDelivery.objects.update(attempts=webhooks.MOST_ATTEMPTS)
    hook.send()
    [told] = Notification.objects.filter(recipient=hook.the.agent.owner, kind="agent")
    assert "hooks.example/in" in told.text and "s3cret" not in told.text


def test_erasing_somebody_reaches_what_is_on_its_way_and_what_was_answered(hook: Hook) -> None:
    proposal = hook.the.propose(subject=Subject(type="customer", id="c-17"), summary="About c-17")
    hook.server.answer = says(500, b"c-17 is unknown here")
    hook.send()
    hook.the.decide(proposal, Verdict.REJECT)
    erase.erase(
        subject=Whose(type="customer", id="c-17"), typed="c-17", reason="He asked for it.", actor=admin()
    )
    hook.server.answer = says(204)
    hook.later(seconds=7)
    assert hook.send() == 2
    late = hook.server.heard[1:]
    assert [one.said["data"]["arguments"] for one in late] == [{}, {}]
    assert not any(b"c-17" in one.body for one in late)
    assert set(WebhookAttempt.objects.values_list("excerpt", flat=True)) == {""}


def test_a_change_wakes_the_sender_that_listens(hook: Hook) -> None:
    """It does not wait for the next look: a decision leaves as soon as it is committed."""
    proposal = hook.the.propose()
    hook.send()
    with send_webhooks._listening(True) as wait:
        assert wait is not None
        amend.withdraw(proposal_id=proposal.pk, agent=hook.the.agent, reason="")
        began = time.monotonic()
        wait(60)
        assert time.monotonic() - began < 30
    assert hook.send() == 1


def test_a_new_proposal_wakes_the_sender_that_listens(hook: Hook) -> None:
    """Alone or in a batch: an arrival is a row like any other, and announced with it."""
    with send_webhooks._listening(True) as wait:
        assert wait is not None
        hook.the.propose()
        began = time.monotonic()
        wait(60)
        assert time.monotonic() - began < 30
    assert hook.send() == 1


def test_where_nobody_has_an_endpoint_an_arrival_announces_nothing(hook: Hook) -> None:
    other = desk()
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {outbox.CHANNEL}")
        other.propose()
        silent = list(connection.connection.notifies(timeout=0))
        hook.the.propose()
        told = list(connection.connection.notifies(timeout=10, stop_after=1))
        cursor.execute(f"UNLISTEN {outbox.CHANNEL}")
    assert (silent, [one.channel for one in told]) == ([], [outbox.CHANNEL])
