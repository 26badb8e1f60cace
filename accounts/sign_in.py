"""Sign-ins, sign-outs, failed attempts and changed passwords leave audit events, by Django's and allauth's signals."""

from typing import Any

from allauth.account.signals import password_changed
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.models import User
from audit import recording
from audit.events import Actor, Kind, Target


@receiver(user_logged_in, dispatch_uid="audit_signed_in")
def signed_in(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    with recording.coming_from(recording.with_session(request.session.session_key or "")):
        _record(Kind.SIGNED_IN, user)


@receiver(user_logged_out, dispatch_uid="audit_signed_out")
def signed_out(sender: Any, request: HttpRequest, user: User | None, **kwargs: Any) -> None:
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


@receiver(password_changed, dispatch_uid="audit_password_changed")
def changed_password(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    _record(Kind.PASSWORD_SET, user)


def _record(kind: Kind, person: User, *, by: Actor | None = None) -> None:
    with transaction.atomic():
        recording.record(
            actor=by or person.actor(),
            kind=kind,
            target=Target("person", str(person.pk)),
            detail={"person": str(person)} if by else None,
        )
