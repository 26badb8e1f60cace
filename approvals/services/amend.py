"""What the agent may still do with an open proposal: withdraw it, or revise it after a reviewer's question."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from agents.exceptions import AgentNotLive
from agents.models import Agent, AgentState
from approvals import canonical, deadlines, notifications, revising, routing, states, transitions
from approvals.exceptions import PolicyRefused, WrongState
from approvals.models import Decision, HeldBallot, Proposal, Verdict
from approvals.notifications import Topic
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
        _drop_held(proposal)
        transitions.apply(
            proposal,
            State.WITHDRAWN,
            actor=agent.actor(),
            at=timezone.now(),
            detail={"reason": proposal.said(reason)},
        )
    return proposal


def _drop_held(proposal: Proposal) -> None:
    """A verdict that its undo window still held back comes to nothing; its reviewer is told."""
    held = HeldBallot.objects.filter(proposal=proposal).first()
    if held is None:
        return
    held.delete()
    notifications.tell(
        [held.reviewer_id],
        topic=Topic.DROPPED,
        text=f"Your decision on “{proposal.title}” was not sent: the agent withdrew the proposal before.",
        key=f"dropped:{proposal.pk}:{held.held_at.isoformat()}",
        proposal=proposal,
    )


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
            raise AgentNotLive(routing.not_live(proposal.agent.state))
        revising.check_arguments(proposal, arguments)
        now = timezone.now()
        route = revising.route_again(proposal, arguments, now)
        if route.state == State.DENIED:
            raise PolicyRefused(route.reasons[-1].detail, rule=route.reasons[-1].rule)
        revising.add_revision(proposal, content, editor=None, reply=reply, at=now)
        revising.apply_route(proposal, route, at=now)
        assert proposal.queue is not None
        deadlines.enter(proposal, proposal.queue, at=now)
        transitions.apply(
            proposal,
            State.PENDING,
            actor=agent.actor(),
            at=now,
            detail={"reply": proposal.said(reply)},
            fields=(*revising.REVISED_FIELDS, *deadlines.ENTERED),
        )
        _tell_who_asked(proposal)
    return proposal


def _tell_who_asked(proposal: Proposal) -> None:
    """The reviewer who returned it hears that the answer is there."""
    asked = Decision.objects.filter(proposal=proposal, verdict=Verdict.RETURN).order_by("-decided_at").first()
    if asked is not None and asked.decider_id is not None:
        notifications.tell(
            [asked.decider_id],
            topic=Topic.ANSWERED,
            text=f"{proposal.agent.name} answered your question: {proposal.title}",
            key=f"answered:{proposal.pk}:{proposal.revision}",
            proposal=proposal,
        )
