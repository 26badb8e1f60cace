"""Reviews after the fact against the clock, and two at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.utils import timezone

from accounts.exceptions import DomainError
from accounts.models import Calendar, User
from agents.autonomy import Tier
from agents.models import Evidence
from approvals import blind, tasks
from approvals.models import (
    BlindReview,
    Dispute,
    Judgement,
    Notification,
    Proposal,
    Queue,
)
from approvals.services import blind_review
from audit.models import AuditEvent
from tests.approvals.test_blind_reviews import Kind, asked, judge, losses, signed_in, third
from tests.factories import admin, desk, reviewer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_hints")]


# — Time


def test_an_audit_nobody_did_in_time_counts_in_full_until_it_is_done_late() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    review = asked(the, Kind.AUDIT)
    early, late = review.due_at - timedelta(seconds=1), review.due_at + timedelta(seconds=1)
    assert blind_review.miss_overdue(now=early) == 0
    assert blind_review.miss_overdue(now=late) == 1
    assert blind_review.miss_overdue(now=late) == 0
    assert losses(review.proposal) == [("audit", "missed", "1.00")]
    assert Notification.objects.filter(kind="overdue", recipient=the.second).count() == 1
    assert judge(signed_in(the.second), review).status_code == 302
    assert losses(review.proposal) == [("audit", "missed", "1.00"), ("audit", "right", "0.00")]
    assert BlindReview.objects.get().state == "done"


@pytest.mark.parametrize("kind", [Kind.SECOND, Kind.FAULT, Kind.DISPUTE, Kind.PROBE])
def test_what_is_no_audit_says_nothing_by_being_late(kind: str) -> None:
    the = desk()
    review = asked(the, kind)
    before = losses(review.proposal)
    assert blind_review.miss_overdue(now=review.due_at) == 1
    assert BlindReview.objects.get().state == "overdue"
    assert losses(review.proposal) == before
    assert judge(signed_in(third(the)), review).status_code == 302


def test_who_holds_it_at_the_due_time_may_finish() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    review = asked(the, Kind.AUDIT)
    BlindReview.objects.update(claimed_by=the.second, claimed_until=review.due_at + timedelta(hours=9))
    assert blind_review.miss_overdue(now=review.due_at + timedelta(minutes=1)) == 0
    assert blind_review.miss_overdue(now=review.due_at + timedelta(minutes=31)) == 1


def test_admins_hear_when_nobody_is_left_who_may() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    for user in (the.second,):
        user.is_active = False
        user.save()
    blind_review.miss_overdue(now=review.due_at)
    told = Notification.objects.get(recipient=admin())
    assert "nobody in" in told.text and told.link == "/reviews/"


def test_reminders_come_a_working_day_before_once_and_to_whom_it_may_concern() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    the_time = review.due_at - timedelta(minutes=blind_review.REMIND_MINUTES)
    assert blind_review.remind(now=the_time - timedelta(minutes=2)) == 0
    cache.clear()
    assert blind_review.remind(now=the_time + timedelta(minutes=1)) == 1
    cache.clear()
    assert blind_review.remind(now=the_time + timedelta(minutes=2)) == 0
    note = Notification.objects.get(kind="due_soon")
    assert note.recipient == the.second and note.text.startswith("1 review after the fact due soon")


def test_it_is_due_when_the_queue_closes_on_its_third_working_day() -> None:
    hours = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
    calendar = Calendar.objects.create(
        name="Office", time_zone="Europe/Berlin", week=hours, holidays=["2026-11-23"]
    )
    the = desk()
    proposal = the.approved()
    Queue.objects.update(calendar=calendar)
    proposal = Proposal.objects.select_related("queue__calendar").get(pk=proposal.pk)
    friday = datetime.fromisoformat("2026-11-20T23:30:00+01:00")
    with transaction.atomic():
        review = blind.arise(proposal, proposal.revisions.get(), kind=Kind.SECOND, probability=1.0, at=friday)
    assert review is not None
    assert review.due_at == datetime.fromisoformat("2026-11-26T17:00:00+01:00")


def test_asking_twice_asks_once_but_for_disputes() -> None:
    the = desk()
    one = asked(the, Kind.SECOND)
    two = asked(the, Kind.SECOND, proposal=one.proposal)
    assert one.pk == two.pk
    assert AuditEvent.objects.filter(kind="review.asked").count() == 1


def test_the_clock_runs_both_steps() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    asked(the, Kind.AUDIT)
    BlindReview.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    done = tasks.tick()
    assert done["reviews_missed"] == 1 and done["reviews_due"] == 0


def test_the_bar_counts_what_waits_for_this_person() -> None:
    the = desk()
    asked(the, Kind.SECOND)
    place: Callable[[User], str] = lambda user: (  # noqa: E731
        signed_in(user).get("/notifications/").content.decode().split('href="/reviews/"')[1].split("</a>")[0]
    )
    assert '<span class="places__count">1</span>' in place(the.second)
    assert "places__count" not in place(the.reviewer)


def test_a_settled_dispute_is_told_to_both() -> None:
    the = desk()
    review = asked(the, Kind.DISPUTE)
    judge(signed_in(the.second), review, judgement="right")
    settled = Dispute.objects.get()
    assert settled.settled_at is not None
    told = set(
        Notification.objects.filter(key=f"dispute_settled:{settled.pk}").values_list("recipient", flat=True)
    )
    assert told == {the.agent.owner.pk, the.reviewer.pk}
    assert Judgement(review.judgement or "right")


# — At once


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls answer or raise, begun together over connections of their own."""
    barrier = Barrier(len(calls))

    def run(one: Callable[[], Any]) -> Any:
        barrier.wait(20)
        try:
            return one()
        except DomainError as refused:
            return refused
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(60) for future in [pool.submit(run, one) for one in calls]]


def test_two_reviewers_the_clock_and_a_double_click_make_one_judgement() -> None:
    for _ in range(3):
        the = desk(Tier.OUT_OF_THE_LOOP)  # a new one each time: a missed audit can cost the tier
        one, two = the.second, third(the)
        review = asked(the, Kind.AUDIT)

        def judged(user: User, answer: str, pk: int = review.pk) -> Callable[[], Any]:
            return lambda: blind_review.judge(review_id=pk, reviewer=user, judgement=answer)

        late = review.due_at + timedelta(hours=1)
        at_once(
            judged(one, "minor"),
            judged(one, "minor"),
            judged(two, "cosmetic"),
            lambda: blind_review.miss_overdue(now=late),  # noqa: B023 - it is over before the next round
        )
        now = BlindReview.objects.get(pk=review.pk)
        assert now.state == "done" and now.reviewer in (one, two)
        first, *rest = losses(review.proposal)
        if first[1] == "missed":
            assert [row[1] for row in rest] == [now.judgement]
        else:
            assert (first[1], rest) == (now.judgement, [])
        assert AuditEvent.objects.filter(kind="review.judged", object_id=str(review.pk)).count() == 1


def test_two_never_get_the_same_one() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    people = [the.second, third(the), reviewer(the.queue)]
    wanted = {asked(the, Kind.AUDIT).pk for _ in people}

    def next_of(user: User) -> Callable[[], Any]:
        return lambda: blind_review.take_next(reviewer=user)

    taken = at_once(*(next_of(user) for user in people))
    got = [review.pk for review in taken if isinstance(review, BlindReview)]
    assert len(got) == len(set(got)) and set(got) <= wanted and got


def test_two_clocks_count_each_missed_one_once() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    reviews = [asked(the, Kind.AUDIT) for _ in range(3)]
    late = max(review.due_at for review in reviews) + timedelta(seconds=1)
    counts = at_once(*[lambda: blind_review.miss_overdue(now=late)] * 2)
    assert sum(counts) == 3
    assert Evidence.objects.filter(verdict="missed").count() == 3
