"""The clock against people and against itself: one wins, and nothing is told or moved twice."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.exceptions import DomainError
from approvals import transitions
from approvals.models import Decision, Notification, Proposal, Queue, Verdict
from approvals.services import set_up
from approvals.services.attend import attend
from approvals.services.escalate import escalate
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, queue, reviewer
from tests.races.test_over_http import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def the() -> Desk:
    """A desk whose queue hands on to another after an hour."""
    found = desk()
    reviewer(queue("upper"), name="Bea Boss")
    saved = set_up.queue_definition(found.queue)
    chain: list[dict[str, Any]] = [{"after": 60, "queue": "upper"}]
    set_up.save_queue(
        definition=set_up.QueueDefinition(**{**saved.__dict__, "escalation": chain}), actor=admin()
    )
    return found


def tried(call: Callable[[], object]) -> Callable[[], str]:
    def run() -> str:
        try:
            call()
        except DomainError as error:
            return error.code
        return "done"

    return run


def escalations() -> int:
    return AuditEvent.objects.filter(kind="proposal.escalated").count()


def test_four_workers_escalate_and_remind_each_once(the: Desk) -> None:
    proposals = [the.propose() for _ in range(6)]
    late = timezone.now() + timedelta(minutes=61)
    answers = at_once(*[lambda: attend(now=late)] * 4)
    attend(now=late)
    assert sum(answers) <= 6
    assert {row.queue.slug for row in Proposal.objects.select_related("queue") if row.queue} == {"upper"}
    assert escalations() == 6
    assert Notification.objects.filter(kind="escalated").count() == 6
    assert set(Proposal.objects.values_list("version", flat=True)) == {2}
    overdue = late + timedelta(minutes=300)
    at_once(*[lambda: attend(now=overdue)] * 4)
    attend(now=overdue)
    assert Notification.objects.filter(kind="overdue").count() == len(proposals)
    assert AuditEvent.objects.filter(kind="proposal.reminded").count() == len(proposals)


@pytest.mark.parametrize("by_hand", [True, False])
def test_escalation_against_a_decision_one_wins_and_the_other_is_told(the: Desk, by_hand: bool) -> None:
    for _ in range(6):
        proposal = the.propose()
        moved_before, late = escalations(), timezone.now() + timedelta(minutes=61)

        def hand_on(proposal: Proposal = proposal, late: Any = late) -> object:
            if by_hand:
                return escalate(proposal_id=proposal.pk, reviewer=the.second, note="", version=1)
            return attend(now=late)

        def approve(proposal: Proposal = proposal) -> object:
            return the.decide(proposal, Verdict.APPROVE)

        answers = at_once(tried(hand_on), tried(approve))
        row = Proposal.objects.select_related("queue").get(pk=proposal.pk)
        decided = Decision.objects.filter(proposal=proposal).count()
        moved = escalations() - moved_before
        assert decided + moved == 1, answers
        assert row.state == ("approved" if decided else "pending")
        assert row.queue == Queue.objects.get(slug="upper" if moved else the.queue.slug)
        assert answers[1] == ("done" if decided else "may_not_decide")
        assert answers[0] == ("wrong_state" if by_hand and decided else "done")


def test_two_reviewers_escalate_at_once_and_it_goes_up_once(the: Desk) -> None:
    reviewer(queue("top"), name="Tom Top")
    saved = set_up.queue_definition(Queue.objects.get(slug="upper"))
    chain: list[dict[str, Any]] = [{"after": 60, "queue": "top"}]
    set_up.save_queue(
        definition=set_up.QueueDefinition(**{**saved.__dict__, "escalation": chain}), actor=admin()
    )
    for person in (the.reviewer, the.second):
        set_up.assign_reviewer(queue_slug="upper", to=person, actor=admin())
    proposal = the.propose()

    def hand_on(person: Any) -> Callable[[], str]:
        return tried(lambda: escalate(proposal_id=proposal.pk, reviewer=person, note="", version=1))

    answers = at_once(hand_on(the.reviewer), hand_on(the.second), hand_on(the.reviewer), hand_on(the.second))
    assert sorted(answers) == ["done", "done", "proposal_changed", "proposal_changed"]
    assert Proposal.objects.get().queue == Queue.objects.get(slug="upper")
    assert escalations() == 1


def test_what_was_moved_while_its_lock_was_awaited_is_in_its_new_queue(the: Desk) -> None:
    """Or the reviewer who came second would be told of a fault of ours instead of the change."""
    proposal, upper = the.propose(), Queue.objects.get(slug="upper")

    def wait_and_read() -> Queue | None:
        try:
            with transaction.atomic():
                return transitions.locked(proposal.pk).queue
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Proposal.objects.filter(pk=proposal.pk).update(queue=upper)
            second = pool.submit(wait_and_read)
            while not _somebody_waits_for_us():
                assert not second.done()
        assert second.result(60) == upper


def _somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])
