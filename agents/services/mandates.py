"""Mandates: what an agent may do for one action type, set by its owner within what admins allow."""

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction

from accounts import second_person
from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import PendingChange, User
from accounts.second_person import Line, What
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


def save(
    *, agent_id: int, action_type: str, terms: Terms, actor: User, reason: str = ""
) -> Mandate | PendingChange:
    """Give or change a mandate. Raising a ceiling is for admins, and above in the loop for two people where that is
    set; the agent's managers do the rest."""
    with transaction.atomic(durable=True):
        agent = Agent.objects.select_for_update(of=("self",), no_key=True).filter(pk=agent_id).first()
        if agent is None:
            raise NotFound("There is no such agent.")
        permissions.manages_now(actor, agent)
        kind = ActionType.objects.filter(name=action_type).first()
        if kind is None:
            raise NotFound(f"There is no action type {action_type!r}.")
        existing = Mandate.objects.filter(agent=agent, action_type=kind).first()
        if terms.ceiling in Tier.values and rank(terms.ceiling) > rank(
            existing.ceiling if existing else Tier.IN_THE_LOOP
        ):
            permissions.check_is_admin(actor)
            if rank(terms.ceiling) > rank(Tier.IN_THE_LOOP) and second_person.needed(What.CEILING):
                return _ask_to_raise(agent, kind, existing, terms, actor, reason)
        return store(agent, kind, terms, actor=actor.actor(), changed_by=actor, reason=reason)


def _ask_to_raise(
    agent: Agent, action_type: ActionType, existing: Mandate | None, terms: Terms, actor: User, reason: str
) -> PendingChange:
    """Ask for all of the terms: some of them may be bearable only with the others."""
    wrong = faults(terms)
    if wrong:
        raise Invalid("The mandate was not saved.", errors=wrong)
    _check_not_raised(terms, existing.tier if existing else Tier.IN_THE_LOOP)
    after = _facts(agent, action_type, terms)
    before = _facts(agent, action_type, as_terms(existing)) if existing else {}
    lines = [
        Line(name.replace("_", " ").capitalize(), _word(before.get(name)), _word(value))
        for name, value in after.items()
        if name in Terms.__dataclass_fields__ and before.get(name, "") != value
    ]
    return second_person.ask(
        what=What.CEILING,
        about=f"mandate {agent.slug} {action_type.name}"[:120],
        payload={"agent": agent.pk, "action_type": action_type.name, "terms": after, "reason": reason},
        shown=second_person.shown(f"The mandate of {agent.name}, {action_type.label}", lines),
        by=actor,
        base=_mark(before),
        reason=reason,
    )


def carry_out(change: PendingChange) -> Mandate:
    """A step of the second person's yes: save the mandate as it was asked for, if it is still what it was made from."""
    asked = change.payload
    agent = Agent.objects.select_for_update(of=("self",), no_key=True).filter(pk=asked["agent"]).first()
    kind = ActionType.objects.filter(name=asked["action_type"]).first()
    if agent is None or kind is None:
        raise Conflict("What it is about is gone. Decline it.")
    permissions.check_can_manage(change.asked_by, agent)
    permissions.check_is_admin(change.asked_by)
    existing = (
        Mandate.objects.select_for_update(of=("self",), no_key=True)
        .filter(agent=agent, action_type=kind)
        .first()
    )
    if _mark(_facts(agent, kind, as_terms(existing)) if existing else {}) != change.base:
        raise Conflict("The mandate has changed since this was asked for. Decline it, and ask again.")
    by = change.asked_by
    return store(agent, kind, _read(asked["terms"]), actor=by.actor(), changed_by=by, reason=asked["reason"])


def _mark(facts: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest() if facts else ""


def _read(facts: dict[str, Any]) -> Terms:
    """Terms from `_facts`, where amounts are strings."""
    values = {name: facts[name] for name in Terms.__dataclass_fields__}
    for name in ("max_amount", "window_amount", "subject_amount"):
        values[name] = None if values[name] is None else Decimal(values[name])
    return Terms(**values)


def _word(value: object) -> str:
    return "no limit" if value is None else str(value)


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
