"""Who needs a second factor, who has one, and whether a session was opened with it.

A second factor is a passkey or a code from an authenticator app; recovery codes stand in for either and count only
beside one. Who signs in by a passkey alone has shown two things at once: the device, and the finger or PIN that opens
it. An installation asks for one of admins and of reviewers of high-risk queues (settings.SECOND_FACTOR)."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest

from accounts import passkey_keys
from accounts.exceptions import NotAllowed
from accounts.models import User, content_type_of
from accounts.once import once
from accounts.roles import Duty, Scope
from audit import recording
from audit.events import Kind, Target

Type = Authenticator.Type
FACTORS = (Type.TOTP, Type.WEBAUTHN)
NAMES = {Type.TOTP: "authenticator app", Type.WEBAUTHN: "passkey", Type.RECOVERY_CODES: "recovery codes"}
STEP_UP_SECONDS = 300
"""So long after somebody has shown who he is he may change how he signs in."""
REQUIRED, OFFERED = "required", "offered"
_shown: ContextVar[bool | None] = ContextVar("second_factor_shown", default=None)


class SecondFactorNeeded(NotAllowed):
    """This may only be done by somebody who has signed in with a second factor."""

    code = "second_factor_needed"
    title = "A second factor is needed"


def has_one(user: User) -> bool:
    """Whether the person has set up a passkey or an authenticator app."""
    return once("second_factor", user.pk, lambda: _has(user))


def _has(user: User) -> bool:
    return bool(Authenticator.objects.filter(user_id=user.pk, type__in=FACTORS).exists())


def is_called_for(user: User) -> bool:
    """Whether the person's roles call for one: admins, and reviewers of queues of high risk."""
    return once("second_factor_called_for", user.pk, lambda: _is_called_for(user))


def _is_called_for(user: User) -> bool:
    held = user.held
    if held.is_admin:
        return True
    reach = held.reach(Duty.REVIEW)
    if not reach:
        return False
    queue: Any = content_type_of(Scope.QUEUE).model_class()
    return bool(queue.objects.filter(reach.on_queues(), needs_second_factor=True).exists())


def is_required_of(user: User) -> bool:
    """Whether the person may do nothing here before he has one, in this installation."""
    return is_enforced() and is_called_for(user)


def is_enforced() -> bool:
    return bool(settings.SECOND_FACTOR == REQUIRED)


def signed_in_with_two(request: HttpRequest) -> bool:
    """Whether in this session a second factor, or a passkey alone, was shown. A password, or an identity provider's
    word, does not count: what has stood open since before there was a factor has shown none."""
    return any(record.get("method") == "mfa" for record in _records(request))


def is_fresh(request: HttpRequest) -> bool:
    """Whether the person has shown within the last five minutes who he is, by the factor if he has one: a password
    that somebody has looked over his shoulder for removes no passkey."""
    user = request.user
    if not isinstance(user, User):
        return False
    by_factor = has_one(user)
    soonest = time.time() - STEP_UP_SECONDS
    return any(
        float(record.get("at", 0)) >= soonest and (record.get("method") == "mfa" or not by_factor)
        for record in _records(request)
    )


def _records(request: HttpRequest) -> Iterable[dict[str, Any]]:
    found: list[dict[str, Any]] = get_authentication_records(request, request.user)
    return found


@contextmanager
def shown_in(request: HttpRequest) -> Iterator[None]:
    """Within it, what is decided knows whether the request's session was opened with a second factor."""
    token = _shown.set(signed_in_with_two(request))
    try:
        yield
    finally:
        _shown.reset(token)


def check_shown(user: User) -> None:
    """Refuse what somebody does without the second factor that it takes; where permission is checked, not only on the
    page that leads there. Outside a request (a command, a task) it is enough that the person has one.

    Raises `SecondFactorNeeded` with the remedy."""
    if not is_enforced():
        return
    shown = _shown.get()
    if shown or (shown is None and has_one(user)):
        return
    raise needed(user)


def taken_away(user: User, *, by: User) -> int:
    """A step: all second factors of the person go, recovery codes with them, an event for each factor. Returns how many
    rows there were."""
    rows = list(Authenticator.objects.filter(user=user).order_by("pk"))
    for row in rows:
        if row.type in FACTORS:
            recording.record(
                actor=by.actor(),
                kind=Kind.FACTOR_REMOVED,
                target=Target("person", str(user.pk)),
                detail=facts(row),
            )
    Authenticator.objects.filter(user=user).delete()
    return len(rows)


def facts(row: Authenticator) -> dict[str, Any]:
    """What an event says of a factor: what it is and what its person calls it."""
    found: dict[str, Any] = {"factor": NAMES[Type(row.type)]}
    if row.type == Type.WEBAUTHN:
        found["name"] = str(row.data.get("name", ""))
        found |= passkey_keys.facts_of(row)
    return found


def needed(user: User) -> SecondFactorNeeded:
    """The refusal, with the remedy."""
    if has_one(user):
        return SecondFactorNeeded(
            "This session was opened without your second factor. Show it under Sign-in and security, then do it again."
        )
    return SecondFactorNeeded(
        "This takes somebody who signs in with a second factor. Set one up under Sign-in and security."
    )
