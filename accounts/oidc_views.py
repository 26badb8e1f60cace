"""Sign-in at an identity provider: there, and back again."""

import secrets
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.internal import statekit
from allauth.socialaccount.providers.oauth2.utils import generate_code_challenge
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import oidc_client, oidc_identity
from accounts.exceptions import NotAllowed, NotFound
from accounts.models import User
from accounts.oidc_providers import Provider
from accounts.services.provider_sign_in import admit

MOST_CODE = 4096


class StateUnknown(NotAllowed):
    """The answer belongs to no sign-in that this browser began."""

    code = "sign_in_not_begun_here"
    title = "This sign-in cannot be finished here"


@never_cache
@require_POST
def begin(request: HttpRequest, key: str) -> HttpResponse:
    """Lead to the provider. A page does, not a redirect: `form-action 'self'` forbids one after a form."""
    provider = _provider(key)
    nonce, challenge = secrets.token_urlsafe(32), generate_code_challenge()
    verifier = challenge.pop("code_verifier")
    oidc_client.discover(provider)  # away: said before anything is kept
    state = statekit.stash_state(
        request,
        provider_id=provider.link_id,
        state_id=secrets.token_urlsafe(32),
        state={"nonce": nonce, "verifier": verifier, "next": get_next_redirect_url(request) or ""},
    )
    address = oidc_client.authorization_url(
        provider,
        redirect_uri=_callback_url(request, provider),
        state=state,
        nonce=nonce,
        challenge={name: _text(value) for name, value in challenge.items()},
    )
    context = {"provider": provider, "address": address}
    response = render(request, "socialaccount/leaving.html", context)
    response["Refresh"] = f"0; url={address}"
    return response


@never_cache
@require_safe
def callback(request: HttpRequest, key: str) -> HttpResponse:
    """Back from the provider. Whatever it says counts only for a sign-in that this very browser began."""
    provider = _provider(key)
    state = statekit.unstash_state(
        request, provider_id=provider.link_id, state_id=request.GET.get("state", "")[:200]
    )
    if state is None:
        raise StateUnknown("It was begun in another browser, or more than ten minutes ago. Begin again.")
    _check_issuer(request, provider)
    code = request.GET.get("code", "")
    if request.GET.get("error") == "access_denied":
        messages.info(request, f"Nothing was changed: you did not sign in at {provider.name}.")
        return redirect("account_login")
    if not 0 < len(code) <= MOST_CODE or "error" in request.GET:
        raise oidc_client.TokenRefused(
            f"{provider.name} reported a fault instead of signing you in. Try again."
        )
    claims, more = oidc_client.claims_for(
        request,
        provider,
        code=code,
        redirect_uri=_callback_url(request, provider),
        nonce=state["nonce"],
        verifier=state["verifier"],
    )
    try:
        identity = oidc_identity.read(claims, provider=provider, more=more)
    except oidc_identity.Unusable as error:
        raise oidc_client.TokenRefused(f"What {provider.name} sent is not usable: {error}.") from error
    person = admit(provider=provider, identity=identity)
    return _let_in(request, person, provider, identity, state.get("next") or "")


def _let_in(
    request: HttpRequest,
    person: User,
    provider: Provider,
    identity: oidc_identity.Identity,
    after: str,
) -> HttpResponse:
    """Open the session. One's own second factor is asked for as after a password, unless the provider's counts."""
    if request.user.is_authenticated:
        get_adapter().logout(request)
    record_authentication(request, person, "socialaccount", provider=provider.link_id, uid=identity.subject)
    if provider.trusts_mfa and identity.is_multifactor:
        record_authentication(request, person, "mfa", type="provider", provider=provider.link_id)
        login(request, person, backend="accounts.backends.Roles")
        return redirect(after or settings.LOGIN_REDIRECT_URL)
    opened: HttpResponse = perform_login(
        request, Login(user=person, email_verification="none", redirect_url=after or None)
    )
    return opened


def _provider(key: str) -> Provider:
    for one in settings.OIDC_PROVIDERS:
        if one.key == key:
            found: Provider = one
            return found
    raise NotFound("No identity provider is set up at this address.")


def _check_issuer(request: HttpRequest, provider: Provider) -> None:
    """An answer that names another issuer, or none although this one always does, is not this one's (RFC 9207)."""
    named = request.GET.get("iss")
    if named != provider.issuer and (named is not None or oidc_client.discover(provider).sends_issuer):
        raise oidc_client.TokenRefused("The answer came from another identity provider. Begin again.")


def _callback_url(request: HttpRequest, provider: Provider) -> str:
    return request.build_absolute_uri(reverse("oidc_callback", args=[provider.key]))


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)
