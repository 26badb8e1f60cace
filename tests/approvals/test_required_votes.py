"""Votes required by team, over the use cases and the wire."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from approvals import permissions
from approvals.exceptions import MayNotDecide, NothingToClaim, PolicyRefused
from approvals.models import Grant, Proposal, Verdict
from approvals.services import claim
from tests.factories import ARGUMENTS, Desk, desk, policy, reviewer

pytestmark = pytest.mark.django_db
RULE: dict[str, Any] = {
    "name": "two-teams",
    "when": "amount >= 10.0",
    "review": {"required": [{"team": "finance", "votes": 2}, {"team": "security", "votes": 1}]},
}


@pytest.fixture
def the() -> Desk:
    one = desk()
    policy([RULE], one.queue)
    return one


def member(the: Desk, *teams: str) -> Any:
    person = reviewer(the.queue, team=teams[0])
    for team in teams[1:]:
        person.groups.add(Group.objects.get_or_create(name=team)[0])
    return person


def test_every_seat_has_to_be_filled_and_nobody_fills_two(the: Desk) -> None:
    proposal = the.propose()
    assert (proposal.quorum, proposal.roles) == (3, ["finance", "security"])
    both, finance, security = (
        member(the, "finance", "security"),
        member(the, "finance"),
        member(the, "security"),
    )
    assert not the.decide(proposal, Verdict.APPROVE, by=both).final
    assert Proposal.objects.get().roles == ["finance", "security"]
    assert not the.decide(proposal, Verdict.APPROVE, by=security).final
    assert Proposal.objects.get().roles == ["finance"]
    assert the.decide(proposal, Verdict.APPROVE, by=finance).final
    assert Grant.objects.count() == 1


def test_who_fills_no_empty_seat_may_not_vote_and_is_offered_nothing(the: Desk) -> None:
    proposal = the.propose()
    for _ in range(2):
        the.decide(proposal, Verdict.APPROVE, by=member(the, "finance"))
    third = member(the, "finance")
    with pytest.raises(MayNotDecide, match="security"):
        the.decide(proposal, Verdict.APPROVE, by=third)
    with pytest.raises(NothingToClaim):
        claim.claim_next(reviewer=third)
    security = member(the, "security")
    assert permissions.deciders(Proposal.objects.get()) == [security]
    assert claim.claim_next(reviewer=security).pk == proposal.pk


def test_one_rejection_ends_it(the: Desk) -> None:
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE, by=member(the, "finance"))
    assert the.decide(proposal, Verdict.REJECT, by=member(the, "security")).final
    assert Proposal.objects.get().state == "rejected"


def test_an_edit_voids_the_votes_and_counts_as_its_editors(the: Desk) -> None:
    proposal = the.propose()
    first, second = member(the, "finance"), member(the, "finance")
    the.decide(proposal, Verdict.APPROVE, by=first)
    the.decide(proposal, Verdict.EDIT, by=second, arguments={**ARGUMENTS, "amount": 20})
    now = Proposal.objects.get()
    assert (now.state, now.revision, now.roles) == ("pending", 2, ["finance", "security"])
    with pytest.raises(MayNotDecide):
        the.decide(proposal, Verdict.APPROVE, by=second)
    the.decide(proposal, Verdict.APPROVE, by=first)
    assert the.decide(proposal, Verdict.APPROVE, by=member(the, "security")).final


def test_the_agent_sees_how_many_are_needed(the: Desk) -> None:
    proposal = the.propose()
    answer = Client().get(f"/api/v1/proposals/{proposal.pk}", headers=the.headers).json()
    assert answer["route"]["quorum"] == 3


@pytest.mark.parametrize(
    "required",
    [
        [{"team": "a"}],
        [{"team": "a", "votes": 0}],
        [{"team": "a", "votes": True}],
        "a",
        [{"team": "a", "votes": 1}] * 2,
    ],
)
def test_a_policy_that_asks_for_nonsense_is_not_published(required: Any) -> None:
    one = desk()
    with pytest.raises(PolicyRefused, match="required"):
        policy([{"name": "x", "when": "true", "review": {"required": required}}], one.queue)
