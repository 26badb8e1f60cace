"""Workload identity: tokens (JWT, RFC 7519) of an issuer that we trust, instead of a secret of ours.

What is verified here says who the issuer vouches for; whether that is an agent of ours, and may be at the moment, is
read from the database by agents/authority.py. The rules are those of RFC 8725: the algorithm comes from our list and
fits the kind of key, never from the token alone; issuer and audience are compared whole; nothing is parsed before its
size is known, and nobody is asked for keys whom no identity names."""

import hashlib
import re
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.util import urlsafe_b64decode

from agents import issuers, strict_json
from agents.exceptions import BadToken, IssuerUnavailable
from agents.issuers import IssuerAway
from agents.strict_json import NotStrictJson

# RFC 9864 renames EdDSA to Ed25519; issuers of today say EdDSA.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)

KINDS = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP", "Ed25519": "OKP"}
"""The algorithms that are taken, each with its kind of key. Never `none`, never one with a shared secret."""
MOST = 8192
"""Bytes of a token."""
LEEWAY = 60
"""Seconds that the issuer's clock may be off."""
LONGEST = timedelta(hours=24)
"""The longest life of a token that is taken."""
SEEN = 30.0
"""Seconds that a signature which was verified need not be verified again."""
MOST_SEEN = 20_000
MARK = b"jwt:"
_SHAPE = re.compile(r"ey[A-Za-z0-9_-]+\.ey[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\Z")
_SEGMENT = r"[^/:]*"
_PATTERN = re.compile(r"[\x21-\x7e]{1,300}\Z")


@dataclass(frozen=True, slots=True)
class Vouched:
    """What an issuer says in a token whose signature is good. `expires_at` has our leeway in it."""

    issuer: str
    subject: str
    audience: str
    claims: Mapping[str, Any]
    expires_at: datetime
    verified_at: float


_seen: dict[bytes, Vouched] = {}


def is_shaped(token: str) -> bool:
    """Whether it can be such a token at all; two of three parts are JSON objects in base64url."""
    return len(token) <= MOST * 4 and token.isascii() and _SHAPE.match(token) is not None


def digest(token: str) -> bytes:
    """What names the token here. Longer than the hash of a secret, so neither is ever taken for the other."""
    return MARK + hashlib.sha256(token.encode()).digest()


def is_digest(name: bytes) -> bool:
    return name.startswith(MARK) and len(name) > 32


def seen(name: bytes) -> Vouched | None:
    """What was verified of it within the last `SEEN` seconds."""
    found = _seen.get(name)
    return found if found is not None and time.monotonic() - found.verified_at < SEEN else None


def vouched(name: bytes) -> Vouched | None:
    """What was last verified of it, however long ago: for whoever asks who was refused."""
    return _seen.get(name)


def forget() -> None:
    """For tests."""
    _seen.clear()


def issuer_of(token: str) -> str:
    """Who says to have issued it, not verified. Raises `BadToken`."""
    if len(token) > MOST:
        raise BadToken("token_too_large", f"The token has more than {MOST} bytes.")
    issuer = _part(token, 1).get("iss")
    if not isinstance(issuer, str):
        raise BadToken("token_malformed", "The token names no issuer.")
    return issuer


def verify(token: str, issuer: str) -> Vouched:
    """Signature and times of a token that `issuer_of` has read. Raises `BadToken`, `IssuerUnavailable`."""
    header = _part(token, 0)
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str) or alg not in KINDS:
        raise BadToken("token_algorithm", "The token must be signed by RS256, PS256, ES256 or EdDSA.")
    if not isinstance(kid, str) or not kid:
        raise BadToken("token_key_unknown", "The token's header must name its key (kid).")
    try:
        key = issuers.key(issuer, kid)
    except IssuerAway as error:
        raise IssuerUnavailable(f"{error} Send the same request again.", retry_after=5) from error
    if key is None:
        raise BadToken("token_key_unknown", "The issuer publishes no key of this id.")
    try:
        if key.key_type != KINDS[alg]:
            raise BadToken("token_algorithm", "The token's algorithm does not fit its key.")
        claims = jwt.decode(token, key, registry=_registry(alg)).claims
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise BadToken("token_signature", "The token's signature is wrong.") from error
    found = _checked(claims, issuer)
    if len(_seen) >= MOST_SEEN:
        _seen.clear()
    _seen[digest(token)] = found
    return found


def _registry(alg: str) -> jws.JWSRegistry:
    return jws.JWSRegistry(algorithms=[alg], strict_check_header=False)


def _checked(claims: Mapping[str, Any], issuer: str) -> Vouched:
    subject, audience = claims.get("sub"), claims.get("aud")
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    if not isinstance(audience, str):
        raise BadToken("token_audience", "The token must be for one audience.")
    if not isinstance(subject, str) or not subject:
        raise BadToken("token_malformed", "The token names no subject.")
    if claims.get("iss") != issuer:
        raise BadToken("token_issuer", "The token's issuer is not trusted.")
    now = time.time()
    expires, issued = _number(claims, "exp"), _number(claims, "iat")
    begins = _number(claims, "nbf") if "nbf" in claims else issued
    if expires + LEEWAY <= now:
        raise BadToken("token_expired", "The token has expired.")
    if max(begins, issued) - LEEWAY > now:
        raise BadToken("token_not_yet_valid", "The token is not valid yet.")
    if expires - issued > LONGEST.total_seconds():
        raise BadToken("token_too_long_lived", "The token lives longer than 24 hours.")
    until = datetime.fromtimestamp(expires + LEEWAY, UTC)
    return Vouched(issuer, subject, audience, claims, until, time.monotonic())


def _number(claims: Mapping[str, Any], name: str) -> float:
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 1e11:
        raise BadToken("token_malformed", f"The token's {name} must be a time.")
    return float(found)


def _part(token: str, number: int) -> dict[str, Any]:
    """A part as a JSON object; names that come twice, which two readers would read differently, are refused."""
    try:
        found = strict_json.loads(urlsafe_b64decode(token.split(".")[number].encode()))
    except (NotStrictJson, ValueError) as error:
        raise BadToken("token_malformed", "The token cannot be read.") from error
    if not isinstance(found, dict):
        raise BadToken("token_malformed", "The token cannot be read.")
    return found


def pattern_fault(pattern: str) -> str:
    """Why a subject pattern is not taken; empty where it is.

    A pattern that anybody's subject could fit would give the agent away to everybody whom the issuer knows."""
    if not _PATTERN.match(pattern):
        return "must be 1 to 300 printable characters without spaces"
    if len(re.sub(r"[*/:._@-]", "", pattern)) < 3:
        return "must name somebody: at least three letters or digits beside the *"
    if "**" in pattern:
        return "must not have two * in a row; one stands for any characters but / and :"
    return ""


def fits(pattern: str, subject: str) -> bool:
    """Whether the whole subject fits the pattern: `*` stands for any characters but `/` and `:`, which in subjects set
    repository, branch, namespace and account apart; everything else stands for itself."""
    parts = [re.escape(part) for part in pattern.split("*")]
    return re.fullmatch(_SEGMENT.join(parts), subject) is not None


def has_claims(claims: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether every claim that is asked for is there and exactly so: `1` is not `true`."""
    return all(
        name in claims and type(claims[name]) is type(value) and claims[name] == value
        for name, value in wanted.items()
    )
