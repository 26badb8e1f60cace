"""What the company's directory says by SCIM: who is here, and who is in which of its teams. Nothing about roles.

Each use case is given a function from the present state to the wanted one, and calls it on the locked row: so a
condition on the version (`If-Match`) and a patch are about what is really there."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import joining
from accounts.exceptions import Conflict, Invalid, NotAllowed, NotFound
from accounts.models import DirectoryPerson, DirectoryTeam, TeamJoin, User
from audit import recording
from audit.events import Actor, Kind, Target

ShutOut = Callable[[int, Actor], User]
"""The step that deactivates a person, given by an app above: it hands back what he holds, in this transaction."""
MOST_EXTERNAL_ID = 200


class Taken(Conflict):
    """Somebody, or a team, has this name already (SCIM: uniqueness)."""

    code = "taken"


class Fixed(NotAllowed):
    """The directory may not change this (SCIM: mutability)."""

    code = "fixed"


@dataclass(frozen=True, slots=True)
class PersonState:
    """A person as far as the directory knows one."""

    address: str
    name: str
    is_active: bool = True
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class TeamState:
    """A team likewise; `members` are those by the directory."""

    name: str
    external_id: str = ""
    members: frozenset[int] = frozenset()


PersonChange = Callable[[User, PersonState], PersonState]
TeamChange = Callable[[Group, TeamState], TeamState]


def person_state(person: User) -> PersonState:
    entry = DirectoryPerson.objects.filter(person=person).first()
    return PersonState(person.email, person.name, person.is_active, entry.external_id if entry else "")


def team_state(team: Group) -> TeamState:
    entry = DirectoryTeam.objects.get(team=team)
    members = (join.person_id for join in TeamJoin.objects.filter(joining.by_directory(), team=team))
    return TeamState(team.name, entry.external_id, frozenset(members))


def create_person(*, wanted: PersonState, actor: Actor) -> User:
    """Somebody new, without a password and without a role; one who was removed comes back.

    Raises `Taken`, `Invalid`."""
    wanted = _checked(wanted)
    try:
        with transaction.atomic(durable=True):
            known = User.objects.select_for_update(no_key=True).filter(email=wanted.address).first()
            if known is not None:
                return _brought_back(known, wanted, actor)
            person = User.objects.create_user(wanted.address, name=wanted.name, is_active=wanted.is_active)
            DirectoryPerson.objects.create(
                person=person,
                external_id=wanted.external_id,
                shut_out_at=None if wanted.is_active else timezone.now(),
            )
            recording.record(
                actor=actor,
                kind=Kind.PERSON_CREATED,
                target=_person_target(person),
                after={**_facts(wanted), "active": wanted.is_active},
            )
    except IntegrityError as error:
        raise Taken(f"There is a person with the address {wanted.address} already.") from error
    return person


def change_person(*, person_id: int, change: PersonChange, actor: Actor, shut_out: ShutOut) -> User:
    """Change a person, deactivate him or bring him back.

    Raises what `change` raises, `NotFound`, `Invalid`, `Taken`, `Conflict`, `Fixed`."""
    try:
        with transaction.atomic(durable=True):
            seen = _visible(person_id)
            was = person_state(seen)
            leaves = was.is_active and not change(seen, was).is_active
            person = shut_out(person_id, actor) if leaves else _locked(person_id)
            now = person_state(person)
            before = replace(now, is_active=True) if leaves else now
            wanted = _checked(change(_visible(person_id), before))
            if leaves == wanted.is_active and before.is_active:
                raise Conflict("This person was changed at the same moment. Send it again.")
            _apply(person, before, wanted, actor)
    except IntegrityError as error:
        raise Taken("There is another person with this address.") from error
    return person


def remove_person(*, person_id: int, check: Callable[[User], None], actor: Actor, shut_out: ShutOut) -> None:
    """Gone as far as SCIM goes: deactivated, out of the directory's teams. The row stays: votes and the log name it."""
    with transaction.atomic(durable=True):
        seen = _visible(person_id)
        check(seen)
        person = shut_out(person_id, actor) if seen.is_active else _locked(person_id)
        for join in TeamJoin.objects.filter(joining.by_directory(), person=person).order_by("team_id"):
            team = Group.objects.select_for_update(no_key=True).get(pk=join.team_id)
            joining.leave(person, team, source=joining.DIRECTORY, by=actor)
        entry = _entry(person)
        entry.removed_at = entry.changed_at = timezone.now()
        if seen.is_active:
            entry.shut_out_at = entry.removed_at
        entry.save()
        _record_presence(person, actor, is_in=False)


def create_team(*, wanted: TeamState, actor: Actor) -> Group:
    """A new team without a right. One of that name which is ours stays ours until an admin connects it (`Taken`)."""
    name = wanted.name.strip()
    if not 0 < len(name) <= 150 or not name.isprintable():
        raise Invalid("displayName must have 1 to 150 printable characters.")
    try:
        with transaction.atomic(durable=True):
            team = Group.objects.select_for_update(no_key=True).filter(name=name).first()
            entry = DirectoryTeam.objects.filter(team=team).first() if team else None
            if team is not None and (entry is None or entry.removed_at is None or not entry.by_scim):
                raise Taken(f"There is a team “{name}” already. An admin can connect it to the directory.")
            if team is None:
                team = Group.objects.create(name=name)
                recording.record(
                    actor=actor, kind=Kind.TEAM_CHANGED, target=_team_target(team), after={"name": name}
                )
            joining.check_directory_may_fill(team)
            entry = entry or DirectoryTeam(team=team)
            entry.by_scim, entry.removed_at, entry.external_id = True, None, _external_id(wanted.external_id)
            entry.changed_at = timezone.now()
            entry.save()
            recording.record(
                actor=actor,
                kind=Kind.TEAM_CONNECTED,
                target=_team_target(team),
                after={"by_directory": True, "group": entry.claim},
                detail={"team": name},
            )
            _set_members(team, frozenset(), wanted.members, actor)
    except IntegrityError as error:
        raise Taken(f"There is a team “{name}” already.") from error
    return team


def change_team(*, team_id: int, change: TeamChange, actor: Actor) -> Group:
    """Set who is in a team by the directory; an admin's memberships stay. Raises what `change` raises, and `Fixed` for
    another name: policies ask for teams by name."""
    with transaction.atomic(durable=True):
        team, entry = _locked_team(team_id)
        before = team_state(team)
        wanted = change(team, before)
        if wanted.name != before.name:
            raise Fixed("A team keeps its name: policies ask for it by name.")
        _set_members(team, before.members, wanted.members, actor)
        external_id = _external_id(wanted.external_id)
        if wanted != before or not entry.by_scim:
            entry.external_id, entry.by_scim, entry.changed_at = external_id, True, timezone.now()
            entry.save(update_fields=["external_id", "by_scim", "changed_at"])
        if external_id != before.external_id:
            recording.record(
                actor=actor,
                kind=Kind.TEAM_CONNECTED,
                target=_team_target(team),
                before={"external_id": before.external_id},
                after={"external_id": external_id},
                detail={"team": team.name},
            )
    return team


def remove_team(*, team_id: int, check: Callable[[Group], None], actor: Actor) -> None:
    """The directory lets go of a team: whom it put in is out. The team stays, for policies and roles name it."""
    with transaction.atomic(durable=True):
        team, entry = _locked_team(team_id)
        check(team)
        _set_members(team, team_state(team).members, frozenset(), actor)
        entry.removed_at = entry.changed_at = timezone.now()
        entry.save(update_fields=["removed_at", "changed_at"])
        recording.record(
            actor=actor,
            kind=Kind.TEAM_CONNECTED,
            target=_team_target(team),
            before={"by_directory": True},
            after={"by_directory": False},
            detail={"team": team.name},
        )


def _apply(person: User, before: PersonState, wanted: PersonState, actor: Actor) -> None:
    """On a locked person; his deactivation has happened already."""
    if wanted == before:
        return
    entry = _entry(person)
    if wanted.address != before.address and person.is_admin:
        raise Fixed("An admin's address is not changed by the directory.")
    if before.is_active and not wanted.is_active:
        entry.shut_out_at = timezone.now()
    if wanted.is_active and not before.is_active:
        _let_in(person, entry, actor)
    person.email, person.name = wanted.address, wanted.name
    person.save(update_fields=["email", "name"])
    entry.external_id, entry.changed_at = wanted.external_id, timezone.now()
    entry.save()
    if _facts(wanted) != _facts(before):
        recording.record(
            actor=actor,
            kind=Kind.PERSON_CHANGED,
            target=_person_target(person),
            before=_facts(before),
            after=_facts(wanted),
        )


def _let_in(person: User, entry: DirectoryPerson, actor: Actor) -> None:
    """Whom the directory shut out comes back without a password; whom an admin shut out, an admin brings back."""
    if entry.shut_out_at is None:
        raise Conflict("An admin deactivated this person; only an admin brings him back.")
    person.is_active = True
    person.set_unusable_password()
    person.save(update_fields=["is_active", "password"])
    entry.shut_out_at = None
    recording.record(
        actor=actor,
        kind=Kind.PERSON_REACTIVATED,
        target=_person_target(person),
        before={"active": False},
        after={"active": True},
    )


def _brought_back(person: User, wanted: PersonState, actor: Actor) -> User:
    """One that SCIM has removed is made anew under his address: the same person, with his history."""
    entry = DirectoryPerson.objects.filter(person=person).exclude(removed_at=None).first()
    if entry is None:
        raise Taken(f"There is a person with the address {wanted.address} already.")
    entry.removed_at = None
    entry.save(update_fields=["removed_at"])
    before = person_state(person)
    if before.is_active and not wanted.is_active:
        raise Taken("An admin brought this person back; deactivate him by a change.")
    _apply(person, before, wanted, actor)
    _record_presence(person, actor, is_in=True)
    return person


def _set_members(team: Group, before: frozenset[int], wanted: frozenset[int], actor: Actor) -> None:
    changed = User.objects.in_bulk(sorted(before ^ wanted))
    missing = sorted(pk for pk in wanted - before if pk not in changed or _is_removed(changed[pk]))
    if missing:
        raise Invalid(f"members: there is no person with the id {missing[0]}.")
    for pk in sorted(changed):
        step = joining.join if pk in wanted else joining.leave
        step(changed[pk], team, source=joining.DIRECTORY, by=actor)


def _checked(wanted: PersonState) -> PersonState:
    address = wanted.address.strip().lower()
    try:
        validate_email(address)
    except ValidationError as error:
        raise Invalid("userName must be the person's e-mail address: people sign in with it.") from error
    name = " ".join("".join(one if one.isprintable() else " " for one in wanted.name).split())
    if not name or len(name) > 120:
        raise Invalid("displayName must have 1 to 120 characters.")
    if len(address) > 254:
        raise Invalid("userName must have at most 254 characters.")
    return replace(wanted, address=address, name=name, external_id=_external_id(wanted.external_id))


def _external_id(value: str) -> str:
    if len(value) > MOST_EXTERNAL_ID:
        raise Invalid(f"externalId must have at most {MOST_EXTERNAL_ID} characters.")
    return value


def _is_removed(person: User) -> bool:
    return DirectoryPerson.objects.filter(person=person).exclude(removed_at=None).exists()


def _visible(person_id: int) -> User:
    found = User.objects.filter(pk=person_id).first()
    if found is None or _is_removed(found):
        raise NotFound("There is no such person.")
    return found


def _locked(person_id: int) -> User:
    return User.objects.select_for_update(of=("self",), no_key=True).get(pk=person_id)


def _locked_team(team_id: int) -> tuple[Group, DirectoryTeam]:
    team = Group.objects.select_for_update(no_key=True).filter(pk=team_id).first()
    entry = DirectoryTeam.objects.filter(team=team, removed_at=None).first() if team else None
    if team is None or entry is None:
        raise NotFound("There is no such group.")
    return team, entry


def _entry(person: User) -> DirectoryPerson:
    found: DirectoryPerson = DirectoryPerson.objects.get_or_create(person=person)[0]
    return found


def _record_presence(person: User, actor: Actor, *, is_in: bool) -> None:
    recording.record(
        actor=actor,
        kind=Kind.PERSON_CHANGED,
        target=_person_target(person),
        before={"in_directory": not is_in},
        after={"in_directory": is_in},
    )


def _facts(state: PersonState) -> dict[str, object]:
    return {"email": state.address, "name": state.name, "external_id": state.external_id}


def _person_target(person: User) -> Target:
    return Target("person", str(person.pk))


def _team_target(team: Group) -> Target:
    return Target("team", str(team.pk))
