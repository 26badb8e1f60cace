"""Who manages an agent besides its owner: guardian's `manage_agent` on the agent, for people or teams."""

from django.contrib.auth.models import Group
from django.db import transaction
from guardian.shortcuts import assign_perm, remove_perm

from accounts.models import User
from agents import authority, permissions
from agents.models import Agent
from audit import recording
from audit.events import Kind, Target


def assign_manager(*, agent_id: int, to: User | Group, actor: User, allowed: bool = True) -> None:
    """Give or take the right to manage one agent; admins and the owner may."""
    with transaction.atomic(durable=True):
        agent = Agent.objects.select_for_update(of=("self",), no_key=True).get(pk=agent_id)
        permissions.check_can_assign_managers(actor, agent)
        (assign_perm if allowed else remove_perm)("agents.manage_agent", to, agent)
        authority.bump()
        recording.record(
            actor=actor.actor(),
            kind=Kind.OWNERS_ASSIGNED,
            target=Target("agent", str(agent.pk)),
            detail={"to": str(to), "kind": "team" if isinstance(to, Group) else "person", "allowed": allowed},
        )
