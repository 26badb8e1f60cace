"""What the agent may still do with an open proposal: withdraw it, or revise it after a reviewer's question."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from agents.exceptions import AgentNotLive
from agents.models import Agent, AgentState
from approvals import canonical, states, transitions
from approvals.exceptions import PolicyRefused, WrongState
from approvals.models import Proposal
from approvals.services import decide
from approvals.states import State


def withdraw(*, proposal_id: UUID, agent: Agent, reason: str) -> Proposal:
    """Take an undecided proposal back. Withdrawing twice is answered as the first time."""
    with transaction.atomic(durable=True):
        proposal = transitions.locked(proposal_id, agent_id=agent.pk)
        if proposal.state == State.WITHDRAWN:
            return proposal
        if proposal.state not in states.OPEN:
            raise WrongState(
                f"The proposal is {State(proposal.state).label.lower()}; it can no longer be withdrawn."
            )
        transitions.apply(
            proposal, State.WITHDRAWN, actor=agent.actor(), at=timezone.now(), detail={"reason": reason}
        )
    return proposal


def revise(*, proposal_id: UUID, agent: Agent, arguments: dict[str, Any], reply: str) -> Proposal:
    """Answer a returned proposal with new arguments; it is routed again and goes back to reviewers."""
    with transaction.atomic(durable=True):
        proposal = transitions.locked(proposal_id, agent_id=agent.pk)
        content = canonical.arguments_bytes(arguments)
        if proposal.state == State.PENDING and proposal.revision > 1:
            latest = proposal.current_revision
            if latest.editor_id is None and bytes(latest.canonical) == content and latest.reply == reply:
                return proposal
        if proposal.state != State.RETURNED:
            raise WrongState(
                f"The proposal is {State(proposal.state).label.lower()}; only a returned one is revised."
            )
        if proposal.agent.state != AgentState.LIVE:
            raise AgentNotLive(f"The agent is {proposal.agent.state}.")
        decide.check_arguments(proposal, arguments)
        now = timezone.now()
        route = decide.route_again(proposal, arguments, now)
        if route.state == State.DENIED:
            raise PolicyRefused(route.reasons[-1].detail, rule=route.reasons[-1].rule)
        decide.add_revision(proposal, content, editor=None, reply=reply, at=now)
        decide.apply_route(proposal, route)
        assert proposal.queue is not None
        proposal.due_at = now + timedelta(minutes=proposal.queue.due_minutes)
        proposal.expires_at = now + timedelta(minutes=proposal.queue.expires_minutes)
        transitions.apply(
            proposal,
            State.PENDING,
            actor=agent.actor(),
            at=now,
            detail={"reply": reply},
            fields=(*decide.REVISED_FIELDS, "due_at", "expires_at"),
        )
    return proposal
