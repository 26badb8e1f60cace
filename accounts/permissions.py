"""Who may look after people and teams. `check_*` raises, `can_*` answers."""

from accounts.exceptions import NotAllowed
from accounts.models import User

AUDITOR = ("audit", "view_auditevent")
"""App and name of the permission that makes a person an auditor."""


def check_is_admin(user: User | None) -> None:
    """People and teams are the admins' work."""
    if user is None or not (user.is_active and user.is_admin):
        raise NotAllowed("Only admins may do this.")


def can_see_people(user: User) -> bool:
    """Admins, and auditors, who see everything."""
    return user.reads_everything


def check_can_see_people(user: User) -> None:
    if not can_see_people(user):
        raise NotAllowed("Only admins and auditors may look at people and teams.")
