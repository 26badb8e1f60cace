"""A person's own sign-in: second factors, recovery codes, password, sessions; and what admins do for others."""

import base64
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import generate_totp_secret
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from accounts import codes, passkeys, second_factor, sessions
from accounts.exceptions import Invalid, NotFound
from accounts.forms_sign_in import AppForm, ChangePasswordForm, CredentialForm, NameForm
from accounts.http import person as me
from accounts.second_factor import Type
from accounts.services import factors, passwords
from accounts.stepping_up import check_may_try, step_up_first


@login_required
@never_cache
@require_safe
def security(request: HttpRequest) -> HttpResponse:
    """Sign-in and security: what one signs in with, and where one is signed in."""
    user = me(request)
    rows = list(Authenticator.objects.filter(user=user).order_by("created_at"))
    app = next((row for row in rows if row.type == Type.TOTP), None)
    kept = next((row for row in rows if row.type == Type.RECOVERY_CODES), None)
    context = {
        "passkeys": [row for row in rows if row.type == Type.WEBAUTHN],
        "app": app,
        "codes": kept,
        "codes_left": len(codes.unused(kept)) if kept else 0,
        "has_factor": any(row.type in second_factor.FACTORS for row in rows),
        "is_called_for": second_factor.is_called_for(user),
        "is_enforced": second_factor.is_enforced(),
        "has_password": user.has_usable_password(),
        "can_have_passkeys": _can_have_passkeys(request),
        "sessions": sessions.of(user, current=request.session.session_key or ""),
    }
    return render(request, "mfa/index.html", context)


@step_up_first
@sensitive_post_parameters("secret", "code")
def app_add(request: HttpRequest) -> HttpResponse:
    """Set an authenticator app up: the secret to scan, then a code that shows it was scanned."""
    user = me(request)
    if Authenticator.objects.filter(user=user, type=Type.TOTP).exists():
        return redirect("mfa_index")
    if request.method != "POST":
        return _app_page(request, AppForm(person=user, secret=generate_totp_secret()))
    form = AppForm(request.POST, person=user)
    if not form.is_valid():
        return _app_page(request, form)
    try:
        made = factors.add_app(person=user, secret=form.drawn, code=form.cleaned_data["code"])
    except Invalid as error:
        form.add_error("code", f"This {error.extra['errors'][0]['message']}.")  # type: ignore[index]
        return _app_page(request, form)
    _counts_as_shown(request, Authenticator.objects.get(user=user, type=Type.TOTP))
    messages.success(
        request, "Your authenticator app is set up. You are asked for its code at every sign-in."
    )
    return _after_adding(request, made)


def _app_page(request: HttpRequest, form: AppForm) -> HttpResponse:
    adapter = get_adapter()
    address = adapter.build_totp_url(me(request), form.drawn) if form.drawn else ""
    picture = base64.b64encode(adapter.build_totp_svg(address).encode()).decode() if address else ""
    context = {
        "form": form,
        "picture": f"data:image/svg+xml;base64,{picture}" if picture else "",
        "secret": codes.in_groups(form.drawn),
    }
    return render(request, "mfa/app_add.html", context, status=422 if form.is_bound else 200)


@step_up_first
@require_POST
def passkey_add_options(request: HttpRequest) -> HttpResponse:
    return JsonResponse(passkeys.ask_for_new(request, me(request)))


@step_up_first
def passkey_add(request: HttpRequest) -> HttpResponse:
    """Make a passkey and give it a name."""
    user = me(request)
    if request.method != "POST":
        return _passkey_page(request)
    form = CredentialForm(request.POST)
    try:
        if not form.is_valid():
            raise passkeys.Refused("The browser sent no passkey. Try again.")
        credential = passkeys.new_one(request, form.cleaned_data["credential"])
    except passkeys.Refused as error:
        messages.error(request, error.detail)
        return _passkey_page(request, status=422)
    row, made = factors.add_passkey(person=user, name=form.cleaned_data["name"], credential=credential)
    _counts_as_shown(request, row)
    messages.success(request, f"The passkey {passkeys.name_of(row)} is set up. It signs you in by itself.")
    return _after_adding(request, made)


def _passkey_page(request: HttpRequest, status: int = 200) -> HttpResponse:
    count = Authenticator.objects.filter(user=me(request), type=Type.WEBAUTHN).count()
    context = {
        "suggested": request.POST.get("name") or f"Passkey {count + 1}",
        "can_have_passkeys": _can_have_passkeys(request),
    }
    return render(request, "mfa/passkey_add.html", context, status=status)


@step_up_first
def passkey_rename(request: HttpRequest, factor_id: int) -> HttpResponse:
    row = get_object_or_404(Authenticator, user=me(request), pk=factor_id, type=Type.WEBAUTHN)
    form = NameForm(request.POST or None, initial={"name": passkeys.name_of(row)})
    if request.method == "POST" and form.is_valid():
        factors.rename_passkey(person=me(request), factor_id=factor_id, name=form.cleaned_data["name"])
        return redirect("mfa_index")
    return render(request, "mfa/passkey_rename.html", {"form": form}, status=422 if form.is_bound else 200)


@step_up_first
def factor_remove(request: HttpRequest, factor_id: int) -> HttpResponse:
    """Remove a passkey or the app, after a page that says what that means."""
    user = me(request)
    row = Authenticator.objects.filter(user=user, pk=factor_id, type__in=second_factor.FACTORS).first()
    if row is None:
        raise NotFound("There is no such passkey or app.")
    if request.method == "POST":
        factors.remove(person=user, factor_id=factor_id, session_key=request.session.session_key or "")
        messages.success(request, "Removed. You are signed out everywhere else.")
        return redirect("mfa_index")
    others = Authenticator.objects.filter(user=user, type__in=second_factor.FACTORS).exclude(pk=row.pk)
    is_last = not others.exists()
    context = {
        "name": passkeys.name_of(row) if row.type == Type.WEBAUTHN else "",
        "is_last": is_last,
        "is_kept": is_last and second_factor.is_required_of(user),
    }
    return render(request, "mfa/remove.html", context)


@step_up_first
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """How many are left. New ones are shown in the answer that makes them and nowhere else."""
    user = me(request)
    if request.method == "POST":
        return _show_codes(request, factors.make_codes(person=user))
    row = Authenticator.objects.filter(user=user, type=Type.RECOVERY_CODES).first()
    context = {
        "codes": row,
        "codes_left": len(codes.unused(row)) if row else 0,
        "has_factor": second_factor.has_one(user),
    }
    return render(request, "mfa/recovery_codes.html", context)


def _after_adding(request: HttpRequest, made: list[str]) -> HttpResponse:
    return _show_codes(request, made) if made else redirect("mfa_index")


def _show_codes(request: HttpRequest, made: list[str]) -> HttpResponse:
    return render(request, "mfa/recovery_codes_shown.html", {"made": made})


def _counts_as_shown(request: HttpRequest, row: Authenticator) -> None:
    """Who has just set a factor up has shown it; and a session with more rights gets a new key."""
    record_authentication(request, me(request), "mfa", id=row.pk, type=row.type)
    sessions.rotate(request)


def _can_have_passkeys(request: HttpRequest) -> bool:
    """Browsers keep passkeys for names only, over https or on this very machine."""
    host = request.get_host().rsplit(":", 1)[0]
    is_name = not host.replace(".", "").isdigit() and not host.startswith("[")
    return is_name and (request.is_secure() or host == "localhost" or host.endswith(".localhost"))


@login_required
@never_cache
@sensitive_post_parameters("oldpassword", "password1", "password2")
def password_change(request: HttpRequest) -> HttpResponse:
    """Change one's own password. The present one is asked for here; who has a second factor shows that first."""
    user = me(request)
    if not user.has_usable_password():
        raise NotFound("You sign in without a password here.")
    if second_factor.has_one(user) and not second_factor.is_fresh(request):
        return redirect(f"{reverse('account_reauthenticate')}?next={request.path}")
    form = ChangePasswordForm(request.POST or None, person=user)
    if request.method == "POST" and _is_right(request, form):
        passwords.change(
            person=user,
            password=form.cleaned_data["password1"],
            session_key=request.session.session_key or "",
        )
        sessions.rotate(request, password_of=user)
        messages.success(request, "Your password is changed. You are signed out everywhere else.")
        return redirect("mfa_index")
    status = 422 if form.is_bound else 200
    return render(request, "account/password_change.html", {"form": form}, status=status)


def _is_right(request: HttpRequest, form: ChangePasswordForm) -> bool:
    """Guessing the present password here counts like guessing it at the sign-in."""
    took_off = check_may_try(request, me(request))
    is_right = form.is_valid()
    if is_right or "oldpassword" not in form.errors:
        took_off()
    return is_right


@login_required
@require_POST
def session_end(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one of one's own sessions; the present one by signing out."""
    sessions.end_one(me(request), session_id=session_id, by=me(request))
    messages.success(request, "This session is ended.")
    return redirect("mfa_index")


@login_required
@require_POST
def sessions_end(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere but here."""
    number = sessions.end_all(
        me(request),
        why="signed out everywhere else",
        except_key=request.session.session_key or "",
        by=me(request),
    )
    messages.success(request, f"Signed out elsewhere: {number}.")
    return redirect("mfa_index")


@login_required
@require_POST
def person_sessions_end(request: HttpRequest, person_id: int) -> HttpResponse:
    person, number = factors.end_sessions(person_id=person_id, actor=me(request))
    messages.success(request, f"{person} is signed out everywhere. Sessions ended: {number}.")
    return redirect("approvals:person", person_id)


@login_required
@require_POST
def person_factors_take(request: HttpRequest, person_id: int) -> HttpResponse:
    person = factors.take_all(person_id=person_id, actor=me(request))
    messages.success(request, f"{person} has no second factor any more and is signed out everywhere.")
    return redirect("approvals:person", person_id)


def shown_of(person: Any) -> dict[str, Any]:
    """What an admin sees of a person's sign-in: which factors and how many sessions, never their secrets."""
    rows = Authenticator.objects.filter(user=person).order_by("created_at")
    return {
        "person": person,
        "factors": [
            {"name": passkeys.name_of(row) or second_factor.NAMES[Type(row.type)], "row": row}
            for row in rows
            if row.type in second_factor.FACTORS
        ],
        "sessions": sessions.of(person),
        "is_called_for": second_factor.is_called_for(person),
    }
