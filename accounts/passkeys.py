"""Passkeys: the challenges that are given out, and what comes back for them.

Every passkey is one that a browser finds by itself and that asks its person for a finger or a PIN, so each serves as
second factor and as the only one. A challenge lives in the session for five minutes, is for one purpose and is gone
with the first answer, right or wrong."""

import time
from typing import Any

from allauth.account.utils import url_str_to_user_pk
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import auth
from django.http import HttpRequest
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AuthenticationResponse, RegistrationResponse

from accounts.exceptions import NotAllowed
from accounts.models import User

ADD, SIGN_IN, SECOND, STEP_UP = "add", "sign_in", "second", "step_up"
SECONDS = 300
_KEY = "passkey_challenge"


class Refused(NotAllowed):
    """A passkey's answer that is not what was asked for."""

    code = "passkey_refused"
    title = "The passkey was not accepted"


def ask_for_new(request: HttpRequest, user: User) -> dict[str, Any]:
    """What a browser needs to make a passkey for this person."""
    options = auth.begin_registration(user, passwordless=True)
    _keep(request, ADD)
    return dict(options)


def new_one(request: HttpRequest, credential: Any) -> dict[str, Any]:
    """Check a passkey that was just made; what of it is kept. Raises `Refused`."""
    state = _taken(request, ADD)
    try:
        response = RegistrationResponse.from_dict(credential)
        data = auth.get_server().register_complete(state, response)
    except (ValueError, TypeError, KeyError) as error:
        raise Refused("The passkey was not added. Try again.") from error
    if not data.is_user_verified():
        raise Refused("The passkey did not ask for a finger or a PIN. Use one that does.")
    if data.credential_data is None or _is_known(data.credential_data.credential_id):
        raise Refused("This passkey is set up already.")
    return dict(credential)


def ask(request: HttpRequest, *, purpose: str, user: User | None = None) -> dict[str, Any]:
    """What a browser needs to show a passkey: one of this person's, or for sign-in whichever it has for us."""
    options = auth.begin_authentication(user)
    _keep(request, purpose)
    return dict(options)


def shown(request: HttpRequest, credential: Any, *, purpose: str, user: User | None = None) -> Authenticator:
    """Whose passkey was shown, after its signature has been checked. Raises `Refused`."""
    state = _taken(request, purpose)
    try:
        response = AuthenticationResponse.from_dict(credential)
        owner = user if user is not None else _owner(credential)
        auth.get_server().authenticate_complete(state, auth.get_credentials(owner), response)
        found = auth.get_authenticator_by_credential_id(owner, response.raw_id)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused("Nobody here is known by this passkey, or it was shown too late. Try again.") from error
    if found is None or not owner.is_active:
        raise Refused("Nobody here is known by this passkey, or it was shown too late. Try again.")
    _check_counter(found, response.response.authenticator_data.counter)
    return found


def name_of(authenticator: Authenticator) -> str:
    return str(authenticator.data.get("name", ""))


def _owner(credential: Any) -> User:
    """The passkey itself says whose it is; its signature is then checked against that person's keys."""
    handle = websafe_decode(credential["response"]["userHandle"]).decode()
    found = User.objects.filter(pk=url_str_to_user_pk(handle)).first()
    if found is None:
        raise ValueError("nobody has this handle")
    return found


def _check_counter(found: Authenticator, counter: int) -> None:
    """A device that counts its signatures cannot have made fewer than last time: that one is a copy."""
    last = int(found.data.get("counter", 0))
    if (counter or last) and counter <= last:
        raise Refused("This passkey seems to have been copied, and was refused. Tell an admin.")
    if counter:
        found.data["counter"] = counter
        found.save(update_fields=["data"])


def _is_known(credential_id: bytes) -> bool:
    """Whether somebody has set up this very credential, which no honest device makes twice."""
    known = Authenticator.objects.filter(
        type=Authenticator.Type.WEBAUTHN, data__credential__rawId=websafe_encode(credential_id)
    )
    return bool(known.exists())


def _keep(request: HttpRequest, purpose: str) -> None:
    state = auth.get_state()
    auth.clear_state()
    request.session[_KEY] = {"state": state, "for": purpose, "at": time.time()}


def _taken(request: HttpRequest, purpose: str) -> dict[str, Any]:
    kept = request.session.pop(_KEY, None) or {}
    if kept.get("for") != purpose or time.time() - float(kept.get("at", 0)) > SECONDS:
        raise Refused("That took too long, or was asked for in another window. Try again.")
    state: dict[str, Any] = kept["state"]
    return state
