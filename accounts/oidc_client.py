"""Asks an identity provider: where its addresses are, for a token, and whether the token is true.

allauth keeps the state of a sign-in and exchanges the code; it does not check a token's signature when it fetched the
token itself, knows no nonce, and takes any issuer that the discovery document names. All that is checked here: OpenID
Connect Core 3.1.3.7, RFC 7636 (PKCE), RFC 9207 (issuer of the answer), RFC 8725 (no `none`, no shared secrets)."""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import requests
import structlog
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from django.http import HttpRequest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from accounts.exceptions import DomainError, NotAllowed
from accounts.oidc_providers import Provider, is_safe_address

log = structlog.get_logger(__name__)
ALGORITHMS = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
]
KEPT_SECONDS = 600
AGAIN_SECONDS = 30
"""A key that is not known makes us fetch the key set again, but not more often than this."""
LEEWAY = 60
OLDEST = 600
MOST_BYTES = 1024 * 1024
_TIMEOUT = 5


class ProviderAway(DomainError):
    """The provider does not answer, or not as one."""

    code = "provider_away"
    status = 503
    title = "Your identity provider does not answer"


class TokenRefused(NotAllowed):
    """What the provider sent is not to be believed."""

    code = "provider_token_refused"
    title = "You could not be signed in"


class _Plain(HTTPConnectionPool):
    ConnectionCls = HTTPConnection


class _Secure(HTTPSConnectionPool):
    ConnectionCls = HTTPSConnection


class _Adapter(HTTPAdapter):
    """Connects as urllib3 does: a process that sends chat messages keeps those to public addresses
    (`approvals.messages.egress`), but a company's identity provider may well stand in its own network."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Plain, "https": _Secure}


class _Session(requests.Session):
    """Follows no redirect (a token request that is sent on gives the code away) and waits five seconds at most."""

    def __init__(self) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter())

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        return super().request(*args, **{**kwargs, "timeout": _TIMEOUT, "allow_redirects": False})


class ProviderAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    """allauth's hooks: its own pages for other people's accounts are shut, providers are the environment's alone."""

    def get_requests_session(self) -> requests.Session:
        return _Session()

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def list_apps(self, request: HttpRequest, provider: Any = None, client_id: Any = None) -> list[Any]:
        return []


@dataclass(frozen=True, slots=True)
class Metadata:
    """What discovery says, checked."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    sends_issuer: bool
    posts_secret: bool


@dataclass(slots=True)
class _Known:
    """What this process knows of a provider, and since when (seconds of the monotonic clock).

    In memory only: whoever could write to a shared cache would say which keys are to be believed."""

    metadata: Metadata
    keys: KeySet
    at: float


_known: dict[str, _Known] = {}
_lock = threading.Lock()


def discover(provider: Provider, *, fresh: bool = False) -> Metadata:
    """The provider's addresses. Raises `ProviderAway`."""
    return _of(provider, fresh=fresh).metadata


def forget() -> None:
    """Ask every provider anew."""
    _known.clear()


def authorization_url(
    provider: Provider, *, redirect_uri: str, state: str, nonce: str, challenge: dict[str, str]
) -> str:
    """Where the browser is sent to sign in. The query that the address may have already is kept."""
    parts = urlsplit(discover(provider).authorization_endpoint)
    query = urlencode(
        {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(provider.scopes),
            "state": state,
            "nonce": nonce,
            **challenge,
        }
    )
    return urlunsplit(parts._replace(query=f"{parts.query}&{query}" if parts.query else query))


def claims_for(
    request: HttpRequest, provider: Provider, *, code: str, redirect_uri: str, nonce: str, verifier: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ID token's claims, verified, and what the userinfo address says besides.

    Raises `ProviderAway`, `TokenRefused`."""
    metadata = discover(provider)
    client = OAuth2Client(
        request,
        provider.client_id,
        provider.client_secret,
        "POST",
        metadata.token_endpoint,
        redirect_uri,
        basic_auth=bool(provider.client_secret) and not metadata.posts_secret,
    )
    try:
        answer = client.get_access_token(code, pkce_code_verifier=verifier)
    except (requests.RequestException, ValueError, KeyError) as error:
        raise _away(provider, error) from error
    except OAuth2Error as error:
        raise _refused(provider, "it did not accept the code", error) from error
    claims = verified(answer.get("id_token"), provider=provider, nonce=nonce)
    return claims, _userinfo(provider, metadata, answer, claims)


def verified(token: Any, *, provider: Provider, nonce: str) -> dict[str, Any]:
    """The claims of a token that this provider signed for us, now, for this very sign-in. Raises `TokenRefused`."""
    if not isinstance(token, str) or len(token) > MOST_BYTES:
        raise _refused(provider, "it sent no ID token")
    claims = _signed(token, provider)
    rules = jwt.JWTClaimsRegistry(
        leeway=LEEWAY,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": provider.client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    try:
        rules.validate(claims)
    except (JoseError, ValueError, TypeError) as error:
        raise _refused(provider, "its token was not made for this sign-in", error) from error
    if int(claims["iat"]) < time.time() - OLDEST - LEEWAY:
        raise _refused(provider, "its token is old")
    audience = claims["aud"]
    if claims.get("azp", provider.client_id) != provider.client_id or (
        isinstance(audience, list) and len(audience) > 1 and "azp" not in claims
    ):
        raise _refused(provider, "its token was made for another application")
    return claims


def _signed(token: str, provider: Provider) -> dict[str, Any]:
    """Keys are fetched again once where the token's is not among them: providers change them."""
    for again in (False, True):
        known = _of(provider, unknown_key=again)
        try:
            return dict(jwt.decode(token, known.keys, algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            failure = error
    raise _refused(provider, "its token is not signed by it", failure) from failure


def _userinfo(
    provider: Provider, metadata: Metadata, answer: dict[str, Any], claims: dict[str, Any]
) -> dict[str, Any]:
    """Asked only where the token lacks something. An answer about another subject is none (OpenID Core 5.3.2)."""
    is_complete = claims.get("email") and claims.get("name") and provider.groups_claim in claims
    if is_complete or not metadata.userinfo_endpoint:
        return {}
    try:
        found = _json(metadata.userinfo_endpoint, token=str(answer.get("access_token", "")))
    except (requests.RequestException, ValueError) as error:
        raise _away(provider, error) from error
    if found.get("sub") != claims["sub"]:
        raise _refused(provider, "it spoke of somebody else")
    return found


def _of(provider: Provider, *, fresh: bool = False, unknown_key: bool = False) -> _Known:
    known = _known.get(provider.issuer)
    kept = AGAIN_SECONDS if unknown_key else KEPT_SECONDS
    if known is not None and not fresh and time.monotonic() - known.at < kept:
        return known
    try:
        metadata = _metadata(provider, _json(provider.discovery_url))
        keys = _key_set(_json(metadata.jwks_uri))
    except (requests.RequestException, JoseError, ValueError, KeyError, TypeError) as error:
        raise _away(provider, error) from error
    with _lock:
        _known[provider.issuer] = _Known(metadata, keys, time.monotonic())
        return _known[provider.issuer]


def _metadata(provider: Provider, found: dict[str, Any]) -> Metadata:
    if found.get("issuer") != provider.issuer:
        raise ValueError(f"discovery names the issuer {found.get('issuer')!r}, not {provider.issuer!r}")
    methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    metadata = Metadata(
        authorization_endpoint=str(found["authorization_endpoint"]),
        token_endpoint=str(found["token_endpoint"]),
        jwks_uri=str(found["jwks_uri"]),
        userinfo_endpoint=str(found.get("userinfo_endpoint") or ""),
        sends_issuer=found.get("authorization_response_iss_parameter_supported") is True,
        posts_secret="client_secret_post" in methods,
    )
    for url in (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri):
        if not is_safe_address(url):
            raise ValueError(f"discovery names an address without TLS: {url}")
    if metadata.userinfo_endpoint and not is_safe_address(metadata.userinfo_endpoint):
        raise ValueError("discovery names an address without TLS for userinfo")
    return metadata


def _key_set(found: dict[str, Any]) -> KeySet:
    """Its public keys for signatures; kinds we do not know are left out."""
    keys = []
    for one in found["keys"]:
        if one.get("kty") not in ("RSA", "EC", "OKP") or one.get("use", "sig") != "sig":
            continue
        keys.append(
            {name: value for name, value in one.items() if name not in ("key_ops", "x5c", "x5t", "x5u")}
        )
    if not keys:
        raise ValueError("the key set has no key for signatures")
    return KeySet.import_key_set({"keys": keys})


def _json(url: str, *, token: str = "") -> dict[str, Any]:
    """The object at an address, of at most a megabyte. Raises `ValueError` and what requests raises."""
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    with _Session() as session, session.get(url, headers=headers, stream=True) as response:
        if response.status_code != 200:
            raise ValueError(f"{url} answered {response.status_code}")
        data = response.raw.read(MOST_BYTES + 1, decode_content=True)
    if len(data) > MOST_BYTES:
        raise ValueError(f"{url} sent more than {MOST_BYTES} bytes")
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError(f"{url} sent no JSON object")
    return found


def _away(provider: Provider, error: Exception) -> ProviderAway:
    log.error("identity_provider_away", issuer=provider.issuer, error=str(error)[:300])
    return ProviderAway(
        f"{provider.name} did not answer as an identity provider does. Try again in a moment; if it stays so, "
        "sign in with your password, or tell an admin."
    )


def _refused(provider: Provider, why: str, error: Exception | None = None) -> TokenRefused:
    log.warning("identity_token_refused", issuer=provider.issuer, why=why, error=str(error or "")[:300])
    return TokenRefused(
        f"What {provider.name} sent about you could not be believed: {why}. "
        "Sign in again; if it stays so, tell an admin."
    )
