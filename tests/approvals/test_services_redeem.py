"""Redeeming and reporting: authority is read again (I10), the first report stands, a person settles the unknown."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.exceptions import DomainError, Invalid, NotAllowed, NotFound
from accounts.models import assign_role
from accounts.roles import Role
from agents.autonomy import Tier
from agents.exceptions import AgentNotLive, BadCredential
from agents.models import Agent, AgentState, Credential, Mandate
from agents.services import credentials, mandates
from agents.services.mandates import Terms
from approvals import keys
from approvals.exceptions import DigestMismatch, GrantRefused, LimitReached, WrongState
from approvals.models import Grant, Outcome, Proposal, SigningKey
from approvals.requests import OutcomeRequest
from approvals.services import expire, report, suspend
from approvals.services.redeem import redeem
from approvals.services.rotate_key import rotate_key
from approvals.states import State
from tests.factories import ARGUMENTS, Desk, admin, desk, person

pytestmark = pytest.mark.django_db


def use(the: Desk, proposal: Proposal, **extra: Any) -> Proposal:
    return redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=proposal.digest, **extra)


def terms(the: Desk, **changed: Any) -> None:
    mandate = Mandate.objects.get(pk=the.mandate.pk)
    values = {**mandates.as_terms(mandate).__dict__, **changed}
    mandates.save(
        agent_id=the.agent.pk, action_type=the.action_type.name, terms=Terms(**values), actor=admin()
    )


def now(proposal: Proposal) -> Proposal:
    return Proposal.objects.get(pk=proposal.pk)


BREAKS: list[tuple[str, Callable[[Desk, Proposal], Any], type[DomainError]]] = [
    ("agent suspended", lambda the, p: Agent.objects.update(state=AgentState.SUSPENDED), AgentNotLive),
    ("agent retired", lambda the, p: Agent.objects.update(state=AgentState.RETIRED), AgentNotLive),
    (
        "credential revoked",
        lambda the, p: credentials.revoke(credential_id=the.credential.pk, actor=admin()),
        BadCredential,
    ),
    (
        "credential expired",
        lambda the, p: Credential.objects.update(expires_at=timezone.now() - timedelta(seconds=1)),
        BadCredential,
    ),
    ("mandate off", lambda the, p: terms(the, active=False), GrantRefused),
    ("mandate gone", lambda the, p: Mandate.objects.all().delete(), GrantRefused),
    ("tier lowered", lambda the, p: terms(the, tier="in_the_loop"), GrantRefused),
    ("tier lowered by one", lambda the, p: terms(the, tier="on_the_loop"), GrantRefused),
    ("ceiling lowered", lambda the, p: terms(the, tier="advisory", ceiling="advisory"), GrantRefused),
    (
        "grant expired",
        lambda the, p: Grant.objects.update(expires_at=timezone.now() - timedelta(seconds=1)),
        GrantRefused,
    ),
    ("amount limit", lambda the, p: terms(the, max_amount=Decimal(1)), LimitReached),
    ("count limit", lambda the, p: terms(the, window_count=0), LimitReached),
    ("sum limit", lambda the, p: terms(the, window_amount=Decimal(42)), LimitReached),
    ("recalled", lambda the, p: Proposal.objects.filter(pk=p.pk).update(state="revoked"), GrantRefused),
]


@pytest.mark.parametrize(("what", "breaks", "error"), BREAKS, ids=[one[0] for one in BREAKS])
def test_redemption_reads_authority_again(
    what: str, breaks: Callable[[Desk, Proposal], Any], error: type[DomainError]
) -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    proposal = the.propose()
    assert proposal.state == State.APPROVED
    breaks(the, proposal)
    with pytest.raises(error):
        use(the, proposal)
    assert Grant.objects.get().redeemed_at is None
    assert now(proposal).state != State.EXECUTING


def test_what_a_person_approved_beyond_a_limit_may_run() -> None:
    the = desk(max_amount=1)
    proposal = the.approved()
    assert proposal.reasons[0]["code"] == "limit_amount"
    assert use(the, proposal).state == State.EXECUTING


def test_a_mandate_made_advisory_gives_nothing_any_more() -> None:
    the = desk()
    proposal = the.approved()
    terms(the, tier="advisory")
    with pytest.raises(GrantRefused):
        use(the, proposal)


def test_a_later_proposal_in_review_does_not_block_an_earlier_grant() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP, window_count=1)
    first, second = the.propose(), the.propose()
    assert (first.state, second.state) == (State.APPROVED, State.PENDING)
    assert use(the, first).state == State.EXECUTING


def test_grants_beyond_a_lowered_limit_do_not_block_each_other_for_good() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP, window_count=2)
    first, second = the.propose(), the.propose()
    terms(the, window_count=1)
    assert use(the, first).state == State.EXECUTING
    with pytest.raises(LimitReached):
        use(the, second)


@pytest.mark.parametrize("status", ["succeeded", "failed", "unknown"])
def test_no_report_gives_a_limit_back(status: str) -> None:
    the = desk(Tier.OUT_OF_THE_LOOP, window_count=1)
    proposal = the.propose()
    use(the, proposal)
    report.report(
        proposal_id=proposal.pk, agent=the.agent, request=OutcomeRequest(status=status)  # type: ignore[arg-type]
    )  # fmt: skip
    assert the.propose().state == State.PENDING


def test_the_digest_is_compared_and_another_agents_proposal_does_not_exist() -> None:
    other = desk()
    foreign = other.approved()
    the = desk()
    proposal = the.approved()
    with pytest.raises(DigestMismatch) as refusal:
        redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=foreign.digest)
    assert refusal.value.extra == {"approved": proposal.digest}
    with pytest.raises(NotFound):
        redeem(proposal_id=foreign.pk, bearer=the.bearer, digest=foreign.digest)
    with pytest.raises(NotFound):
        redeem(proposal_id=foreign.pk, bearer=the.bearer, digest=proposal.digest)


def test_advisory_gives_no_grant() -> None:
    the = desk(Tier.ADVISORY)
    proposal = the.approved()
    assert (now(proposal).state, Grant.objects.count()) == (State.APPROVED, 0)
    with pytest.raises(GrantRefused, match="advisory"):
        use(the, proposal)


def test_a_grant_signed_before_a_rotation_is_good_and_an_old_key_goes() -> None:
    the = desk()
    proposal = the.approved()
    token = Grant.objects.get().token
    rotate_key()
    assert use(the, proposal, token=token).state == State.EXECUTING
    later = the.approved()
    assert now(later).grant.token.split(".")[0] != token.split(".")[0]
    assert len(keys.published()) == 2
    SigningKey.objects.exclude(retired_at=None).update(retired_at=timezone.now() - timedelta(days=2))
    assert [key["kid"] for key in keys.published()] == [SigningKey.objects.get(retired_at=None).kid]


# Reports


def running(the: Desk) -> Proposal:
    proposal = the.approved()
    return use(the, proposal)


@pytest.mark.parametrize(
    "result",
    [
        None,
        {"a": 1e3},
        {"a": 1.0, "b": [True, None, 0.1]},
        {"a": 123456789.125},
        "é",
        [],
        5e-324,
        {"a": 1e-7},
    ],
    ids=str,
)
def test_the_same_report_again_is_answered(result: Any) -> None:
    the = desk()
    proposal = running(the)
    request = OutcomeRequest(
        status="succeeded",
        result=result,
        external_id="x",
        cost=0.1,
        occurred_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    )
    report.report(proposal_id=proposal.pk, agent=the.agent, request=request)
    assert report.report(proposal_id=proposal.pk, agent=the.agent, request=request).state == "succeeded"
    assert Outcome.objects.count() == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"status": "failed"},
        {"result": {"a": 2}},
        {"result": {"a": True}},
        {"external_id": "y"},
        {"cost": 0.2},
        {"cost": None},
        {"occurred_at": None},
    ],
    ids=str,
)
def test_another_report_is_refused(changed: dict[str, Any]) -> None:
    the = desk()
    proposal = running(the)
    values: dict[str, Any] = {
        "status": "succeeded",
        "result": {"a": 1},
        "external_id": "x",
        "cost": 0.1,
        "occurred_at": datetime(2026, 1, 2, tzinfo=UTC),
    }
    report.report(proposal_id=proposal.pk, agent=the.agent, request=OutcomeRequest(**values))
    with pytest.raises(WrongState):
        report.report(
            proposal_id=proposal.pk, agent=the.agent, request=OutcomeRequest(**{**values, **changed})
        )
    assert Outcome.objects.get().status == "succeeded"


def test_only_what_was_redeemed_has_an_outcome() -> None:
    other, the = desk(), desk()
    proposal = the.approved()
    for agent, error in ((the.agent, WrongState), (other.agent, NotFound)):
        with pytest.raises(error):
            report.report(proposal_id=proposal.pk, agent=agent, request=OutcomeRequest(status="succeeded"))
    assert not Outcome.objects.exists()


def test_a33_an_unknown_outcome_never_runs_again_and_a_person_settles_it() -> None:
    the = desk()
    proposal = running(the)
    expire.mark_unknown(now=timezone.now() + timedelta(minutes=61))
    assert now(proposal).state == State.UNKNOWN
    with pytest.raises(GrantRefused):
        use(the, proposal)
    with pytest.raises(WrongState):
        report.report(proposal_id=proposal.pk, agent=the.agent, request=OutcomeRequest(status="succeeded"))
    report.settle(proposal_id=proposal.pk, person=the.reviewer, status="failed", note="asked the bank")
    assert (now(proposal).state, Outcome.objects.get().settled_by) == (State.FAILED, the.reviewer)
    with pytest.raises(WrongState):
        report.settle(proposal_id=proposal.pk, person=the.reviewer, status="succeeded", note="")


def test_only_an_unknown_outcome_is_settled() -> None:
    the = desk()
    proposal = running(the)
    with pytest.raises(WrongState):
        report.settle(proposal_id=proposal.pk, person=the.reviewer, status="succeeded", note="")
    assert now(proposal).state == State.EXECUTING


def test_who_only_looks_settles_nothing() -> None:
    the = desk()
    proposal = running(the)
    expire.mark_unknown(now=timezone.now() + timedelta(minutes=61))
    auditor = person()
    assign_role(Role.AUDITOR, to=auditor)
    with pytest.raises(NotAllowed):
        report.settle(proposal_id=proposal.pk, person=auditor, status="failed", note="")
    with pytest.raises(NotFound):
        report.settle(proposal_id=proposal.pk, person=person(), status="failed", note="")
    with pytest.raises(Invalid):
        report.settle(proposal_id=proposal.pk, person=the.reviewer, status="unknown", note="")
    assert now(proposal).state == State.UNKNOWN


# Suspension


def test_suspension_takes_back_what_has_not_begun_and_resuming_gives_nothing_back() -> None:
    the = desk(Tier.ON_THE_LOOP)
    scheduled = the.propose()
    terms(the, veto_seconds=0)
    granted, begun = the.propose(), the.propose()
    use(the, begun)
    terms(the, max_amount=Decimal(1))
    waiting = the.propose()
    suspend.suspend(agent_id=the.agent.pk, actor=admin(), reason="odd")
    suspend.suspend(agent_id=the.agent.pk, actor=admin(), reason="odd")
    suspend.resume(agent_id=the.agent.pk, actor=admin(), reason="fine")
    assert [now(one).state for one in (scheduled, granted, begun, waiting)] == [
        "rejected",
        "revoked",
        "executing",
        "pending",
    ]
    with pytest.raises(GrantRefused):
        use(the, granted)
    report.report(proposal_id=begun.pk, agent=the.agent, request=OutcomeRequest(status="succeeded"))


def test_a_retired_agent_proposes_nothing_and_does_not_come_back() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    suspend.suspend(agent_id=the.agent.pk, actor=the.agent.owner, reason="old", retire=True)
    assert the.propose().state == State.DENIED
    with pytest.raises(DomainError):
        suspend.resume(agent_id=the.agent.pk, actor=admin(), reason="")
    with pytest.raises(AgentNotLive):
        credentials.issue(agent_id=the.agent.pk, actor=admin())


def test_only_managers_stop_an_agent() -> None:
    the = desk()
    for one in (the.reviewer, person()):
        with pytest.raises(NotAllowed):
            suspend.suspend(agent_id=the.agent.pk, actor=one, reason="")
    assert Agent.objects.get(pk=the.agent.pk).state == AgentState.LIVE


def test_arguments_of_a_grant_are_those_that_were_shown() -> None:
    """The bytes under the digest are the stored ones, whatever order they were sent in."""
    the = desk()
    proposal = the.approved(arguments=dict(reversed(ARGUMENTS.items())))
    assert bytes(proposal.current_revision.canonical) == (
        b'{"amount":42.5,"order_id":"A-1001","reason":"damaged"}'
    )
