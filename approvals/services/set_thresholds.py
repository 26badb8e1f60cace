"""What an owner asks of the evidence: thresholds, the ceiling, and whether a promotion waits for him.

None of these moves a tier (I12): they say what has to be earned, and how far it can lead."""

from typing import Any

from django.db import transaction

from accounts import second_person
from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import PendingChange, User
from accounts.second_person import Line, What
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


def set_ceiling(*, mandate_id: int, ceiling: str, actor: User, reason: str) -> Mandate | PendingChange:
    """The highest tier that can be earned. Raising it is for admins, and above in the loop for two people where that is
    set; it never falls below the tier there is."""
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
        raised = rank(ceiling) > max(rank(mandate.ceiling), rank(Tier.IN_THE_LOOP))
        if raised and second_person.needed(What.CEILING):
            return _ask_to_raise(mandate, ceiling, actor, reason)
        return _store_ceiling(mandate, ceiling, actor, reason)


def _ask_to_raise(mandate: Mandate, ceiling: str, actor: User, reason: str) -> PendingChange:
    title = f"Raise the ceiling of {mandate.agent.name}, {mandate.action_type.label}"
    line = Line("Ceiling", Tier(mandate.ceiling).label, Tier(ceiling).label)
    return second_person.ask(
        what=What.CEILING,
        about=f"mandate {mandate.agent.slug} {mandate.action_type.name}"[:120],
        payload={"mandate": mandate.pk, "ceiling": str(ceiling), "reason": reason},
        shown=second_person.shown(title, [line]),
        by=actor,
        base=str(mandate.ceiling),
        reason=reason,
    )


def carry_out(change: PendingChange) -> Mandate:
    """A step of the second person's yes: raise the ceiling as it was asked for, if it is still what it was raised
    from."""
    mandate = _managed(change.payload["mandate"], change.asked_by)
    permissions.check_is_admin(change.asked_by)
    if mandate.ceiling != change.base:
        raise Conflict("The ceiling has changed since this was asked for. Decline it, and ask again.")
    return _store_ceiling(mandate, change.payload["ceiling"], change.asked_by, change.payload["reason"])


def _store_ceiling(mandate: Mandate, ceiling: str, actor: User, reason: str) -> Mandate:
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
    permissions.manages_now(actor, mandate.agent)
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
