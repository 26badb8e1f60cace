"""Credentials: issued (shown once), rotated with an overlap, kept to networks, revoked at once."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Invalid, NotFound
from accounts.models import User
from agents import authority, permissions, tokens
from agents import networks as places
from agents.exceptions import AgentNotLive
from agents.models import Agent, AgentState, Credential
from audit import recording
from audit.events import Kind, Target

MAX_DAYS = 90
MAX_OVERLAP = timedelta(days=7)


def issue(
    *, agent_id: int, actor: User, days: int = MAX_DAYS, label: str = "", networks: Sequence[str] = ()
) -> tuple[Credential, str]:
    """A new credential and its token, which is shown now and never again. It is good from `networks` only, as CIDR,
    or from everywhere."""
    with transaction.atomic(durable=True):
        agent = _managed(agent_id, actor)
        credential, token = _create(agent, actor, days, label, networks)
        recording.record(
            actor=actor.actor(),
            kind=Kind.CREDENTIAL_ISSUED,
            target=Target("agent", str(agent.pk)),
            after=_facts(credential),
        )
    return credential, token


def rotate(
    *, credential_id: int, actor: User, overlap: timedelta = timedelta(hours=24), days: int = MAX_DAYS
) -> tuple[Credential, str]:
    """A successor for the same networks; the old credential stays good for `overlap` (at most 7 days), never beyond
    its own expiry."""
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise Invalid("Not rotated.", errors=[{"field": "overlap", "message": "must be 0 to 7 days"}])
    with transaction.atomic(durable=True):
        old = _locked(credential_id)
        _managed(old.agent_id, actor)
        if not old.is_usable or old.replaced_by_id is not None or old.is_identity:
            raise Invalid(
                "Not rotated.",
                errors=[{"field": "credential", "message": "is replaced, expired or revoked already"}],
            )
        credential, token = _create(old.agent, actor, days, old.label, old.networks)
        old.replaced_by = credential
        old.expires_at = min(old.expires_at, timezone.now() + overlap)
        old.save(update_fields=["replaced_by", "expires_at"])
        authority.bump()
        recording.record(
            actor=actor.actor(),
            kind=Kind.CREDENTIAL_ROTATED,
            target=Target("agent", str(old.agent_id)),
            before=_facts(old),
            after=_facts(credential),
        )
    return credential, token


def restrict(*, credential_id: int, networks: Sequence[str], actor: User) -> Credential:
    """From where it may be used, from the next request on; none is everywhere. Also for an identity."""
    with transaction.atomic(durable=True):
        credential = _locked(credential_id)
        _managed(credential.agent_id, actor)
        before = _facts(credential)
        credential.networks = _checked(networks, "Not changed.")
        after = _facts(credential)
        if after != before:
            credential.save(update_fields=["networks"])
            authority.bump()
            recording.record(
                actor=actor.actor(),
                kind=Kind.CREDENTIAL_CHANGED,
                target=Target("agent", str(credential.agent_id)),
                before=before,
                after=after,
            )
    return credential


def revoke(*, credential_id: int, actor: User) -> Credential:
    """Worthless from the commit on. Revoking twice changes nothing."""
    with transaction.atomic(durable=True):
        credential = _locked(credential_id)
        _managed(credential.agent_id, actor)
        if credential.revoked_at is None:
            credential.revoked_at = timezone.now()
            credential.save(update_fields=["revoked_at"])
            authority.bump()
            recording.record(
                actor=actor.actor(),
                kind=Kind.CREDENTIAL_REVOKED,
                target=Target("agent", str(credential.agent_id)),
                before=_facts(credential),
            )
    return credential


def _create(agent: Agent, actor: User, days: int, label: str, where: Sequence[str]) -> tuple[Credential, str]:
    if not 1 <= days <= MAX_DAYS:
        raise Invalid("Not issued.", errors=[{"field": "days", "message": f"must be 1 to {MAX_DAYS}"}])
    if agent.state == AgentState.RETIRED:
        raise AgentNotLive("A retired agent gets no credential.")
    token = tokens.new()
    credential = Credential.objects.create(
        agent=agent,
        key_id=token.key_id,
        token_hash=token.digest,
        label=label,
        networks=_checked(where, "Not issued."),
        registered_by=actor,
        expires_at=timezone.now() + timedelta(days=days),
    )
    authority.bump()
    return credential, token.text


def _checked(where: Sequence[str], refused: str) -> list[str]:
    try:
        return places.checked(where)
    except ValueError as error:
        raise Invalid(refused, errors=[{"field": "networks", "message": str(error)}]) from error


def _managed(agent_id: int, actor: User) -> Agent:
    agent = Agent.objects.select_for_update(of=("self",), no_key=True).filter(pk=agent_id).first()
    if agent is None:
        raise NotFound("There is no such agent.")
    permissions.manages_now(actor, agent)
    return agent


def _locked(credential_id: int) -> Credential:
    found = (
        Credential.objects.select_for_update(of=("self",), no_key=True)
        .select_related("agent")
        .filter(pk=credential_id)
        .first()
    )
    if found is None:
        raise NotFound("There is no such credential.")
    return found


def _facts(credential: Credential) -> dict[str, object]:
    return {
        "key_id": credential.key_id,
        "label": credential.label,
        "expires_at": credential.expires_at.isoformat(),
        "networks": list(credential.networks),
    }
