"""Who may review after the fact, and what he must not find out."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from guardian.shortcuts import assign_perm

from accounts.models import User
from accounts.services import absences
from agents.autonomy import Tier
from agents.models import Evidence
from approvals import blind
from approvals.models import (
    BlindReview,
    Proposal,
)
from approvals.services import set_up
from approvals.services.dispute import dispute
from audit.models import AuditEvent
from tests.approvals.test_blind_reviews import Kind, asked, bare, judge, signed_in, third
from tests.factories import admin, desk, person, reviewer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_hints")]


# — Who


def both_ways(review: BlindReview, user: User) -> bool:
    """Whether this person may do it, asked from his side and from the review's, which must agree."""
    mine = blind.open_to(user).filter(pk=review.pk).exists()
    assert (user in blind.who_may(review, at=timezone.now())) is mine
    return mine


def test_only_reviewers_without_a_hand_in_it() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    owner = the.agent.owner
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=owner, actor=admin())
    manager = reviewer(the.queue)
    assign_perm("agents.manage_agent", manager, the.agent)
    assert both_ways(review, the.second)
    for user in (the.reviewer, owner, manager, person(), admin()):
        assert not both_ways(review, user), user
        client = signed_in(user)
        assert client.get(f"/reviews/{review.pk}/").status_code == 404
        assert judge(client, review).status_code == 404
        assert client.post(f"/reviews/{review.pk}/claim/").status_code == 404
        assert str(review.proposal.title) not in client.get("/reviews/").content.decode()
    assert BlindReview.objects.get().state == "open"


def test_a_delegate_may_not_what_the_absent_person_may_not() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    assert both_ways(review, the.second)
    now = timezone.now()
    absences.enter(
        person_id=the.reviewer.pk,
        starts_at=now - timedelta(minutes=1),
        ends_at=now + timedelta(days=1),
        delegate_id=the.second.pk,
        actor=the.reviewer,
    )
    assert not both_ways(review, the.second)


def test_a_dispute_goes_to_a_third_person() -> None:
    the = desk()
    first = asked(the, Kind.SECOND)
    tamar = third(the)
    judge(signed_in(tamar), first, judgement="wrong", comment="Twice")
    row = Evidence.judgements().get()
    raised = dispute(evidence_id=row.pk, actor=the.second, claim="wrong", text="No receipt")
    assert raised.review is not None
    fourth = reviewer(the.queue)
    assert [both_ways(raised.review, one) for one in (the.reviewer, the.second, tamar, fourth)] == [
        False,
        False,
        False,
        True,
    ]


def test_roles_of_the_policy_hold_after_the_fact_too() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    Proposal.objects.update(roles=["Legal"])
    review = BlindReview.objects.select_related("proposal").get()
    lawyer = reviewer(the.queue, team="Legal")
    assert not both_ways(review, the.second) and both_ways(review, lawyer)
    Group.objects.get(name="Legal").user_set.remove(lawyer)
    assert not both_ways(review, lawyer)


def test_the_list_costs_the_same_however_long_it_is() -> None:
    the = desk()
    tamar = third(the)
    counts = []
    signed_in(tamar).get("/reviews/")
    for _ in range(3):
        asked(the, Kind.SECOND)
        cache.clear()
        client = signed_in(tamar)
        with CaptureQueriesContext(connection) as captured:
            client.get("/reviews/")
        counts.append(len(captured))
    assert counts[0] == counts[2]


def test_looking_at_the_proposal_itself_while_holding_its_review_is_recorded_once() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    client = signed_in(the.second)
    page = f"/proposals/{review.proposal_id}/"
    client.get(page)
    assert not AuditEvent.objects.filter(kind="review.peeked").exists()
    client.post(f"/reviews/{review.pk}/claim/")
    client.get(page)
    client.get(page)
    signed_in(the.reviewer).get(page)
    event = AuditEvent.objects.get(kind="review.peeked")
    assert event.actor_id == str(the.second.pk) and event.object_id == str(review.pk)


@pytest.mark.parametrize("tier", [Tier.IN_THE_LOOP, Tier.ON_THE_LOOP])
def test_who_decides_or_vetoes_cannot_tell_what_was_drawn(tier: Tier) -> None:
    the = desk(tier, veto_seconds=600)
    proposal = the.propose()
    client = signed_in(the.reviewer)
    pages = []
    for drawn in (False, True):
        Proposal.objects.update(sampled=drawn, sample_probability=0.1)
        addresses = (f"/proposals/{proposal.pk}/", "/proposals/?state=open")
        pages.append([bare(client.get(address).content.decode()) for address in addresses])
    opened = re.compile(r'name="opened" value="[^"]+"')
    assert [opened.sub("", page) for page in pages[0]] == [opened.sub("", page) for page in pages[1]]
