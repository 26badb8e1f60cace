"""Workload identities: whose tokens are an agent's, said by who manages it, for at most a year. No secret is kept.

Revoking and restricting one is the same as for a secret (agents/services/credentials.py): both are credentials."""

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import User
from agents import authority, fetching, identity, networks, permissions
from agents.exceptions import AgentNotLive
from agents.models import Agent, AgentState, Credential, Identity
from audit import recording
from audit.events import Kind, Target

MAX_DAYS = 365
MOST_CLAIMS = 20
MOST_OF_ONE_ISSUER = 1000
"""Identities that name one issuer: each of its tokens is held against all of them."""
_ALPHABET = string.digits + string.ascii_letters


@dataclass(frozen=True, slots=True)
class Trust:
    """Which tokens: issuer and audience compared whole, `subject` a pattern, `claims` exactly so."""

    issuer: str
    audience: str
    subject: str
    claims: Mapping[str, Any] = field(default_factory=dict)


def register(
    *,
    agent_id: int,
    trust: Trust,
    actor: User,
    label: str = "",
    networks: Sequence[str] = (),
    days: int = MAX_DAYS,
) -> Credential:
    """From the commit on these tokens are the agent's. Raises `Invalid`, `Conflict` where another agent has them."""
    where = _checked(trust, networks, days)
    with transaction.atomic(durable=True):
        agent = Agent.objects.select_for_update(of=("self",), no_key=True).filter(pk=agent_id).first()
        if agent is None:
            raise NotFound("There is no such agent.")
        permissions.manages_now(actor, agent)
        if agent.state == AgentState.RETIRED:
            raise AgentNotLive("A retired agent gets no identity.")
        _check_free(agent, trust)
        credential = Credential.objects.create(
            agent=agent,
            key_id="".join(secrets.choice(_ALPHABET) for _ in range(12)),
            token_hash=None,
            label=label,
            networks=where,
            registered_by=actor,
            expires_at=timezone.now() + timedelta(days=days),
        )
        Identity.objects.create(
            credential=credential,
            issuer=trust.issuer,
            audience=trust.audience,
            subject=trust.subject,
            claims=dict(trust.claims),
        )
        authority.bump()
        recording.record(
            actor=actor.actor(),
            kind=Kind.IDENTITY_REGISTERED,
            target=Target("agent", str(agent.pk)),
            after={
                "key_id": credential.key_id,
                "issuer": trust.issuer,
                "audience": trust.audience,
                "subject": trust.subject,
                "claims": dict(trust.claims),
                "networks": where,
                "expires_at": credential.expires_at.isoformat(),
            },
        )
    return credential


def faults(trust: Trust) -> list[dict[str, str]]:
    """What is wrong with it, as field and sentence."""
    found = []
    fault = fetching.faults(trust.issuer) or ("" if len(trust.issuer) <= 300 else "is too long")
    if fault:
        found.append({"field": "issuer", "message": fault})
    if not trust.audience or len(trust.audience) > 300 or not trust.audience.isprintable():
        found.append({"field": "audience", "message": "must be 1 to 300 printable characters"})
    fault = identity.pattern_fault(trust.subject)
    if fault:
        found.append({"field": "subject", "message": fault})
    if len(trust.claims) > MOST_CLAIMS or not all(_is_claim(*one) for one in trust.claims.items()):
        words = f"must be at most {MOST_CLAIMS} names, each with a text, a number, true or false"
        found.append({"field": "claims", "message": words})
    return found


def _is_claim(name: str, value: object) -> bool:
    return 0 < len(name) <= 100 and isinstance(value, str | int | bool) and len(str(value)) <= 300


def _checked(trust: Trust, where: Sequence[str], days: int) -> list[str]:
    errors = faults(trust)
    checked: list[str] = []
    try:
        checked = networks.checked(where)
    except ValueError as error:
        errors.append({"field": "networks", "message": str(error)})
    if not 1 <= days <= MAX_DAYS:
        errors.append({"field": "days", "message": f"must be 1 to {MAX_DAYS}"})
    if errors:
        raise Invalid("Not registered.", errors=errors)
    return checked


def _check_free(agent: Agent, trust: Trust) -> None:
    """A token that fits two agents opens neither, so what is certain to collide is refused here already."""
    of_issuer = Identity.objects.filter(issuer=trust.issuer, credential__revoked_at=None)
    if of_issuer.count() >= MOST_OF_ONE_ISSUER:
        raise Conflict(f"{MOST_OF_ONE_ISSUER} identities trust this issuer already; revoke some first.")
    same = of_issuer.filter(audience=trust.audience, credential__expires_at__gt=timezone.now())
    for one in same.exclude(credential__agent=agent).select_related("credential__agent"):
        overlap = identity.fits(one.subject, trust.subject) or identity.fits(trust.subject, one.subject)
        if overlap and (one.claims == dict(trust.claims) or not one.claims or not trust.claims):
            raise Conflict(
                f"{one.credential.agent} has an identity that the same tokens fit; "
                "make the patterns or the audiences differ."
            )
