"""Teams: Django's groups. Rights on queues and agents are given to them, policies name them as roles."""

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from accounts import joining, permissions, second_person
from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import PendingChange, User
from accounts.roles import Role
from accounts.second_person import Line, What
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


def set_member(*, team_id: int, person_id: int, actor: User, member: bool) -> Group | PendingChange:
    """Put a person into a team or take him out. What is so already changes nothing and is no event. Into a team that
    holds a far-reaching role a person comes by the word of two, where that is set.

    Whom the company's directory put in is taken out there. Raises `NotFound`, `Conflict`."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        team = Group.objects.select_for_update(no_key=True).filter(pk=team_id).first()
        person = User.objects.filter(pk=person_id).first()
        if team is None or person is None:
            raise NotFound("There is no such team or person.")
        if member and not person.groups.filter(pk=team.pk).exists():
            role = joining.far_reaching(team)
            if role is not None and second_person.needed(What.ROLE):
                return _ask_to_join(person, team, role, actor)
        step = joining.join if member else joining.leave
        step(person, team, source=joining.PAGE, by=actor)
    return team


def _ask_to_join(person: User, team: Group, role: Role, actor: User) -> PendingChange:
    if not person.is_active:
        raise Conflict(f"{person} is deactivated.")
    line = Line(str(person), "not in the team", f"in the team, and by it {role.label.lower()} for everything")
    return second_person.ask(
        what=What.ROLE,
        about=f"join {team.pk} {person.pk}",
        payload={"join": team.pk, "to": "person", "to_id": person.pk, "role": role},
        shown=second_person.shown(f"Take {person} into the team {team}", [line]),
        by=actor,
    )


def _target(team: Group) -> Target:
    return Target("team", str(team.pk))
