"""Two people say that an irreversible or critical action may earn more than T1 (TIERS.md, Promotion 5).

The agent's owner asks, an admin who is somebody else signs. Either can take it back alone."""

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotAllowed, NotFound
from accounts.models import User
from agents import authority, permissions, standings
from agents.autonomy import Tier, rank
from agents.models import Agent, Mandate, SecondSignature
from approvals.notifications import Topic, tell
from approvals.services.promote import needs_two
from audit import recording
from audit.events import Kind, Target


def ask(*, mandate_id: int, actor: User, reason: str) -> SecondSignature:
    """The owner says so, and says why; every admin but him hears of it."""
    with transaction.atomic(durable=True):
        mandate = _locked(mandate_id)
        if mandate.agent.owner_id != actor.pk or not actor.is_active:
            raise NotAllowed("The agent's owner asks for it; he answers for what it does.")
        _check_reason(reason)
        if not needs_two(mandate.action_type):
            raise Conflict("It needs no signature: the action can be undone and is not critical.")
        if mandate.may_earn:
            raise Conflict("Both have said so already.")
        if _open(mandate) is not None:
            raise Conflict("It was asked for already and waits for an admin.")
        asked = SecondSignature.objects.create(
            kind=SecondSignature.Kind.EARNING,
            agent=mandate.agent,
            mandate=mandate,
            reason=reason,
            asked_by=actor,
            asked_at=timezone.now(),
        )
        _record(mandate, Kind.EARNING_ASKED, actor, reason)
        admins = User.objects.admins().exclude(pk=actor.pk)
        tell(
            admins.values_list("pk", flat=True),
            topic=Topic.TIER,
            text=f"{actor} asks that {mandate.agent.name} may earn more than in the loop for "
            f"{mandate.action_type.label}. It takes an admin's signature.",
            key=f"earning:{asked.pk}",
            link="/setup/signatures/",
        )
    return asked


def sign(*, signature_id: int, actor: User, answer: str) -> SecondSignature:
    """An admin who is not the owner agrees: from now on evidence may raise the tier, up to the ceiling."""
    with transaction.atomic(durable=True):
        asked, mandate = _asked(signature_id, actor, answer)
        if actor.pk in (asked.asked_by_id, mandate.agent.owner_id):
            raise NotAllowed("Two people have to say so: somebody else signs.")
        if mandate.agent.owner_id != asked.asked_by_id:
            raise Conflict("The agent has another owner by now, who has not asked. Decline it.")
        asked.signed_by, asked.signed_at, asked.answer = actor, timezone.now(), answer
        asked.save(update_fields=["signed_by", "signed_at", "answer"])
        mandate.may_earn = True
        mandate.save(update_fields=["may_earn"])
        authority.bump()
        standings.reassess(mandate)
        _record(mandate, Kind.EARNING_SIGNED, actor, answer)
        _tell_asker(asked, mandate, f"{actor} signed: evidence may raise its tier now. {answer}")
    return asked


def decline(*, signature_id: int, actor: User, answer: str) -> SecondSignature:
    """An admin says no, and why. The owner may ask again."""
    with transaction.atomic(durable=True):
        asked, mandate = _asked(signature_id, actor, answer)
        asked.declined_at, asked.answer = timezone.now(), answer
        asked.save(update_fields=["declined_at", "answer"])
        _record(mandate, Kind.EARNING_DECLINED, actor, answer)
        _tell_asker(asked, mandate, f"{actor} declined: {answer}")
    return asked


def withdraw(*, mandate_id: int, actor: User, reason: str) -> Mandate:
    """Whoever manages the agent takes the consent back; a tier above in the loop has to be lowered first."""
    with transaction.atomic(durable=True):
        mandate = _locked(mandate_id)
        permissions.manages_now(actor, mandate.agent)
        _check_reason(reason)
        if not mandate.may_earn:
            raise Conflict("There is no such consent.")
        if rank(mandate.tier) > rank(Tier.IN_THE_LOOP):
            raise Conflict(f"It works {Tier(mandate.tier).label.lower()} now. Lower its tier first.")
        mandate.may_earn = False
        mandate.save(update_fields=["may_earn"])
        authority.bump()
        standings.reassess(mandate)
        _record(mandate, Kind.EARNING_WITHDRAWN, actor, reason)
    return mandate


def _asked(signature_id: int, actor: User, answer: str) -> tuple[SecondSignature, Mandate]:
    key = {"pk": signature_id, "kind": SecondSignature.Kind.EARNING}
    mandate_id = SecondSignature.objects.filter(**key).values_list("mandate_id", flat=True).first()
    if mandate_id is None:
        raise NotFound("Nobody has asked for this.")
    permissions.check_is_admin(actor)
    mandate = _locked(mandate_id)
    _check_reason(answer)
    asked = SecondSignature.objects.select_for_update(of=("self",)).get(**key)
    if asked.signed_at is not None or asked.declined_at is not None:
        raise Conflict("It was answered already.")
    return asked, mandate


def _open(mandate: Mandate) -> SecondSignature | None:
    return SecondSignature.objects.filter(
        mandate=mandate, kind=SecondSignature.Kind.EARNING, signed_at=None, declined_at=None
    ).first()


def _locked(mandate_id: int) -> Mandate:
    agent_id = Mandate.objects.filter(pk=mandate_id).values_list("agent_id", flat=True).first()
    if agent_id is None:
        raise NotFound("There is no such mandate.")
    Agent.objects.select_for_update(of=("self",), no_key=True).get(pk=agent_id)
    return (
        Mandate.objects.select_for_update(of=("self",), no_key=True)
        .select_related("agent__owner", "action_type")
        .get(pk=mandate_id)
    )


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > 300 or "\x00" in reason:
        raise Invalid(
            "Say why, in at most 300 characters.",
            errors=[{"field": "reason", "message": "must have 1 to 300 characters"}],
        )


def _record(mandate: Mandate, kind: Kind, actor: User, reason: str) -> None:
    recording.record(
        actor=actor.actor(),
        kind=kind,
        target=Target("mandate", str(mandate.pk)),
        detail={
            "reason": reason,
            "agent": mandate.agent.slug,
            "action_type": mandate.action_type.name,
        },
    )


def _tell_asker(asked: SecondSignature, mandate: Mandate, text: str) -> None:
    tell(
        [asked.asked_by_id],
        topic=Topic.TIER,
        text=f"{mandate.agent.name}, {mandate.action_type.label}: {text}",
        key=f"earning-answered:{asked.pk}",
        link=f"/agents/{mandate.agent.slug}/mandates/{mandate.action_type.name}/",
    )
