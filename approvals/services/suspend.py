"""Stop and resume an agent at once: nothing of it starts any more, what was granted and not begun is taken back."""

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Conflict, NotFound
from accounts.models import User
from agents import permissions
from agents.models import Agent, AgentState
from agents.transitions import set_state
from approvals import transitions
from approvals.models import Proposal
from approvals.services.expire import reject_by_policy, revoke_approved
from approvals.states import State


def suspend(*, agent_id: int, actor: User, reason: str, retire: bool = False) -> Agent:
    """Suspend (or retire) an agent: unredeemed grants are revoked, scheduled actions rejected, one audit event each.

    Redemption locks the agent's row first, so from this commit on none can slip through."""
    with transaction.atomic(durable=True):
        agent = _locked(agent_id)
        permissions.check_can_manage(actor, agent)
        state = AgentState.RETIRED if retire else AgentState.SUSPENDED
        if agent.state in (state, AgentState.RETIRED):
            return agent
        set_state(agent, state, actor=actor.actor(), reason=reason)
        now = timezone.now()
        why = f"agent_{state}"
        open_ids = Proposal.objects.filter(agent=agent, state__in=[State.APPROVED, State.SCHEDULED]).order_by(
            "pk"
        )
        for proposal_id in list(open_ids.values_list("pk", flat=True)):
            proposal = transitions.locked(proposal_id)
            if proposal.state == State.APPROVED and hasattr(proposal, "grant"):
                revoke_approved(proposal, at=now, reason=why)
            elif proposal.state == State.SCHEDULED:
                reject_by_policy(proposal, at=now, reason=why)
    return agent


def resume(*, agent_id: int, actor: User, reason: str) -> Agent:
    """Let a suspended agent propose and redeem again; what was revoked stays revoked."""
    with transaction.atomic(durable=True):
        agent = _locked(agent_id)
        permissions.check_can_manage(actor, agent)
        if agent.state == AgentState.RETIRED:
            raise Conflict("A retired agent does not come back; register a new one.")
        if agent.state == AgentState.SUSPENDED:
            set_state(agent, AgentState.LIVE, actor=actor.actor(), reason=reason)
    return agent


def _locked(agent_id: int) -> Agent:
    agent = Agent.objects.select_for_update(of=("self",), no_key=True).filter(pk=agent_id).first()
    if agent is None:
        raise NotFound("There is no such agent.")
    return agent
