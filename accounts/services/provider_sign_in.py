"""Let somebody in by his identity provider's word: who he is here, and in which teams that puts him.

The provider's `sub` decides. An address only ties the two together, once, and only one that the provider has verified:
who is given a former colleague's address gets nothing of his (OpenID Connect Core 5.7)."""

from dataclasses import dataclass

from allauth.socialaccount.models import SocialAccount
from django.db import IntegrityError, transaction

from accounts import joining
from accounts.exceptions import Conflict, NotAllowed
from accounts.models import DirectoryTeam, TeamJoin, User
from accounts.oidc_identity import Identity
from accounts.oidc_providers import Provider
from audit import recording
from audit.events import Actor, Kind, Target, system


class NotAdmitted(NotAllowed):
    """The provider knows him; this installation does not let him in."""

    code = "not_admitted"
    title = "You could not be signed in"


@dataclass(frozen=True, slots=True)
class _Refused:
    why: str
    person: User | None = None


def admit(*, provider: Provider, identity: Identity) -> User:
    """The active person behind a verified identity, his teams brought up to date.

    Raises `NotAdmitted`, which is an event of its own, and `Conflict` when two sign-ins made the same link at once."""
    actor = system(f"directory:{provider.name}"[:64])
    try:
        with transaction.atomic(durable=True):
            found = _linked(provider, identity) or _tied(provider, identity, actor)
            if isinstance(found, User) and not found.is_active:
                found = _Refused("your account here is deactivated", found)
            if isinstance(found, _Refused):
                _record_refusal(found, provider, actor)
            else:
                _record_word(found, provider, identity)
                follow_groups(found, identity.groups, actor=actor)
    except IntegrityError as error:
        raise Conflict("You signed in twice at the same moment. Begin again.") from error
    if isinstance(found, _Refused):
        raise NotAdmitted(f"{provider.name} says who you are, but {found.why}. An admin can help.")
    return found


def follow_groups(person: User, groups: frozenset[str] | None, *, actor: Actor) -> None:
    """A step: memberships by the directory become what the token says; those an admin gave stay.

    None: the token does not speak of groups, and nothing is changed. Teams are locked in one order."""
    if groups is None:
        return
    entries = DirectoryTeam.objects.filter(removed_at=None).select_related("team").order_by("team_id")
    now = set(_by_directory(person))
    for entry in entries:
        wanted = entry.claimed_as in groups
        if not entry.claimed_as or wanted == (entry.team_id in now):
            continue
        team = type(entry.team).objects.select_for_update(no_key=True).get(pk=entry.team_id)
        if not wanted:
            joining.leave(person, team, source=joining.DIRECTORY, by=actor)
        elif joining.directory_may_fill(team):
            joining.join(person, team, source=joining.DIRECTORY, by=actor)


def _by_directory(person: User) -> list[int]:
    found = TeamJoin.objects.filter(joining.by_directory(), person=person)
    return list(found.values_list("team_id", flat=True))


def _linked(provider: Provider, identity: Identity) -> User | None:
    """Whom this `sub` was tied to before, locked."""
    link = SocialAccount.objects.filter(provider=provider.link_id, uid=identity.subject).first()
    return _locked(link.user_id) if link else None


def _tied(provider: Provider, identity: Identity, actor: Actor) -> User | _Refused:
    """The first time: by a verified address, to somebody who is here, or who is made where the provider may."""
    if not identity.email:
        return _Refused("it did not say your e-mail address")
    known = User.objects.filter(email=identity.email).values_list("pk", flat=True).first()
    if not identity.email_verified:
        return _Refused(
            "it did not say that your e-mail address is verified", _locked(known) if known else None
        )
    if known is None and not provider.creates:
        return _Refused("nobody has invited your address to this installation")
    person = _locked(known) if known is not None else _created(identity, actor)
    if SocialAccount.objects.filter(provider=provider.link_id, user=person).exists():
        return _Refused("the person with your address signs in there as somebody else", person)
    if not person.is_active:
        return person
    SocialAccount.objects.create(
        user=person,
        provider=provider.link_id,
        uid=identity.subject,
        extra_data={"issuer": provider.issuer, "email": identity.email},
    )
    recording.record(
        actor=person.actor(),
        kind=Kind.PROVIDER_LINKED,
        target=_target(person),
        detail={"provider": provider.name, "issuer": provider.issuer, "address": identity.email},
    )
    return person


def _created(identity: Identity, actor: Actor) -> User:
    """Somebody new, in no team by this and without a role."""
    person = User.objects.create_user(identity.email, name=identity.name or identity.email.split("@")[0])
    recording.record(
        actor=actor,
        kind=Kind.PERSON_CREATED,
        target=_target(person),
        after={"email": person.email, "name": person.name, "admin": False, "auditor": False},
    )
    return person


def _locked(person_id: int) -> User:
    return User.objects.select_for_update(of=("self",), no_key=True).get(pk=person_id)


def _record_word(person: User, provider: Provider, identity: Identity) -> None:
    recording.record(
        actor=person.actor(),
        kind=Kind.PROVIDER_VOUCHED,
        target=_target(person),
        detail={"provider": provider.name, "two_factors": identity.is_multifactor},
    )


def _record_refusal(refused: _Refused, provider: Provider, actor: Actor) -> None:
    """Neither address nor `sub` of a stranger is kept."""
    recording.record(
        actor=actor,
        kind=Kind.SIGN_IN_FAILED,
        target=_target(refused.person) if refused.person else Target("person", "unknown"),
        detail={
            "provider": provider.name,
            "why": refused.why,
            **({"person": str(refused.person)} if refused.person else {}),
        },
    )


def _target(person: User) -> Target:
    return Target("person", str(person.pk))
