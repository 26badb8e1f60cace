"""What an owner asks of the evidence: thresholds, the ceiling, and whether a promotion waits for him.

None of these moves a tier (I12): they say what has to be earned, and how far it can lead."""

from typing import Any

from django.db import transaction

from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import User
from agents import authority, permissions, standings, turning
from agents.autonomy import Tier, rank
from agents.models import Agent, Mandate
from agents.standing_words import weakened
from agents.tier_model import Thresholds
from audit import recording
from audit.events import Kind, Target

MOST_REASON = 300


def set_thresholds(*, mandate_id: int, thresholds: dict[str, object], actor: User, reason: str) -> Mandate:
    """Judge a mandate by these thresholds from now on; what is left out has the default of its risk.

    Asking for less than the default takes an admin. Asking for less than before begins a new attempt, for a bar that
    was lowered after seeing the evidence proves nothing (`agents.tier_state.loosens`)."""
    with transaction.atomic(durable=True):
        mandate = _managed(mandate_id, actor)
        check_reason(reason)
        kind = mandate.action_type
        defaults = Thresholds.of({}, risk=kind.risk)
        before = standings.thresholds_of(mandate, kind)
        after = _checked(thresholds, kind.risk)
        if after == before:
            raise Conflict("Nothing was changed: these are the thresholds it has.")
        if weakened(after, before, defaults):
            permissions.check_is_admin(actor)
        own = overrides(after, defaults)
        was = mandate.thresholds
        mandate.thresholds = own
        mandate.save(update_fields=["thresholds"])
        authority.bump()
        turning.turn(mandate, actor=actor.actor(), changed_by=actor, reason=reason)
        _record(mandate, Kind.THRESHOLDS_CHANGED, actor, reason, was, own)
    return mandate


def set_ceiling(*, mandate_id: int, ceiling: str, actor: User, reason: str) -> Mandate:
    """The highest tier that can be earned. Raising it is for admins; it never falls below the tier there is."""
    with transaction.atomic(durable=True):
        mandate = _managed(mandate_id, actor)
        check_reason(reason)
        if ceiling not in Tier.values:
            raise _invalid("ceiling", f"must be one of {', '.join(Tier.values)}")
        if rank(ceiling) > rank(mandate.ceiling):
            permissions.check_is_admin(actor)
        if rank(ceiling) < rank(mandate.tier):
            raise Conflict(f"It works {Tier(mandate.tier).label.lower()} now. Lower its tier first.")
        if ceiling == mandate.ceiling:
            raise Conflict("Nothing was changed: this is its ceiling.")
        before, mandate.ceiling = mandate.ceiling, ceiling
        mandate.save(update_fields=["ceiling"])
        authority.bump()
        standings.reassess(mandate)
        _record(
            mandate,
            Kind.CEILING_CHANGED,
            actor,
            reason,
            {"ceiling": str(before)},
            {"ceiling": str(ceiling)},
        )
    return mandate


def set_automatic(*, mandate_id: int, automatic: bool, actor: User, reason: str) -> Mandate:
    """Whether what the evidence earns is carried out without asking the owner again."""
    with transaction.atomic(durable=True):
        mandate = _managed(mandate_id, actor)
        check_reason(reason)
        if mandate.automatic == automatic:
            raise Conflict("Nothing was changed: it is so already.")
        mandate.automatic = automatic
        mandate.save(update_fields=["automatic"])
        authority.bump()
        standings.reassess(mandate)
        _record(
            mandate,
            Kind.AUTOMATIC_CHANGED,
            actor,
            reason,
            {"automatic": not automatic},
            {"automatic": automatic},
        )
    return mandate


def overrides(limits: Thresholds, defaults: Thresholds) -> dict[str, float]:
    """What differs from the defaults: all that is stored, so that a better default reaches everybody else."""
    usual = defaults.as_json()
    return {name: value for name, value in limits.as_json().items() if value != usual[name]}


def check_reason(reason: str) -> None:
    """A reason stands in the log for ever, so there is one."""
    if not reason.strip() or len(reason) > MOST_REASON or "\x00" in reason:
        raise _invalid("reason", f"must have 1 to {MOST_REASON} characters")


def _checked(thresholds: dict[str, object], risk: str) -> Thresholds:
    try:
        return Thresholds.of(thresholds, risk=risk)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        raise _invalid(name, message) from None


def _invalid(name: str, message: str) -> Invalid:
    return Invalid("Nothing was changed.", errors=[{"field": name, "message": message}])


def _managed(mandate_id: int, actor: User) -> Mandate:
    """The mandate under its agent's and its own lock, for somebody who manages it."""
    agent_id = Mandate.objects.filter(pk=mandate_id).values_list("agent_id", flat=True).first()
    if agent_id is None:
        raise NotFound("There is no such mandate.")
    Agent.objects.select_for_update(of=("self",), no_key=True).get(pk=agent_id)
    mandate = (
        Mandate.objects.select_for_update(of=("self",), no_key=True)
        .select_related("agent", "action_type")
        .get(pk=mandate_id)
    )
    permissions.check_can_manage(actor, mandate.agent)
    return mandate


def _record(
    mandate: Mandate,
    kind: Kind,
    actor: User,
    reason: str,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    recording.record(
        actor=actor.actor(),
        kind=kind,
        target=Target("mandate", str(mandate.pk)),
        before=before,
        after=after,
        detail={
            "reason": reason,
            "agent": mandate.agent.slug,
            "action_type": mandate.action_type.name,
        },
    )
