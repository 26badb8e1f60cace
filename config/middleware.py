"""What every request passes: where it came from (for audit and logs), and domain errors made into answers."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from functools import lru_cache
from urllib.parse import unquote
from uuid import uuid4
from zoneinfo import ZoneInfo, available_timezones

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts.exceptions import DomainError, NotAllowed
from accounts.models import User
from agents import http
from approvals import permissions
from audit import recording
from audit.events import Actor, Kind, Source, Target

log = structlog.get_logger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponse]
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")


class RequestSource:
    """Gives every request an id (the caller's X-Request-ID where it is well-formed) and remembers the address."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _REQUEST_ID.match(given) else uuid4().hex
        source = Source(request_id=request_id, address=str(request.META.get("REMOTE_ADDR", ""))[:64])
        with ExitStack() as stack:
            stack.enter_context(recording.coming_from(source))
            stack.enter_context(structlog.contextvars.bound_contextvars(request_id=request_id))
            response = self.get_response(request)
        response["X-Request-ID"] = request_id
        return response


class PersonSource:
    """Adds the session to what audit events carry, once the session is known."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.session.session_key if hasattr(request, "session") else None
        if key is None:
            return self.get_response(request)
        with recording.coming_from(recording.with_session(key)):
            return self.get_response(request)


class RightsReadOnce:
    """A page asks many times whether this person may do this or that; while it is only read, once is enough."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return self.get_response(request)
        with permissions.reading_once():
            return self.get_response(request)


ZONE_COOKIE = "tz"
"""The browser's time zone, set by the page's script; a hint for showing times and nothing else."""


class LocalTime:
    """Shows times on the reader's clock: the zone in his settings, else the browser's, else UTC.

    Only names of the time zone database pass: the cookie is anybody's."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(zone_of(request)):
            return self.get_response(request)


def zone_of(request: HttpRequest) -> ZoneInfo:
    """The zone that times are shown in. UTC in a person's settings means that he has chosen none."""
    chosen = ""
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        chosen = str(getattr(getattr(request, "user", None), "time_zone", ""))
    for name in (chosen if chosen != "UTC" else "", unquote(request.COOKIES.get(ZONE_COOKIE, ""))):
        if name and name in _zones():
            return ZoneInfo(name)
    return ZoneInfo("UTC")


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


class DomainErrors:
    """Turns domain errors into problem documents for agents, fragments for htmx and pages for browsers."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, OperationalError):
            log.error("database_away", error=str(error)[:300])
            return unavailable(request)
        if isinstance(error, PermissionDenied):
            error = NotAllowed(str(error) or "Your roles do not let you do this.")
        if not isinstance(error, DomainError):
            return None
        if isinstance(error, NotAllowed):
            _record_refusal(request, error)
        if is_for_agents(request):
            return http.problem_of(error)
        template = "_refusal.html" if getattr(request, "htmx", False) else "refusal.html"
        return render(request, template, {"error": error}, status=error.status)


def is_for_agents(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/v1/", "/v1/traces", "/tlog/", "/.well-known/"))


def unavailable(request: HttpRequest) -> HttpResponse:
    """503 while the database cannot be reached. Where it died at the commit nobody knows what was done, so the answer
    does not pretend to; every request may be sent again and counts once."""
    if is_for_agents(request):
        return http.problem(
            status=503,
            code="unavailable",
            title="Not available right now",
            detail="The database cannot be reached. Send the same request again; it counts once.",
            retry_after=2,
        )
    return HttpResponse(
        "<!doctype html><title>Not available</title><h1>Countersign cannot reach its database</h1>"
        "<p>What you just sent may have been done or not. Go back in a moment and look; "
        "sending it again counts once.</p>",
        status=503,
        headers={"Retry-After": "2"},
    )


def _record_refusal(request: HttpRequest, error: NotAllowed) -> None:
    """A refused attempt is an event of its own, outside the transaction that was rolled back (A26)."""
    user = getattr(request, "user", None)
    actor = user.actor() if isinstance(user, User) else Actor("system", "anonymous", "anonymous")
    with transaction.atomic():
        recording.record(
            actor=actor,
            kind=Kind.ACCESS_REFUSED,
            target=Target("path", request.path[:64]),
            detail={
                "method": request.method or "",
                "path": request.path[:500],
                "why": error.detail,
                "code": error.code,
            },
        )
