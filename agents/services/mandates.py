"""Mandates: what an agent may do for one action type, set by its owner within what admins allow."""

from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction

from accounts.exceptions import Invalid, NotFound
from accounts.models import User
from agents import authority, permissions, turning
from agents.autonomy import Tier, rank
from agents.models import ActionType, Agent, Mandate
from audit import recording
from audit.events import Actor, Kind, Target


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Tier, ceiling and limits; None is no limit. Amounts in the action type's currency."""

    tier: str = Tier.IN_THE_LOOP
    ceiling: str = Tier.IN_THE_LOOP
    max_amount: Decimal | None = None
    window_hours: int = 24
    window_count: int | None = None
    window_amount: Decimal | None = None
    subject_count: int | None = None
    subject_amount: Decimal | None = None
    veto_seconds: int = 300
    active: bool = True


def faults(terms: Terms) -> list[dict[str, str]]:
    """Everything that is wrong with the terms."""
    found = []
    for name, value in (("tier", terms.tier), ("ceiling", terms.ceiling)):
        if value not in Tier.values:
            found.append({"field": name, "message": f"must be one of {', '.join(Tier.values)}"})
    if not found and rank(terms.tier) > rank(terms.ceiling):
        found.append({"field": "tier", "message": "must not be above the ceiling"})
    for name in ("max_amount", "window_amount", "subject_amount"):
        amount = getattr(terms, name)
        if amount is not None and not (amount.is_finite() and 0 <= amount < Decimal(10) ** 16):
            found.append({"field": name, "message": "must be 0 or more"})
    if not 1 <= terms.window_hours <= 24 * 366:
        found.append({"field": "window_hours", "message": "must be 1 to 8784"})
    for name in ("window_count", "subject_count"):
        count = getattr(terms, name)
        if count is not None and not 0 <= count < 2**31:
            found.append({"field": name, "message": "must be 0 or more"})
    if not 0 <= terms.veto_seconds <= 7 * 86400:
        found.append({"field": "veto_seconds", "message": "must be 0 to 604800"})
    return found


def save(*, agent_id: int, action_type: str, terms: Terms, actor: User, reason: str = "") -> Mandate:
    """Give or change a mandate. Raising a ceiling is for admins; the agent's managers do the rest."""
    with transaction.atomic(durable=True):
        agent = Agent.objects.select_for_update(of=("self",), no_key=True).filter(pk=agent_id).first()
        if agent is None:
            raise NotFound("There is no such agent.")
        permissions.check_can_manage(actor, agent)
        kind = ActionType.objects.filter(name=action_type).first()
        if kind is None:
            raise NotFound(f"There is no action type {action_type!r}.")
        existing = Mandate.objects.filter(agent=agent, action_type=kind).first()
        if terms.ceiling in Tier.values and rank(terms.ceiling) > rank(
            existing.ceiling if existing else Tier.IN_THE_LOOP
        ):
            permissions.check_is_admin(actor)
        return store(agent, kind, terms, actor=actor.actor(), changed_by=actor, reason=reason)


def store(
    agent: Agent, action_type: ActionType, terms: Terms, *, actor: Actor, changed_by: User | None, reason: str
) -> Mandate:
    """A step of `save` and of loading blueprints; the tier goes through `agents.transitions`."""
    wrong = faults(terms)
    if wrong:
        raise Invalid("The mandate was not saved.", errors=wrong)
    mandate = (
        Mandate.objects.select_for_update(of=("self",), no_key=True)
        .filter(agent=agent, action_type=action_type)
        .first()
    )
    _check_not_raised(terms, mandate.tier if mandate else Tier.IN_THE_LOOP)
    before = as_terms(mandate) if mandate else None
    if mandate is not None and before == terms:
        return mandate
    mandate = mandate or Mandate(agent=agent, action_type=action_type, tier=terms.tier)
    tier_before = mandate.tier
    for name in (
        "ceiling",
        "max_amount",
        "window_hours",
        "window_count",
        "window_amount",
        "subject_count",
        "subject_amount",
        "veto_seconds",
        "active",
    ):
        setattr(mandate, name, getattr(terms, name))
    mandate.save()
    authority.bump()
    recording.record(
        actor=actor,
        kind=Kind.MANDATE_SAVED,
        target=Target("mandate", str(mandate.pk)),
        before=_facts(agent, action_type, before) if before else None,
        after=_facts(agent, action_type, terms),
        detail={"reason": reason},
    )
    if tier_before != terms.tier:
        turning.turn(mandate, tier=terms.tier, actor=actor, changed_by=changed_by, reason=reason)
    return mandate


def _check_not_raised(terms: Terms, present: str) -> None:
    """I12: evidence raises a tier, no hand does; between advisory and in the loop a person decides either way."""
    if rank(terms.tier) > max(rank(present), rank(Tier.IN_THE_LOOP)):
        raise Invalid(
            "Nothing was saved: a tier above in the loop is earned by evidence and confirmed then.",
            errors=[{"field": "tier", "message": f"must not be above {present}; raise the ceiling instead"}],
        )


def as_terms(mandate: Mandate) -> Terms:
    """What is stored, in the form in which it is saved and compared."""
    return Terms(**{name: getattr(mandate, name) for name in Terms.__dataclass_fields__})


def _facts(agent: Agent, action_type: ActionType, terms: Terms) -> dict[str, object]:
    values: dict[str, object] = {"agent": agent.slug, "action_type": action_type.name}
    for name in Terms.__dataclass_fields__:
        value = getattr(terms, name)
        values[name] = str(value) if isinstance(value, Decimal | Tier) else value
    return values
