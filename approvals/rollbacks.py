"""What becomes of a request to undo an action: steps of the use cases that touch the action or its compensation.

A compensation is a proposal of the action type that undoes the parent's (`reversible_by`), by the same agent and with
`parent_id`. It is named in the request when it comes in, routed as any proposal, and rolls the parent back when it
succeeds. One that comes to nothing leaves the request open: the agent may propose another."""

from datetime import datetime

from django.db.models import Q

from agents.models import AgentState, Mandate
from approvals import notifications, states, transitions
from approvals.models import Proposal, RollbackRequest
from approvals.notifications import Topic
from approvals.states import State
from audit.events import Kind

UNDER_WAY = sorted(states.OPEN | {State.APPROVED, State.EXECUTING, State.UNKNOWN, State.SUCCEEDED})
"""States in which a compensation may still undo, or has undone, what it was made for."""


def unanswered() -> Q:
    """Proposals whose rollback somebody waits for while the agent has nothing under way: a filter on proposals."""
    return Q(rollback_request__isnull=False, state=State.SUCCEEDED) & (
        Q(rollback_request__compensation=None) | ~Q(rollback_request__compensation__state__in=UNDER_WAY)
    )


def of(parent: Proposal) -> RollbackRequest | None:
    """The request to undo this proposal, with its compensation."""
    requests = RollbackRequest.objects.select_related("compensation", "asked_by")
    return requests.filter(proposal=parent).first()


def under_way(parent: Proposal) -> Proposal | None:
    """The agent's latest proposal that would undo a locked one."""
    undoing = Proposal.objects.filter(
        parent=parent,
        agent_id=parent.agent_id,
        action_type_id=parent.action_type.reversible_by_id,
        state__in=UNDER_WAY,
    )
    return undoing.order_by("-id").first()


def hindrance(parent: Proposal) -> str:
    """Why the agent could not answer as things are, in a sentence; empty where it can."""
    undoing = parent.action_type.reversible_by
    if parent.agent.state != AgentState.LIVE:
        state = parent.agent.get_state_display().lower()
        return f"{parent.agent.name} is {state}: it can answer only once it is live again."
    mandates = Mandate.objects.filter(agent_id=parent.agent_id, action_type=undoing, active=True)
    if undoing is not None and not mandates.exists():
        return f"{parent.agent.name} has no mandate for “{undoing.label}”: give it one, or undo it by hand."
    return ""


def link(compensation: Proposal, *, at: datetime) -> None:
    """A step: a proposal that has just come in answers what was asked for.

    The parent is locked before the request is looked for, so that a request made at this very moment either is found
    or finds the compensation (`under_way`)."""
    if compensation.parent_id is None:
        return
    undone = Proposal.objects.filter(action_type__reversible_by=compensation.action_type_id)
    if not undone.filter(pk=compensation.parent_id).exists():
        return
    parent = transitions.locked(compensation.parent_id, agent_id=compensation.agent_id)
    request = of(parent)
    if request is None or parent.state != State.SUCCEEDED:
        return
    if request.compensation is not None and request.compensation.state in UNDER_WAY:
        return
    answer(parent, request, compensation, at=at)
    if compensation.state in UNDER_WAY:  # of what the policy denied he hears as of any that came to nothing
        _tell(
            request,
            f"{parent.agent.name} proposes what undoes it: {compensation.title}",
            f"answered:{compensation.pk}",
            compensation,
        )


def answer(parent: Proposal, request: RollbackRequest, compensation: Proposal, *, at: datetime) -> None:
    """A step: this is the proposal by which the agent means to undo a locked one."""
    request.compensation = compensation
    request.save(update_fields=["compensation"])
    transitions.noted(
        parent,
        kind=Kind.ROLLBACK_ANSWERED,
        actor=compensation.agent.actor(),
        at=at,
        detail={"proposal": str(compensation.pk)},
    )


def done(parent: Proposal, compensation: Proposal) -> bool:
    """A step: the parent was rolled back just now. Whether somebody had asked for it; he is told."""
    request = of(parent)
    if request is None:
        return False
    request.compensation = compensation
    request.save(update_fields=["compensation"])
    _tell(request, f"Rolled back as you asked: {parent.title}", f"done:{parent.pk}", parent)
    return True


def _tell(request: RollbackRequest, text: str, key: str, about: Proposal) -> None:
    notifications.tell(
        [request.asked_by_id], topic=Topic.ROLLBACK, text=text, key=f"rollback-{key}", proposal=about
    )
