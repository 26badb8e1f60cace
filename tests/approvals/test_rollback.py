"""Asking for a rollback: over HTTP from the request to the parent that is rolled back, and every way it can fail."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.exceptions import Invalid, NotAllowed, NotFound
from agents.autonomy import Tier
from agents.models import Evidence
from agents.services import mandates
from agents.services.mandates import Terms
from approvals import rollbacks
from approvals.exceptions import AlreadyAsked, WrongState
from approvals.models import Notification, Proposal, RollbackRequest, Verdict
from approvals.services import amend, rollback, suspend
from approvals.states import State
from approvals.tasks import tick
from tests.approvals.test_recall import auditor
from tests.factories import Desk, action_type, admin, desk, person, undoing
from tests.invariants.calls import AgentCalls, Answer, call, history, together

pytestmark = pytest.mark.django_db


def ran(the: Desk, arguments: dict[str, Any] | None = None) -> Proposal:
    """Proposed, approved by its tier or by a person, redeemed and reported as done."""
    proposal = the.propose(arguments)
    if proposal.state == State.PENDING:
        the.decide(proposal, Verdict.APPROVE)
    agent = AgentCalls(the)
    assert agent.do(proposal.pk, "redeem", digest=proposal.digest).status == 200
    assert agent.do(proposal.pk, "outcome", status="succeeded").status == 200
    return Proposal.objects.get(pk=proposal.pk)


def pair(tier: Tier = Tier.OUT_OF_THE_LOOP, undo: Tier = Tier.IN_THE_LOOP) -> tuple[Desk, Desk, Proposal]:
    """A desk, the same for what undoes its actions, and one action that has run."""
    the = desk(tier)
    undo_desk = undoing(the, undo)
    return the, undo_desk, ran(the)


def ask(proposal: Proposal, by: Any, reason: str = "wrong customer") -> RollbackRequest:
    return rollback.ask(proposal_id=proposal.pk, person=by, reason=reason)


def requested(the: Desk) -> list[str]:
    answer = call("GET", "/api/v1/proposals?rollback=requested", the.token)
    return [item["id"] for item in answer.body["items"]]


def finish(the: Desk, answer: Answer) -> None:
    """The compensation's own way: approved by a person, redeemed, reported."""
    proposal = Proposal.objects.get(pk=answer.body["id"])
    if proposal.state == State.PENDING:
        the.decide(proposal, Verdict.APPROVE)
    agent = AgentCalls(the)
    agent.do(proposal.pk, "redeem", digest=proposal.digest)
    agent.do(proposal.pk, "outcome", status="succeeded")


def told(user: Any) -> list[str]:
    found = Notification.objects.filter(recipient=user, kind="rollback").order_by("pk")
    return list(found.values_list("text", flat=True))


@pytest.mark.parametrize("undo", [Tier.IN_THE_LOOP, Tier.OUT_OF_THE_LOOP])
def test_from_the_request_to_the_rolled_back_parent_over_http(undo: Tier) -> None:
    the, undo_desk, proposal = pair(undo=undo)
    agent, undoer = AgentCalls(the), AgentCalls(undo_desk)
    before = agent.read(proposal.pk).body
    assert (before["rollback"], requested(the)) == (None, [])

    ask(proposal, the.reviewer)
    heard = agent.read(proposal.pk).body
    assert heard["version"] == before["version"] + 1
    assert heard["rollback"] == {
        "requested_at": heard["rollback"]["requested_at"],
        "reason": "wrong customer",
        "by": "Rita Reviewer",
        "action_type": undo_desk.action_type.name,
        "proposal": None,
    }
    assert requested(the) == [str(proposal.pk)]
    assert told(the.agent.owner) == [f"Rita Reviewer asks {the.agent.name} to undo: {proposal.title}"]

    answer = undoer.propose(parent_id=str(proposal.pk))
    linked = agent.read(proposal.pk).body
    assert (linked["version"], linked["rollback"]["proposal"]) == (heard["version"] + 1, answer.body["id"])
    assert requested(the) == []
    finish(undo_desk, answer)

    after = agent.read(proposal.pk).body
    assert (after["status"], after["rollback"]["proposal"]) == ("rolled_back", answer.body["id"])
    assert len(told(the.reviewer)) == 2 and told(the.reviewer)[1].startswith("Rolled back as you asked")
    kinds = history(proposal.pk)
    assert kinds[-3:] == ["rollback_asked", "rollback_answered", "rolled_back"]


def test_a_rollback_that_was_asked_for_is_a_failure_found_later() -> None:
    the, undo_desk, proposal = pair(Tier.IN_THE_LOOP)
    first = Evidence.judgements().get(proposal_id=proposal.pk)
    assert first.loss == 0
    ask(proposal, the.reviewer)
    finish(undo_desk, AgentCalls(undo_desk).propose(parent_id=str(proposal.pk)))
    correction = Evidence.objects.get(corrects=first)
    assert correction.loss == 1 and correction.verdict == "rolled_back"


def test_one_that_nobody_asked_for_is_none() -> None:
    the, undo_desk, proposal = pair(Tier.IN_THE_LOOP)
    finish(undo_desk, AgentCalls(undo_desk).propose(parent_id=str(proposal.pk)))
    assert Proposal.objects.get(pk=proposal.pk).state == State.ROLLED_BACK
    assert not Evidence.objects.filter(proposal_id=proposal.pk, verdict="rolled_back").exists()
    assert AgentCalls(the).read(proposal.pk).body["rollback"] is None


def test_only_who_answers_for_it_asks() -> None:
    the, _, proposal = pair()
    for who, refusal in ((person(), NotFound), (auditor(), NotAllowed)):
        with pytest.raises(refusal):
            ask(proposal, who)
    ask(proposal, the.agent.owner)
    assert RollbackRequest.objects.get().asked_by == the.agent.owner


def test_twice_is_refused_kindly_and_changes_nothing() -> None:
    the, _, proposal = pair()
    ask(proposal, the.reviewer)
    version = Proposal.objects.get(pk=proposal.pk).version
    with pytest.raises(AlreadyAsked, match="Rita Reviewer has asked for it already: “wrong customer”"):
        ask(proposal, admin())
    with pytest.raises(AlreadyAsked, match="You have asked"):
        ask(proposal, the.reviewer)
    assert Proposal.objects.get(pk=proposal.pk).version == version


@pytest.mark.parametrize("reason", ["", " \n", "x" * 301, "a\x00b"])
def test_it_needs_a_reason(reason: str) -> None:
    the, _, proposal = pair()
    with pytest.raises(Invalid):
        ask(proposal, the.reviewer, reason)
    assert not RollbackRequest.objects.exists()


def test_what_nothing_undoes_or_has_not_succeeded_is_not_asked_for() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    with pytest.raises(WrongState, match="no action type undoes"):
        ask(ran(the), the.reviewer)
    undo_desk = undoing(the)
    with pytest.raises(WrongState, match="approved"):
        ask(the.propose(), the.reviewer)
    proposal = ran(the)
    finish(undo_desk, AgentCalls(undo_desk).propose(parent_id=str(proposal.pk)))
    with pytest.raises(WrongState, match="rolled back already"):
        ask(proposal, the.reviewer)


def test_another_action_type_or_another_agent_answers_nothing() -> None:
    the, _, proposal = pair()
    ask(proposal, the.reviewer)
    assert AgentCalls(the).propose(parent_id=str(proposal.pk)).status == 201
    assert requested(the) == [str(proposal.pk)]
    other = desk()
    assert AgentCalls(other).propose(parent_id=str(proposal.pk)).status == 422
    assert requested(other) == []
    assert RollbackRequest.objects.get().compensation is None


def test_a_compensation_that_was_there_before_is_the_answer() -> None:
    the, undo_desk, proposal = pair()
    earlier = AgentCalls(undo_desk).propose(parent_id=str(proposal.pk))
    ask(proposal, the.reviewer)
    assert AgentCalls(the).read(proposal.pk).body["rollback"]["proposal"] == earlier.body["id"]
    assert requested(the) == []


def test_one_that_came_to_nothing_leaves_the_request_open_and_is_told() -> None:
    the, undo_desk, proposal = pair()
    ask(proposal, the.reviewer)
    first = AgentCalls(undo_desk).propose(parent_id=str(proposal.pk))
    undo_desk.decide(Proposal.objects.get(pk=first.body["id"]), Verdict.REJECT)
    assert requested(the) == [str(proposal.pk)]
    tick()
    tick()
    assert (
        told(the.reviewer)[-1] == f"It is not rolled back: what was to undo “{proposal.title}” is rejected."
    )
    assert len(told(the.reviewer)) == 2
    second = AgentCalls(undo_desk).propose(parent_id=str(proposal.pk))
    assert RollbackRequest.objects.get().compensation_id == Proposal.objects.get(pk=second.body["id"]).pk
    finish(undo_desk, second)
    assert Proposal.objects.get(pk=proposal.pk).state == State.ROLLED_BACK


def test_one_that_the_policy_denies_is_told_too() -> None:
    the, undo_desk, proposal = pair()
    ask(proposal, the.reviewer)
    terms = mandates.as_terms(undo_desk.mandate)
    mandates.save(
        agent_id=the.agent.pk,
        action_type=undo_desk.action_type.name,
        terms=Terms(**{**terms.__dict__, "active": False}),
        actor=admin(),
    )
    assert "no mandate" in rollbacks.hindrance(Proposal.objects.get(pk=proposal.pk))
    assert AgentCalls(undo_desk).propose(parent_id=str(proposal.pk)).body["status"] == "denied"
    rollback.tell_of_silence(now=timezone.now())
    assert told(the.reviewer) == [f"It is not rolled back: what was to undo “{proposal.title}” is denied."]


def test_silence_is_told_once_after_the_outcome_time() -> None:
    the, _, proposal = pair()
    asked = ask(proposal, the.reviewer).asked_at
    wait = timedelta(minutes=the.action_type.outcome_minutes)
    assert rollback.tell_of_silence(now=asked + wait - timedelta(seconds=1)) == 0
    assert rollback.tell_of_silence(now=asked + wait) == 1
    assert rollback.tell_of_silence(now=asked + wait * 2) == 0
    assert told(the.reviewer) == [f"{the.agent.name} has not answered your request to undo: {proposal.title}"]


def test_a_stopped_agent_is_named_as_the_hindrance() -> None:
    the, _, proposal = pair()
    assert rollbacks.hindrance(Proposal.objects.get(pk=proposal.pk)) == ""
    suspend.suspend(agent_id=the.agent.pk, actor=admin(), reason="odd")
    assert "suspended" in rollbacks.hindrance(Proposal.objects.get(pk=proposal.pk))


def test_a_withdrawn_compensation_reopens_it() -> None:
    the, undo_desk, proposal = pair()
    ask(proposal, the.reviewer)
    first = AgentCalls(undo_desk).propose(parent_id=str(proposal.pk))
    amend.withdraw(proposal_id=first.body["id"], agent=the.agent, reason="")
    assert requested(the) == [str(proposal.pk)]


def test_the_list_takes_no_other_word() -> None:
    the = desk()
    answer = call("GET", "/api/v1/proposals?rollback=all", the.token)
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, "rollback")


@pytest.mark.django_db(transaction=True)
def test_a_request_and_its_answer_at_once_always_find_each_other() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    undo_desk = undoing(the)
    for number in range(8):
        proposal = ran(the, {"order_id": f"A-{number}", "amount": 1})

        def answered(proposal: Proposal = proposal) -> Answer:
            return AgentCalls(undo_desk).propose(parent_id=str(proposal.pk))

        def asked(proposal: Proposal = proposal) -> RollbackRequest:
            return ask(proposal, the.reviewer)

        results = together(*((answered, asked) if number % 2 else (asked, answered)))
        assert not [one for one in results if isinstance(one, Exception)], results
        assert RollbackRequest.objects.get(proposal=proposal).compensation is not None
        history(proposal.pk)


def test_the_undoing_type_alone_counts() -> None:
    """A child of the right type whose parent was asked about before the type was given another way back."""
    the, undo_desk, proposal = pair()
    ask(proposal, the.reviewer)
    other = action_type("other_way")
    type(the.action_type).objects.filter(pk=the.action_type.pk).update(reversible_by=other)
    AgentCalls(undo_desk).propose(parent_id=str(proposal.pk))
    assert RollbackRequest.objects.get().compensation is None
