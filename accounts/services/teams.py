"""Teams: Django's groups. Rights on queues and agents are given to them, policies name them as roles."""

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from accounts import joining, permissions
from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import User
from audit import recording
from audit.events import Kind, Target


def create(*, name: str, actor: User) -> Group:
    """A new, empty team. Its name is final, since policies ask for it by name."""
    permissions.check_is_admin(actor)
    name = name.strip()
    if not name:
        raise Invalid("The team was not created.", errors=[{"field": "name", "message": "must not be empty"}])
    try:
        with transaction.atomic(durable=True):
            team = Group.objects.create(name=name)
            recording.record(
                actor=actor.actor(), kind=Kind.TEAM_CHANGED, target=_target(team), after={"name": name}
            )
    except IntegrityError as error:
        raise Conflict(f"There is a team “{name}” already.") from error
    return team


def set_member(*, team_id: int, person_id: int, actor: User, member: bool) -> Group:
    """Put a person into a team or take him out. What is so already changes nothing and is no event.

    Whom the company's directory put in is taken out there. Raises `NotFound`, `Conflict`."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        team = Group.objects.select_for_update(no_key=True).filter(pk=team_id).first()
        person = User.objects.filter(pk=person_id).first()
        if team is None or person is None:
            raise NotFound("There is no such team or person.")
        step = joining.join if member else joining.leave
        step(person, team, source=joining.PAGE, by=actor)
    return team


def _target(team: Group) -> Target:
    return Target("team", str(team.pk))
