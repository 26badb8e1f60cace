"""Set an agent live; stop and resume it at once: nothing starts any more, what was granted and not begun is taken
back."""

from django.db import transaction

from accounts.exceptions import Conflict, NotFound
from accounts.models import User
from agents import permissions
from agents.models import Agent, AgentState
from agents.transitions import set_state
from approvals import readiness
from approvals.services import stop


def suspend(*, agent_id: int, actor: User, reason: str, retire: bool = False) -> Agent:
    """Suspend (or retire) an agent: unredeemed grants are revoked, scheduled actions rejected, one audit event each.

    Redemption locks the agent's row first, so from this commit on none can slip through. Its rows are taken back
    afterwards, in batches; what this process leaves undone the next tick does."""
    with transaction.atomic(durable=True):
        agent = _locked(agent_id)
        permissions.manages_now(actor, agent)
        state = AgentState.RETIRED if retire else AgentState.SUSPENDED
        if agent.state in (state, AgentState.RETIRED):
            return agent
        if agent.state == AgentState.PREPARING and not retire:
            raise Conflict("It is in preparation: nothing of it starts before it is set live.")
        set_state(agent, state, actor=actor.actor(), reason=reason)
    stop.take_back_of(agent)
    return agent


def resume(*, agent_id: int, actor: User, reason: str) -> Agent:
    """Let a suspended agent propose and redeem again; what was revoked stays revoked."""
    with transaction.atomic(durable=True):
        agent = _locked(agent_id)
        permissions.manages_now(actor, agent)
        if agent.state == AgentState.RETIRED:
            raise Conflict("A retired agent does not come back; register a new one.")
        if agent.state == AgentState.SUSPENDED:
            set_state(agent, AgentState.LIVE, actor=actor.actor(), reason=reason)
    return agent


def go_live(*, agent_id: int, actor: User) -> Agent:
    """Let an agent that was in preparation propose. Raises `Conflict` with what it still needs."""
    with transaction.atomic(durable=True):
        agent = _locked(agent_id)
        permissions.manages_now(actor, agent)
        if agent.state != AgentState.PREPARING:
            raise Conflict(
                f"The agent is {agent.get_state_display().lower()}; only one in preparation is set live."
            )
        needed = readiness.missing(agent)
        if needed:
            raise Conflict(f"It still needs {'; '.join(needed)}.")
        set_state(agent, AgentState.LIVE, actor=actor.actor(), reason="")
    return agent


def _locked(agent_id: int) -> Agent:
    agent = Agent.objects.select_for_update(of=("self",), no_key=True).filter(pk=agent_id).first()
    if agent is None:
        raise NotFound("There is no such agent.")
    return agent
