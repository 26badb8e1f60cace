"""Who answers for an agent: handed over when a person leaves, noticed where nobody does.

That an agent without a live owner works in the loop is read from its owner whenever something is routed, a veto window
closes or a grant is redeemed; nothing here has to have run for it. What runs here tells people, and lets what was
scheduled wait for a person at once instead of at the end of its window."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from accounts.exceptions import Invalid, NotFound
from accounts.models import User
from agents import permissions
from agents.models import Agent, AgentState
from agents.services import register
from approvals import notifications
from approvals.models import Proposal
from approvals.notifications import Topic
from approvals.services.expire import return_to_review
from approvals.states import State
from audit import recording
from audit.events import Actor, Kind, Target, system

BATCH = 100
"""Rows returned to review in one transaction."""


def transfer(*, agent_id: int, to: User, actor: User) -> Agent:
    """Another owner, named by an admin. Raises `NotFound`, `NotAllowed`, `Invalid` for somebody deactivated."""
    with transaction.atomic(durable=True):
        permissions.check_is_admin(actor)
        agent = _locked().filter(pk=agent_id).first()
        if agent is None:
            raise NotFound("There is no such agent.")
        hand_over(agent, to, actor=actor.actor())
    return agent


def hand_over(agent: Agent, to: User, *, actor: Actor) -> None:
    """A step on a locked agent."""
    register.update(
        agent,
        name=agent.name,
        owner=to,
        purpose=agent.purpose,
        version=agent.version,
        team=agent.team,
        actor=actor,
    )


def leave(person_id: int, heirs: Mapping[int, int], *, actor: Actor, at: datetime) -> list[Agent]:
    """A step of deactivating a person, before he is locked: his agents go to their `heirs` (agent to person). The
    others, which are returned, have nobody from this commit on."""
    if person_id in heirs.values():
        raise Invalid(
            "Nobody was deactivated.",
            errors=[{"field": "owner", "message": "must be somebody else than who leaves"}],
        )
    people = User.objects.filter(is_active=True).in_bulk(set(heirs.values()))
    left = []
    for agent in _locked().filter(owner=person_id).exclude(state=AgentState.RETIRED):
        heir = heirs.get(agent.pk)
        if heir is None:
            _note(agent, actor=actor, at=at)
            left.append(agent)
        elif heir not in people:
            raise Invalid(
                "Nobody was deactivated.",
                errors=[{"field": "owner", "message": f"of {agent} must be somebody active"}],
            )
        else:
            hand_over(agent, people[heir], actor=actor)
    return left


def tend(*, now: datetime) -> int:
    """A step of the tick: agents whose owner came or went in whichever way, and what they had scheduled."""
    changed = 0
    gone = Agent.objects.filter(owner__is_active=False, ownerless_since=None)
    back = Agent.objects.filter(owner__is_active=True).exclude(ownerless_since=None)
    for agent_id in [
        *gone.exclude(state=AgentState.RETIRED).values_list("pk", flat=True),
        *back.values_list("pk", flat=True),
    ]:
        with transaction.atomic(durable=True):
            agent = _locked().get(pk=agent_id)
            if agent.has_live_owner:
                register.owned(agent, actor=system("ownership"))
            elif agent.ownerless_since is None:
                _note(agent, actor=system("ownership"), at=now)
            changed += 1
    return changed + return_scheduled(now=now)


def return_scheduled(*, now: datetime, most: int = 10 * BATCH) -> int:
    """What agents without a live owner have scheduled goes to people. Two at once share the rows."""
    count = 0
    while count < most and (done := _return_batch(now)):
        count += done
    return count


def _return_batch(now: datetime) -> int:
    with transaction.atomic(durable=True):
        rows = (
            Proposal.objects.filter(state=State.SCHEDULED, agent__owner__is_active=False)
            .select_for_update(of=("self",), no_key=True, skip_locked=True)
            .select_related("agent__owner", "action_type", "queue")
            .order_by("pk")[:BATCH]
        )
        count = 0
        for proposal in rows:
            return_to_review(proposal, at=now)
            count += 1
        return count


def _note(agent: Agent, *, actor: Actor, at: datetime) -> None:
    agent.ownerless_since = at
    agent.save(update_fields=["ownerless_since"])
    recording.record(
        actor=actor,
        kind=Kind.AGENT_OWNER_LEFT,
        target=Target("agent", str(agent.pk)),
        before={"owner": str(agent.owner_id)},
        detail={"owner": str(agent.owner)},
    )
    admins = set(User.objects.admins().values_list("pk", flat=True))
    managers = set(User.objects.filter(permissions.managers_of(agent)).values_list("pk", flat=True))
    notifications.tell(
        admins | managers,
        topic=Topic.AGENT,
        text=f"{agent.name} has no live owner: {agent.owner} has left. "
        "Until somebody answers for it, a person decides everything it does.",
        key=f"ownerless:{agent.pk}:{at.isoformat()}",
        link=f"/agents/{agent.slug}/",
    )


def _locked() -> QuerySet[Agent]:
    return (
        Agent.objects.select_for_update(of=("self",), no_key=True)
        .select_related("owner", "team")
        .order_by("pk")
    )
