"""What every request passes: where it came from (for audit and logs), and domain errors made into answers."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import lru_cache, partial
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts import once
from accounts.exceptions import DomainError, NotAllowed, TooManyRequests
from agents import http
from agents.exceptions import KeysAway
from audit import recording
from audit.events import Source
from audit.keys import Unreadable
from config import limits, refusals
from config.bridge import CALLER
from config.rates import Kind

log = structlog.get_logger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestSource:
    """Gives every request an id (the caller's X-Request-ID where it is well-formed) and remembers the address."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        this = refusals.request_id(request.headers.get("X-Request-ID", ""))
        source = Source(request_id=this, address=str(request.META.get("REMOTE_ADDR", ""))[:64])
        with ExitStack() as stack:
            stack.enter_context(recording.coming_from(source))
            stack.enter_context(structlog.contextvars.bound_contextvars(request_id=this))
            response = self.get_response(request)
        response["X-Request-ID"] = this
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
        with once.reading_once():
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
        response = self.get_response(request)
        if response.status_code in REFUSED or getattr(request, "refused_by", None):
            _note_refusal(request, response)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, OperationalError):
            log.error("database_away", error=str(error)[:300])
            return unavailable(request)
        if isinstance(error, Unreadable):
            log.error("content_keys_unusable", error=str(error)[:300])
            error = KeysAway(
                "What is written cannot be encrypted at the moment; nothing was done. Send it again.",
                retry_after=30,
            )
        if isinstance(error, PermissionDenied):
            error = NotAllowed(str(error) or "Your roles do not let you do this.")
        if not isinstance(error, DomainError):
            return None
        if error.status in REFUSED or _is_redemption(request):
            request.refused_by = error  # type: ignore[attr-defined]  # noted on the way out, by whatever refused
        return answer_of(request, error)


def answer_of(request: HttpRequest, error: DomainError) -> HttpResponse:
    """A refusal for whoever asked: a problem document, a fragment or a page."""
    if is_for_agents(request):
        return http.problem_of(error)
    template = "_refusal.html" if getattr(request, "htmx", False) else "refusal.html"
    response = render(request, template, {"error": error}, status=error.status)
    if "retry_after" in error.extra:
        response["Retry-After"] = str(error.extra["retry_after"])
    return response


class AgentLimits:
    """How often one agent may ask, before anything is done for it; and who asks, for the turns of config/bridge.py."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        authorization = request.headers.get("Authorization", "")
        if not authorization or not request.path.startswith(("/api/v1/", "/v1/traces")):
            return self.get_response(request)
        bearer = limits.known(authorization)
        if bearer is not None:
            request.META[CALLER] = f"agent:{bearer.agent.pk}"
            request.agent_actor = bearer.agent.actor()  # type: ignore[attr-defined]  # whom a refusal is noted of
            try:
                limits.spend_of_agent(_kind_of(request), bearer)
            except TooManyRequests as error:
                request.refused_by = error  # type: ignore[attr-defined]
                response = answer_of(request, error)
                response._has_been_logged = True  # type: ignore[attr-defined]  # a flood is told in events, boundedly
                return response
            request.spend_proposals = partial(limits.spend_on_proposals, bearer)  # type: ignore[attr-defined]
        return self.get_response(request)


def _kind_of(request: HttpRequest) -> Kind:
    if request.method in ("GET", "HEAD"):
        return "read"
    return "propose" if request.path == "/api/v1/proposals" else "act"


class PersonLimits:
    """How often one person may ask: far above what reading and deciding takes, far below what a script can do."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.user.is_authenticated:
            return self.get_response(request)
        request.META[CALLER] = party = f"person:{request.user.pk}"
        try:
            limits.spend("person", party=party)
        except TooManyRequests as error:
            request.refused_by = error  # type: ignore[attr-defined]
            return answer_of(request, error)
        return self.get_response(request)


REFUSED = (401, 403, 429)
_CODES = {401: "not_authenticated", 403: "forbidden", 429: "too_many"}


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


def _is_redemption(request: HttpRequest) -> bool:
    """A grant that is refused is an attempt to act without one, whatever its status says (I3, I4)."""
    return is_for_agents(request) and request.path.endswith("/redeem")


def _note_refusal(request: HttpRequest, response: HttpResponse) -> None:
    """A refused attempt is an event of its own, outside the transaction that was rolled back (A26): by a use case, by
    the CSRF check, by Django's administration or by a rate limit."""
    error: DomainError | None = getattr(request, "refused_by", None)
    source = recording.present()
    key = getattr(getattr(request, "session", None), "session_key", None)
    if key:
        source = recording.with_session(key)
    refusals.note(
        actor=getattr(request, "agent_actor", None) or refusals.actor_of(getattr(request, "user", None)),
        source=source,
        method=request.method or "",
        path=request.path,
        status=response.status_code,
        code=error.code if error else _CODES.get(response.status_code, "refused"),
        why=refusals.why(error) if error else response.reason_phrase,
        authorization=request.headers.get("Authorization", "") if is_for_agents(request) else "",
    )
