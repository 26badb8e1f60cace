"""Steps that write an agent's state or a mandate's tier; the only writers of either."""

from typing import Any

from accounts.models import User
from agents import authority
from agents.models import Agent, AgentState, Mandate, TierChange
from audit import recording
from audit.events import Actor, Kind, Target

_KIND = {
    AgentState.LIVE: Kind.AGENT_RESUMED,
    AgentState.SUSPENDED: Kind.AGENT_SUSPENDED,
    AgentState.RETIRED: Kind.AGENT_RETIRED,
}


def set_state(agent: Agent, state: AgentState, *, actor: Actor, reason: str) -> None:
    """Make a locked agent live, suspended or retired. The first time it becomes live is a kind of event of its own."""
    before = agent.state
    agent.state = state
    agent.state_reason = reason
    agent.save(update_fields=["state", "state_reason"])
    authority.bump()
    recording.record(
        actor=actor,
        kind=Kind.AGENT_WENT_LIVE
        if before == AgentState.PREPARING and state == AgentState.LIVE
        else _KIND[state],
        target=Target("agent", str(agent.pk)),
        before={"state": before},
        after={"state": str(state)},
        detail={"reason": reason},
    )


def set_tier(
    mandate: Mandate,
    tier: str,
    *,
    actor: Actor,
    changed_by: User | None,
    reason: str,
    cause: str = "hand",
    numbers: dict[str, Any] | None = None,
) -> TierChange | None:
    """Move a locked mandate to another tier and keep the change, with the numbers that decided it, in its history."""
    before = mandate.tier
    if before == tier:
        return None
    mandate.tier = tier
    mandate.save(update_fields=["tier"])
    change = TierChange.objects.create(
        mandate=mandate,
        before=before,
        after=tier,
        reason=reason,
        cause=cause,
        agent_version=mandate.agent.version,
        numbers=numbers or {},
        changed_by=changed_by,
    )
    authority.bump()
    recording.record(
        actor=actor,
        kind=Kind.TIER_CHANGED,
        target=Target("mandate", str(mandate.pk)),
        before={"tier": before},
        after={"tier": str(tier)},
        detail={
            "reason": reason,
            "cause": cause,
            "numbers": numbers or {},
            "agent": mandate.agent.slug,
            "action_type": mandate.action_type.name,
        },
    )
    return change
