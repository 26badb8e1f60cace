"""People and teams as SCIM resources, and back. What we do not keep is not in the schema, and is dropped when sent."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import rfc8785
from scim2_models import (
    URN,
    ComplexAttribute,
    Context,
    Email,
    GroupMember,
    GroupMembership,
    Meta,
    Mutability,
    Name,
    Required,
    Resource,
    ScimPolicy,
    Uniqueness,
)
from scim2_models import Group as CoreGroup
from scim2_models import User as CoreUser

from accounts.models import DirectoryPerson, DirectoryTeam, TeamJoin, User
from accounts.services.provision import PersonState, TeamState

TOLERANT = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
"""Providers send telephone numbers and departments, and take members out by value: both are fine with us."""
FOLLOWING = frozenset({"emails", "groups", "meta", "id"})
"""What follows from other things: taken in a request, and dropped (RFC 7644 3.3 of readOnly attributes)."""


class Person(Resource[Any]):
    """The part of RFC 7643's User that we keep. `emails` repeats `userName`, the address people sign in with."""

    __schema__ = URN(str(CoreUser.__schema__))

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    name: Name | None = None
    Name: ClassVar[type[ComplexAttribute]] = Name
    display_name: str | None = None
    active: bool | None = None
    emails: Annotated[list[Email] | None, Mutability.read_only] = None
    Emails: ClassVar[type[ComplexAttribute]] = Email
    groups: Annotated[list[GroupMembership] | None, Mutability.read_only] = None
    Groups: ClassVar[type[ComplexAttribute]] = GroupMembership


class Team(CoreGroup):
    """RFC 7643's Group as it is."""

    __schema__ = URN(str(CoreGroup.__schema__))


def person_resource(person: User, state: PersonState, *, joins: Iterable[TeamJoin], base: str) -> Person:
    """The resource; `joins` are the memberships by the directory, with their teams."""
    given, _, family = state.name.rpartition(" ")
    found = Person(
        id=str(person.pk),
        external_id=state.external_id or None,
        user_name=state.address,
        display_name=state.name,
        name=Name(formatted=state.name, given_name=given or family, family_name=family if given else None),
        active=state.is_active,
        emails=[Email(value=state.address, type=Email.Type.work, primary=True)],
        groups=[
            GroupMembership.model_validate(
                {"value": str(join.team_id), "display": join.team.name, "type": "direct"}
            )
            for join in joins
        ]
        or None,
    )
    entry = _entry(person)
    found.meta = _meta(
        found,
        "User",
        f"{base}/Users/{person.pk}",
        created=entry.created_at if entry else person.date_joined,
        changed=entry.changed_at if entry else person.date_joined,
    )
    return found


def team_resource(entry: DirectoryTeam, state: TeamState, *, names: Mapping[int, str], base: str) -> Team:
    """The resource; `names` of the members by their keys."""
    found = Team(
        id=str(entry.team_id),
        external_id=state.external_id or None,
        display_name=state.name,
        members=[
            GroupMember.model_validate(
                {"value": str(pk), "display": names.get(pk, ""), "type": "User", "$ref": f"{base}/Users/{pk}"}
            )
            for pk in sorted(state.members)
        ]
        or None,
    )
    found.meta = _meta(
        found, "Group", f"{base}/Groups/{entry.team_id}", created=entry.created_at, changed=entry.changed_at
    )
    return found


def wanted_person(sent: Person, *, before: PersonState | None, shown: Person | None = None) -> PersonState:
    """The state that a sent or patched resource means. `shown` is what it was patched from."""
    address = (sent.user_name or "").strip().lower()
    return PersonState(
        address=address,
        name=_name(sent, shown) or (before.name if before else address.partition("@")[0]),
        is_active=(before.is_active if before else True) if sent.active is None else sent.active,
        external_id=sent.external_id or "",
    )


def wanted_team(sent: CoreGroup, before: TeamState | None = None) -> TeamState:
    """Likewise of a team. Raises `ValueError` for members that are no people of ours."""
    state = TeamState(
        name=(sent.display_name or "").strip(),
        external_id=sent.external_id or "",
        members=frozenset(_key(member.value, member.type) for member in sent.members or []),
    )
    return replace(state, name=state.name or before.name) if before else state


def key_of(value: str | None) -> int | None:
    """The primary key that an id means, or None where it can be nobody's."""
    if value is None or not (value.isascii() and value.isdigit()) or len(value) > 18:
        return None
    return int(value)


def _key(value: str | None, kind: str | None) -> int:
    key = key_of(value)
    if key is None or (kind or "User").lower() != "user":
        raise ValueError(f"members are people, by the id they have here; {str(value)[:40]!r} is none")
    return key


def _name(sent: Person, shown: Person | None) -> str:
    """What was said last of the name: the display name, the formatted one, or its parts."""
    name, old = sent.name, shown.name if shown else None
    parts = " ".join(part for part in (name.given_name, name.family_name) if part) if name else ""
    if shown is None:
        return sent.display_name or (name.formatted if name else "") or parts or ""
    if sent.display_name and sent.display_name != shown.display_name:
        return sent.display_name
    if name and name.formatted and (old is None or name.formatted != old.formatted):
        return name.formatted
    if name and old and (name.given_name, name.family_name) != (old.given_name, old.family_name):
        return parts
    return ""


def _entry(person: User) -> DirectoryPerson | None:
    return getattr(person, "directory_entry", None)


def _meta(found: Any, kind: str, location: str, *, created: Any, changed: Any) -> Meta:
    """The version is a digest of what is shown, so whoever changed it, by whatever way, makes it another one."""
    shown = found.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    digest = hashlib.sha256(rfc8785.dumps(shown)).hexdigest()[:24]
    return Meta(
        resource_type=kind, created=created, last_modified=changed, location=location, version=f'W/"{digest}"'
    )
