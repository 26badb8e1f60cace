"""A person's second factors: set up, renamed, removed, used; and taken away by an admin from who has lost them all."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from allauth.mfa.webauthn.internal.auth import WebAuthn
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import codes, second_factor, sessions
from accounts.exceptions import Conflict, Invalid, NotAllowed, NotFound
from accounts.models import User
from accounts.permissions import check_is_admin
from accounts.second_factor import Type
from audit import recording
from audit.events import Actor, Kind, Target

MOST_PASSKEYS = 20
NOBODY_YET = Actor("system", "anonymous", "anonymous")
"""Who fails at the second factor of a sign-in has not shown that he is anybody."""


def add_app(*, person: User, secret: str, code: str) -> list[str]:
    """Set up an authenticator app that has just shown a right code. Returns recovery codes where these are the first.

    Raises `Invalid` for a wrong code, `Conflict` where there is one already."""
    counter = codes.counter_of(secret, codes.digits(code))
    if counter is None:
        raise Invalid(
            "The app was not set up.",
            errors=[
                {
                    "field": "code",
                    "message": "is not the code of this moment; look at the clock of your device",
                }
            ],
        )
    try:
        with transaction.atomic(durable=True):
            _lock(person)
            row = TOTP.activate(person, secret).instance
            row.data["counter"] = counter
            row.save(update_fields=["data"])
            _record(Kind.FACTOR_ADDED, person, row)
            return _first_codes(person)
    except IntegrityError as error:
        raise Conflict("You have an authenticator app already. Remove that one first.") from error


def add_passkey(*, person: User, name: str, credential: dict[str, Any]) -> tuple[Authenticator, list[str]]:
    """Keep a passkey that has been checked (accounts/passkeys.py), and make recovery codes where there are none."""
    with transaction.atomic(durable=True):
        _lock(person)
        count = Authenticator.objects.filter(user=person, type=Type.WEBAUTHN).count()
        if count >= MOST_PASSKEYS:
            raise Conflict(f"You have {count} passkeys already. Remove one first.")
        row = WebAuthn.add(person, name.strip()[:60] or f"Passkey {count + 1}", credential).instance
        _record(Kind.FACTOR_ADDED, person, row)
        return row, _first_codes(person)


def rename_passkey(*, person: User, factor_id: int, name: str) -> None:
    with transaction.atomic(durable=True):
        row = _own(person, factor_id)
        if row.type != Type.WEBAUTHN:
            raise NotFound("There is no such passkey.")
        before = row.data.get("name", "")
        row.data["name"] = name.strip()[:60]
        row.save(update_fields=["data"])
        recording.record(
            actor=person.actor(),
            kind=Kind.FACTOR_RENAMED,
            target=_target(person),
            before={"name": before},
            after={"name": row.data["name"]},
        )


def remove(*, person: User, factor_id: int, session_key: str) -> None:
    """Remove a passkey or the authenticator app; recovery codes go with the last. All other sessions end.

    Raises `NotAllowed` for the last one of a person who needs one."""
    with transaction.atomic(durable=True):
        _lock(person)
        row = _own(person, factor_id)
        others = Authenticator.objects.filter(user=person, type__in=second_factor.FACTORS).exclude(pk=row.pk)
        is_last = not others.exists()
        if is_last and second_factor.is_required_of(person):
            raise NotAllowed(
                "Your roles call for a second factor, and this is your only one. Add another first."
            )
        _record(Kind.FACTOR_REMOVED, person, row)
        row.delete()
        if is_last:
            Authenticator.objects.filter(user=person).delete()
        sessions.end_all(person, why="a second factor was removed", except_key=session_key, by=person)


def make_codes(*, person: User) -> list[str]:
    """New recovery codes, shown now and never again; earlier ones stop working.

    Raises `NotAllowed` without a factor."""
    with transaction.atomic(durable=True):
        _lock(person)
        if not second_factor.has_one(person):
            raise NotAllowed(
                "Set up a passkey or an authenticator app first; recovery codes stand in for one."
            )
        return _new_codes(person)


def use_code(*, person: User, typed: str, signing_in: bool) -> Authenticator | None:
    """Use a code of the app or a recovery code up. None, and an event of the failure, where it is no right one."""
    with transaction.atomic(durable=True):
        row = codes.used(person, typed)
        if row is None:
            _failed(person, "code", signing_in)
            return None
        _used(person, row, signing_in=signing_in)
        return row


def use_passkey(*, person: User, row: Authenticator, signing_in: bool, alone: bool = False) -> None:
    """A passkey was shown whose signature is right."""
    with transaction.atomic(durable=True):
        _used(person, row, signing_in=signing_in, alone=alone)


def fail(*, person: User | None, way: str, signing_in: bool) -> None:
    """Somebody failed to show the second factor; nobody is known where a passkey belonged to nobody."""
    with transaction.atomic(durable=True):
        _failed(person, way, signing_in)


def take_all(*, person_id: int, actor: User) -> User:
    """Take all second factors from somebody who has lost them, and end his sessions: he signs in by his password (or
    by a new link) and sets up new ones. An admin does it for another person, never for himself."""
    check_is_admin(actor)
    if person_id == actor.pk:
        raise NotAllowed("Another admin has to do this to you.")
    with transaction.atomic(durable=True):
        person = User.objects.select_for_update(of=("self",), no_key=True).filter(pk=person_id).first()
        if person is None:
            raise NotFound("There is no such person.")
        if not second_factor.taken_away(person, by=actor):
            raise Conflict(f"{person} has no second factor.")
        sessions.end_all(person, why="an admin took the second factors away", by=actor)
    return person


def end_sessions(*, person_id: int, actor: User) -> tuple[User, int]:
    """End all sessions of another person. Raises `NotAllowed`, `NotFound`."""
    check_is_admin(actor)
    with transaction.atomic(durable=True):
        person = User.objects.filter(pk=person_id).first()
        if person is None:
            raise NotFound("There is no such person.")
        return person, sessions.end_all(person, why="an admin ended them", by=actor)


def _lock(person: User) -> None:
    User.objects.select_for_update(of=("self",), no_key=True).get(pk=person.pk)


def _own(person: User, factor_id: int) -> Authenticator:
    found = (
        Authenticator.objects.select_for_update()
        .filter(user=person, pk=factor_id, type__in=second_factor.FACTORS)
        .first()
    )
    if found is None:
        raise NotFound("There is no such passkey or app.")
    return found


def _first_codes(person: User) -> list[str]:
    if Authenticator.objects.filter(user=person, type=Type.RECOVERY_CODES).exists():
        return []
    return _new_codes(person)


def _new_codes(person: User) -> list[str]:
    Authenticator.objects.filter(user=person, type=Type.RECOVERY_CODES).delete()
    found = codes.unused(RecoveryCodes.activate(person).instance)
    recording.record(
        actor=person.actor(), kind=Kind.CODES_MADE, target=_target(person), detail={"number": len(found)}
    )
    return found


def _used(person: User, row: Authenticator, *, signing_in: bool, alone: bool = False) -> None:
    row.last_used_at = timezone.now()
    row.save(update_fields=["last_used_at"])
    kind = Kind.CODE_USED if row.type == Type.RECOVERY_CODES else Kind.FACTOR_USED
    detail: dict[str, Any] = {
        **second_factor.facts(row),
        "to": "sign in" if signing_in else "prove who is signed in",
    }
    if row.type == Type.RECOVERY_CODES:
        detail["left"] = len(codes.unused(row))
    if alone:
        detail["without_password"] = True
    recording.record(actor=person.actor(), kind=kind, target=_target(person), detail=detail)


def _failed(person: User | None, way: str, signing_in: bool) -> None:
    known = {} if person is None else {"person": str(person)}
    recording.record(
        actor=NOBODY_YET if signing_in or person is None else person.actor(),
        kind=Kind.FACTOR_FAILED,
        target=Target("person", str(person.pk) if person else "unknown"),
        detail={"way": way, **known},
    )


def _record(kind: Kind, person: User, row: Authenticator) -> None:
    recording.record(actor=person.actor(), kind=kind, target=_target(person), detail=second_factor.facts(row))


def _target(person: User) -> Target:
    return Target("person", str(person.pk))
