"""Who may manage an agent: its owner, holders of `manage_agent` on it, admins. `check_*` raises, `can_*` answers."""

from accounts.exceptions import NotAllowed
from accounts.models import User
from agents.models import Agent


def can_manage(user: User, agent: Agent) -> bool:
    """Whether this person may change the agent's mandates, credentials and state."""
    return user.is_active and (
        user.is_superuser or agent.owner_id == user.pk or user.has_perm("agents.manage_agent", agent)
    )


def check_can_manage(user: User, agent: Agent) -> None:
    if not can_manage(user, agent):
        raise NotAllowed("Only the agent's owner, its managers and admins may change it.")


def check_can_assign_managers(user: User, agent: Agent) -> None:
    """A manager cannot hand his right on: whoever takes it from him would have to find all his friends first."""
    if not (user.is_active and (user.is_superuser or agent.owner_id == user.pk)):
        raise NotAllowed("Only the agent's owner and admins say who manages it.")


def can_see(user: User, agent: Agent) -> bool:
    """Managers, and auditors, who see everything."""
    return can_manage(user, agent) or user.has_perm("audit.view_auditevent")


def check_is_admin(user: User) -> None:
    """Action types, queues, policies and people are the admins' work."""
    if not (user.is_active and user.is_superuser):
        raise NotAllowed("Only admins may do this.")
