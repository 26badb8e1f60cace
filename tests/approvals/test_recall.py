"""Recalling an unredeemed grant: who may, what it leaves, and that redemption and recall never both win."""

from typing import Any

import pytest
from django.utils import timezone

from accounts.exceptions import Invalid, NotAllowed, NotFound
from accounts.models import User, assign_role
from accounts.roles import Role
from agents.autonomy import Tier
from agents.models import Evidence
from approvals.exceptions import WrongState
from approvals.models import Grant, Proposal
from approvals.services import expire
from approvals.services.recall import recall
from approvals.states import State
from audit.content import reveal
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person, reviewer
from tests.invariants.calls import AgentCalls, history, together

pytestmark = pytest.mark.django_db


def now(proposal: Proposal) -> Proposal:
    return Proposal.objects.select_related("grant").get(pk=proposal.pk)


def take_back(proposal: Proposal, by: User, reason: str = "twice the same order") -> Proposal:
    return recall(proposal_id=proposal.pk, person=by, reason=reason)


def auditor() -> User:
    user = person("Anna Auditor")
    assign_role(Role.AUDITOR, to=user)
    return user


@pytest.mark.parametrize("who", ["owner", "reviewer", "admin"])
def test_who_watches_may_recall_and_the_agent_is_refused_over_http(who: str) -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    proposal = the.propose()
    by = {"owner": the.agent.owner, "reviewer": the.reviewer, "admin": admin()}[who]
    take_back(proposal, by)
    found = now(proposal)
    assert found.state == State.REVOKED
    assert found.grant.revoked_at is not None and found.grant.redeemed_at is None
    agent = AgentCalls(the)
    answer = agent.do(proposal.pk, "redeem", digest=proposal.digest)
    assert (answer.status, answer.code) == (409, "grant_refused")
    assert (agent.read(proposal.pk).body["status"], agent.read(proposal.pk).body["grant"]) == (
        "revoked",
        None,
    )
    event = AuditEvent.objects.get(kind="proposal.revoked", object_id=str(proposal.pk))
    assert event.data["actor"]["label"] == str(by)
    reveal([event])
    assert event.told["detail"]["reason"] == "twice the same order"
    assert history(proposal.pk)[-1] == "revoked"


def test_it_is_no_evidence_against_the_agent() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    take_back(the.propose(), the.agent.owner)
    assert not Evidence.judgements().exists()


def test_strangers_see_nothing_and_auditors_change_nothing() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    proposal = the.propose()
    for who, refusal in ((person(), NotFound), (reviewer(desk().queue), NotFound), (auditor(), NotAllowed)):
        with pytest.raises(refusal):
            take_back(proposal, who)
    assert now(proposal).state == State.APPROVED


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301, "a\x00b"])
def test_it_needs_a_reason(reason: str) -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    proposal = the.propose()
    with pytest.raises(Invalid):
        take_back(proposal, the.reviewer, reason)
    assert now(proposal).state == State.APPROVED


def test_twice_is_answered_as_once() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    proposal = the.propose()
    first = take_back(proposal, the.reviewer)
    assert take_back(proposal, the.agent.owner).version == first.version
    assert AuditEvent.objects.filter(kind="proposal.revoked").count() == 1


def test_what_runs_or_waits_cannot_be_recalled() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    running = the.propose()
    AgentCalls(the).do(running.pk, "redeem", digest=running.digest)
    waiting = desk().propose()
    with pytest.raises(WrongState, match="executing"):
        take_back(running, the.reviewer)
    with pytest.raises(WrongState, match="pending"):
        take_back(waiting, admin())


def test_an_advisory_approval_gave_nothing_to_recall() -> None:
    the = desk(Tier.ADVISORY)
    proposal = the.approved()
    with pytest.raises(WrongState, match="without a grant"):
        take_back(proposal, the.reviewer)


@pytest.mark.django_db(transaction=True)
def test_recall_redemption_and_expiry_at_once_have_one_winner() -> None:
    the: Desk = desk(Tier.OUT_OF_THE_LOOP)
    won: set[str] = set()
    for number in range(12):
        proposal = the.propose({"order_id": f"A-{number}", "amount": 1})

        def redeem(proposal: Proposal = proposal) -> int:
            return AgentCalls(the).do(proposal.pk, "redeem", digest=proposal.digest).status

        def back(proposal: Proposal = proposal) -> Any:
            return take_back(proposal, the.reviewer)

        def lapse() -> int:
            return expire.lapse_grants(now=timezone.now())

        answers = together(*((redeem, back) if number % 2 else (back, redeem)), lapse)
        grant = Grant.objects.get(proposal=proposal)
        state = now(proposal).state
        assert (grant.redeemed_at is None) != (grant.revoked_at is None)
        assert state == (State.EXECUTING if grant.redeemed_at else State.REVOKED)
        refused = [one for one in answers[:2] if isinstance(one, WrongState) or one == 409]
        assert len(refused) == 1, answers
        history(proposal.pk)
        won.add(str(state))
    assert won <= {"executing", "revoked"}
