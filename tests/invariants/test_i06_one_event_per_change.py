"""I6: exactly one audit event per state change. Every transition of the table is walked by its use case."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from agents.autonomy import Tier
from agents.services import action_types, mandates
from approvals import states, transitions
from approvals.exceptions import WrongState
from approvals.models import Proposal, Verdict
from approvals.services import amend, expire, redeem, report, suspend
from approvals.services.deactivate import deactivate
from approvals.states import State
from audit import recording
from audit.events import Target, system
from audit.models import AuditEvent
from audit.recording import OutsideTransaction
from tests.factories import ARGUMENTS, Desk, action_type, admin, desk, policy
from tests.invariants.calls import AgentCalls, history

pytestmark = pytest.mark.django_db(transaction=True)

LATER = timedelta(days=30)


def pending(the: Desk) -> Proposal:
    return the.propose()


def returned(the: Desk) -> Proposal:
    return the.decide(pending(the), Verdict.RETURN).proposal


def scheduled(the: Desk) -> Proposal:
    return desk(Tier.ON_THE_LOOP).propose()


def vetoable() -> tuple[Desk, Proposal]:
    the = desk(Tier.ON_THE_LOOP)
    return the, the.propose()


def approved(the: Desk) -> Proposal:
    return the.approved()


def executing(the: Desk) -> Proposal:
    proposal = approved(the)
    return redeem.redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=proposal.digest)


def unknown(the: Desk) -> Proposal:
    proposal = executing(the)
    AgentCalls(the).do(proposal.pk, "outcome", status="unknown")
    return proposal


def settled(the: Desk, status: str) -> Proposal:
    proposal = unknown(the)
    report.settle(proposal_id=proposal.pk, person=the.reviewer, status=status, note="")
    return proposal


def rolled_back(the: Desk) -> Proposal:
    """A compensating proposal, of the type that undoes the first one's, succeeds."""
    undo = action_type("undo_refund")
    action_types.save(
        definition=replace(action_types.as_definition(the.action_type), reversible_by=undo.name),
        actor=admin(),
    )
    mandates.save(agent_id=the.agent.pk, action_type=undo.name, terms=mandates.Terms(), actor=admin())
    first = outcome(the, "succeeded")
    undoing = replace(the, action_type=undo).approved(parent_id=first.pk)
    redeem.redeem(proposal_id=undoing.pk, bearer=the.bearer, digest=undoing.digest)
    AgentCalls(the).do(undoing.pk, "outcome", status="succeeded")
    return first


def after(proposal: Proposal, step: Callable[..., object], *args: object, **values: object) -> Proposal:
    step(*args, **values)
    return proposal


def veto(the: Desk) -> Proposal:
    the, proposal = vetoable()
    return the.decide(proposal, Verdict.VETO).proposal


def withdrawn(the: Desk, proposal: Proposal) -> Proposal:
    return amend.withdraw(proposal_id=proposal.pk, agent=proposal.agent, reason="")


def left(proposal: Proposal) -> Proposal:
    deactivate(person_id=proposal.agent.owner_id, actor=admin())
    return proposal


def revised(the: Desk) -> Proposal:
    proposal = returned(the)
    AgentCalls(the).do(proposal.pk, "revise", arguments=ARGUMENTS, reply="r")
    return proposal


def stopped(the: Desk) -> Proposal:
    proposal = approved(the)
    suspend.suspend(agent_id=the.agent.pk, actor=admin(), reason="odd")
    return proposal


def outcome(the: Desk, status: str) -> Proposal:
    proposal = executing(the)
    AgentCalls(the).do(proposal.pk, "outcome", status=status)
    return proposal


def now() -> dict[str, object]:
    return {"now": timezone.now() + LATER}


WALKS: dict[tuple[State, State], Callable[[Desk], Proposal]] = {
    (State.PENDING, State.APPROVED): approved,
    (State.PENDING, State.REJECTED): lambda the: the.decide(pending(the), Verdict.REJECT).proposal,
    (State.PENDING, State.RETURNED): returned,
    (State.PENDING, State.EXPIRED): lambda the: after(pending(the), expire.expire_undecided, **now()),
    (State.PENDING, State.WITHDRAWN): lambda the: withdrawn(the, pending(the)),
    (State.RETURNED, State.PENDING): revised,
    (State.RETURNED, State.EXPIRED): lambda the: after(returned(the), expire.expire_undecided, **now()),
    (State.RETURNED, State.WITHDRAWN): lambda the: withdrawn(the, returned(the)),
    (State.SCHEDULED, State.APPROVED): lambda the: after(scheduled(the), expire.close_veto_windows, **now()),
    (State.SCHEDULED, State.REJECTED): veto,
    (State.SCHEDULED, State.WITHDRAWN): lambda the: withdrawn(the, scheduled(the)),
    (State.SCHEDULED, State.PENDING): lambda the: left(scheduled(the)),
    (State.APPROVED, State.EXECUTING): executing,
    (State.APPROVED, State.LAPSED): lambda the: after(approved(the), expire.lapse_grants, **now()),
    (State.APPROVED, State.REVOKED): stopped,
    (State.EXECUTING, State.SUCCEEDED): lambda the: outcome(the, "succeeded"),
    (State.EXECUTING, State.FAILED): lambda the: outcome(the, "failed"),
    (State.EXECUTING, State.UNKNOWN): lambda the: after(executing(the), expire.mark_unknown, **now()),
    (State.UNKNOWN, State.SUCCEEDED): lambda the: settled(the, "succeeded"),
    (State.UNKNOWN, State.FAILED): lambda the: settled(the, "failed"),
    (State.SUCCEEDED, State.ROLLED_BACK): lambda the: rolled_back(the),
}


def test_every_transition_of_the_table_is_walked() -> None:
    assert set(WALKS) == set(states.TRANSITIONS)


@pytest.mark.parametrize("step", WALKS, ids=lambda step: f"{step[0]}-{step[1]}")
def test_a_transition_writes_one_event(step: tuple[State, State]) -> None:
    proposal = WALKS[step](desk())
    kinds = history(proposal.pk)
    assert kinds[-1] == str(step[1])
    event = AuditEvent.objects.get(object_id=str(proposal.pk), object_version=len(kinds))
    assert (event.data["before"]["state"], event.data["after"]["state"]) == (str(step[0]), str(step[1]))
    assert event.transaction > 0
    assert event.recorded_at is not None


@pytest.mark.parametrize(
    ("tier", "state"),
    [
        (Tier.IN_THE_LOOP, "pending"),
        (Tier.ON_THE_LOOP, "scheduled"),
        (Tier.OUT_OF_THE_LOOP, "approved"),
        (None, "denied"),
    ],
)
def test_a_beginning_writes_one_event(tier: Tier | None, state: str) -> None:
    the = desk(tier or Tier.IN_THE_LOOP)
    if tier is None:
        policy([{"name": "no", "when": "true", "deny": "No."}], the.queue)
    assert history(AgentCalls(the).propose(key="k").body["id"]) == [state]
    answer = AgentCalls(the).propose(key="k")
    assert (answer.status, history(answer.body["id"])) == (200, [state])


def test_an_edit_writes_one_event_and_a_final_one() -> None:
    the = desk()
    policy([{"name": "two", "when": "true", "review": {"quorum": 2}}], the.queue)
    proposal = the.propose()
    the.decide(proposal, Verdict.EDIT, arguments={**ARGUMENTS, "amount": 1})
    the.decide(proposal, Verdict.APPROVE, by=the.second)
    assert history(proposal.pk) == ["pending", "edited", "approved"]


def test_the_event_names_actor_and_request() -> None:
    the = desk()
    proposal = AgentCalls(the).propose(key="k").body["id"]
    data = AuditEvent.objects.get(object_id=proposal).data
    assert data["actor"] == {"kind": "agent", "id": str(the.agent.pk), "label": the.agent.slug}
    assert data["source"]["address"] == "127.0.0.1"
    assert len(data["source"]["request_id"]) == 32


def test_no_event_is_written_outside_a_transaction() -> None:
    with pytest.raises(OutsideTransaction):
        recording.record(actor=system("test"), kind="test", target=Target("proposal", "1"))


def test_a_second_event_for_one_version_is_refused_by_the_database() -> None:
    the = desk()
    proposal = the.propose()
    with pytest.raises(IntegrityError, match="one_audit_event_per_state_change"), transaction.atomic():
        recording.record(actor=system("test"), kind="x", target=Target("proposal", str(proposal.pk), 1))


def test_a_change_without_the_lock_fails_loudly() -> None:
    the = desk()
    stale = the.propose()
    the.decide(stale, Verdict.REJECT)
    with pytest.raises(WrongState, match="changed meanwhile"), transaction.atomic():
        transitions.apply(stale, State.APPROVED, actor=system("test"), at=timezone.now())
    assert history(stale.pk) == ["pending", "rejected"]
