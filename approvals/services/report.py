"""Report: what happened after acting. The first report stands; an unknown outcome is settled by a person."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import rfc8785
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.exceptions import Invalid
from accounts.models import User
from agents.models import Agent, Mandate
from approvals import judging, permissions, rollbacks, transitions
from approvals.exceptions import WrongState
from approvals.models import ExecutorCall, Outcome, Proposal
from approvals.requests import OutcomeRequest
from approvals.states import State
from audit.events import Actor, system

_STATE = {"succeeded": State.SUCCEEDED, "failed": State.FAILED, "unknown": State.UNKNOWN}


def report(*, proposal_id: UUID, agent: Agent, request: OutcomeRequest) -> Proposal:
    """Record the agent's report. The same report again is answered, another one refused (`WrongState`), and so is one
    about what Countersign itself has carried out."""
    with transaction.atomic(durable=True):
        _lock_mandates(proposal_id, agent=agent)
        proposal = transitions.locked(proposal_id, agent_id=agent.pk)
        occurred_at = _in_utc(request.occurred_at)
        earlier = Outcome.objects.filter(proposal=proposal).first()
        if earlier is not None and _same(earlier, request, occurred_at):
            return proposal
        if proposal.state != State.EXECUTING:
            raise WrongState(
                f"The proposal is {State(proposal.state).label.lower()}; only what was redeemed has an outcome."
            )
        if ExecutorCall.objects.filter(proposal=proposal).exists():
            raise WrongState("Countersign carries this out itself and reports what became of it.")
        _record(proposal, request, actor=agent.actor(), occurred_at=occurred_at)
    return proposal


def report_of_executor(
    *,
    proposal_id: UUID,
    attempt: int,
    request: OutcomeRequest,
    status: int | None,
    said: str,
    counts: bool = True,
) -> bool:
    """End the call of a proposal that Countersign itself has carried out, and record what became of it, unless time or
    a person has meanwhile. Returns False, and changes nothing, where another attempt than `attempt` is under way by
    now: its answer is the one that counts. `counts`: a failure says something of the agent; a network that was down
    does not."""
    with transaction.atomic(durable=True):
        _lock_mandates(proposal_id)
        proposal = transitions.locked(proposal_id)
        ended = ExecutorCall.objects.filter(proposal=proposal, attempts=attempt, ended_at=None).update(
            ended_at=timezone.now(), leased_until=None, status=status, said=said
        )
        if not ended:
            return False
        if proposal.state == State.EXECUTING:
            actor = system("executor")
            occurred_at = _in_utc(request.occurred_at)
            _record(proposal, request, actor=actor, occurred_at=occurred_at, counts=counts)
        return True


def _record(
    proposal: Proposal,
    request: OutcomeRequest,
    *,
    actor: Actor,
    occurred_at: datetime | None,
    counts: bool = True,
) -> None:
    now = timezone.now()
    Outcome.objects.create(
        proposal=proposal,
        status=request.status,
        result=request.result,
        external_id=request.external_id,
        cost=_cost(request),
        occurred_at=occurred_at,
        reported_at=now,
    )
    transitions.apply(
        proposal,
        _STATE[request.status],
        actor=actor,
        at=now,
        detail={"status": request.status, "external_id": proposal.said(request.external_id)},
    )
    if proposal.state == State.FAILED and counts:
        judging.failed(proposal, at=now, why="failed")
    _roll_back_parent(proposal, actor=actor, at=now)


def settle(*, proposal_id: UUID, person: User, status: str, note: str) -> Proposal:
    """A person who sees the proposal says what really happened after an unknown outcome."""
    with transaction.atomic(durable=True):
        _lock_mandates(proposal_id)
        proposal = transitions.locked(proposal_id)
        permissions.check_can_see(person, proposal)
        permissions.check_can_settle(person, proposal)
        if status not in (Outcome.Status.SUCCEEDED, Outcome.Status.FAILED):
            raise Invalid(
                "An unknown outcome is settled as succeeded or failed.",
                errors=[{"field": "status", "message": "must be succeeded or failed"}],
            )
        if proposal.state != State.UNKNOWN:
            raise WrongState(
                f"The proposal is {State(proposal.state).label.lower()}; there is nothing to settle."
            )
        now = timezone.now()
        transitions.apply(
            proposal,
            _STATE[status],
            actor=person.actor(),
            at=now,
            detail={"status": status, "note": proposal.said(note)},
        )
        Outcome.objects.filter(proposal=proposal).update(status=status, settled_by=person, reported_at=now)
        if proposal.state == State.FAILED:
            judging.failed(proposal, at=now, why="failed")
        _roll_back_parent(proposal, actor=person.actor(), at=now)
    return proposal


def _lock_mandates(proposal_id: UUID, **own: Agent) -> None:
    """Its mandate and its parent's, whose evidence its success may change, in one order for all who need both."""
    family = Proposal.objects.filter(Q(pk=proposal_id) | Q(children=proposal_id), **own)
    keys = list(family.values_list("agent_id", "action_type_id"))
    mandates = Mandate.objects.filter(
        agent_id__in={agent_id for agent_id, _ in keys}, action_type_id__in={kind_id for _, kind_id in keys}
    )
    list(mandates.select_for_update(of=("self",), no_key=True).order_by("pk").values_list("pk"))


def _roll_back_parent(proposal: Proposal, *, actor: Actor, at: datetime) -> None:
    """A step: what its action type's `reversible_by` has undone, as the parent's compensation, is rolled back."""
    if proposal.state != State.SUCCEEDED or proposal.parent_id is None:
        return
    parent = transitions.locked(proposal.parent_id)
    undoes = parent.action_type.reversible_by_id == proposal.action_type_id
    if undoes and parent.state == State.SUCCEEDED:
        transitions.apply(parent, State.ROLLED_BACK, actor=actor, at=at, detail={"by": str(proposal.pk)})
        if rollbacks.done(parent, proposal):
            judging.failed(parent, at=at, why="rolled_back")


def _in_utc(time: datetime | None) -> datetime | None:
    """The database knows neither offsets beyond ±15:59 nor years outside 1 to 9999."""
    if time is None:
        return None
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise Invalid(
            "The time was refused.",
            errors=[{"field": "/occurred_at", "message": "must be in the years 1 to 9999 in UTC"}],
        ) from error


def _same(earlier: Outcome, request: OutcomeRequest, occurred_at: datetime | None) -> bool:
    """Whether it says the same. Results are compared in canonical form: jsonb gives 1e3 back as 1000."""
    return (
        earlier.status == request.status
        and earlier.external_id == request.external_id
        and earlier.cost == _cost(request)
        and earlier.occurred_at == occurred_at
        and rfc8785.dumps(earlier.result) == rfc8785.dumps(request.result)
    )


def _cost(request: OutcomeRequest) -> Decimal | None:
    return None if request.cost is None else Decimal(str(request.cost)).quantize(Decimal("0.000001"))
