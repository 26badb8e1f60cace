"""Sessions of people: begun at sign-in, kept alive by use, given a new key at step-up, ended one by one or all at once.

The table of django-allauth says which sessions a person has; accounts/session_store.py reads it with every session."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.browsers import browser_name
from accounts.exceptions import NotFound
from accounts.models import User
from accounts.session_store import IDLE, LONG, idle_for, longest
from audit import recording
from audit.events import Actor, Kind, Target, system

TOUCH_EVERY = timedelta(minutes=1)
"""So long what a person does leaves no trace in his session: a page costs no write."""
_NO_ADDRESS = "0.0.0.0"  # noqa: S104 - stored where a request has no address of a network


@dataclass(frozen=True, slots=True)
class Seen:
    """One session of a person, as the list of his sessions shows it."""

    id: int
    browser: str
    address: str
    since: datetime
    last_active: datetime
    is_current: bool


@dataclass(frozen=True, slots=True)
class Left:
    """Seconds until this session ends, and by which of its two ends (`IDLE`, `LONG`)."""

    seconds: int
    why: str


def begin(request: HttpRequest, user: User) -> None:
    """Keep book of a session in which somebody has just signed in. A sign-in in one that is known begins it anew."""
    key = request.session.session_key
    if not key:
        return
    now = timezone.now()
    UserSession.objects.update_or_create(
        session_key=key,
        defaults={
            "user": user,
            "ip": _address(request),
            "user_agent": _agent(request),
            "created_at": now,
            "last_seen_at": now,
        },
    )


def touch(request: HttpRequest, user: User) -> None:
    """The person has done something. Writes at most once a minute."""
    store, now = _store(request), timezone.now()
    if not store.session_key or (store.seen is not None and now - store.seen < TOUCH_EVERY):
        return
    changed = UserSession.objects.filter(session_key=store.session_key).update(
        last_seen_at=now, ip=_address(request), user_agent=_agent(request)
    )
    if not changed and store.seen is None:
        begin(request, user)
    store.seen = now


def _store(request: HttpRequest) -> Any:
    """The session with what accounts/session_store.py knows of it."""
    return request.session


def rotate(request: HttpRequest, *, password_of: User | None = None) -> None:
    """Give the session a new key and keep everything else, its beginning included. The old key opens nothing more.

    `password_of` has just changed his password in it, which would end it."""
    old = request.session.session_key
    if password_of is not None:
        request.session[HASH_SESSION_KEY] = password_of.get_session_auth_hash()
    with transaction.atomic():
        request.session.cycle_key()
        UserSession.objects.filter(session_key=old).update(session_key=request.session.session_key)


def left(request: HttpRequest) -> Left | None:
    """How long this session still lives if nothing is done; None where nobody is signed in."""
    store, now = _store(request), timezone.now()
    if store.seen is None or store.began is None:
        return None
    idle = (store.seen + idle_for() - now).total_seconds()
    total = (store.began + longest() - now).total_seconds()
    return Left(max(0, int(min(idle, total))), IDLE if idle < total else LONG)


def of(user: User, *, current: str = "") -> list[Seen]:
    """The person's sessions that still live, the one used last first. One query."""
    return [
        Seen(
            id=row.pk,
            browser=browser_name(row.user_agent),
            address="" if row.ip == _NO_ADDRESS else row.ip,
            since=row.created_at,
            last_active=row.last_seen_at,
            is_current=row.session_key == current,
        )
        for row in _live(user).order_by("-last_seen_at")
    ]


def end_one(user: User, *, session_id: int, by: User) -> None:
    """End one session of the person. Raises `NotFound` where he has no such session."""
    with transaction.atomic():
        row = UserSession.objects.select_for_update().filter(user=user, pk=session_id).first()
        if row is None:
            raise NotFound("This session has ended already.")
        _end(user, [row.session_key], why="ended from the list", by=by)


def end_all(user: User, *, why: str, except_key: str = "", by: User | Actor | None = None) -> int:
    """End the person's sessions, but for the one with this key. Within the caller's transaction, if there is one.

    Returns how many there were; writes an event where there was one. `by` is who did it, nobody for a rule."""
    with transaction.atomic():
        keys = UserSession.objects.filter(user=user).exclude(session_key=except_key)
        live = set(_live(user).values_list("session_key", flat=True))
        return _end(user, list(keys.values_list("session_key", flat=True)), why=why, by=by, live=live)


def _end(
    user: User, keys: list[str], *, why: str, by: User | Actor | None, live: set[str] | None = None
) -> int:
    Session.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).delete()
    ended = sorted(keys if live is None else live.intersection(keys))
    if ended:
        recording.record(
            actor=by.actor() if isinstance(by, User) else by or system("sessions"),
            kind=Kind.SESSIONS_ENDED,
            target=Target("person", str(user.pk)),
            detail={
                "why": why,
                "number": len(ended),
                "sessions": [recording.with_session(key).session for key in ended[:20]],
            },
        )
    return len(ended)


def forget(key: str | None) -> None:
    """A session that its person has signed out of."""
    if key:
        UserSession.objects.filter(session_key=key).delete()


def _live(user: User) -> QuerySet[UserSession]:
    now = timezone.now()
    found: QuerySet[UserSession] = UserSession.objects.filter(
        Exists(Session.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=now)),
        user=user,
        last_seen_at__gt=now - idle_for(),
        created_at__gt=now - longest(),
    )
    return found


def _address(request: HttpRequest) -> str:
    try:
        return str(ipaddress.ip_address(str(request.META.get("REMOTE_ADDR", ""))))
    except ValueError:
        return _NO_ADDRESS


def _agent(request: HttpRequest) -> str:
    return str(request.META.get("HTTP_USER_AGENT", ""))[:200]
