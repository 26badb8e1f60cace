"""Steps by which an agent becomes another version of itself (TIERS.md, Key). On a locked agent.

Evidence is kept by version. A version that was never seen begins in the loop with no evidence; one that comes back
finds the standing it had left, and the tier that its own evidence had earned."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from accounts.models import User
from agents import authority, standings, transitions
from agents.autonomy import Tier, lower
from agents.models import Agent, AgentVersion, Mandate, Promotion, Standing
from agents.tier_model import State
from audit import recording
from audit.events import Actor, Kind, Target

NOT_KNOWN = "Nothing is known of this version yet."


@dataclass(frozen=True, slots=True)
class Announced:
    """What an agent says of itself: its model, and digests of its prompt and its tools, in its own words."""

    model: str = ""
    prompt_digest: str = ""
    tools_digest: str = ""

    @property
    def is_blank(self) -> bool:
        return not (self.model or self.prompt_digest or self.tools_digest)


def said_by(version: AgentVersion) -> Announced:
    return Announced(version.model, version.prompt_digest, version.tools_digest)


def current(agent: Agent) -> AgentVersion:
    """The row of the agent's present label."""
    found, _ = AgentVersion.objects.get_or_create(
        agent=agent,
        label=agent.version,
        defaults={"evidence_label": agent.version, "began_at": agent.created_at or timezone.now()},
    )
    return found


def announce(agent: Agent, said: Announced, *, actor: Actor, credential_id: int | None) -> AgentVersion:
    """The agent names its version. The same again changes nothing; particulars of a version of which no proposal is
    known yet are filled in; anything else leads to another version."""
    now = current(agent)
    if said_by(now) == said:
        return now
    if said_by(now).is_blank and not _has_standing(agent, now.label):
        AgentVersion.objects.filter(pk=now.pk).update(
            model=said.model,
            prompt_digest=said.prompt_digest,
            tools_digest=said.tools_digest,
            announced_by=credential_id,
        )
        authority.bump()
        return now
    known = AgentVersion.objects.filter(
        agent=agent, model=said.model, prompt_digest=said.prompt_digest, tools_digest=said.tools_digest
    ).first()
    return switch(
        agent,
        known.label if known else _next_label(agent),
        said=said,
        actor=actor,
        credential_id=credential_id,
        reason="The agent announced it.",
    )


def switch(
    agent: Agent,
    label: str,
    *,
    said: Announced,
    actor: Actor,
    reason: str,
    credential_id: int | None = None,
    registered_by: User | None = None,
) -> AgentVersion:
    """Make `label` the present version. Each mandate goes where that version's own evidence stands."""
    before = agent.version
    version, _ = AgentVersion.objects.get_or_create(
        agent=agent,
        label=label,
        defaults={
            "evidence_label": label,
            "model": said.model,
            "prompt_digest": said.prompt_digest,
            "tools_digest": said.tools_digest,
            "announced_by_id": credential_id,
            "registered_by": registered_by,
            "began_at": timezone.now(),
        },
    )
    agent.version = label
    agent.save(update_fields=["version"])
    authority.bump()
    recording.record(
        actor=actor,
        kind=Kind.AGENT_VERSION_BEGUN,
        target=Target("agent", str(agent.pk)),
        before={"version": before},
        after={"version": label, **_facts(version)},
        detail={"reason": reason},
    )
    settle_mandates(agent, actor=actor, changed_by=registered_by, reason=f"Version {label}: {reason}")
    return version


def settle_mandates(
    agent: Agent, *, actor: Actor, changed_by: User | None, reason: str, cause: str = "version"
) -> None:
    """Bring every mandate to the tier that the present version has earned, at most its ceiling; in the loop where
    nothing is known of it. Advisory stays advisory."""
    mandates = (
        Mandate.objects.select_for_update(of=("self",), no_key=True)
        .select_related("action_type")
        .filter(agent=agent)
        .order_by("pk")
    )
    for mandate in mandates:
        mandate.agent = agent
        Promotion.objects.filter(mandate=mandate, state=Promotion.State.OPEN).update(
            state=Promotion.State.WITHDRAWN, decided_at=timezone.now(), reason=reason[:300]
        )
        mandate.audit_rate, mandate.escalated = None, False
        mandate.save(update_fields=["audit_rate", "escalated"])
        state = _state(mandate)
        earned = Tier(state.tier) if state else Tier.IN_THE_LOOP
        if mandate.tier == Tier.ADVISORY:
            continue
        transitions.set_tier(
            mandate,
            lower(earned, mandate.ceiling),
            actor=actor,
            changed_by=changed_by,
            reason=reason if state else f"{reason} {NOT_KNOWN}",
            cause=cause,
        )


def _state(mandate: Mandate) -> State | None:
    """The state of the standing by which the mandate stands or falls by now."""
    row = Standing.objects.filter(
        agent=mandate.agent,
        action_type=mandate.action_type,
        agent_version=standings.evidence_label(mandate.agent, mandate.agent.version),
        risk=mandate.action_type.risk,
    ).first()
    return State.from_json(row.state) if row and row.state else None


def _has_standing(agent: Agent, label: str) -> bool:
    return Standing.objects.filter(agent=agent, agent_version=label).exclude(initial={}).exists()


def _next_label(agent: Agent) -> str:
    taken = set(AgentVersion.objects.filter(agent=agent).values_list("label", flat=True))
    number = len(taken) + 1
    while str(number) in taken:
        number += 1
    return str(number)


def _facts(version: AgentVersion) -> dict[str, Any]:
    return {
        "model": version.model,
        "prompt_digest": version.prompt_digest,
        "tools_digest": version.tools_digest,
        "evidence": version.evidence_label,
    }
