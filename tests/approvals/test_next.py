""" "Next" gives everybody what is meant for him, and nothing that is not."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Absence, User
from approvals import selectors
from approvals.models import Proposal, Skip, Verdict
from approvals.services import assign, claim, set_up, skip
from tests.factories import Desk, admin, desk, policy, queue, reviewer

pytestmark = pytest.mark.django_db(transaction=True)


def offered(user: User, the: Desk, *more: Desk) -> list[str]:
    """The order numbers that "next" would offer to this person, best first."""
    queues = [each.queue.pk for each in (the, *more)]
    ids = selectors.waiting_ids(reviewer=user, queue_ids=queues, limit=32)
    titles = {row.pk: row.title.rpartition(" ")[2] for row in Proposal.objects.filter(pk__in=ids)}
    return [titles[pk] for pk in ids]


def proposed(the: Desk, *orders: str) -> list[UUID]:
    return [the.propose({"order_id": order, "amount": 1}).pk for order in orders]


def test_next_goes_by_urgency_over_several_queues() -> None:
    first, second = desk(), desk()
    policy([], first.queue)
    first.propose({"order_id": "A-1", "amount": 1}, priority="low")
    first.propose({"order_id": "A-2", "amount": 1}, priority="urgent")
    policy([], second.queue)
    second.propose({"order_id": "B-1", "amount": 1}, priority="high")
    assert offered(first.reviewer, first, second) == ["A-2", "B-1", "A-1"]
    assert offered(first.reviewer, second) == ["B-1"]
    assert selectors.waiting_ids(reviewer=first.reviewer, queue_ids=[], limit=3) == []


def test_next_passes_over_what_i_skipped_until_nothing_else_waits() -> None:
    the = desk()
    one, two = proposed(the, "A-1", "A-2")
    skip.skip(proposal_id=one, reviewer=the.reviewer)
    assert offered(the.reviewer, the) == ["A-2"]
    assert offered(the.second, the) == ["A-1", "A-2"]
    skip.skip(proposal_id=two, reviewer=the.reviewer)
    assert offered(the.reviewer, the) == ["A-1", "A-2"]
    Skip.objects.filter(proposal=one).update(skipped_at=timezone.now() - timedelta(minutes=31))
    assert offered(the.reviewer, the) == ["A-1"]


def test_next_offers_first_what_was_assigned_to_me() -> None:
    the = desk()
    the.propose({"order_id": "A-1", "amount": 1}, priority="urgent")
    given = the.propose({"order_id": "A-2", "amount": 1}, priority="low")
    assign.assign(proposal_id=given.pk, to_id=the.reviewer.pk, actor=the.second)
    assert offered(the.reviewer, the) == ["A-2"]
    assert offered(the.second, the) == ["A-1"]
    assert claim.claim_next(reviewer=the.reviewer).pk == given.pk
    assert offered(the.reviewer, the) == ["A-1"]


def test_next_leaves_what_is_meant_for_another_unless_it_is_overdue() -> None:
    the = desk()
    (given,) = proposed(the, "A-1")
    assign.assign(proposal_id=given, to_id=the.reviewer.pk, actor=the.second)
    assert offered(the.second, the) == []
    Proposal.objects.filter(pk=given).update(due_at=timezone.now() - timedelta(minutes=1))
    assert offered(the.second, the) == ["A-1"]
    skip.skip(proposal_id=given, reviewer=the.second)
    assert offered(the.second, the) == ["A-1"]
    skip.skip(proposal_id=given, reviewer=the.reviewer)
    assert offered(the.reviewer, the) == ["A-1"]


def test_next_never_offers_what_is_just_being_decided() -> None:
    the = desk()
    slow = queue("slow", undo_seconds=60)
    for person in (the.reviewer, the.second):
        set_up.assign_reviewer(queue_slug=slow.slug, to=person, actor=admin())
    policy([], slow)
    proposal = the.propose({"order_id": "A-1", "amount": 1})
    ids = {"reviewer": the.second, "queue_ids": [slow.pk], "limit": 3}
    assert selectors.waiting_ids(**ids) == [proposal.pk]  # type: ignore[arg-type]
    the.decide(proposal, Verdict.APPROVE)
    assert selectors.waiting_ids(**ids) == []  # type: ignore[arg-type]
    skip.skip(proposal_id=proposal.pk, reviewer=the.second)
    assert selectors.waiting_ids(**ids) == []  # type: ignore[arg-type]


def test_next_offers_nothing_on_which_i_or_whom_i_stand_in_for_has_voted() -> None:
    the = desk()
    third = reviewer(the.queue)
    policy([{"name": "two", "when": "true", "review": {"quorum": 2}}], the.queue)
    (proposal,) = proposed(the, "A-1")
    the.decide(Proposal.objects.get(pk=proposal), Verdict.APPROVE)
    now = timezone.now()
    assert offered(the.reviewer, the) == []
    assert offered(third, the) == ["A-1"]
    Absence.objects.create(
        person=the.reviewer,
        delegate=third,
        starts_at=now - timedelta(hours=1),
        ends_at=now + timedelta(hours=1),
    )
    assert offered(third, the) == []


def test_next_takes_as_many_queries_for_one_as_for_many() -> None:
    the = desk()
    counts = []
    for total in (1, 4):
        proposed(the, *(f"A-{number}" for number in range(total)))
        with CaptureQueriesContext(connection) as queries:
            offered(the.reviewer, the)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_next_walks_indexes_and_never_the_table() -> None:
    the = desk()
    proposed(the, "A-1", "A-2")
    with CaptureQueriesContext(connection) as queries:
        offered(the.reviewer, the)
    statement = next(query["sql"] for query in queries if "WITH mine" in query["sql"])
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("EXPLAIN " + statement)
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert "Seq Scan on approvals_proposal" not in plan
    assert "Index" in plan
