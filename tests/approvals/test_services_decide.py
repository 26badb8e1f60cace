"""Deciding: quorum, roles, edits, who may, and what is recorded of it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.exceptions import Invalid
from agents.exceptions import AgentNotLive, ArgumentsInvalid
from agents.models import Evidence
from agents.services import credentials, mandates, register
from agents.services.mandates import Terms
from approvals.ballots import MAX_COMMENT, Ballot
from approvals.exceptions import (
    AlreadyClaimed,
    GrantRefused,
    MayNotDecide,
    PolicyRefused,
    ProposalChanged,
    WrongState,
)
from approvals.models import Claim, Decision, Grant, Proposal, Verdict, Vote
from approvals.services import amend, claim, expire, redeem, set_up, suspend
from approvals.services.decide import decide
from approvals.states import State
from audit.models import AuditEvent
from tests.factories import ARGUMENTS, Desk, admin, desk, person, policy, queue, reviewer

pytestmark = pytest.mark.django_db

EDITED = {**ARGUMENTS, "amount": 40}


def quorum_of_two() -> Desk:
    the = desk()
    policy([{"name": "two", "when": "true", "review": {"quorum": 2}}], the.queue)
    return the


def evidence() -> list[tuple[str, str, float, float, str]]:
    return [
        (one.basis, one.verdict, float(one.loss), one.probability, one.tier)
        for one in Evidence.objects.order_by("id")
    ]


def now(proposal: Proposal) -> Proposal:
    return Proposal.objects.get(pk=proposal.pk)


# Quorum


def test_a_vote_short_of_the_quorum_leaves_the_proposal_to_the_others() -> None:
    """The voter's lease would keep the second reviewer off until it ran out."""
    the = quorum_of_two()
    proposal = the.propose()
    claim.claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    assert the.decide(proposal, Verdict.APPROVE).final is False
    assert (now(proposal).state, now(proposal).claimed_by) == (State.PENDING, None)
    assert list(Claim.objects.values_list("ended_by", flat=True)) == ["voted"]
    with pytest.raises(MayNotDecide):
        claim.claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    assert claim.claim_next(reviewer=the.second).pk == proposal.pk
    assert the.decide(proposal, Verdict.APPROVE, by=the.second).final is True
    assert now(proposal).state == State.APPROVED


def test_nobody_meets_a_quorum_alone() -> None:
    the = quorum_of_two()
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    again = the.decide(proposal, Verdict.APPROVE)
    assert (again.repeated, again.final) == (True, False)
    with pytest.raises(MayNotDecide):
        the.decide(proposal, Verdict.REJECT)
    assert (Vote.objects.count(), now(proposal).state) == (1, State.PENDING)


def test_one_rejection_ends_it_whatever_the_quorum() -> None:
    the = quorum_of_two()
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    assert the.decide(proposal, Verdict.REJECT, by=the.second).final is True
    assert now(proposal).state == State.REJECTED
    assert not Grant.objects.exists()


def test_an_edit_voids_earlier_votes_and_counts_once() -> None:
    the = quorum_of_two()
    third = reviewer(the.queue)
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    claim.claim(proposal_id=proposal.pk, reviewer=the.second)
    edited = the.decide(proposal, Verdict.EDIT, by=the.second, arguments=EDITED)
    assert (edited.final, now(proposal).revision, now(proposal).claimed_by) == (False, 2, None)
    with pytest.raises(MayNotDecide):
        the.decide(proposal, Verdict.APPROVE, by=the.second)
    assert the.decide(proposal, Verdict.APPROVE, by=third).final is True
    assert list(Vote.objects.order_by("id").values_list("reviewer", "revision__number", "verdict")) == [
        (the.reviewer.pk, 1, "approve"),
        (the.second.pk, 2, "edit"),
        (third.pk, 2, "approve"),
    ]
    [decision] = Decision.objects.all()
    assert (decision.verdict, decision.revision.number, decision.decider) == ("edit", 2, third)
    assert Grant.objects.get().digest == now(proposal).digest


def test_a_vote_on_an_earlier_page_is_refused() -> None:
    the = quorum_of_two()
    proposal = the.propose()
    the.decide(proposal, Verdict.EDIT, arguments=EDITED)
    with pytest.raises(ProposalChanged) as refusal:
        decide(
            proposal_id=proposal.pk,
            reviewer=the.second,
            ballot=Ballot(verdict=Verdict.APPROVE, revision=1, version=1, seen=True),
        )
    assert refusal.value.extra["current"] == {
        "revision": 2,
        "version": 2,
        "digest": now(proposal).digest,
    }


# Who may (I8)


def test_the_owner_does_not_decide() -> None:
    the = desk()
    proposal = the.propose()
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.agent.owner, actor=admin())
    with pytest.raises(MayNotDecide, match="own this agent"):
        the.decide(proposal, Verdict.APPROVE, by=the.agent.owner)


def test_who_registered_a_credential_does_not_decide_even_when_it_is_revoked() -> None:
    the = desk()
    helper = reviewer(the.queue)
    from_helper, _ = credentials.issue(agent_id=the.agent.pk, actor=admin())
    from_helper.registered_by = helper
    from_helper.save(update_fields=["registered_by"])
    credentials.revoke(credential_id=from_helper.pk, actor=admin())
    proposal = the.propose()
    with pytest.raises(MayNotDecide, match="registered a credential"):
        the.decide(proposal, Verdict.APPROVE, by=helper)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_without_the_queues_right_nobody_decides(verdict: Verdict) -> None:
    the = desk()
    proposal = the.propose()
    other_queue = queue()
    inactive = reviewer(the.queue)
    inactive.is_active = False
    inactive.save(update_fields=["is_active"])
    former = reviewer(the.queue)
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=former, actor=admin(), allowed=False)
    for one in (admin(), person(), reviewer(other_queue), inactive, former):
        with pytest.raises(MayNotDecide):
            the.decide(proposal, verdict, by=one, arguments=EDITED)
    assert (now(proposal).state, Vote.objects.count()) == (State.PENDING, 0)


def test_the_policys_roles_are_asked_for() -> None:
    the = desk()
    policy([{"name": "legal", "when": "true", "review": {"roles": ["Legal", "Finance"]}}], the.queue)
    proposal = the.propose()
    with pytest.raises(MayNotDecide, match="Legal or Finance"):
        the.decide(proposal, Verdict.APPROVE)
    assert the.decide(proposal, Verdict.APPROVE, by=reviewer(the.queue, team="Finance")).final


def test_an_edit_to_another_queue_counts_only_for_who_may_decide_there() -> None:
    the = desk()
    finance = queue()
    policy([{"name": "big", "when": "amount > 100.0", "review": {"queue": finance.slug}}], the.queue)
    proposal = the.propose()
    big: dict[str, Any] = {**ARGUMENTS, "amount": 500}
    ballot = Ballot(verdict=Verdict.EDIT, revision=1, version=1, arguments=big)
    assert decide(proposal_id=proposal.pk, reviewer=the.reviewer, ballot=ballot).final is False
    moved = now(proposal)
    assert (moved.queue, moved.state, moved.amount, Vote.objects.count()) == (
        finance,
        State.PENDING,
        Decimal(500),
        0,
    )
    twice = decide(proposal_id=proposal.pk, reviewer=the.reviewer, ballot=ballot)
    assert (twice.repeated, twice.final, now(proposal).revision) == (True, False, 2)
    with pytest.raises(MayNotDecide):
        the.decide(proposal, Verdict.APPROVE)
    boss = reviewer(finance)
    assert the.decide(proposal, Verdict.APPROVE, by=boss).final
    assert Grant.objects.get().digest == now(proposal).digest


# What an edit is checked against


@pytest.mark.parametrize(
    "arguments",
    [
        {"order_id": "A", "amount": -1},
        {"order_id": "A"},
        {**ARGUMENTS, "extra": 1},
        {**ARGUMENTS, "note": "a\x00b"},
        {**ARGUMENTS, "note": "\ud800"},
        {**ARGUMENTS, "amount": 2**53},
        {**ARGUMENTS, "amount": float("nan")},
        {**ARGUMENTS, "amount": float("inf")},
    ],
    ids=str,
)
def test_edited_arguments_are_as_strictly_checked_as_an_agents(arguments: dict[str, Any]) -> None:
    the = desk()
    proposal = the.propose()
    with pytest.raises(ArgumentsInvalid):
        the.decide(proposal, Verdict.EDIT, arguments=arguments)
    assert now(proposal).revision == 1


def test_an_edit_that_changes_nothing_is_refused() -> None:
    the = desk()
    proposal = the.propose()
    with pytest.raises(Invalid, match="Nothing was changed"):
        the.decide(proposal, Verdict.EDIT, arguments=dict(reversed(ARGUMENTS.items())))


def test_an_edit_that_the_policy_denies_is_refused_whole() -> None:
    the = desk()
    policy([{"name": "never", "when": "amount > 100.0", "deny": "Never above 100."}], the.queue)
    proposal = the.propose()
    with pytest.raises(PolicyRefused, match="Never above 100"):
        the.decide(proposal, Verdict.EDIT, arguments={**ARGUMENTS, "amount": 101})
    assert (now(proposal).revision, Vote.objects.count()) == (1, 0)


def test_an_edit_into_what_the_policy_caps_at_advisory_gets_no_grant() -> None:
    the = desk()
    policy([{"name": "big", "when": "amount > 100.0", "cap": "advisory"}], the.queue)
    proposal = the.propose()
    the.decide(proposal, Verdict.EDIT, arguments={**ARGUMENTS, "amount": 101})
    assert (now(proposal).state, now(proposal).tier) == (State.APPROVED, "advisory")
    assert not Grant.objects.exists()


@pytest.mark.parametrize(
    ("reason", "comment"), [("x" * 61, ""), ("nonsense", ""), ("", "x" * (MAX_COMMENT + 1)), ("", "a\x00b")]
)
@pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.REJECT])
def test_reasons_and_comments_that_cannot_be_stored_are_refused(
    verdict: Verdict, reason: str, comment: str
) -> None:
    the = desk()
    proposal = the.propose()
    with pytest.raises(Invalid):
        the.decide(proposal, verdict, reason=reason, comment=comment)


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.RETURN])
def test_a_rejection_has_a_reason_and_a_return_a_question(verdict: Verdict) -> None:
    the = desk()
    proposal = the.propose()
    with pytest.raises(Invalid):
        the.decide(proposal, verdict, reason="", comment="  ")


def test_a_reviewer_with_a_long_address_and_no_name_can_decide() -> None:
    the = desk()
    long = reviewer(the.queue)
    long.name, long.email = "", "x" * 150 + "@example.com"
    long.save(update_fields=["name", "email"])
    assert the.decide(the.propose(), Verdict.APPROVE, by=long).final


# State and time


@pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.EDIT, Verdict.REJECT, Verdict.RETURN])
def test_a29_a_vote_after_expiry_is_refused_while_the_task_is_late(verdict: Verdict) -> None:
    the = desk()
    proposal = the.propose()
    Proposal.objects.filter(pk=proposal.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(WrongState, match="run out"):
        the.decide(proposal, verdict, arguments=EDITED)
    assert now(proposal).state == State.PENDING
    expire.expire_undecided(now=timezone.now())
    assert now(proposal).state == State.EXPIRED


@pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.EDIT])
def test_nothing_of_a_suspended_agent_is_approved(verdict: Verdict) -> None:
    the = desk()
    proposal = the.propose()
    suspend.suspend(agent_id=the.agent.pk, actor=admin(), reason="odd")
    with pytest.raises(AgentNotLive):
        the.decide(proposal, verdict, arguments=EDITED)
    assert the.decide(proposal, Verdict.REJECT).final


def test_a_colleagues_lease_is_respected_until_it_runs_out() -> None:
    the = desk()
    proposal = the.propose()
    claim.claim(proposal_id=proposal.pk, reviewer=the.second)
    with pytest.raises(AlreadyClaimed):
        the.decide(proposal, Verdict.APPROVE)
    Proposal.objects.filter(pk=proposal.pk).update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert the.decide(proposal, Verdict.APPROVE).final
    assert Claim.objects.filter(ended_at=None).count() == 0


def test_a_veto_needs_a_window_and_an_approval_a_pending_proposal() -> None:
    the = desk()
    proposal = the.propose()
    with pytest.raises(WrongState):
        the.decide(proposal, Verdict.VETO)
    the.decide(proposal, Verdict.APPROVE)
    for verdict in (Verdict.REJECT, Verdict.RETURN, Verdict.VETO):
        with pytest.raises(WrongState) as refusal:
            the.decide(proposal, verdict, by=the.second)
        assert refusal.value.extra["current"] == State.APPROVED


# Evidence


@pytest.mark.parametrize(
    ("verdict", "arguments", "expected"),
    [
        (Verdict.APPROVE, None, ("decision", "approve", 0.0, 1.0, "in_the_loop")),
        (Verdict.EDIT, {**ARGUMENTS, "amount": 1}, ("decision", "edit", 1.0, 1.0, "in_the_loop")),
        (Verdict.EDIT, {**ARGUMENTS, "iban": "DE00"}, ("decision", "edit", 1.0, 1.0, "in_the_loop")),
        (Verdict.EDIT, {**ARGUMENTS, "note": "n"}, ("decision", "edit", 0.5, 1.0, "in_the_loop")),
        (Verdict.REJECT, None, ("decision", "reject", 1.0, 1.0, "in_the_loop")),
    ],
)
def test_evidence_of_a_decision(
    verdict: Verdict, arguments: dict[str, Any] | None, expected: tuple[str, str, float, float, str]
) -> None:
    the = desk()
    the.decide(the.propose(), verdict, arguments=arguments)
    assert evidence() == [expected]
    one = Evidence.objects.get()
    assert (one.agent_version, one.risk, one.revision, one.judged_by) == ("1", "medium", 1, the.reviewer)


def test_an_edit_of_true_to_1_in_a_material_field_is_a_full_error() -> None:
    the = desk()
    schema = {"type": "object", "properties": {"flag": {}}}
    the.action_type.schema, the.action_type.material = schema, ["/flag"]
    the.action_type.save(update_fields=["schema", "material"])
    mandates.save(
        agent_id=the.agent.pk, action_type=the.action_type.name, terms=Terms(window_count=9), actor=admin()
    )
    the.decide(the.propose({"flag": True}), Verdict.EDIT, arguments={"flag": 1})
    assert [(one[1], one[2]) for one in evidence()] == [("edit", 1.0)]


def test_evidence_judges_the_agents_last_revision_when_people_edited() -> None:
    the = quorum_of_two()
    proposal = the.propose()
    the.decide(proposal, Verdict.EDIT, arguments=EDITED)
    the.decide(proposal, Verdict.APPROVE, by=the.second)
    assert evidence() == [("decision", "edit", 1.0, 1.0, "in_the_loop")]
    assert Evidence.objects.get().revision == 1


def test_a_question_is_no_judgement_and_the_answer_is_judged() -> None:
    the = desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.RETURN)
    assert evidence() == []
    amend.revise(proposal_id=proposal.pk, agent=the.agent, arguments=EDITED, reply="40 it is")
    the.decide(proposal, Verdict.APPROVE)
    assert evidence() == [("decision", "approve", 0.0, 1.0, "in_the_loop")]
    assert Evidence.objects.get().revision == 2
    assert [(d.revision.number, d.verdict) for d in Decision.objects.order_by("id")] == [
        (1, "return"),
        (2, "approve"),
    ]


def test_a_repeated_decision_leaves_one_of_everything() -> None:
    """A24."""
    the = desk()
    proposal = the.propose()
    ballot = Ballot(verdict=Verdict.EDIT, revision=1, version=1, arguments=EDITED)
    first = decide(proposal_id=proposal.pk, reviewer=the.reviewer, ballot=ballot)
    events = AuditEvent.objects.count()
    second = decide(proposal_id=proposal.pk, reviewer=the.reviewer, ballot=ballot)
    assert (first.final, first.repeated, second.final, second.repeated) == (True, False, True, True)
    assert (Vote.objects.count(), Decision.objects.count()) == (1, 1)
    assert (Grant.objects.count(), Evidence.objects.count()) == (1, 1)
    assert AuditEvent.objects.count() == events


def test_an_owner_who_was_not_one_when_he_voted_stops_the_redemption() -> None:
    """The ownership may be passed on after the vote: redemption looks again."""
    the = desk()
    proposal = the.approved()
    register.change(
        agent_id=the.agent.pk, actor=admin(), name="x", purpose="", version="1", team=None, owner=the.reviewer
    )
    with pytest.raises(GrantRefused, match="voted"):
        redeem.redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=proposal.digest)
