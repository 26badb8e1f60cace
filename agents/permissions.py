"""Who may manage an agent: its owner, holders of `manage_agent` on it, admins. `check_*` raises, `can_*` answers."""

from django.db.models import Q

from accounts.exceptions import NotAllowed
from accounts.models import User, holders, mark_used
from accounts.once import once
from accounts.roles import Duty, Scope
from agents.models import Agent


def ids(user: User, duty: Duty) -> list[int]:
    """Agents for which this person has the duty by a role."""
    return list(once(f"agents {duty}", user.pk, lambda: _ids(user, duty)))


def _ids(user: User, duty: Duty) -> list[int]:
    reach = user.held.reach(duty)
    return list(Agent.objects.filter(reach.on_agents()).values_list("pk", flat=True)) if reach else []


def managed_ids(user: User) -> list[int]:
    """Agents this person manages by a role, own ones apart."""
    return ids(user, Duty.MANAGE)


def managers_of(agent: Agent) -> Q:
    """People who manage it by a role, as a filter on people; its owner apart."""
    return holders(Duty.MANAGE, scope=Scope.AGENT, scope_id=agent.pk, domain=agent.domain)


def can_manage(user: User, agent: Agent) -> bool:
    """Whether this person may change the agent's mandates, credentials and state."""
    return user.is_active and (
        user.is_admin or agent.owner_id == user.pk or user.has_perm("agents.manage_agent", agent)
    )


def check_can_manage(user: User, agent: Agent) -> None:
    if not can_manage(user, agent):
        raise NotAllowed("Only the agent's owner, its managers and admins may change it.")


def manages_now(user: User, agent: Agent) -> None:
    """`check_can_manage` for a use case: the role by which he may is noted as used. Needs the caller's transaction."""
    check_can_manage(user, agent)
    mark_used(user, Duty.MANAGE, scope=Scope.AGENT, scope_id=agent.pk, domain=agent.domain)


def check_can_assign_managers(user: User, agent: Agent) -> None:
    """A manager cannot hand his right on: whoever takes it from him would have to find all his friends first."""
    if not (user.is_active and (user.is_admin or agent.owner_id == user.pk)):
        raise NotAllowed("Only the agent's owner and admins say who manages it.")


def can_see(user: User, agent: Agent) -> bool:
    """Managers, and auditors of it or of everything."""
    return can_manage(user, agent) or user.reads_everything or user.has_perm("agents.read_record", agent)


def check_is_admin(user: User) -> None:
    """Action types, queues, policies and people are the admins' work."""
    if not (user.is_active and user.is_admin):
        raise NotAllowed("Only admins may do this.")
