"""Steps of joining and leaving a team, each with its event; within the caller's transaction, on a locked team.

A membership has one row that says whose it is. An admin's is never ended by a directory, nor a directory's by an admin:
who holds both reasons stays in until both are gone. A directory never fills a team that makes its members admins, nor
one with any role for everything while such roles take two people: no role comes by a group that one person could not
give. Both orders are closed, on the locked team: such a role is not given to a team that a directory fills."""

from django.contrib.auth.models import Group
from django.db.models import Q
from django.utils import timezone

from accounts import permissions, second_person
from accounts.exceptions import Conflict, NotAllowed
from accounts.models import DirectoryTeam, PendingChange, RoleAssignment, TeamJoin, User, live_at
from accounts.roles import Role, Scope
from accounts.second_person import What
from audit import recording
from audit.events import Actor, Kind, Target

PAGE, DIRECTORY = TeamJoin.Source.PAGE, TeamJoin.Source.DIRECTORY


def join(person: User, team: Group, *, source: str, by: User | Actor) -> bool:
    """Put a person in. What is so already is no event; returns whether it was not."""
    if source == DIRECTORY:
        check_directory_may_fill(team)
    elif not person.is_active:
        raise Conflict(f"{person} is deactivated.")
    found = _row(person, team)
    is_member = person.groups.filter(pk=team.pk).exists()
    if is_member and found is None:
        found = TeamJoin.objects.create(team=team, person=person, source=PAGE, joined_at=person.date_joined)
    if is_member and found is not None:
        _also(found, source, by)
        return False
    TeamJoin.objects.filter(team=team, person=person).delete()
    TeamJoin.objects.create(
        team=team, person=person, source=source, joined_by=by if isinstance(by, User) else None
    )
    person.groups.add(team)
    _record(person, team, source=source, by=by, member=True)
    return True


def leave(person: User, team: Group, *, source: str, by: User | Actor) -> bool:
    """Take a person out, as far as `source` put him in; returns whether he is out now by this.

    An admin gets a `Conflict` where the directory alone keeps somebody in."""
    if not person.groups.filter(pk=team.pk).exists():
        return False
    found = _row(person, team)
    if source == DIRECTORY:
        if found is None or found.source != DIRECTORY:
            TeamJoin.objects.filter(team=team, person=person).update(in_directory_too=False)
            return False
    elif found is not None and found.source == DIRECTORY:
        raise Conflict(f"{person} is in this team by the company's directory, and leaves it there.")
    elif found is not None and found.in_directory_too:
        found.source, found.in_directory_too, found.joined_by = DIRECTORY, False, None
        found.joined_at = timezone.now()
        found.save(update_fields=["source", "in_directory_too", "joined_by", "joined_at"])
        return False
    TeamJoin.objects.filter(team=team, person=person).delete()
    person.groups.remove(team)
    _record(person, team, source=source, by=by, member=False)
    return True


def far_reaching(team: Group) -> Role | None:
    """The role for everything that a membership would carry, admin before others; None where there is none."""
    live = RoleAssignment.objects.filter(live_at(timezone.now()), team=team, scope=Scope.EVERYTHING)
    roles = {Role(role) for role in live.values_list("role", flat=True)}
    return Role.ADMIN if Role.ADMIN in roles else min(roles, default=None)


def carry_out(change: PendingChange) -> bool:
    """A step of the second person's yes: take somebody into a team that holds a role for everything."""
    permissions.check_is_admin(change.asked_by)
    team = Group.objects.select_for_update(no_key=True).filter(pk=change.payload["join"]).first()
    person = User.objects.filter(pk=change.payload["to_id"]).first()
    if team is None or person is None:
        raise Conflict("The team or the person is gone. Decline it.")
    return join(person, team, source=PAGE, by=change.asked_by)


def check_directory_may_fill(team: Group) -> None:
    """Who becomes an admin is decided here, by a person, never by a group of an identity provider (A28)."""
    role = _kept_from_directory(team)
    if role is Role.ADMIN:
        raise NotAllowed(f"{team} makes its members admins; only an admin puts people into it.")
    if role is not None:
        raise NotAllowed(
            f"{team} holds the role {role.label.lower()} for everything, which takes two people here; a directory does "
            "not put people into it."
        )


def check_may_hold(role: Role, team: Group, scope: Scope) -> None:
    """The other order: what a directory fills gets no role that it may not fill a team of. Locks the team."""
    if role is not Role.ADMIN and not second_person.needed_for_role(role, scope):
        return
    Group.objects.select_for_update(no_key=True).get(pk=team.pk)
    if DirectoryTeam.objects.filter(team=team, removed_at=None).exists():
        takes = "Who becomes an admin" if role is Role.ADMIN else "A role for everything"
        raise Conflict(
            f"The company's directory says who is in {team}. {takes} is decided here, by people: give the role to "
            "persons, or let go of the team on the page Directory first."
        )


def by_directory() -> Q:
    """Memberships that the directory gives, whether or not an admin does as well."""
    return Q(source=DIRECTORY) | Q(in_directory_too=True)


def directory_may_fill(team: Group) -> bool:
    """Whether no role of the team stands against it."""
    return _kept_from_directory(team) is None


def _kept_from_directory(team: Group) -> Role | None:
    """The role for which people have to put members in themselves."""
    role = far_reaching(team)
    return role if role is Role.ADMIN or (role and second_person.needed(What.ROLE)) else None


def _row(person: User, team: Group) -> TeamJoin | None:
    return TeamJoin.objects.select_for_update(no_key=True).filter(team=team, person=person).first()


def _also(found: TeamJoin, source: str, by: User | Actor) -> None:
    """One who is in already is in for the other reason, too."""
    if found.source == source or (source == DIRECTORY and found.in_directory_too):
        return
    if source == PAGE:
        found.source, found.joined_at = PAGE, timezone.now()
        found.joined_by = by if isinstance(by, User) else None
    found.in_directory_too = True
    found.save(update_fields=["source", "in_directory_too", "joined_at", "joined_by"])


def _record(person: User, team: Group, *, source: str, by: User | Actor, member: bool) -> None:
    recording.record(
        actor=by.actor() if isinstance(by, User) else by,
        kind=Kind.TEAM_CHANGED,
        target=Target("team", str(team.pk)),
        before={"in_team": not member},
        after={"in_team": member},
        detail={
            "team": team.name,
            "person": str(person),
            "person_id": str(person.pk),
            "member": member,
            "source": source,
        },
    )
