"""Register agents and change what is known about them."""

import re
from collections.abc import Sequence

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from accounts.exceptions import Conflict, Invalid
from accounts.models import User
from agents import authority, permissions, versions
from agents.models import Agent, AgentState
from agents.versions import Announced
from audit import recording
from audit.events import Actor, Kind, Target

_BLANK = Announced()
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}\Z")
MOST_SYSTEMS = 30


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
    domain: str = "",
    systems: Sequence[str] = (),
    live: bool = True,
) -> Agent:
    """A new agent with its owner. Admins may name any owner, others only themselves. `said` is what it is made of,
    where that is known; it may announce it by itself with its first proposal. One that is not `live` yet is in
    preparation: it authenticates and reads, and whatever it proposes is denied until somebody sets it live."""
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
                domain=domain,
                systems=systems,
                live=live,
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
    domain: str = "",
    systems: Sequence[str] = (),
    live: bool = True,
) -> Agent:
    """A step of `register` and of loading blueprints: the row and its audit event."""
    agent = Agent.objects.create(
        slug=slug,
        name=name,
        owner=owner,
        purpose=purpose,
        version=version or "1",
        team=team,
        domain=domain,
        systems=named(systems),
        state=AgentState.LIVE if live else AgentState.PREPARING,
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
    domain: str | None = None,
    systems: Sequence[str] | None = None,
) -> Agent:
    """Change an agent's particulars; a new owner and another domain (whose roles hold for it) are for admins to name.
    None leaves domain and systems as they are."""
    with transaction.atomic(durable=True):
        agent = Agent.objects.select_for_update(of=("self",), no_key=True).get(pk=agent_id)
        permissions.manages_now(actor, agent)
        if owner is not None and owner.pk != agent.owner_id:
            permissions.check_is_admin(actor)
        if domain is not None and domain != agent.domain:
            permissions.check_is_admin(actor)
        return update(
            agent,
            name=name,
            owner=owner or agent.owner,
            purpose=purpose,
            version=version,
            team=team,
            actor=actor.actor(),
            domain=domain,
            systems=systems,
        )


def update(
    agent: Agent,
    *,
    name: str,
    owner: User,
    purpose: str,
    version: str,
    team: Group | None,
    actor: Actor,
    domain: str | None = None,
    systems: Sequence[str] | None = None,
) -> Agent:
    """A step of `change` and of loading blueprints, on a locked agent; no change, no event."""
    if version != agent.version:
        versions.switch(agent, version, said=Announced(), actor=actor, reason="Its particulars were changed.")
    if owner.pk != agent.owner_id and not owner.is_active:
        raise Invalid("Not saved.", errors=[{"field": "owner", "message": f"{owner} is deactivated"}])
    before = _facts(agent)
    agent.name, agent.owner, agent.purpose, agent.team = name, owner, purpose, team
    agent.domain = agent.domain if domain is None else domain
    agent.systems = agent.systems if systems is None else named(systems)
    after = _facts(agent)
    if after == before:
        return agent
    agent.save(update_fields=["name", "purpose", "team", "owner", "domain", "systems"])
    authority.bump()
    recording.record(
        actor=actor,
        kind=Kind.AGENT_CHANGED,
        target=Target("agent", str(agent.pk)),
        before=before,
        after=after,
    )
    owned(agent, actor=actor)
    return agent


def owned(agent: Agent, *, actor: Actor) -> None:
    """A step on a locked agent: where somebody answers for it again, that is noted, and its tiers count again."""
    if agent.ownerless_since is None or not agent.has_live_owner:
        return
    since, agent.ownerless_since = agent.ownerless_since, None
    agent.save(update_fields=["ownerless_since"])
    authority.bump()
    recording.record(
        actor=actor,
        kind=Kind.AGENT_OWNER_FOUND,
        target=Target("agent", str(agent.pk)),
        after={"owner": str(agent.owner_id)},
        detail={"without_since": since.isoformat()},
    )


def named(systems: Sequence[str]) -> list[str]:
    """Names of systems, each once, for people to read. Raises `Invalid`."""
    names = list(dict.fromkeys(" ".join(name.split()) for name in systems if name.strip()))
    if len(names) > MOST_SYSTEMS or any(len(name) > 60 or not name.isprintable() for name in names):
        words = f"must be at most {MOST_SYSTEMS} names of at most 60 printable characters"
        raise Invalid("Not saved.", errors=[{"field": "systems", "message": words}])
    return names


def _facts(agent: Agent) -> dict[str, object]:
    return {
        "slug": agent.slug,
        "name": agent.name,
        "owner": str(agent.owner_id),
        "team": agent.team.name if agent.team else None,
        "version": agent.version,
        "purpose": agent.purpose,
        "domain": agent.domain,
        "systems": list(agent.systems),
        "state": str(agent.state),
    }
