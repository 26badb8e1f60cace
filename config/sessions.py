"""What every page's request does with its session: keeps it alive where a person did something, says that it has ended
where one has, and leads to the second factor who needs one.

Only what a person does keeps a session: going to a page, sending a form, what he clicks. What an open page asks by
itself (its pulse, its lease, its stream) does not, or a browser left open would stay signed in for ever."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from accounts import second_factor, sessions
from accounts.exceptions import DomainError
from accounts.models import User
from accounts.session_store import ENDED, IDLE, LONG
from config.middleware import answer_of

GetResponse = Callable[[HttpRequest], HttpResponse]
IN_USE = "X-In-Use"
"""A header by which a page's script says that its person did this (static/js/session.js)."""
WHY = {
    IDLE: "You have been signed out, because nothing was done for thirty minutes.",
    LONG: "You have been signed out, because twelve hours have gone by since you signed in.",
    ENDED: "Your session has ended.",
}
OPEN = (
    "/account/",
    "/preferences/",
    "/static/",
    "/welcome/",
    "/password/",
    "/healthz",
    "/readyz",
    "/favicon.ico",
)
"""Where one may go without the second factor that one's roles call for."""


class SessionEnded(DomainError):
    """The session was there when the page was opened and is not any more."""

    code = "session_ended"
    status = 401
    title = "You are signed out"


class SessionLife:
    """Keeps sessions that are used, and tells whoever comes with one that has ended."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        had_one = settings.SESSION_COOKIE_NAME in request.COOKIES
        if had_one and isinstance(request.user, User) and is_use(request):
            sessions.touch(request, request.user)
        response = self.get_response(request)
        if not _leads_to_sign_in(response) or request.user.is_authenticated:
            return response
        why = getattr(request.session, "over", "") if had_one else ""
        if _is_htmx(request) or (why and request.method == "POST"):
            return answer_of(request, _ended(request, why))
        if why in (IDLE, LONG):
            response["Location"] += f"&{urlencode({'ended': why})}"
        return response


def is_use(request: HttpRequest) -> bool:
    """Whether a person did this, rather than a page that lies open."""
    if _is_htmx(request):
        return IN_USE in request.headers or "HX-Boosted" in request.headers
    return (
        request.method not in ("GET", "HEAD")
        or request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
    )


def _is_htmx(request: HttpRequest) -> bool:
    return "HX-Request" in request.headers


def _leads_to_sign_in(response: HttpResponse) -> bool:
    return response.status_code == 302 and response["Location"].startswith(f"{reverse(settings.LOGIN_URL)}?")


def _ended(request: HttpRequest, why: str) -> SessionEnded:
    """Nothing that was typed is lost: the page stands as it was, and is signed in again beside itself."""
    if _is_htmx(request):
        words = "Nothing was sent, and what you typed is still here. Sign in again in a new window, then send it again."
    else:
        words = (
            "Nothing was done. Sign in again in a new window, then go back: what you typed is still there."
        )
    return SessionEnded(f"{WHY.get(why, WHY[ENDED])} {words}", is_ended=True)


class SecondFactorWanted:
    """Whoever's roles call for a second factor gets to nothing else before this session was opened with one."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not second_factor.is_enforced() or settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return self.get_response(request)
        user = request.user
        if not isinstance(user, User):
            return self.get_response(request)
        with second_factor.shown_in(request):
            if not self._is_wanted(request, user):
                return self.get_response(request)
        if request.method == "GET" and not _is_htmx(request):
            return _lead(request, user)
        return self._refuse(request, user)

    def _is_wanted(self, request: HttpRequest, user: User) -> bool:
        if request.path.startswith(OPEN) or second_factor.signed_in_with_two(request):
            return False
        return second_factor.is_called_for(user)

    def _refuse(self, request: HttpRequest, user: User) -> HttpResponse:
        error = second_factor.needed(user)
        request.refused_by = error  # type: ignore[attr-defined]
        return answer_of(request, error)


def _lead(request: HttpRequest, user: User) -> HttpResponse:
    if not second_factor.has_one(user):
        return redirect("mfa_index")
    return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': request.get_full_path()})}")
