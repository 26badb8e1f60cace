"""Showing who one is: by a passkey alone, at the second step of a sign-in, and again before a step that takes it.

Opening any of these pages changes nothing; challenges for passkeys are asked for by POST."""

from typing import Any

from allauth.account.internal.decorators import login_stage_required
from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from allauth.core.internal import ratelimit
from allauth.mfa.models import Authenticator
from allauth.mfa.stages import AuthenticateStage
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from accounts import passkeys, second_factor, sessions, stepping_up
from accounts.adapter import ClosedAdapter
from accounts.exceptions import NotAllowed, TooManyRequests
from accounts.forms_sign_in import CodeForm, CredentialForm, PasswordForm
from accounts.http import person as me
from accounts.models import User
from accounts.second_factor import Type
from accounts.services import factors
from accounts.stepping_up import check_may_try, where_next

WRONG = "This code is wrong, or was used already. The app shows a new one every thirty seconds."


@require_POST
@never_cache
def passkey_options(request: HttpRequest) -> HttpResponse:
    """A challenge for whoever wants to sign in by a passkey alone."""
    _not_too_often(request)
    return JsonResponse(passkeys.ask(request, purpose=passkeys.SIGN_IN))


@require_POST
@never_cache
def passkey_sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in by a passkey: no address, no password. It has asked for a finger or a PIN, which makes two factors."""
    _not_too_often(request)
    back = where_next(request, "")
    form = CredentialForm(request.POST)
    row = _shown(request, form, purpose=passkeys.SIGN_IN, person=None)
    if row is None:
        return redirect(_with_next(reverse("account_login"), back))
    user = row.user
    assert isinstance(user, User)
    factors.use_passkey(person=user, row=row, signing_in=True, alone=True)
    record_authentication(request, user, "mfa", id=row.pk, type=row.type, passwordless=True)
    response: HttpResponse = perform_login(request, Login(user=user, redirect_url=back or None))
    return response


@never_cache
@login_stage_required(  # type: ignore[untyped-decorator]
    stage=AuthenticateStage.key, redirect_urlname="account_login"
)
def second_step(request: HttpRequest) -> HttpResponse:
    """The second step of a sign-in, after the password was right: a code or a passkey."""
    stage = request._login_stage  # type: ignore[attr-defined]
    user = stage.login.user
    form = CodeForm(request.POST if "code" in request.POST else None)
    if request.method == "POST":
        row = _second(request, form, user)
        if row is not None:
            record_authentication(request, user, "mfa", id=row.pk, type=row.type)
            response: HttpResponse = stage.exit()
            return response
    status = 422 if request.method == "POST" else 200
    return render(request, "mfa/authenticate.html", {"form": form, **_ways(user)}, status=status)


@require_POST
@never_cache
@login_stage_required(  # type: ignore[untyped-decorator]
    stage=AuthenticateStage.key, redirect_urlname="account_login"
)
def second_step_options(request: HttpRequest) -> HttpResponse:
    user = request._login_stage.login.user  # type: ignore[attr-defined]
    return JsonResponse(passkeys.ask(request, purpose=passkeys.SECOND, user=user))


def _second(request: HttpRequest, form: CodeForm, user: User) -> Authenticator | None:
    if "code" in request.POST:
        return _by_code(request, form, user, signing_in=True)
    took_off = check_may_try(request, user)
    row = _shown(request, CredentialForm(request.POST), purpose=passkeys.SECOND, person=user)
    if row is not None:
        took_off()
        factors.use_passkey(person=user, row=row, signing_in=True)
    return row


@login_required
@never_cache
@sensitive_post_parameters("password")
def step_up(request: HttpRequest) -> HttpResponse:
    """Show again who you are: by the second factor where there is one, else by the password."""
    user = me(request)
    forms: dict[str, Any] = {
        "form": CodeForm(request.POST if "code" in request.POST else None),
        "password_form": PasswordForm(request.POST if "password" in request.POST else None),
    }
    if request.method == "POST" and _is_shown(request, user, **forms):
        return redirect(where_next(request, reverse("mfa_index")))
    context = {
        **forms,
        **_ways(user),
        "has_password": user.has_usable_password(),
        "next": where_next(request, ""),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "account/reauthenticate.html", context, status=status)


@require_POST
@never_cache
@login_required
def step_up_options(request: HttpRequest) -> HttpResponse:
    return JsonResponse(passkeys.ask(request, purpose=passkeys.STEP_UP, user=me(request)))


def _is_shown(request: HttpRequest, user: User, form: CodeForm, password_form: PasswordForm) -> bool:
    if "password" in request.POST:
        return _by_password(request, user, password_form)
    if "code" in request.POST:
        row = _by_code(request, form, user, signing_in=False)
    else:
        took_off = check_may_try(request, user)
        row = _shown(request, CredentialForm(request.POST), purpose=passkeys.STEP_UP, person=user)
        if row is not None:
            took_off()
            factors.use_passkey(person=user, row=row, signing_in=False)
    if row is None:
        return False
    way = second_factor.NAMES[Type(row.type)]
    stepping_up.done(request, user, method="mfa", way=way, id=row.pk, type=row.type)
    return True


def _by_password(request: HttpRequest, user: User, form: PasswordForm) -> bool:
    """Only for who has nothing stronger. A wrong one counts and is told of like a failed sign-in."""
    if second_factor.has_one(user):
        raise NotAllowed("You have a second factor; show that one.")
    if not form.is_valid():
        return False
    found = ClosedAdapter(request).authenticate(
        request, email=user.email, password=form.cleaned_data["password"]
    )
    if found is None or found.pk != user.pk:
        form.add_error("password", "This is not your password.")
        return False
    stepping_up.done(request, user, method="password", way="password")
    return True


def _by_code(request: HttpRequest, form: CodeForm, user: User, *, signing_in: bool) -> Authenticator | None:
    if not form.is_valid():
        return None
    took_off = check_may_try(request, user)
    row = factors.use_code(person=user, typed=form.cleaned_data["code"], signing_in=signing_in)
    if row is None:
        form.add_error("code", WRONG)
        return None
    took_off()
    if row.type == Type.RECOVERY_CODES:
        messages.warning(
            request, "You used a recovery code; it is worthless now. Make new ones when few are left."
        )
    return row


def _shown(
    request: HttpRequest, form: CredentialForm, *, purpose: str, person: User | None
) -> Authenticator | None:
    """The passkey that was shown, or None with the words and the event of the failure."""
    try:
        if not form.is_valid():
            raise passkeys.Refused("The browser sent no passkey. Try again.")
        return passkeys.shown(request, form.cleaned_data["credential"], purpose=purpose, user=person)
    except passkeys.Refused as error:
        factors.fail(person=person, way="passkey", signing_in=purpose != passkeys.STEP_UP)
        messages.error(request, error.detail)
        return None


def _ways(user: User) -> dict[str, bool]:
    """Which second factors the person can show."""
    types = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    return {
        "has_passkey": Type.WEBAUTHN in types,
        "has_app": Type.TOTP in types,
        "has_codes": Type.RECOVERY_CODES in types,
        "has_factor": bool(types & set(second_factor.FACTORS)),
    }


def _not_too_often(request: HttpRequest) -> None:
    if not ratelimit.consume(request, app="allauth.mfa", action="webauthn_login"):
        raise TooManyRequests(
            "There were too many attempts from your address. Wait a minute, then try again.", retry_after=60
        )


def _with_next(address: str, back: str) -> str:
    return f"{address}?{urlencode({REDIRECT_FIELD_NAME: back})}" if back else address


@require_safe
@never_cache
def session_state(request: HttpRequest) -> HttpResponse:
    """How long this session still lives, for the page's warning; asking does not make it longer."""
    found = sessions.left(request) if request.user.is_authenticated else None
    if found is None:
        return JsonResponse({"seconds": 0, "why": getattr(request.session, "over", ""), "person": None})
    return JsonResponse({"seconds": found.seconds, "why": found.why, "person": request.user.pk})


@require_POST
@never_cache
@login_required
def session_stay(request: HttpRequest) -> HttpResponse:
    """The person says that he is still there: that the request counts as use is all it takes."""
    return redirect("session_state")


@require_safe
@login_required
def signed_in_again(request: HttpRequest) -> HttpResponse:
    """Where the sign-in beside an open page ends."""
    return render(request, "account/signed_in_again.html")
