"""How django-allauth behaves here: nobody signs up by himself, people are invited by admins; who tries too often is
told when to come back; what second factors rest on is encrypted."""

import base64
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.core.internal import ratelimit
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from accounts.exceptions import TooManyRequests

FAILURES = "login_failed"
WAIT_SECONDS = 300
"""The longer of the two windows in which failed attempts are counted (settings.ACCOUNT_RATE_LIMITS)."""


class ClosedAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Failures count per address they come from and per address they are for, whether or not it is anybody's."""
        key = self._get_login_attempts_cache_key(request, **credentials)
        self._login_failed_rl_usage = ratelimit.consume(
            request, app="allauth.account", action=FAILURES, key=key
        )
        if not self._login_failed_rl_usage:
            raise too_often()

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Never by allauth's rule, which a password satisfies: accounts/stepping_up.py asks for the factor."""
        return False

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """One page offers all ways."""
        return [{"id": "step_up", "description": "", "url": reverse("account_reauthenticate")}]


def too_often() -> TooManyRequests:
    """What everybody is told who failed too often; the same whether or not the address is known."""
    return TooManyRequests(
        "There were too many failed attempts to sign in. Wait five minutes, then try again.",
        retry_after=WAIT_SECONDS,
    )


class FactorAdapter(DefaultMFAAdapter):
    """Secrets of authenticator apps and recovery codes lie in the database encrypted, by keys made from SECRET_KEY:
    who reads the database alone can make no code."""

    def encrypt(self, text: str) -> str:
        return _fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _fernet().decrypt(encrypted_text.encode()).decode()

    def get_totp_issuer(self) -> str:
        return "Countersign"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """A passkey belongs to a host name: the public one, or where there is no https, the one that was asked."""
        public = urlsplit(settings.PUBLIC_URL).hostname if settings.IS_HTTPS else ""
        host = public or urlsplit(f"//{context.request.get_host()}").hostname
        return {"id": host or "localhost", "name": "Countersign"}


def _fernet() -> MultiFernet:
    return _fernet_of(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=2)
def _fernet_of(*secrets: str) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_key(secret))) for secret in secrets])


def _key(secret: str) -> bytes:
    return HKDF(
        algorithm=hashes.SHA256(), length=32, salt=None, info=b"countersign second factor secrets"
    ).derive(secret.encode())
