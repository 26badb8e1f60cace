"""A lease that ran out is taken over, and both people are told (who had it, who has it)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from approvals.models import Claim, Notification, Proposal
from approvals.services import claim
from tests.factories import desk

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("ticked", [True, False], ids=["after the clock ended the lease", "before it did"])
@pytest.mark.parametrize("by_next", [True, False], ids=["by next", "by name"])
def test_both_people_are_told_of_a_take_over(ticked: bool, by_next: bool) -> None:
    the = desk()
    proposal = the.propose()
    claim.claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    past = timezone.now() - timedelta(seconds=1)
    Proposal.objects.update(claimed_until=past)
    if ticked:
        assert claim.release_run_out(now=timezone.now()) == 1
    if by_next and ticked:
        claim.claim_next(reviewer=the.second)
    else:
        claim.claim(proposal_id=proposal.pk, reviewer=the.second)
    told = {row.recipient: row.text for row in Notification.objects.filter(kind="taken_over")}
    assert told.keys() == {the.reviewer, the.second}
    assert f"{the.second} took over" in told[the.reviewer]
    assert f"from {the.reviewer}" in told[the.second]
    assert Claim.objects.filter(ended_at=None).get().reviewer == the.second


def test_what_was_handed_back_or_is_ones_own_is_no_take_over() -> None:
    the = desk()
    proposal = the.propose()
    claim.claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    claim.claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    claim.release(proposal_id=proposal.pk, reviewer=the.reviewer)
    claim.claim(proposal_id=proposal.pk, reviewer=the.second)
    assert not Notification.objects.exists()
