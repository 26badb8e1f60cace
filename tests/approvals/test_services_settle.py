"""The undo window: a verdict is held, taken back, or settles once, whatever happens meanwhile."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.exceptions import DomainError
from agents.models import Evidence
from approvals.exceptions import AlreadyClaimed, NothingToClaim, PolicyRefused, WrongState
from approvals.models import Decision, Grant, HeldBallot, Notification, Proposal, Verdict, Vote
from approvals.services import amend, claim, expire, set_up, settle, suspend
from approvals.services.decide import Decided
from audit.models import AuditEvent
from tests.factories import ARGUMENTS, Desk, admin, desk, policy
from tests.invariants.calls import together

pytestmark = pytest.mark.django_db


def slow_desk(**extra: Any) -> Desk:
    return desk(at={"undo_seconds": 10, **extra})


def later(seconds: float = 60) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)


def seen_by_agent(the: Desk, proposal: Proposal) -> dict[str, Any]:
    found: dict[str, Any] = Client().get(f"/api/v1/proposals/{proposal.pk}", headers=the.headers).json()
    return found


def test_the_agent_sees_nothing_of_a_held_verdict() -> None:
    the = slow_desk()
    proposal = the.propose()
    before = seen_by_agent(the, proposal)
    decided = the.decide(proposal, Verdict.APPROVE)
    assert not decided.final and decided.held_until is not None
    assert timedelta(seconds=8) < decided.held_until - timezone.now() <= timedelta(seconds=10)
    assert seen_by_agent(the, proposal) == before
    assert not (Vote.objects.exists() or Decision.objects.exists() or Evidence.objects.exists())


def test_it_settles_when_the_window_has_passed_and_once() -> None:
    the = slow_desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    assert settle.settle_due(now=later(5)) == 0
    assert settle.settle_due(now=later()) == 1
    assert settle.settle_due(now=later()) == 0
    answer = seen_by_agent(the, proposal)
    assert (answer["status"], answer["decision"]["verdict"]) == ("approved", "approve")
    assert (Vote.objects.count(), Decision.objects.count(), Grant.objects.count()) == (1, 1, 1)
    assert list(
        AuditEvent.objects.filter(kind__startswith="proposal.dec").values_list("kind", flat=True)
    ) == ["proposal.decision_held"]


@pytest.mark.parametrize(
    ("verdict", "extra", "state"),
    [
        (Verdict.REJECT, {"comment": "no"}, "rejected"),
        (Verdict.RETURN, {}, "returned"),
        (Verdict.EDIT, {"arguments": {**ARGUMENTS, "amount": 7}, "comment": "less"}, "approved"),
    ],
)
def test_every_verdict_is_held_and_settles_as_it_was_given(
    verdict: Verdict, extra: dict[str, Any], state: str
) -> None:
    the = slow_desk()
    proposal = the.propose()
    the.decide(proposal, verdict, **extra)
    assert Proposal.objects.get().revision == 1
    settle.settle_due(now=later())
    now = Proposal.objects.get()
    assert now.state == state
    assert Decision.objects.get().comment == extra.get("comment", "Which order is meant?")
    if verdict == Verdict.EDIT:
        assert now.revision == 2 and now.current_revision.arguments["amount"] == 7


def test_undo_leaves_no_trace_but_in_the_audit_log() -> None:
    the = slow_desk()
    proposal = the.propose()
    claim.claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    the.decide(proposal, Verdict.APPROVE)
    undone = settle.undo(proposal_id=proposal.pk, reviewer=the.reviewer)
    assert undone.state == "pending" and undone.claimed_by == the.reviewer
    assert settle.settle_due(now=later()) == 0
    the.decide(proposal, Verdict.REJECT)
    settle.settle_due(now=later())
    assert Proposal.objects.get().state == "rejected"
    kinds = AuditEvent.objects.filter(kind__startswith="proposal.decision_").order_by("pk")
    assert [event.kind.removeprefix("proposal.decision_") for event in kinds] == ["held", "undone", "held"]


def test_only_who_decided_undoes_and_not_after_it_is_sent() -> None:
    the = slow_desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    with pytest.raises(WrongState):
        settle.undo(proposal_id=proposal.pk, reviewer=the.second)
    settle.settle_due(now=later())
    with pytest.raises(WrongState):
        settle.undo(proposal_id=proposal.pk, reviewer=the.reviewer)
    assert Proposal.objects.get().state == "approved"


def test_a_double_click_is_answered_and_another_verdict_refused_while_it_is_held() -> None:
    the = slow_desk()
    proposal = the.propose()
    first = the.decide(proposal, Verdict.APPROVE)
    again = the.decide(proposal, Verdict.APPROVE)
    assert again.repeated and again.held_until == first.held_until
    for by in (the.reviewer, the.second):
        with pytest.raises(WrongState, match="just decided"):
            the.decide(proposal, Verdict.REJECT, by=by)
    with pytest.raises(AlreadyClaimed):
        claim.claim(proposal_id=proposal.pk, reviewer=the.second)
    with pytest.raises(NothingToClaim):
        claim.claim_next(reviewer=the.second)
    assert HeldBallot.objects.count() == 1


def test_an_agent_that_withdraws_meanwhile_wins_and_the_reviewer_is_told() -> None:
    the = slow_desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    amend.withdraw(proposal_id=proposal.pk, agent=the.agent, reason="changed my mind")
    assert settle.settle_due(now=later()) == 0
    assert Proposal.objects.get().state == "withdrawn"
    told = Notification.objects.get()
    assert told.recipient == the.reviewer and "withdrew" in told.text


def test_a_verdict_given_in_time_is_not_lost_to_expiry() -> None:
    the = slow_desk()
    proposal = the.propose(expires_in=60)
    the.decide(proposal, Verdict.APPROVE)
    assert expire.expire_undecided(now=later(3600)) == 0
    Proposal.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    Proposal.objects.filter(pk=proposal.pk).update(
        expires_at=HeldBallot.objects.get().held_at + timedelta(seconds=1)
    )
    assert settle.settle_due(now=later()) == 1
    assert Proposal.objects.get().state == "approved"


def _suspend(the: Desk) -> None:
    suspend.suspend(agent_id=the.agent.pk, actor=admin(), reason="test")


def _take_the_right(the: Desk) -> None:
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.reviewer, actor=admin(), allowed=False)


def _deactivate(the: Desk) -> None:
    the.reviewer.is_active = False
    the.reviewer.save(update_fields=["is_active"])


@pytest.mark.parametrize("meanwhile", [_suspend, _take_the_right, _deactivate])
def test_authority_is_read_again_when_it_settles(meanwhile: Any) -> None:
    the = slow_desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    meanwhile(the)
    settle.settle_due(now=later())
    assert Proposal.objects.get(pk=proposal.pk).state == "pending"
    assert not (Vote.objects.exists() or Grant.objects.exists() or HeldBallot.objects.exists())
    told = Notification.objects.filter(kind="dropped").values_list("recipient", flat=True)
    assert list(told) == ([] if meanwhile is _deactivate else [the.reviewer.pk])
    assert AuditEvent.objects.filter(kind="proposal.decision_dropped").count() == 1


def test_an_edit_is_checked_when_it_is_given() -> None:
    the = slow_desk()
    policy([{"name": "no-big", "when": "amount > 100.0", "deny": "Too much."}], the.queue)
    proposal = the.propose()
    with pytest.raises(PolicyRefused):
        the.decide(proposal, Verdict.EDIT, arguments={**ARGUMENTS, "amount": 500})
    assert not HeldBallot.objects.exists()


def test_a_policy_that_changes_meanwhile_refuses_the_edit_and_nothing_is_half_done() -> None:
    the = slow_desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.EDIT, arguments={**ARGUMENTS, "amount": 500})
    policy([{"name": "no-big", "when": "amount > 100.0", "deny": "Too much."}], the.queue)
    assert settle.settle_due(now=later()) == 0
    now = Proposal.objects.get()
    assert (now.state, now.revision, now.revisions.count()) == ("pending", 1, 1)
    assert "Too much." in Notification.objects.get(kind="dropped").text


def test_the_replay_of_a_settled_vote_has_the_same_answer() -> None:
    the = slow_desk()
    proposal = the.propose()
    ballot_of = {"revision": 1, "version": 1, "seen": "on"}
    client = Client()
    client.force_login(the.reviewer)
    assert client.post(f"/proposals/{proposal.pk}/approve/", ballot_of).status_code == 302
    settle.settle_due(now=later())
    assert client.post(f"/proposals/{proposal.pk}/approve/", ballot_of).status_code == 302
    assert Vote.objects.count() == 1


def test_undo_over_http_needs_a_post_and_the_right_person() -> None:
    the = slow_desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    mine, other = Client(), Client()
    mine.force_login(the.reviewer)
    other.force_login(the.second)
    address = f"/proposals/{proposal.pk}/undo/"
    mine.get(address)
    assert other.post(address).status_code == 409
    assert HeldBallot.objects.count() == 1
    assert mine.post(address).status_code == 302
    assert not HeldBallot.objects.exists()


def _undo(the: Desk, proposal: Proposal) -> Any:
    return settle.undo(proposal_id=proposal.pk, reviewer=the.reviewer)


def _settle(the: Desk, proposal: Proposal) -> Any:
    return settle.settle_due(now=later())


def _withdraw(the: Desk, proposal: Proposal) -> Any:
    return amend.withdraw(proposal_id=proposal.pk, agent=the.agent, reason="")


def _again(the: Desk, proposal: Proposal) -> Decided:
    return the.decide(proposal, Verdict.APPROVE)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("other", [_undo, _withdraw, _settle, _again], ids=lambda call: call.__name__)
def test_settling_meets_everything_else_and_one_wins(other: Any) -> None:
    for _ in range(5):
        the = slow_desk()
        proposal = the.propose()
        the.decide(proposal, Verdict.APPROVE)

        def guarded(call: Any) -> Any:
            try:
                return call(the, proposal)  # noqa: B023 - called within this round
            except DomainError as error:
                return error

        together(lambda: guarded(_settle), lambda: guarded(other))
        now = Proposal.objects.get(pk=proposal.pk)
        held = HeldBallot.objects.filter(proposal=proposal).count()
        decisions = Decision.objects.filter(proposal=proposal).count()
        assert (now.state, decisions) in {("approved", 1), ("pending", 0), ("withdrawn", 0)}
        assert held == 0 or (other is _again and now.state == "pending")
        assert Grant.objects.filter(proposal=proposal).count() == decisions
