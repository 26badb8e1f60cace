"""Register agents and change what is known about them."""

import re

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from accounts.exceptions import Conflict, Invalid
from accounts.models import User
from agents import authority, permissions, versions
from agents.models import Agent
from agents.versions import Announced
from audit import recording
from audit.events import Actor, Kind, Target

_BLANK = Announced()
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}\Z")


def register(
    *,
    slug: str,
    name: str,
    owner: User,
    actor: User,
    purpose: str = "",
    version: str = "1",
    team: Group | None = None,
    said: Announced | None = None,
) -> Agent:
    """A new live agent with its owner. Admins may name any owner, others only themselves. `said` is what it is made of,
    where that is known; it may announce it by itself with its first proposal."""
    if owner.pk != actor.pk:
        permissions.check_is_admin(actor)
    if not _SLUG.fullmatch(slug):
        raise Invalid(
            "The agent was not registered.",
            errors=[{"field": "slug", "message": "must be a-z, 0-9, - and _, at most 80 characters"}],
        )
    try:
        with transaction.atomic(durable=True):
            return create(
                slug=slug,
                name=name,
                owner=owner,
                purpose=purpose,
                version=version,
                team=team,
                actor=actor.actor(),
                said=said or _BLANK,
            )
    except IntegrityError as error:
        raise Conflict(f"There is an agent {slug!r} already; choose another slug.") from error


def create(
    *,
    slug: str,
    name: str,
    owner: User,
    purpose: str,
    version: str,
    team: Group | None,
    actor: Actor,
    said: Announced = _BLANK,
) -> Agent:
    """A step of `register` and of loading blueprints: the row and its audit event."""
    agent = Agent.objects.create(
        slug=slug, name=name, owner=owner, purpose=purpose, version=version or "1", team=team
    )
    versions.announce(agent, said, actor=actor, credential_id=None)
    authority.bump()
    recording.record(
        actor=actor, kind=Kind.AGENT_REGISTERED, target=Target("agent", str(agent.pk)), after=_facts(agent)
    )
    return agent


def change(
    *,
    agent_id: int,
    actor: User,
    name: str,
    purpose: str,
    version: str,
    team: Group | None,
    owner: User | None = None,
) -> Agent:
    """Change an agent's particulars; a new owner is for admins to name."""
    with transaction.atomic(durable=True):
        agent = Agent.objects.select_for_update(of=("self",), no_key=True).get(pk=agent_id)
        permissions.check_can_manage(actor, agent)
        if owner is not None and owner.pk != agent.owner_id:
            permissions.check_is_admin(actor)
        return update(
            agent,
            name=name,
            owner=owner or agent.owner,
            purpose=purpose,
            version=version,
            team=team,
            actor=actor.actor(),
        )


def update(
    agent: Agent, *, name: str, owner: User, purpose: str, version: str, team: Group | None, actor: Actor
) -> Agent:
    """A step of `change` and of loading blueprints, on a locked agent; no change, no event."""
    if version != agent.version:
        versions.switch(agent, version, said=Announced(), actor=actor, reason="Its particulars were changed.")
    before = _facts(agent)
    agent.name, agent.owner, agent.purpose, agent.team = name, owner, purpose, team
    after = _facts(agent)
    if after == before:
        return agent
    agent.save(update_fields=["name", "purpose", "team", "owner"])
    authority.bump()
    recording.record(
        actor=actor,
        kind=Kind.AGENT_CHANGED,
        target=Target("agent", str(agent.pk)),
        before=before,
        after=after,
    )
    return agent


def _facts(agent: Agent) -> dict[str, str | None]:
    return {
        "slug": agent.slug,
        "name": agent.name,
        "owner": str(agent.owner_id),
        "team": agent.team.name if agent.team else None,
        "version": agent.version,
        "purpose": agent.purpose,
    }
