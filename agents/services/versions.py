"""Versions of an agent: announced by itself, or declared by its owner; equivalent to another with two signatures."""

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotAllowed, NotFound
from accounts.models import User
from agents import authority, evidence, permissions, versions
from agents.models import Agent, AgentVersion, Evidence, Mandate, SecondSignature
from agents.turning import Subject
from agents.versions import Announced
from audit import recording
from audit.events import Kind, Target


def announce(*, agent_id: int, said: Announced, credential_id: int) -> AgentVersion:
    """What the agent says of itself with a proposal or by itself; harmless twice."""
    with transaction.atomic(durable=True):
        agent = _locked(agent_id)
        return versions.announce(agent, said, actor=agent.actor(), credential_id=credential_id)


def declare(*, agent_id: int, label: str, said: Announced, actor: User, reason: str) -> AgentVersion:
    """The owner says that the agent is another version from now on."""
    with transaction.atomic(durable=True):
        agent = _locked(agent_id)
        permissions.manages_now(actor, agent)
        _check_reason(reason)
        if not label.strip() or len(label) > 80 or "\x00" in label:
            raise Invalid(
                "Name the version.", errors=[{"field": "label", "message": "must have 1 to 80 characters"}]
            )
        if label == agent.version:
            raise Conflict(f"The agent is version {label} already.")
        return versions.switch(
            agent, label, said=said, actor=actor.actor(), registered_by=actor, reason=reason
        )


def ask_equivalence(*, agent_id: int, continues_id: int, actor: User, reason: str) -> SecondSignature:
    """The owner says that the present version makes no difference to the evidence of an earlier one; an admin who is
    somebody else has to sign it."""
    with transaction.atomic(durable=True):
        agent = _locked(agent_id)
        permissions.manages_now(actor, agent)
        _check_reason(reason)
        now = versions.current(agent)
        continues = AgentVersion.objects.filter(agent=agent, pk=continues_id).first()
        if continues is None:
            raise NotFound("There is no such version of this agent.")
        if continues.evidence_label == now.evidence_label:
            raise Conflict("Both versions share their evidence already.")
        open_ones = SecondSignature.objects.filter(
            kind=SecondSignature.Kind.EQUIVALENCE, version=now, signed_at=None, declined_at=None
        )
        if open_ones.exists():
            raise Conflict("This version waits for an admin's signature already.")
        found = SecondSignature.objects.create(
            kind=SecondSignature.Kind.EQUIVALENCE,
            agent=agent,
            version=now,
            continues=continues,
            reason=reason,
            asked_by=actor,
            asked_at=timezone.now(),
        )
        _record(found, actor, Kind.EQUIVALENCE_ASKED, reason)
        return found


def sign_equivalence(*, signature_id: int, actor: User, reason: str) -> SecondSignature:
    """The admin's signature: evidence goes on under the earlier version, whose standing decides about the tier.

    Errors the present version has made meanwhile go with it as incidents: nobody sheds them by calling himself the
    same. Raises `NotAllowed` for who asked, and for who is no admin."""
    with transaction.atomic(durable=True):
        found = _open(signature_id, actor)
        _check_reason(reason)
        agent = _locked(found.agent_id)
        now = versions.current(agent)
        assert found.continues is not None
        if now.pk != found.version_id:
            raise Conflict("The agent is another version by now; ask again.")
        _close(found, actor, reason)
        own = now.evidence_label
        AgentVersion.objects.filter(agent=agent, evidence_label=own).update(
            evidence_label=found.continues.evidence_label
        )
        authority.bump()
        versions.settle_mandates(
            agent,
            actor=actor.actor(),
            changed_by=actor,
            reason=f"Version {now.label} continues version {found.continues.label}: {reason}",
            cause="equivalence",
        )
        _carry_errors(agent, own)
        return found


def decline_equivalence(*, signature_id: int, actor: User, reason: str) -> SecondSignature:
    with transaction.atomic(durable=True):
        found = _open(signature_id, actor)
        _check_reason(reason)
        found.declined_at, found.answer = timezone.now(), reason
        found.save(update_fields=["declined_at", "answer"])
        _record(found, actor, Kind.EQUIVALENCE_DECLINED, reason)
        return found


def _carry_errors(agent: Agent, label: str) -> None:
    """What the version got wrong under its own name, as incidents of the standing it continues."""
    for mandate in Mandate.objects.filter(agent=agent).select_related("action_type").order_by("pk"):
        wrong = Evidence.judgements().filter(
            agent=agent, action_type=mandate.action_type, standing__agent_version=label
        )
        for one in wrong.order_by("id"):
            loss, critical = evidence.loss_of(one)
            if not loss and not critical:
                continue
            evidence.incident(
                Subject(
                    agent=agent,
                    agent_version=agent.version,
                    action_type=mandate.action_type,
                    tier=mandate.tier,
                    proposal_id=one.proposal_id,
                    revision=one.revision,
                ),
                basis=Evidence.Basis.INCIDENT,
                verdict="carried",
                loss=loss,
                critical=critical,
                key=f"carried:{one.pk}",
                judged_by=None,
            )


def _open(signature_id: int, actor: User) -> SecondSignature:
    permissions.check_is_admin(actor)
    found = (
        SecondSignature.objects.select_for_update(of=("self",))
        .select_related("agent", "continues")
        .filter(pk=signature_id, kind=SecondSignature.Kind.EQUIVALENCE)
        .first()
    )
    if found is None:
        raise NotFound("There is no such request.")
    if found.signed_at or found.declined_at:
        raise Conflict("It was answered already.")
    if actor.pk in (found.asked_by_id, found.agent.owner_id):
        raise NotAllowed("It takes two people; somebody else has to sign.")
    return found


def _close(found: SecondSignature, actor: User, reason: str) -> None:
    found.signed_by, found.signed_at, found.answer = actor, timezone.now(), reason
    found.save(update_fields=["signed_by", "signed_at", "answer"])
    _record(found, actor, Kind.EQUIVALENCE_SIGNED, reason)


def _record(found: SecondSignature, actor: User, kind: Kind, reason: str) -> None:
    recording.record(
        actor=actor.actor(),
        kind=kind,
        target=Target("agent", str(found.agent_id)),
        after={
            "signature": found.pk,
            "kind": found.kind,
            "version": found.version.label if found.version else None,
            "continues": found.continues.label if found.continues else None,
        },
        detail={"reason": reason},
    )


def _locked(agent_id: int) -> Agent:
    agent = Agent.objects.select_for_update(of=("self",), no_key=True).filter(pk=agent_id).first()
    if agent is None:
        raise NotFound("There is no such agent.")
    return agent


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > 300 or "\x00" in reason:
        raise Invalid(
            "Say why, in at most 300 characters.",
            errors=[{"field": "reason", "message": "must have 1 to 300 characters"}],
        )
