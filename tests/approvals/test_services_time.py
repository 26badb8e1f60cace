"""What time alone changes: the same result once, however late, often or at once the task runs."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.autonomy import Tier
from agents.models import Evidence, Mandate
from agents.services import mandates
from agents.services.mandates import Terms
from approvals import grants, tasks
from approvals.models import Claim, Decision, Grant, Outcome, Proposal, Verdict
from approvals.services import amend, claim, expire, redeem, suspend
from approvals.states import State
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, earned

pytestmark = pytest.mark.django_db


def terms(the: Desk, **changed: Any) -> None:
    values = {**mandates.as_terms(Mandate.objects.get(pk=the.mandate.pk)).__dict__, **changed}
    mandates.save(
        agent_id=the.agent.pk, action_type=the.action_type.name, terms=Terms(**values), actor=admin()
    )


def state(proposal: Proposal) -> str:
    return Proposal.objects.get(pk=proposal.pk).state


def at(**delta: float) -> datetime:
    return timezone.now() + timedelta(**delta)


def test_undecided_proposals_expire_once_and_not_before() -> None:
    the = desk()
    waiting, asked = the.propose(expires_in=60), the.propose(expires_in=60)
    the.decide(asked, Verdict.RETURN)
    decided = the.approved(expires_in=60)
    assert expire.expire_undecided(now=at(seconds=58)) == 0
    assert expire.expire_undecided(now=at(days=9)) == 2
    assert expire.expire_undecided(now=at(days=9)) == 0
    assert [state(one) for one in (waiting, asked, decided)] == ["expired", "expired", "approved"]
    assert AuditEvent.objects.filter(kind="proposal.expired").count() == 2


def test_expiry_ends_a_claim() -> None:
    the = desk()
    proposal = the.propose(expires_in=60)
    claim.claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    expire.expire_undecided(now=at(days=9))
    assert Claim.objects.get().ended_by == "expired"
    assert Proposal.objects.get().claimed_by is None


def test_a_window_opens_closes_and_issues_one_grant() -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=60)
    proposal = the.propose()
    assert (proposal.state, proposal.tier, proposal.queue) == (State.SCHEDULED, "on_the_loop", the.queue)
    assert expire.close_veto_windows(now=at(seconds=58)) == 0
    assert expire.close_veto_windows(now=at(days=1)) == 1
    assert expire.close_veto_windows(now=at(days=1)) == 0
    decision = Decision.objects.get()
    assert (state(proposal), decision.kind, decision.reason) == ("approved", "policy", "tier")
    assert Grant.objects.count() == 1
    assert not Evidence.objects.exists()


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_veto_stands_whether_the_window_has_passed_or_not(by_hand: bool) -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=60)
    proposal = the.propose()
    if by_hand:
        Proposal.objects.update(effective_at=at(seconds=-5))
    the.decide(proposal, Verdict.VETO)
    assert expire.close_veto_windows(now=at(days=1)) == 0
    assert state(proposal) == "rejected"
    one = Evidence.objects.get()
    assert (one.basis, one.verdict, float(one.loss), one.probability, one.tier) == (
        "veto",
        "veto",
        1.0,
        1.0,
        "on_the_loop",
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"active": False}, "mandate_withdrawn"),
        ({"tier": "in_the_loop"}, "tier_lowered"),
        ({"tier": "advisory"}, "tier_lowered"),
        ({"tier": "in_the_loop", "ceiling": "in_the_loop"}, "tier_lowered"),
    ],
    ids=str,
)
def test_a_window_does_not_outlive_the_authority_that_opened_it(changed: dict[str, Any], reason: str) -> None:
    the = desk(Tier.ON_THE_LOOP)
    proposal = the.propose()
    terms(the, **changed)
    expire.close_veto_windows(now=at(days=1))
    decision = Decision.objects.get()
    assert (state(proposal), decision.verdict, decision.reason) == ("rejected", "reject", reason)
    assert not Grant.objects.exists()
    assert not Evidence.judgements().exists()


def test_a_suspended_agents_windows_end_in_rejection() -> None:
    the = desk(Tier.ON_THE_LOOP)
    proposal = the.propose()
    suspend.suspend(agent_id=the.agent.pk, actor=admin(), reason="odd")
    assert state(proposal) == "rejected"
    assert expire.close_veto_windows(now=at(days=1)) == 0


def test_grants_lapse_and_what_was_redeemed_does_not() -> None:
    the = desk()
    unused, used = the.approved(), the.approved()
    redeem.redeem(proposal_id=used.pk, bearer=the.bearer, digest=used.digest)
    assert expire.lapse_grants(now=at(seconds=290)) == 0
    assert expire.lapse_grants(now=at(days=1)) == 1
    assert expire.lapse_grants(now=at(days=1)) == 0
    assert (state(unused), state(used)) == ("lapsed", "executing")


def test_an_advisory_approval_does_not_lapse() -> None:
    the = desk(Tier.ADVISORY)
    proposal = the.approved()
    tasks.tick()
    assert expire.lapse_grants(now=at(days=99)) == 0
    assert state(proposal) == "approved"


def test_silence_after_redemption_becomes_unknown_once() -> None:
    the = desk()
    proposal = the.approved()
    redeem.redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=proposal.digest)
    assert expire.mark_unknown(now=at(minutes=59)) == 0
    assert expire.mark_unknown(now=at(minutes=61)) == 1
    assert expire.mark_unknown(now=at(minutes=61)) == 0
    assert (state(proposal), Outcome.objects.get().status) == ("unknown", "unknown")


def test_leases_run_out_and_a_renewed_one_does_not() -> None:
    the = desk()
    left, renewed = the.propose(), the.propose()
    claim.claim(proposal_id=left.pk, reviewer=the.reviewer)
    claim.claim(proposal_id=renewed.pk, reviewer=the.reviewer)
    Proposal.objects.filter(pk=left.pk).update(claimed_until=at(seconds=-1))
    assert claim.release_run_out(now=timezone.now()) == 1
    assert claim.release_run_out(now=timezone.now()) == 0
    assert Proposal.objects.get(pk=left.pk).claimed_by is None
    assert Proposal.objects.get(pk=renewed.pk).claimed_by == the.reviewer
    assert list(Claim.objects.order_by("id").values_list("ended_by", flat=True)) == ["run_out", ""]


def test_a_lease_that_ran_out_is_taken_over() -> None:
    the = desk()
    proposal = the.propose()
    claim.claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    Proposal.objects.update(claimed_until=at(seconds=-1))
    claim.claim(proposal_id=proposal.pk, reviewer=the.second)
    assert list(Claim.objects.order_by("id").values_list("reviewer", "ended_by")) == [
        (the.reviewer.pk, "taken_over"),
        (the.second.pk, ""),
    ]


def test_a_fault_in_one_row_or_step_does_not_stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signing key that cannot be opened keeps windows from closing; expiry must not wait for it."""
    the = desk(Tier.ON_THE_LOOP, veto_seconds=60)
    broken, sound = the.propose(), the.propose()
    terms(the, tier="in_the_loop", ceiling="on_the_loop")
    undecided = the.propose()
    earned(the.mandate, Tier.ON_THE_LOOP)
    Proposal.objects.filter(pk__in=[broken.pk, sound.pk]).update(effective_at=at(seconds=-1))
    Proposal.objects.filter(pk=undecided.pk).update(expires_at=at(seconds=-1))
    issue = grants.issue

    def fail(proposal: Proposal, *args: Any, **kwargs: Any) -> Grant:
        if proposal.pk == broken.pk:
            raise RuntimeError("the key cannot be opened")
        return issue(proposal, *args, **kwargs)

    monkeypatch.setattr(grants, "issue", fail)
    with pytest.raises(RuntimeError, match="cannot be opened"):
        tasks.tick()
    assert [state(one) for one in (broken, sound, undecided)] == ["scheduled", "approved", "expired"]
    assert not Decision.objects.filter(proposal=broken).exists()
    monkeypatch.undo()
    tasks.tick()
    assert state(broken) == "approved"


def test_revising_gives_the_time_to_decide_anew() -> None:
    the = desk()
    proposal = the.propose(expires_in=60)
    the.decide(proposal, Verdict.RETURN)
    amend.revise(proposal_id=proposal.pk, agent=the.agent, arguments={"order_id": "B", "amount": 1}, reply="")
    assert expire.expire_undecided(now=at(minutes=5)) == 0
    assert state(proposal) == "pending"
