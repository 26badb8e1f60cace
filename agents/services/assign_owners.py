"""Who manages an agent besides its owner: the role of agent owner on the agent, for people or teams."""

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from accounts.models import RoleAssignment, User, assign_role, end_role
from accounts.roles import Role, Scope
from agents import authority, permissions
from agents.models import Agent
from audit import recording
from audit.events import Kind, Target


def assign_manager(*, agent_id: int, to: User | Group, actor: User, allowed: bool = True) -> None:
    """Give or take the right to manage one agent; admins and the owner may."""
    with transaction.atomic(durable=True):
        agent = Agent.objects.select_for_update(of=("self",), no_key=True).get(pk=agent_id)
        permissions.check_can_assign_managers(actor, agent)
        _let_manage(to, agent, actor, allowed)
        authority.bump()
        recording.record(
            actor=actor.actor(),
            kind=Kind.OWNERS_ASSIGNED,
            target=Target("agent", str(agent.pk)),
            detail={"to": str(to), "kind": "team" if isinstance(to, Group) else "person", "allowed": allowed},
        )


def _let_manage(to: User | Group, agent: Agent, actor: User, allowed: bool) -> None:
    if allowed:
        assign_role(Role.AGENT_OWNER, to=to, given_by=actor, scope=Scope.AGENT, scope_id=str(agent.pk))
        return
    holder = {"team": to} if isinstance(to, Group) else {"person": to}
    held = RoleAssignment.objects.select_for_update(no_key=True).filter(role=Role.AGENT_OWNER, ended_at=None)
    for assignment in held.filter(
        role=Role.AGENT_OWNER, ended_at=None, scope=Scope.AGENT, scope_id=str(agent.pk), **holder
    ):
        end_role(assignment, why="taken on the agent's page", at=timezone.now(), by=actor)
