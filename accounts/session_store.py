"""Where sessions are kept: Django's table, joined with when each began and when its person last did something.

Both ends, the idle and the absolute one, are enforced where a session is read, so that no door (pages, streams,
administration) can forget them. Reading a session costs the one query that it always cost."""

from datetime import timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef, Q, Subquery
from django.utils import timezone

IDLE, LONG, ENDED = "idle", "long", "ended"
"""Why there is no session any more: nothing was done, its time is over, somebody ended it."""


def idle_for() -> timedelta:
    return timedelta(seconds=settings.SESSION_IDLE_SECONDS)


def longest() -> timedelta:
    return timedelta(seconds=settings.SESSION_COOKIE_AGE)


class SessionStore(db.SessionStore):
    """Django's, which knows no session that has been idle or has lasted too long."""

    began: Any = None
    seen: Any = None
    """When its person signed in, and last did something; None for one in which nobody is signed in."""
    over: str = ""
    """Why the session that was asked for is none; empty where it is one, or none was asked for."""

    def _get_session_from_db(self) -> Any:
        known = UserSession.objects.filter(session_key=OuterRef("session_key"))
        found: Any = (
            self.model.objects.filter(session_key=self.session_key)
            .annotate(
                began=Subquery(known.values("created_at")[:1]),
                seen=Subquery(known.values("last_seen_at")[:1]),
            )
            .first()
        )
        self.over = _why_over(found)
        if self.over:
            self._session_key = None
            return None
        self.began, self.seen = found.began, found.seen
        return found

    @classmethod
    def clear_expired(cls) -> None:
        """What is over goes from both tables (hourly, accounts/tasks.py)."""
        now = timezone.now()
        gone = UserSession.objects.filter(
            Q(last_seen_at__lte=now - idle_for()) | Q(created_at__lte=now - longest())
        )
        Session.objects.filter(session_key__in=gone.values("session_key")).delete()
        Session.objects.filter(expire_date__lt=now).delete()
        UserSession.objects.exclude(
            Exists(Session.objects.filter(session_key=OuterRef("session_key")))
        ).delete()


def _why_over(found: Any) -> str:
    now = timezone.now()
    if found is None:
        return ENDED
    if found.expire_date <= now or (found.began and found.began <= now - longest()):
        return LONG
    return IDLE if found.seen and found.seen <= now - idle_for() else ""
