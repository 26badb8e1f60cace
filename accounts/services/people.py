"""People: invited, changed, let in again, shut out.

An invited person sets the password himself, by a single-use link that the admin passes on: so no admin ever knows a
password, and no mail server is needed. The link is signed over the present password hash; setting a password or issuing
another link makes it worthless, and so does the end of its three days."""

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from accounts import assigning, permissions, second_factor, sessions
from accounts.exceptions import Conflict, NotAllowed, NotFound
from accounts.models import DirectoryPerson, RoleAssignment, User, live_at
from accounts.roles import Role, Scope
from audit import recording
from audit.events import Actor, Kind, Target


class _LinkTokens(PasswordResetTokenGenerator):
    """Apart from any other password-reset token, so that neither opens the other's page."""

    key_salt = "accounts.services.people.link"


_tokens = _LinkTokens()


def invite(
    *, email: str, name: str, actor: User, is_admin: bool = False, is_auditor: bool = False
) -> tuple[User, str]:
    """A new person without a password, and the secret part of the link to set one, shown now and never again."""
    permissions.check_is_admin(actor)
    try:
        with transaction.atomic(durable=True):
            person = User.objects.create_user(email, name=name)
            _set_role(person, Role.ADMIN, is_admin, actor)
            _set_role(person, Role.AUDITOR, is_auditor, actor)
            recording.record(
                actor=actor.actor(),
                kind=Kind.PERSON_CREATED,
                target=_target(person),
                after=_facts(person),
            )
    except IntegrityError as error:
        raise Conflict(f"There is a person with the address {email} already.") from error
    return person, _link(person)


def issue_link(*, person_id: int, actor: User) -> tuple[User, str]:
    """A new link to set a password. The old password and every earlier link stop working, all sessions end."""
    with transaction.atomic(durable=True):
        person = locked_by_admin(person_id, actor)
        if not person.is_active:
            raise Conflict("This person is deactivated; reactivate first.")
        if person.pk == actor.pk:
            raise NotAllowed("Change your own password on your preferences page.")
        _forget_password(person)
        sessions.end_all(person, why="a new link was issued", by=actor)
        recording.record(actor=actor.actor(), kind=Kind.PERSON_LINKED, target=_target(person))
    return person, _link(person)


def person_behind(link: str) -> User | None:
    """Whom a link would let set a password, or None when it is used, replaced, too old or made up."""
    uid, _, token = link.partition("-")
    try:
        person = User.objects.filter(pk=int(urlsafe_base64_decode(uid)), is_active=True).first()
    except ValueError:
        return None
    return person if person is not None and _tokens.check_token(person, token) else None


def set_password(*, link: str, password: str) -> User:
    """Use the link up. Two uses at once: the second finds the password changed."""
    with transaction.atomic(durable=True):
        found = person_behind(link)
        person = _locked(found.pk) if found else None
        if person is None or person_behind(link) is None:
            raise NotAllowed("This link was used or is too old. Ask an admin for a new one.")
        person.set_password(password)
        person.save(update_fields=["password"])
        recording.record(actor=person.actor(), kind=Kind.PASSWORD_SET, target=_target(person))
    return person


def change(
    *,
    person_id: int,
    actor: User,
    name: str,
    is_admin: bool | None = None,
    is_auditor: bool | None = None,
) -> User:
    """Change a person's name, and his roles for everything where they are given. The last admin stays one, and nobody
    takes the role from himself."""
    with transaction.atomic(durable=True):
        person = locked_by_admin(person_id, actor)
        before = _facts(person)
        if person.is_admin and is_admin is False:
            check_not_last_admin(person, actor)
        person.name = name
        person.save(update_fields=["name"])
        for role, wanted in ((Role.ADMIN, is_admin), (Role.AUDITOR, is_auditor)):
            if wanted is not None:
                _set_role(person, role, wanted, actor)
        after = _facts(person)
        if after != before:
            recording.record(
                actor=actor.actor(),
                kind=Kind.PERSON_CHANGED,
                target=_target(person),
                before=before,
                after=after,
            )
    return person


def shut_out(person: User, *, actor: User | Actor) -> None:
    """A step of deactivation, on a locked person: no sign-in, and no session survives, now or after a return.

    By an admin, or by the company's directory."""
    check_not_last_admin(person, actor)
    person.is_active = False
    person.set_unusable_password()
    person.save(update_fields=["is_active", "password"])
    sessions.end_all(person, why="deactivated", by=actor)
    by_hand = isinstance(actor, User)
    DirectoryPerson.objects.filter(person=person).update(shut_out_at=None if by_hand else timezone.now())
    recording.record(
        actor=actor.actor() if isinstance(actor, User) else actor,
        kind=Kind.PERSON_DEACTIVATED,
        target=_target(person),
        before={"active": True},
        after={"active": False},
    )


def reactivate(*, person_id: int, actor: User) -> tuple[User, str]:
    """Let a person in again, with the rights and teams of before and by a new link only."""
    with transaction.atomic(durable=True):
        person = locked_by_admin(person_id, actor)
        if person.is_active:
            raise Conflict("This person is active already.")
        person.is_active = True
        person.save(update_fields=["is_active"])
        _forget_password(person)
        # Passkeys of before open nothing: the link alone lets him in.
        second_factor.taken_away(person, by=actor)
        recording.record(
            actor=actor.actor(),
            kind=Kind.PERSON_REACTIVATED,
            target=_target(person),
            before={"active": False},
            after={"active": True},
        )
    return person, _link(person)


def check_not_last_admin(person: User, actor: User | Actor) -> None:
    """An installation keeps an admin. All admins are locked by `locked_with_admins`, so the count stays true."""
    if isinstance(actor, User) and person.pk == actor.pk:
        raise NotAllowed("Another admin has to do this to you.")
    others = User.objects.admins().exclude(pk=person.pk)
    if person.is_admin and not others.exists():
        raise Conflict("This is the last admin. Make somebody else an admin first.")


def locked_by_admin(person_id: int, actor: User) -> User:
    """The person under a row lock, together with all admins, in one order: two admins who remove each other at once
    come one after the other, and the second is none any more. Raises `NotFound`, `NotAllowed`."""
    rows = _with_admins(person_id)
    permissions.check_is_admin(rows.get(actor.pk))
    if person_id not in rows:
        raise NotFound("There is no such person.")
    return rows[person_id]


def locked_with_admins(person_id: int) -> User:
    """The same where no admin acts, but the directory. Raises `NotFound`."""
    rows = _with_admins(person_id)
    if person_id not in rows:
        raise NotFound("There is no such person.")
    return rows[person_id]


def _with_admins(person_id: int) -> dict[int, User]:
    return {
        user.pk: user
        for user in User.objects.select_for_update(of=("self",), no_key=True)
        .filter(Q(pk=person_id) | Q(pk__in=User.objects.admins().values("pk")))
        .order_by("pk")
    }


def _locked(person_id: int) -> User:
    return User.objects.select_for_update(of=("self",), no_key=True).get(pk=person_id)


def _link(person: User) -> str:
    return f"{urlsafe_base64_encode(force_bytes(person.pk))}-{_tokens.make_token(person)}"


def _forget_password(person: User) -> None:
    """Django's unusable password is random, so every hash over it (links, sessions) changes."""
    person.set_unusable_password()
    person.save(update_fields=["password"])


def _set_role(person: User, role: Role, wanted: bool, actor: User) -> None:
    """A role for everything, of the person's own. What comes through a team is the team's."""
    held = list(_own(person, role).select_for_update(no_key=True))
    if wanted and not held:
        assigning.given_or_asked(role=role, to=person, actor=actor, scope=Scope.EVERYTHING)
    if not wanted:
        for assignment in held:
            assigning.taken(assignment, by=actor, why="changed on the person's page", last=True)


def _own(person: User, role: Role) -> QuerySet[RoleAssignment]:
    return RoleAssignment.objects.filter(
        live_at(timezone.now()), person=person, role=role, scope=Scope.EVERYTHING
    )


def is_admin(person: User) -> bool:
    """Whether he is one by a role of his own."""
    return _own(person, Role.ADMIN).exists()


def is_auditor(person: User) -> bool:
    """Whether he is an auditor by a role of his own; admins see everything without being one."""
    return _own(person, Role.AUDITOR).exists()


def _facts(person: User) -> dict[str, object]:
    return {
        "email": person.email,
        "name": person.name,
        "admin": is_admin(person),
        "auditor": is_auditor(person),
    }


def _target(person: User) -> Target:
    return Target("person", str(person.pk))
