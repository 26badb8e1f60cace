"""A reviewer hands a proposal up the chain by hand: who may, where it goes, and that a double click is one step."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.exceptions import DomainError, NotFound
from accounts.models import User
from approvals import escalation
from approvals.exceptions import AlreadyClaimed, MayNotDecide, NowhereToEscalate, ProposalChanged, WrongState
from approvals.models import Claim, Comment, HeldBallot, Notification, Proposal, Queue, Verdict
from approvals.services import claim, set_up
from approvals.services.attend import attend
from approvals.services.escalate import escalate
from audit import content
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person, policy, queue, reviewer

pytestmark = pytest.mark.django_db


def chained(*slugs: str) -> Desk:
    """A desk whose queue hands on to the first of these, that to the second and so on."""
    the = desk()
    for slug in slugs:
        reviewer(queue(slug), name=f"Boss of {slug}")
    for slug, to in zip([the.queue.slug, *slugs], slugs, strict=False):
        saved = set_up.queue_definition(Queue.objects.get(slug=slug))
        chain: list[dict[str, Any]] = [{"after": 60, "queue": to}]
        set_up.save_queue(
            definition=set_up.QueueDefinition(**{**saved.__dict__, "escalation": chain}), actor=admin()
        )
    the.queue.refresh_from_db()
    return the


def test_it_waits_in_the_next_queue_with_the_note_and_its_people_are_told() -> None:
    the = chained("upper")
    proposal = the.propose()
    claim.claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    moved = escalate(proposal_id=proposal.pk, reviewer=the.reviewer, note=" Beyond me. ", version=1)
    moved = Proposal.objects.get(pk=moved.pk)
    assert (moved.queue, moved.version, moved.claimed_by) == (Queue.objects.get(slug="upper"), 2, None)
    assert Claim.objects.get().ended_by == "moved"
    assert Comment.objects.get().text == "Beyond me."
    assert list(Notification.objects.values_list("recipient__name", "kind")) == [
        ("Boss of upper", "escalated")
    ]
    event = AuditEvent.objects.get(kind="proposal.escalated")
    assert (event.actor_id, event.object_version) == (str(the.reviewer.pk), 2)
    content.reveal([event])
    assert event.told["detail"] == {"note": "Beyond me."}


def test_a_double_click_is_one_step_even_for_who_reviews_both_queues() -> None:
    the = chained("upper", "top")
    set_up.assign_reviewer(queue_slug="upper", to=the.reviewer, actor=admin())
    proposal = the.propose()
    for note in ("Look", "Look", ""):
        escalate(proposal_id=proposal.pk, reviewer=the.reviewer, note=note)
    assert Proposal.objects.get().queue == Queue.objects.get(slug="upper")
    assert Comment.objects.count() == 1
    escalate(proposal_id=proposal.pk, reviewer=the.reviewer, note="And further")
    assert Proposal.objects.get().queue == Queue.objects.get(slug="top")


def test_votes_given_so_far_still_count_and_nobody_votes_twice() -> None:
    the = chained("upper")
    set_up.assign_reviewer(queue_slug="upper", to=the.reviewer, actor=admin())
    proposal = the.propose()
    Proposal.objects.update(quorum=2)
    the.decide(proposal, Verdict.APPROVE)
    escalate(proposal_id=proposal.pk, reviewer=the.second, note="")
    with pytest.raises(MayNotDecide, match="already voted"):
        the.decide(proposal, Verdict.REJECT)
    decided = the.decide(proposal, Verdict.APPROVE, by=User.objects.get(name="Boss of upper"))
    assert decided.final
    assert decided.proposal.state == "approved"


def refusal(proposal: Proposal, who: User, **extra: Any) -> type[DomainError]:
    before = AuditEvent.objects.count()
    with pytest.raises(DomainError) as caught:
        escalate(proposal_id=proposal.pk, reviewer=who, note="x", **extra)
    assert AuditEvent.objects.count() == before
    assert Comment.objects.count() == 0
    return caught.type


def test_only_a_reviewer_who_may_decide_escalates() -> None:
    the = chained("upper")
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.agent.owner, actor=admin())
    proposal = the.propose()
    for who in (admin(), the.agent.owner):
        assert refusal(proposal, who) is MayNotDecide
    for who in (person(), User.objects.get(name="Boss of upper")):
        assert refusal(proposal, who) is NotFound


def test_what_a_colleague_is_on_or_has_just_decided_stays_with_him() -> None:
    the = chained("upper")
    proposal = the.propose()
    claim.claim(proposal_id=proposal.pk, reviewer=the.second)
    assert refusal(proposal, the.reviewer) is AlreadyClaimed
    claim.release(proposal_id=proposal.pk, reviewer=the.second)
    now = timezone.now()
    HeldBallot.objects.create(
        proposal=proposal, reviewer=the.second, verdict="approve", revision=1, version=1,
        held_at=now, settles_at=now,
    )  # fmt: skip
    assert refusal(proposal, the.reviewer) is AlreadyClaimed


def test_what_is_decided_or_out_of_time_or_changed_is_not_escalated() -> None:
    the = chained("upper")
    rejected, late, changed = the.propose(), the.propose(), the.propose()
    the.decide(rejected, Verdict.REJECT)
    Proposal.objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refusal(rejected, the.reviewer) is WrongState
    assert refusal(late, the.reviewer) is WrongState
    assert refusal(changed, the.reviewer, version=9) is ProposalChanged


def test_a_chain_that_leads_to_nobody_leads_nowhere() -> None:
    the = chained("upper")
    proposal = the.propose()
    alone = desk()
    stuck = alone.propose()
    assert escalation.next_queue(proposal) == Queue.objects.get(slug="upper")
    assert escalation.next_queue(stuck) is None
    assert refusal(stuck, alone.reviewer) is NowhereToEscalate
    boss = User.objects.get(name="Boss of upper")
    set_up.assign_reviewer(queue_slug="upper", to=boss, actor=admin(), allowed=False)
    assert refusal(proposal, the.reviewer) is NowhereToEscalate


def test_the_chain_goes_on_from_where_it_was_handed_to() -> None:
    the = chained("upper", "top")
    proposal = the.propose()
    escalate(proposal_id=proposal.pk, reviewer=the.reviewer, note="")
    entered = Proposal.objects.get().queued_at
    assert entered is not None
    attend(now=entered + timedelta(minutes=61))
    assert Proposal.objects.get().queue == Queue.objects.get(slug="top")


def test_an_edit_by_whom_it_was_handed_to_does_not_send_it_back_down() -> None:
    the = chained("upper")
    boss = User.objects.get(name="Boss of upper")
    proposal = the.propose()
    escalate(proposal_id=proposal.pk, reviewer=the.reviewer, note="")
    decided = the.decide(proposal, Verdict.EDIT, by=boss, arguments={"order_id": "A-1001", "amount": 5})
    assert decided.final
    row = Proposal.objects.get()
    assert (row.state, row.queue) == ("approved", Queue.objects.get(slug="upper"))


def test_an_edit_that_the_policy_sends_elsewhere_runs_by_the_times_and_chain_of_that_queue() -> None:
    the = desk()
    reviewer(queue("upper"))
    other = queue("other", due_minutes=20, remind_minutes=0, escalation=[{"after": 30, "queue": "upper"}])
    policy([{"name": "small", "when": "amount < 10.0", "review": {"queue": "other"}}], the.queue)
    proposal = the.propose()
    attend(now=proposal.created_at + timedelta(minutes=241))
    assert Proposal.objects.get().attention_at is None
    the.decide(proposal, Verdict.EDIT, arguments={"order_id": "A-1001", "amount": 5})
    moved = Proposal.objects.get()
    assert moved.queue == other
    assert moved.queued_at is not None
    assert moved.due_at == moved.queued_at + timedelta(minutes=20)
    assert (moved.attention_at, moved.attended_at) == (moved.due_at, None)
    attend(now=moved.queued_at + timedelta(minutes=31))
    assert Proposal.objects.get().queue == Queue.objects.get(slug="upper")
