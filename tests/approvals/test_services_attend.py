"""Reminders and the chain: told once to the right people, however late, often or at once the clock ticks."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.models import User
from accounts.services import absences
from approvals import permissions, tasks
from approvals.models import Claim, HeldBallot, Notification, Proposal, Queue
from approvals.services import claim, expire, set_up
from approvals.services.attend import attend
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person, queue, reviewer

pytestmark = pytest.mark.django_db


def change(one: Queue, **fields: Any) -> None:
    saved = set_up.queue_definition(Queue.objects.get(pk=one.pk))
    set_up.save_queue(definition=set_up.QueueDefinition(**{**saved.__dict__, **fields}), actor=admin())


def after(proposal: Proposal, minutes: float) -> datetime:
    return proposal.created_at + timedelta(minutes=minutes)


def told(kind: str = "") -> list[str]:
    found = Notification.objects.order_by("recipient__name")
    return list((found.filter(kind=kind) if kind else found).values_list("recipient__name", flat=True))


def events(proposal: Proposal) -> list[str]:
    found = AuditEvent.objects.filter(object_id=str(proposal.pk)).order_by("pk")
    return [str(kind) for kind in found.values_list("kind", flat=True)]


def detail(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = AuditEvent.objects.filter(kind=kind).latest("pk").data["detail"]
    return found


def test_who_may_decide_is_reminded_before_it_is_due_and_when_it_is_overdue() -> None:
    the = desk()
    proposal = the.propose()
    assert attend(now=after(proposal, 209)) == 0
    assert attend(now=after(proposal, 211)) == 1
    assert told("due_soon") == ["Ravi Reviewer", "Rita Reviewer"]
    assert attend(now=after(proposal, 239)) == 0
    assert attend(now=after(proposal, 241)) == 1
    assert told("overdue") == ["Ravi Reviewer", "Rita Reviewer"]
    assert attend(now=after(proposal, 2000)) == 0
    proposal.refresh_from_db()
    assert (proposal.attention_at, proposal.version, proposal.state) == (None, 1, "pending")
    assert events(proposal) == ["proposal.pending", "proposal.reminded", "proposal.reminded"]
    assert detail("proposal.reminded") == {
        "what": "overdue",
        "due_at": proposal.due_at.isoformat() if proposal.due_at else None,
        "told": 2,
    }


def test_a_late_run_says_what_is_true_then_and_says_it_once() -> None:
    the = desk()
    proposal = the.propose()
    assert [attend(now=after(proposal, 900)) for _ in range(3)] == [1, 0, 0]
    assert told("due_soon") == []
    assert told("overdue") == ["Ravi Reviewer", "Rita Reviewer"]


def test_a_run_after_a_crash_reminds_once() -> None:
    """The notifications of a run that was rolled back are not there; those of one that committed are not doubled."""
    the = desk()
    proposal = the.propose()
    attend(now=after(proposal, 241))
    Proposal.objects.update(attended_at=None, attention_at=after(proposal, 240))
    attend(now=after(proposal, 242))
    assert told("overdue") == ["Ravi Reviewer", "Rita Reviewer"]


def test_the_owner_of_the_agent_is_not_reminded_of_what_he_may_not_decide() -> None:
    the = desk()
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.agent.owner, actor=admin())
    attend(now=after(the.propose(), 241))
    assert told() == ["Ravi Reviewer", "Rita Reviewer"]


def test_reminders_can_be_switched_off() -> None:
    the = desk()
    change(the.queue, remind_minutes=0)
    proposal = the.propose()
    attend(now=after(proposal, 235))
    assert told() == []
    attend(now=after(proposal, 241))
    assert told("overdue") == ["Ravi Reviewer", "Rita Reviewer"]


def test_who_is_on_it_is_reminded_alone_before_it_is_due_and_all_when_it_is_overdue() -> None:
    the = desk()
    proposal = the.propose()
    claim.claim(proposal_id=proposal.pk, reviewer=the.second)
    Proposal.objects.update(claimed_until=after(proposal, 300))
    attend(now=after(proposal, 211))
    assert told("due_soon") == ["Ravi Reviewer"]
    attend(now=after(proposal, 241))
    assert told("overdue") == ["Ravi Reviewer", "Rita Reviewer"]


def test_to_whom_it_was_given_is_reminded_and_his_delegate_if_he_may_decide() -> None:
    the = desk()
    outsider, third = person("Otto Outsider"), reviewer(the.queue, name="Rosa Reviewer")
    now = timezone.now()

    def away(absent: User, delegate: User) -> None:
        absences.enter(
            person_id=absent.pk,
            starts_at=now,
            ends_at=now + timedelta(days=3),
            delegate_id=delegate.pk,
            actor=absent,
        )

    away(the.reviewer, outsider)  # may not decide, and is away himself
    away(outsider, third)
    away(third, the.reviewer)  # a circle
    proposal = the.propose()
    Proposal.objects.update(assigned_to=the.reviewer)
    attend(now=after(proposal, 211))
    assert told("due_soon") == ["Rita Reviewer", "Rosa Reviewer"]


def test_where_nobody_may_decide_the_admins_hear_of_it() -> None:
    the = desk()
    for one in (the.reviewer, the.second):
        set_up.assign_reviewer(queue_slug=the.queue.slug, to=one, actor=admin(), allowed=False)
    attend(now=after(the.propose(), 241))
    assert told("overdue") == ["Ada Admin"]
    assert Notification.objects.get().text.startswith("Overdue, and nobody in")


def test_a_team_of_the_chain_is_told_and_gets_no_right() -> None:
    the = desk()
    inside = reviewer(the.queue, name="Sonja Senior", team="Seniors")
    outside = person("Sven Senior")
    outside.groups.add(Group.objects.get(name="Seniors"))
    change(the.queue, escalation=[{"after": 60, "team": "Seniors"}])
    proposal = the.propose()
    assert attend(now=after(proposal, 59)) == 0
    assert [attend(now=after(proposal, 61)) for _ in range(2)] == [1, 0]
    assert told("escalated") == ["Sonja Senior"]
    proposal.refresh_from_db()
    assert (proposal.queue, proposal.version) == (the.queue, 1)
    assert permissions.can_decide(inside, proposal)
    assert not permissions.can_decide(outside, proposal)
    assert events(proposal) == ["proposal.pending", "proposal.escalated"]


def test_the_chain_hands_on_to_the_next_queue_once_and_ends_lease_and_assignment() -> None:
    the = desk()
    upper = queue("upper", quorum=2, due_minutes=30)
    boss = reviewer(upper, name="Bea Boss")
    change(the.queue, escalation=[{"after": 60, "queue": "upper"}])
    proposal = the.propose()
    claim.claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    Proposal.objects.update(claimed_until=after(proposal, 50), assigned_to=the.second)

    assert [attend(now=after(proposal, 61)) for _ in range(3)] == [1, 0, 0]

    moved = Proposal.objects.get()
    assert (moved.queue, moved.version, moved.state, moved.quorum) == (upper, 2, "pending", 2)
    assert (moved.claimed_by, moved.assigned_to) == (None, None)
    assert Claim.objects.get().ended_by == "moved"
    assert moved.queued_at == after(proposal, 61)
    assert moved.due_at == after(proposal, 91), "the upper queue's thirty minutes"
    assert moved.expires_at == proposal.expires_at
    assert told("escalated") == ["Bea Boss"]
    assert permissions.can_decide(boss, moved)
    assert not permissions.can_decide(the.reviewer, moved)
    event = AuditEvent.objects.get(kind="proposal.escalated")
    assert event.actor_id == "escalation"
    assert (event.data["before"]["queue"], event.data["after"]["queue"]) == (the.queue.slug, "upper")
    attend(now=after(proposal, 92))
    assert told("overdue") == ["Bea Boss"]


def test_who_is_on_it_keeps_it_to_the_end_of_the_lease_and_no_longer_by_renewing() -> None:
    the = desk()
    reviewer(queue("upper"), name="Bea Boss")
    change(the.queue, lease_minutes=10, escalation=[{"after": 60, "queue": "upper"}])
    proposal = the.propose()
    claim.claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    Proposal.objects.update(claimed_until=after(proposal, 66))
    attend(now=after(proposal, 61))
    waits = Proposal.objects.get()
    assert (waits.queue, waits.attention_at) == (the.queue, after(proposal, 66))
    Proposal.objects.update(claimed_until=after(proposal, 76))
    attend(now=after(proposal, 67))
    waits = Proposal.objects.get()
    assert (waits.queue, waits.attention_at) == (the.queue, after(proposal, 70))
    attend(now=after(proposal, 71))
    assert Proposal.objects.get().queue == Queue.objects.get(slug="upper")
    assert told("taken_over") == ["Rita Reviewer"]


def vanish(the: Desk) -> None:
    """What an admin cannot do any more when a chain names it, a database can have been through."""
    Queue.objects.filter(slug="upper").update(slug="renamed")


def deserted(the: Desk) -> None:
    boss = User.objects.get(name="Bea Boss")
    set_up.assign_reviewer(queue_slug="upper", to=boss, actor=admin(), allowed=False)


def conflicted(the: Desk) -> None:
    boss = User.objects.get(name="Bea Boss")
    type(the.agent).objects.filter(pk=the.agent.pk).update(owner=boss)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (vanish, "the queue does not exist any more"),
        (deserted, "nobody in that queue may decide it"),
        (conflicted, "nobody in that queue may decide it"),
    ],
)
def test_a_step_that_leads_to_nobody_is_skipped_recorded_and_the_next_one_taken(
    spoil: Callable[[Desk], None], why: str
) -> None:
    the = desk()
    reviewer(queue("upper"), name="Bea Boss")
    reviewer(queue("top"), name="Tom Top")
    change(the.queue, escalation=[{"after": 60, "queue": "upper"}, {"after": 90, "queue": "top"}])
    proposal = the.propose()
    spoil(the)
    attend(now=after(proposal, 61))
    assert Proposal.objects.get().queue == the.queue
    assert detail("proposal.escalation_skipped") == {"step": 1, "after": 60, "queue": "upper", "why": why}
    attend(now=after(proposal, 91))
    assert Proposal.objects.get().queue == Queue.objects.get(slug="top")
    assert told("escalated") == ["Tom Top"]


def test_a_team_that_is_gone_or_may_not_decide_is_skipped() -> None:
    the = desk()
    gone = Group.objects.create(name="Gone")
    Group.objects.create(name="Strangers").user_set.add(person())
    change(the.queue, escalation=[{"after": 60, "team": "Gone"}, {"after": 70, "team": "Strangers"}])
    proposal = the.propose()
    gone.delete()
    attend(now=after(proposal, 71))
    assert told() == []
    assert events(proposal)[1:] == ["proposal.escalation_skipped"] * 2
    assert Proposal.objects.get().attention_at == after(proposal, 210)


def test_a_verdict_in_its_undo_window_is_left_alone() -> None:
    the = desk()
    proposal = the.propose()
    now = timezone.now()
    held = HeldBallot.objects.create(
        proposal=proposal, reviewer=the.reviewer, verdict="approve", revision=1, version=1,
        held_at=now, settles_at=now,
    )  # fmt: skip
    assert attend(now=after(proposal, 241)) == 0
    held.delete()
    assert attend(now=after(proposal, 241)) == 1


def test_silence_ends_in_expiry_and_never_in_approval() -> None:
    the = desk()
    reviewer(queue("upper"), name="Bea Boss")
    change(the.queue, escalation=[{"after": 60, "queue": "upper"}])
    proposal = the.propose()
    for minutes in range(0, 3000, 30):
        attend(now=after(proposal, minutes))
        expire.expire_undecided(now=after(proposal, minutes))
    end = Proposal.objects.get()
    assert (end.state, end.queue) == ("expired", Queue.objects.get(slug="upper"))
    assert end.decisions.count() == 0
    assert attend(now=after(proposal, 9999)) == 0


def test_a_chain_given_to_a_queue_holds_for_what_waits_there_already() -> None:
    the = desk()
    reviewer(queue("upper"), name="Bea Boss")
    proposal = the.propose()
    attend(now=after(proposal, 241))
    assert Proposal.objects.get().attention_at is None
    change(the.queue, escalation=[{"after": 300, "queue": "upper"}])
    attend(now=timezone.now() + timedelta(minutes=242))
    assert Proposal.objects.get().attention_at == after(proposal, 300)


def test_one_that_fails_does_not_keep_the_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    the = desk()
    broken, sound = the.propose(), the.propose()
    Proposal.objects.update(attention_at=timezone.now(), due_at=timezone.now())
    sane = permissions.deciders

    def fail(proposal: Proposal) -> list[User]:
        if proposal.pk == broken.pk:
            raise RuntimeError("a fault")
        return sane(proposal)

    monkeypatch.setattr(permissions, "deciders", fail)
    with pytest.raises(RuntimeError, match="a fault"):
        tasks.tick()
    assert set(Notification.objects.values_list("proposal", flat=True)) == {sound.pk}
    monkeypatch.undo()
    tasks.tick()
    assert set(Notification.objects.values_list("proposal", flat=True)) == {sound.pk, broken.pk}


def test_nothing_to_attend_to_costs_one_query(django_assert_num_queries: Any) -> None:
    the = desk()
    the.propose()
    with django_assert_num_queries(1):
        attend(now=timezone.now())
