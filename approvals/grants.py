"""Grants: JWS (RFC 7515, compact, EdDSA with Ed25519) bound to one digest, issued and verified here."""

import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import KeySet, OKPKey
from joserfc.jwt import JWTClaimsRegistry

from approvals import keys
from approvals.exceptions import GrantRefused
from approvals.models import Grant, Proposal, Revision
from audit.ids import uuid7

# RFC 9864 renames EdDSA to Ed25519; DESIGN.md §4 and today's verifiers say EdDSA.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)

ALGORITHMS = ["EdDSA", "Ed25519"]
CLOCK_SKEW = 5
"""Seconds that `nbf` lies before issue, for executors whose clock is late."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified grant says."""

    jti: str
    proposal: str
    revision: int
    digest: str
    agent: str


def issue(proposal: Proposal, revision: Revision, *, at: datetime) -> Grant:
    """Sign and store the grant of an approved proposal, in the transaction that approves it."""
    grant = prepare(proposal, revision, at=at)
    grant.save(force_insert=True)
    return grant


def prepare(
    proposal: Proposal, revision: Revision, *, at: datetime, signer: tuple[str, OKPKey] | None = None
) -> Grant:
    """The signed, unsaved grant. `signer` is what `keys.active` gave, for callers who sign many at once."""
    kid, key = signer or keys.active()
    expires_at = at + timedelta(seconds=proposal.action_type.grant_seconds)
    jti = uuid7()
    claims = {
        "iss": settings.PUBLIC_URL,
        "aud": proposal.action_type.audience,
        "sub": proposal.agent.slug,
        "jti": str(jti),
        "proposal": str(proposal.pk),
        "revision": revision.number,
        "digest": revision.digest,
        "tier": proposal.tier,
        "policy_version": proposal.policy_version_id,
        "nbf": int(at.timestamp()) - CLOCK_SKEW,
        "exp": int(expires_at.timestamp()),
    }
    token = jwt.encode({"alg": "EdDSA", "kid": kid, "typ": "JWT"}, claims, key, algorithms=ALGORITHMS)
    return Grant(
        id=jti,
        proposal=proposal,
        revision=revision,
        digest=revision.digest,
        token=token,
        issued_at=at,
        expires_at=expires_at,
    )


def verify(token: str, *, audience: str, now: datetime) -> Claims:
    """The claims of a token that we signed, is for `audience` and valid now.

    Only EdDSA with a published key is accepted, so `none` and HMAC with a public key as secret (RFC 8725 §2.1) are
    refused. Raises `GrantRefused`."""
    try:
        decoded = jwt.decode(token, KeySet.import_key_set({"keys": keys.published()}), algorithms=ALGORITHMS)
        registry = JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=0,
            iss={"essential": True, "value": settings.PUBLIC_URL},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            nbf={"essential": True},
            jti={"essential": True},
            digest={"essential": True},
        )
        registry.validate(decoded.claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise GrantRefused(f"The grant is not valid: {error}") from error
    claims: dict[str, Any] = decoded.claims
    return Claims(claims["jti"], claims["proposal"], claims["revision"], claims["digest"], claims["sub"])
