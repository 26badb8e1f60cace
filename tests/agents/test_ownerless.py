"""An agent whose owner has left works in the loop, from the commit on, until somebody answers for it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.exceptions import Invalid, NotAllowed
from accounts.models import User
from accounts.services import people
from agents import authority
from agents.autonomy import Tier
from agents.models import Agent
from agents.services import register
from approvals.models import Grant, Notification, Proposal
from approvals.services import expire, ownership
from approvals.services.deactivate import deactivate
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person
from tests.invariants.calls import AgentCalls, history

pytestmark = pytest.mark.django_db(transaction=True)


def leaves(the: Desk, **extra: object) -> None:
    deactivate(person_id=the.agent.owner_id, actor=admin(), **extra)  # type: ignore[arg-type]


def codes(proposal: Proposal) -> list[str]:
    return [reason["code"] for reason in Proposal.objects.get(pk=proposal.pk).reasons]


@pytest.mark.parametrize("tier", [Tier.ON_THE_LOOP, Tier.OUT_OF_THE_LOOP])
def test_nothing_passes_a_person_by_while_nobody_answers(tier: Tier) -> None:
    the = desk(tier)
    assert the.propose().state != "pending"
    leaves(the)
    proposal = the.propose()
    assert (proposal.state, proposal.tier, codes(proposal)) == ("pending", "in_the_loop", ["no_owner"])
    assert Agent.objects.get(pk=the.agent.pk).ownerless_since is not None


@pytest.mark.parametrize("tier", [Tier.IN_THE_LOOP, Tier.ADVISORY])
def test_what_a_person_decides_anyway_stays_as_it_is(tier: Tier) -> None:
    the = desk(tier)
    before = the.propose()
    leaves(the)
    after = the.propose()
    assert (after.state, after.tier, codes(after)) == (before.state, before.tier, codes(before))


def test_whichever_way_a_person_is_deactivated_it_holds_at_once() -> None:
    """Also by a directory, an administration or a hand in the database, with nothing of ours having run."""
    the = desk(Tier.OUT_OF_THE_LOOP)
    assert the.propose().state == "approved"
    cached = authority.cache()
    User.objects.filter(pk=the.agent.owner_id).update(is_active=False)
    assert authority.cache() is cached
    assert the.propose().state == "pending"
    User.objects.filter(pk=the.agent.owner_id).update(is_active=True)
    assert the.propose().state == "approved"


def test_an_unredeemed_grant_that_nobody_decided_is_refused_until_somebody_answers_again() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    granted, agent = the.propose(), AgentCalls(the)
    leaves(the)
    refused = agent.do(granted.pk, "redeem", digest=granted.digest)
    assert (refused.status, refused.code) == (409, "grant_refused")
    assert "no live owner" in refused.body["detail"]
    assert Grant.objects.get(proposal=granted).redeemed_at is None
    ownership.transfer(agent_id=the.agent.pk, to=person("New Owner"), actor=admin())
    assert agent.do(granted.pk, "redeem", digest=granted.digest).status == 200


def test_a_grant_that_a_person_decided_stays_good() -> None:
    the = desk(Tier.IN_THE_LOOP)
    approved = the.approved()
    leaves(the)
    assert AgentCalls(the).do(approved.pk, "redeem", digest=approved.digest).status == 200


def test_what_is_scheduled_goes_to_a_person_at_once() -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=600)
    scheduled = the.propose()
    assert scheduled.state == "scheduled"
    leaves(the)
    waiting = Proposal.objects.get(pk=scheduled.pk)
    assert (waiting.state, waiting.tier, codes(waiting)) == ("pending", "in_the_loop", ["no_owner"])
    assert (waiting.queue, waiting.quorum, waiting.effective_at) == (the.queue, 1, None)
    assert waiting.due_at is not None
    assert waiting.queued_at is not None
    assert history(scheduled.pk) == ["scheduled", "pending"]
    later = timezone.now() + timedelta(hours=1)
    assert expire.close_veto_windows(now=later) == 0
    done = the.decide(waiting, "approve").proposal  # type: ignore[arg-type]
    assert done.state == "approved"


def test_a_veto_window_that_closes_before_the_tick_approves_nothing() -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=600)
    scheduled = the.propose()
    User.objects.filter(pk=the.agent.owner_id).update(is_active=False)
    assert expire.close_veto_windows(now=timezone.now() + timedelta(hours=1)) == 1
    assert Proposal.objects.get(pk=scheduled.pk).state == "pending"
    assert not Grant.objects.exists()


def test_it_is_told_once_and_goes_on_where_the_tiers_say() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    boss = admin()
    leaves(the)
    told = Notification.objects.filter(kind="agent", recipient=boss)
    assert [one.link for one in told] == [f"/agents/{the.agent.slug}/"]
    assert ownership.tend(now=timezone.now()) == 0
    people.reactivate(person_id=the.agent.owner_id, actor=boss)
    assert the.propose().state == "approved"
    assert ownership.tend(now=timezone.now()) == 1
    assert ownership.tend(now=timezone.now()) == 0
    assert Agent.objects.get(pk=the.agent.pk).ownerless_since is None
    about = AuditEvent.objects.filter(object_type="agent", object_id=str(the.agent.pk)).order_by("pk")
    kinds = [kind for kind in about.values_list("kind", flat=True) if kind.startswith("agent.owner_")]
    assert kinds == ["agent.owner_left", "agent.owner_found"]
    assert told.count() == 1


def test_the_tick_finds_whom_a_directory_deactivated() -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=600)
    scheduled, boss = the.propose(), admin()
    User.objects.filter(pk=the.agent.owner_id).update(is_active=False)
    assert ownership.tend(now=timezone.now()) == 2
    assert Proposal.objects.get(pk=scheduled.pk).state == "pending"
    assert Notification.objects.filter(kind="agent", recipient=boss).count() == 1


def test_an_agent_goes_to_its_heir_when_its_owner_leaves() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    heir = person("Hanna Heir")
    leaves(the, heirs={the.agent.pk: heir.pk})
    agent = Agent.objects.get(pk=the.agent.pk)
    assert (agent.owner, agent.ownerless_since) == (heir, None)
    assert the.propose().state == "approved"
    event = AuditEvent.objects.filter(kind="agent.changed", object_id=str(agent.pk)).latest("pk")
    assert event.data["after"]["owner"] == str(heir.pk)


def test_nobody_who_has_left_becomes_an_owner() -> None:
    the, gone = desk(), person("Gone Already")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    with pytest.raises(Invalid):
        leaves(the, heirs={the.agent.pk: gone.pk})
    with pytest.raises(Invalid):
        leaves(the, heirs={the.agent.pk: the.agent.owner_id})
    with pytest.raises(Invalid):
        ownership.transfer(agent_id=the.agent.pk, to=User.objects.get(pk=gone.pk), actor=admin())
    assert User.objects.get(pk=the.agent.owner_id).is_active
    assert Agent.objects.get(pk=the.agent.pk).owner_id == the.agent.owner_id


def test_only_an_admin_hands_an_agent_over() -> None:
    the = desk()
    for one in (the.agent.owner, the.reviewer, person()):
        with pytest.raises(NotAllowed):
            ownership.transfer(agent_id=the.agent.pk, to=person(), actor=one)
    retired = register.register(slug="old", name="Old", owner=the.agent.owner, actor=admin())
    Agent.objects.filter(pk=retired.pk).update(state="retired")
    leaves(the)
    assert Agent.objects.get(pk=retired.pk).ownerless_since is None
