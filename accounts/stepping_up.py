"""Step-up: before somebody changes how he signs in, he shows again who he is, unless he did within five minutes.

Who has a second factor shows that; a password alone would let whoever watched it typed remove the factor."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec

from allauth.account.internal.flows.login import record_authentication
from allauth.core.internal import ratelimit
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache

from accounts import second_factor, sessions
from accounts.adapter import FAILURES, too_often
from accounts.exceptions import NotAllowed
from accounts.models import User
from audit import recording
from audit.events import Kind, Target

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


class StepUpNeeded(NotAllowed):
    """Five minutes have gone by."""

    code = "step_up_needed"
    title = "Show again who you are"


def step_up_first(view: View[P]) -> View[P]:
    """A page that changes how somebody signs in. Without a fresh step-up a page leads there and comes back; what is
    sent is refused in words, or for a form that anybody fills in, asked for again after the step-up."""

    @never_cache
    @login_required
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if second_factor.is_fresh(request):
            return view(request, *args, **kwargs)
        if request.headers.get("Accept", "").startswith("application/json"):
            raise StepUpNeeded("Five minutes have gone by. Load this page again and show who you are.")
        back = request.path if request.method == "GET" else reverse("mfa_index")
        return redirect(f"{reverse('account_reauthenticate')}?{urlencode({REDIRECT_FIELD_NAME: back})}")

    update_wrapper(guarded, view)
    return guarded


def done(request: HttpRequest, user: User, *, method: str, way: str, **said: Any) -> None:
    """The person has shown who he is. The session gets a new key: one that somebody had copied opens nothing more."""
    record_authentication(request, user, method, reauthenticated=True, **said)
    sessions.rotate(request)
    with (
        transaction.atomic(),
        recording.coming_from(recording.with_session(request.session.session_key or "")),
    ):
        recording.record(
            actor=user.actor(),
            kind=Kind.STEPPED_UP,
            target=Target("person", str(user.pk)),
            detail={"by": way},
        )


def where_next(request: HttpRequest, otherwise: str = "/") -> str:
    """Where the person was going; only within this installation."""
    wanted = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME) or ""
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else otherwise


def check_may_try(request: HttpRequest, person: User) -> Callable[[], None]:
    """Failed second factors count like failed passwords, per address and per person. Returns what takes this attempt
    off the count when it was right. Raises `TooManyRequests`."""
    key = f"second-factor-{person.pk}"
    usage = ratelimit.consume(request, app="allauth.account", action=FAILURES, key=key)
    if not usage:
        raise too_often()
    taken_off: Callable[[], None] = usage.rollback
    return taken_off
