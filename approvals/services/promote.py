"""Tiers that evidence has earned: proposed with the numbers that justify them, confirmed by the owner, or automatic.

I12: nobody raises a tier by hand. `assess_due` finds standings whose evidence meets the bound, `confirm` asks the model
once more, under the locks, before the mandate moves."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import User
from agents import permissions, standings, tier_model, turning
from agents.autonomy import LADDER, Tier, rank
from agents.models import ActionType, Agent, AgentState, AgentVersion, Mandate, Promotion, Standing
from agents.tier_model import State
from agents.tier_state import BELOW
from approvals import judging
from approvals.notifications import Topic, tell
from audit import recording
from audit.events import Kind, Target, system

log = structlog.get_logger(__name__)
AGAIN = timedelta(hours=1)
"""A standing about which nothing new is known is assessed so often: cool-down and exposure end by themselves."""
BATCH = 500


def target_of(tier: str) -> str | None:
    """The next tier up that evidence can earn."""
    return next((target for target in tier_model.TARGETS if BELOW[target] == tier), None)


def obstacle(mandate: Mandate, target: str) -> str:
    """Rule 5 of TIERS.md, Promotion: what beside the evidence keeps the mandate from this tier; empty if nothing."""
    action_type = mandate.action_type
    if not mandate.active:
        return "The mandate is not in force."
    if mandate.agent.state != AgentState.LIVE:
        return f"The agent is {mandate.agent.get_state_display().lower()}."
    if rank(target) > rank(mandate.ceiling):
        return f"The mandate's ceiling is {Tier(mandate.ceiling).label.lower()}; an admin can raise it."
    if needs_two(action_type) and not mandate.may_earn:
        return (
            "It cannot be undone or can do critical harm: owner and admin both have to say that it may rise."
        )
    return ""


def needs_two(action_type: ActionType) -> bool:
    """Irreversible and critical actions stay in the loop unless two people say otherwise."""
    return action_type.reversible_by_id is None or action_type.risk == "critical"


def can_be_critical(action_type: ActionType) -> bool:
    """Whether the critical gate applies."""
    return action_type.risk == "critical"


def is_earned(mandate: Mandate, state: State, target: str, *, now: datetime) -> bool:
    """Whether the evidence and everything beside it allow this tier."""
    return not obstacle(mandate, target) and tier_model.may_promote(
        state, target, now=now, can_be_critical=can_be_critical(mandate.action_type)
    )


def mature_due(*, now: datetime, limit: int = BATCH) -> int:
    """Let small losses count whose maturity delay has passed. Standings dealt with."""
    found = 0
    for standing in list(standings.due(now, limit)):
        with transaction.atomic(durable=True):
            Agent.objects.select_for_update(of=("self",), no_key=True).get(pk=standing.agent_id)
            change = turning.mature(standing)
            if change is not None:
                judging.tell_of(change)
        found += 1
    return found


def assess_due(*, now: datetime, limit: int = BATCH) -> int:
    """Propose, withdraw or carry out promotions of standings that changed or were not looked at for an hour.

    First a look at all of them without locks; who has something coming gets a transaction of his own. One that fails
    does not keep the others waiting. Returns how many were assessed."""
    seen = list(_due(now)[:limit])
    mandates = {
        (one.agent_id, one.action_type_id): one
        for one in Mandate.objects.filter(agent__in={row.agent_id for row in seen}).select_related(
            "agent", "action_type"
        )
    }
    waiting = set(
        Promotion.objects.filter(
            state=Promotion.State.OPEN, mandate__in=[one.pk for one in mandates.values()]
        ).values_list("mandate_id", flat=True)
    )
    quiet: list[Standing] = []
    failed: Exception | None = None
    for row in seen:
        try:
            mandate = mandates.get((row.agent_id, row.action_type_id))
            if mandate is None or (
                mandate.pk not in waiting and _target(mandate, State.from_json(row.state), now) is None
            ):
                quiet.append(row)
                continue
            with transaction.atomic(durable=True):
                _assess(row.pk, row.agent_id, row.action_type_id, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - one standing at fault does not hold up the others
            log.error("assessment_failed", standing=row.pk, error=repr(error)[:300])
            failed = failed or error
    _set_assessed(quiet, now)
    if failed is not None:
        raise failed
    return len(seen)


def _due(now: datetime) -> QuerySet[Standing]:
    """Standings by which a mandate stands or falls, the changed ones first."""
    continued = AgentVersion.objects.filter(
        agent=OuterRef("agent"), label=OuterRef("agent__version"), evidence_label=OuterRef("agent_version")
    )
    return (
        Standing.objects.filter(Q(assessed_at=None) | Q(assessed_at__lte=now - AGAIN))
        .filter(Q(agent_version=F("agent__version")) | Exists(continued))
        .filter(risk=F("action_type__risk"))
        .exclude(state={})
        .order_by(F("assessed_at").asc(nulls_first=True))
    )


def _set_assessed(rows: list[Standing], now: datetime) -> None:
    """Nothing to do for these, unless something came in since they were read: then they stay due."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE agents_standing AS s SET assessed_at = %s "
            "FROM unnest(%s::bigint[], %s::timestamptz[]) AS seen (id, folded_until) "
            "WHERE s.id = seen.id AND s.folded_until = seen.folded_until",
            [now, [row.pk for row in rows], [row.folded_until for row in rows]],
        )


def _target(mandate: Mandate, state: State, now: datetime) -> str | None:
    """The tier that is due by evidence and everything beside it."""
    target = target_of(state.tier)
    if target is None or standings.model_tier(mandate.tier) != state.tier or mandate.tier == Tier.ADVISORY:
        return None
    return target if is_earned(mandate, state, target, now=now) else None


def _assess(standing_id: int, agent_id: int, action_type_id: int, now: datetime) -> None:
    mandate = _mandate(agent_id=agent_id, action_type_id=action_type_id)
    if mandate is None:
        Standing.objects.filter(pk=standing_id).update(assessed_at=now)
        return
    standing = Standing.objects.get(pk=standing_id)
    row, state, at = standings.locked(standing, mandate, mandate.action_type)
    target = _target(mandate, state, at)
    open_one = Promotion.objects.filter(mandate=mandate, state=Promotion.State.OPEN).first()
    if open_one is not None and open_one.after != target:
        _close(open_one, Promotion.State.WITHDRAWN, by=None, at=at, reason="The evidence no longer suffices.")
        open_one = None
    if target is not None and open_one is None and not _was_declined(mandate, target, state, at):
        open_one = _propose(mandate, state, target, at)
        if mandate.automatic:
            _carry_out(mandate, open_one, by=None, at=at, reason="Automatic, as the mandate says.")
    Standing.objects.filter(pk=row.pk).update(assessed_at=now)


def _was_declined(mandate: Mandate, target: str, state: State, at: datetime) -> bool:
    """An owner who said no is asked again after a cool-down, not with every review."""
    since = at - timedelta(days=state.thresholds.cool_down_days)
    return mandate.promotions.filter(
        state=Promotion.State.DECLINED, after=target, decided_at__gt=since
    ).exists()


def _propose(mandate: Mandate, state: State, target: str, at: datetime) -> Promotion:
    promotion = Promotion.objects.create(
        mandate=mandate,
        agent_version=mandate.agent.version,
        before=mandate.tier,
        after=target,
        numbers=turning.numbers_of(state),
        automatic=mandate.automatic,
        proposed_at=at,
    )
    recording.record(
        actor=system(turning.MODEL),
        kind=Kind.PROMOTION_PROPOSED,
        target=Target("mandate", str(mandate.pk)),
        before={"tier": mandate.tier},
        after={"tier": target},
        detail={"promotion": promotion.pk, "numbers": promotion.numbers},
    )
    if not mandate.automatic:
        tell(
            judging.concerned(mandate),
            topic=Topic.TIER,
            text=f"{mandate.agent.name} has earned {Tier(target).label.lower()} for "
            f"{mandate.action_type.label}: {state.reviews} reviews. It waits for you to confirm it.",
            key=f"promotion:{promotion.pk}",
            link=f"/agents/{mandate.agent.slug}/mandates/{mandate.action_type.name}/",
        )
    return promotion


def confirm(*, promotion_id: int, actor: User, reason: str) -> Mandate:
    """The owner lets the mandate rise. The model is asked again under the locks: what is no longer earned is refused.

    Raises `NotFound`, `NotAllowed`, `Invalid`, `Conflict`."""
    with transaction.atomic(durable=True):
        mandate, promotion = _opened(promotion_id, actor, reason)
        state, at = _state(mandate)
        if not is_earned(mandate, state, promotion.after, now=at):
            problem = obstacle(mandate, promotion.after) or "The evidence no longer suffices."
            raise Conflict(f"Nothing was changed. {problem}")
        _carry_out(mandate, promotion, by=actor, at=at, reason=reason)
    return mandate


def decline(*, promotion_id: int, actor: User, reason: str) -> Mandate:
    """The owner keeps the tier as it is; the evidence goes on counting, and it is asked again after the cool-down."""
    with transaction.atomic(durable=True):
        mandate, promotion = _opened(promotion_id, actor, reason)
        _close(promotion, Promotion.State.DECLINED, by=actor, at=timezone.now(), reason=reason)
    return mandate


def lower_tier(*, mandate_id: int, tier: str, actor: User, reason: str) -> Mandate:
    """Down by hand, at once, for whatever reason the owner has. Up only by evidence."""
    with transaction.atomic(durable=True):
        mandate = _managed(mandate_id, actor)
        _check_reason(reason)
        if tier not in Tier.values or rank(tier) >= rank(mandate.tier):
            below = ", ".join(one.value for one in LADDER if rank(one) < rank(mandate.tier)) or "none"
            raise Invalid(
                "Only a lower tier can be set by hand; a higher one is earned.",
                errors=[{"field": "tier", "message": f"must be one of {below}"}],
            )
        _withdraw(mandate, "The tier was lowered by hand.")
        turning.turn(mandate, tier=tier, actor=actor.actor(), changed_by=actor, reason=reason)
    return mandate


def reset(*, mandate_id: int, actor: User, reason: str) -> Mandate:
    """A new attempt: nothing that was reviewed before counts any longer, and the bar is higher (α_k)."""
    with transaction.atomic(durable=True):
        mandate = _managed(mandate_id, actor)
        _check_reason(reason)
        _withdraw(mandate, "A new attempt was begun.")
        turning.turn(mandate, actor=actor.actor(), changed_by=actor, reason=reason, reset=True)
        recording.record(
            actor=actor.actor(),
            kind=Kind.EVIDENCE_RESET,
            target=Target("mandate", str(mandate.pk)),
            detail={"reason": reason},
        )
    return mandate


def _carry_out(mandate: Mandate, promotion: Promotion, *, by: User | None, at: datetime, reason: str) -> None:
    actor = by.actor() if by else system(turning.MODEL)
    change = turning.turn(
        mandate,
        tier=promotion.after,
        actor=actor,
        changed_by=by,
        reason=reason,
        cause="evidence",
        numbers=promotion.numbers,
    )
    _close(promotion, Promotion.State.CONFIRMED, by=by, at=at, reason=reason)
    if by is None and change is not None:
        judging.tell_of(change)


def _close(promotion: Promotion, state: str, *, by: User | None, at: datetime, reason: str) -> None:
    promotion.state, promotion.decided_by, promotion.decided_at = state, by, at
    promotion.reason = reason[:300]
    promotion.save(update_fields=["state", "decided_by", "decided_at", "reason"])
    recording.record(
        actor=by.actor() if by else system(turning.MODEL),
        kind=Kind.PROMOTION_CLOSED,
        target=Target("mandate", str(promotion.mandate_id)),
        after={"promotion": promotion.pk, "state": str(state)},
        detail={"reason": reason},
    )


def _withdraw(mandate: Mandate, reason: str) -> None:
    for promotion in Promotion.objects.filter(mandate=mandate, state=Promotion.State.OPEN):
        _close(promotion, Promotion.State.WITHDRAWN, by=None, at=timezone.now(), reason=reason)


def _mandate(**key: Any) -> Mandate | None:
    """A mandate under its agent's and its own lock, in this order."""
    found = Mandate.objects.filter(**key).values_list("pk", "agent_id").first()
    if found is None:
        return None
    Agent.objects.select_for_update(of=("self",), no_key=True).get(pk=found[1])
    return (
        Mandate.objects.select_for_update(of=("self",), no_key=True)
        .select_related("agent", "action_type")
        .get(pk=found[0])
    )


def _managed(mandate_id: int, actor: User) -> Mandate:
    mandate = _mandate(pk=mandate_id)
    if mandate is None:
        raise NotFound("There is no such mandate.")
    permissions.manages_now(actor, mandate.agent)
    return mandate


def _opened(promotion_id: int, actor: User, reason: str) -> tuple[Mandate, Promotion]:
    mandate_id = Promotion.objects.filter(pk=promotion_id).values_list("mandate_id", flat=True).first()
    if mandate_id is None:
        raise NotFound("There is no such promotion.")
    mandate = _managed(mandate_id, actor)
    promotion = Promotion.objects.select_for_update(of=("self",)).get(pk=promotion_id)
    _check_reason(reason)
    if promotion.state != Promotion.State.OPEN:
        raise Conflict(f"It was answered already: {promotion.get_state_display().lower()}.")
    return mandate, promotion


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > 300 or "\x00" in reason:
        raise Invalid(
            "Say why, in at most 300 characters.",
            errors=[{"field": "reason", "message": "must have 1 to 300 characters"}],
        )


def _state(mandate: Mandate) -> tuple[State, datetime]:
    standing = standings.of(mandate.agent, mandate.action_type, mandate.agent.version)
    _, state, at = standings.locked(standing, mandate, mandate.action_type)
    return state, at
