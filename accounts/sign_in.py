"""Sign-ins, sign-outs and failed attempts leave audit events, by Django's signals; a sign-in begins a session."""

from typing import Any

from allauth.account.internal.flows.login import record_authentication
from django.contrib.auth import login
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from accounts import sessions
from accounts.exceptions import TooManyRequests
from accounts.models import User, mark_used
from accounts.roles import Duty, Scope
from audit import recording
from audit.events import Actor, Kind, Target

BACKEND = "accounts.backends.Roles"


def by_new_password(request: HttpRequest, user: User) -> None:
    """Sign somebody in who has just set his password; setting it has shown that he knows it."""
    record_authentication(request, user, "password", email=user.email)
    login(request, user, backend=BACKEND)


@receiver(user_logged_in, dispatch_uid="audit_signed_in")
def signed_in(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    sessions.begin(request, user)
    with recording.coming_from(recording.with_session(request.session.session_key or "")):
        _record(Kind.SIGNED_IN, user)
    with transaction.atomic():  # what an admin or an auditor uses his role for begins here
        for duty in (Duty.ADMINISTER, Duty.READ):
            mark_used(user, duty, scope=Scope.EVERYTHING)


@receiver(user_logged_out, dispatch_uid="audit_signed_out")
def signed_out(sender: Any, request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    sessions.forget(request.session.session_key)
    if user is not None:
        _record(Kind.SIGNED_OUT, user)


@receiver(user_login_failed, dispatch_uid="audit_sign_in_failed")
def sign_in_failed(sender: Any, credentials: dict[str, Any], **kwargs: Any) -> None:
    """Who was tried, where there is such a person. What was typed is not kept: it may be a password."""
    typed = str(credentials.get("email") or credentials.get("username") or "")
    person = User.objects.filter(email=typed.lower()).first() if typed else None
    if person is not None:
        _record(Kind.SIGN_IN_FAILED, person, by=Actor("system", "anonymous", "anonymous"))
        return
    with transaction.atomic():
        recording.record(
            actor=Actor("system", "anonymous", "anonymous"),
            kind=Kind.SIGN_IN_FAILED,
            target=Target("person", "unknown"),
        )


def too_many(request: HttpRequest) -> HttpResponse:
    """What allauth answers where an address asks too often: the page that every refusal has."""
    raise TooManyRequests(
        "Too many people sign in from your address at once, or one tries too often. Wait a minute, then try again.",
        retry_after=60,
    )


def _record(kind: Kind, person: User, *, by: Actor | None = None) -> None:
    with transaction.atomic():
        recording.record(
            actor=by or person.actor(),
            kind=kind,
            target=Target("person", str(person.pk)),
            detail={"person": str(person)} if by else None,
        )
