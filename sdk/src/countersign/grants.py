"""Verify a grant without asking the server: for an executor that was handed a token and arguments by an agent.

Needs the extra: pip install 'countersign[verify]'. What this cannot know is whether the grant was used before or was
taken back since: that it counts once is decided where it is redeemed. An executor that acts on tokens alone keeps every
`Claims.jti` it has acted on, until the grant has expired."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from countersign import canonical
from countersign.errors import GrantInvalid
from countersign.proposals import Proposal
from countersign.tokens import member, part

ALGORITHMS = ("EdDSA", "Ed25519")
"""Two names of one thing (RFC 8037, RFC 9864). No other is ever tried, whatever a token asks for (RFC 8725 §3.1)."""
MOST_BYTES = 8000
LEEWAY = 5.0
"""Seconds by which clocks may differ."""


@dataclass(frozen=True)
class Claims:
    """What a grant that holds says. Act once per `jti`, on the arguments it was verified with and nothing else."""

    jti: str
    issuer: str
    audience: str
    agent: str
    proposal: str
    revision: int
    digest: str
    tier: str
    expires_at: float
    raw: dict[str, Any] = field(repr=False, compare=False)


def verify(
    token: str,
    keys: Mapping[str, Any],
    audience: str,
    *,
    issuer: str,
    action_type: str,
    arguments: Mapping[str, Any],
    now: float | None = None,
    leeway: float = LEEWAY,
) -> Claims:
    """The claims, where the signature is by one of `keys` (a JWKS: `Countersign.keys`, or the file you keep), it is
    for `audience` (the executor that the action type names), from `issuer` (the server's public address), valid at
    `now` (Unix seconds), and for exactly this action with these arguments. Raises `GrantInvalid`."""
    try:
        claims = _signed(token, keys)
        found = _claims(claims)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise GrantInvalid(f"The grant cannot be read: {error}.") from error
    _check_times(claims, time.time() if now is None else now, leeway)
    if found.issuer != issuer:
        raise GrantInvalid(f"The grant was issued by {found.issuer}, not by {issuer}.")
    if found.audience != audience:
        raise GrantInvalid(f"The grant is for {found.audience!r}, not for {audience!r}.")
    try:
        at_hand = canonical.digest(
            agent=found.agent, action_type=action_type, revision=found.revision, arguments=arguments
        )
    except ValueError as error:
        raise GrantInvalid(f"The arguments at hand are no JSON: {error}.") from error
    if at_hand != found.digest:
        raise GrantInvalid("The arguments at hand are not the approved ones.")
    return found


def verify_proposal(
    proposal: Proposal,
    keys: Mapping[str, Any],
    audience: str,
    *,
    issuer: str,
    now: float | None = None,
    leeway: float = LEEWAY,
) -> Claims:
    """The same for a proposal with its grant."""
    if proposal.grant is None:
        raise GrantInvalid(f"Proposal {proposal.id} has no grant.")
    claims = verify(
        proposal.grant.token,
        keys,
        audience,
        issuer=issuer,
        action_type=proposal.action_type,
        arguments=proposal.arguments,
        now=now,
        leeway=leeway,
    )
    if claims.proposal != proposal.id:
        raise GrantInvalid("The grant is that of another proposal.")
    return claims


def _signed(token: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The payload, once its signature holds. Raises `ValueError`."""
    if len(token) > MOST_BYTES:
        raise ValueError("it is too long")
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("it is no compact JWS")
    header = member(parts[0])
    if header.get("alg") not in ALGORITHMS:
        raise ValueError(f"it is signed by {header.get('alg')!r}, and only EdDSA is taken")
    if header.get("typ", "JWT") != "JWT" or "crit" in header or "b64" in header:
        raise ValueError("its header asks for what grants do not have")
    _check_signature(_key(keys, header.get("kid")), part(parts[2]), f"{parts[0]}.{parts[1]}".encode())
    return member(parts[1])


def _key(keys: Mapping[str, Any], kid: Any) -> bytes:
    """Only of the set that the caller trusts: a key or address in the token itself is never looked at."""
    for key in keys["keys"]:
        if isinstance(kid, str) and key.get("kid") == kid:
            if key.get("kty") != "OKP" or key.get("crv") != "Ed25519" or key.get("use", "sig") != "sig":
                raise ValueError("its key is not one for Ed25519 signatures")
            return part(str(key["x"]))
    raise ValueError(f"its key {kid!r} is not among those at hand; fetch them again")


def _check_signature(key: bytes, signature: bytes, signed: bytes) -> None:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ModuleNotFoundError as error:
        raise RuntimeError("verifying grants needs its extra: pip install 'countersign[verify]'") from error
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except InvalidSignature as error:
        raise ValueError("its signature does not hold") from error


def _claims(raw: dict[str, Any]) -> Claims:
    names = ("jti", "iss", "aud", "sub", "proposal", "digest")
    for name in names:
        if not isinstance(raw[name], str) or not raw[name]:
            raise ValueError(f"its {name} is no text")
    if not isinstance(raw["revision"], int) or isinstance(raw["revision"], bool):
        raise ValueError("its revision is no number")
    jti, issuer, audience, agent, proposal, digest = (raw[name] for name in names)
    return Claims(
        jti,
        issuer,
        audience,
        agent,
        proposal,
        raw["revision"],
        digest,
        str(raw.get("tier") or ""),
        _seconds(raw, "exp"),
        raw,
    )


def _check_times(raw: dict[str, Any], now: float, leeway: float) -> None:
    if now >= _seconds(raw, "exp") + leeway:
        raise GrantInvalid("The grant has expired.")
    if now < _seconds(raw, "nbf") - leeway:
        raise GrantInvalid("The grant is not valid yet; the clocks of the two machines differ.")


def _seconds(raw: dict[str, Any], name: str) -> float:
    value = raw.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise GrantInvalid(f"The grant cannot be read: its {name} is no number.")
    return float(value)
