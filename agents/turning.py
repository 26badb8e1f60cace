"""Steps on a locked standing: open it, keep it, take a tier back at once, turn it to another tier or attempt.

The caller holds the mandate's row lock (lock order: agent, mandate, proposal, standing)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import User
from agents import authority, standings, tier_model, transitions
from agents.autonomy import Tier, rank
from agents.models import ActionType, Agent, Evidence, Mandate, Standing, TierChange
from agents.tier_model import State, Thresholds
from agents.tier_state import BELOW
from audit.events import Actor, system
from audit.recording import OutsideTransaction

MODEL = "tier_model"
"""The rule by which the system acts when evidence decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the evidence is about: one agent's action, at the tier under which it was routed."""

    agent: Agent
    agent_version: str
    action_type: ActionType
    tier: str
    proposal_id: UUID | None = None
    revision: int | None = None


@dataclass(slots=True)
class Desk:
    """A locked standing while a row is added to it."""

    subject: Subject
    mandate: Mandate | None
    row: Standing
    state: State
    at: datetime

    @property
    def period(self) -> int:
        """The attempt the action belongs to: the one that runs, unless it was routed under another tier."""
        same = standings.model_tier(self.subject.tier) == self.state.tier
        return self.state.period if same else self.state.period - 1


def opened(subject: Subject) -> Desk:
    if not connection.in_atomic_block:
        raise OutsideTransaction("evidence is recorded in the transaction of the judgement")
    mandate = (
        Mandate.objects.select_related("agent", "action_type")
        .filter(agent=subject.agent, action_type=subject.action_type)
        .first()
    )
    row, state, at = standings.locked_of(subject.agent, subject.action_type, subject.agent_version, mandate)
    return Desk(subject, mandate, row, state, at)


def mature(standing: Standing) -> TierChange | None:
    """Let everything count that has matured; for the clock."""
    mandate = (
        Mandate.objects.select_for_update(of=("self",), no_key=True)
        .select_related("agent", "action_type")
        .filter(agent=standing.agent, action_type=standing.action_type)
        .first()
    )
    row, state, at = standings.locked(standing, mandate, standing.action_type)
    subject = Subject(
        agent=standing.agent,
        agent_version=standing.agent_version,
        action_type=standing.action_type,
        tier=state.tier,
    )
    return settle(Desk(subject, mandate, row, state, at))


# ── What follows from a state ─────────────────────────────────────────────────────────────────────────────────────────


def settle(desk: Desk, *, next_at: datetime | None = None) -> TierChange | None:
    """Keep the state; back to T1 where it is alarmed; tell the mandate how much is audited from now on."""
    change = None
    if desk.state.tier in tier_model.TARGETS and tier_model.is_alarmed(desk.state):
        change = _demote(desk)
    standings.save(desk.row, desk.state, desk.at, next_at=next_at)
    if desk.mandate is not None:
        _tell_mandate(desk.mandate, desk.state, desk.row)
    return change


def _demote(desk: Desk) -> TierChange | None:
    """Back to T1 with fresh evidence, in the transaction of what caused it."""
    numbers = numbers_of(desk.state)
    if desk.state.critical[1]:
        reason = "A critical error: back to in the loop at once."
    else:
        reason = (
            f"The detector reached {numbers['level']:.0f}, the alarm is at {numbers['alarm']:.0f}: "
            "errors came too often. Back to in the loop at once."
        )
    before = desk.state
    _turn(desk, tier=Tier.IN_THE_LOOP, fresh=True, thresholds=before.thresholds)
    mandate = desk.mandate
    if mandate is None or not standings.is_current(desk.row, mandate.agent, mandate.action_type):
        return None
    if rank(mandate.tier) <= rank(Tier.IN_THE_LOOP):
        return None
    return transitions.set_tier(
        mandate,
        Tier.IN_THE_LOOP,
        actor=system(MODEL),
        changed_by=None,
        reason=reason,
        cause="evidence",
        numbers=numbers,
    )


def _tell_mandate(mandate: Mandate, state: State, row: Standing) -> None:
    """What routing reads of a standing; authority is renewed only where that has changed."""
    rate = tier_model.audit_rate(state) if state.tier in tier_model.TARGETS else None
    escalated = state.tier in tier_model.TARGETS and tier_model.is_escalated(state)
    if (mandate.audit_rate, mandate.escalated) == (rate, escalated):
        return
    if not standings.is_current(row, mandate.agent, mandate.action_type):
        return
    mandate.audit_rate, mandate.escalated = rate, escalated
    mandate.save(update_fields=["audit_rate", "escalated"])
    authority.bump()


def numbers_of(state: State) -> dict[str, Any]:
    """The numbers by which a change of tier was decided, for its history."""
    numbers: dict[str, Any] = {
        "reviews": state.reviews,
        "counts": list(state.counts),
        "critical": state.critical[1],
        "probes": list(state.probes),
        "seconds": list(state.seconds),
        "level": tier_model.level(state),
        "quiet": tier_model.quiet_level(state.reference),
        "alarm": tier_model.alarm_at(state),
        "reference": state.reference,
        "attempts": list(state.attempts),
    }
    for target in tier_model.TARGETS:
        if BELOW[target] == state.tier:
            numbers |= {
                "target": target,
                "evidence": tier_model.evidence(state, target),
                "bar": tier_model.bar(state, target),
                "q0": state.thresholds.q0(target),
                "alpha": state.thresholds.alpha,
            }
    return numbers


# ── Turns: a new tier, a new attempt, other thresholds ───────────────────────────────────────────────────────────────


def _turn(desk: Desk, *, tier: str, fresh: bool, thresholds: Thresholds) -> None:
    state = desk.state
    model_tier = standings.model_tier(tier)
    attempts = tier_model.attempts_after(state, model_tier) if fresh else state.attempts
    row = Evidence.objects.create(
        standing=desk.row,
        agent=desk.subject.agent,
        agent_version=desk.subject.agent_version,
        action_type=desk.subject.action_type,
        risk=desk.row.risk,
        tier=tier,
        basis=Evidence.Basis.TURN,
        verdict="fresh" if fresh else "thresholds",
        loss=Decimal(0),
        counts_at=desk.at,
        judged_at=desk.at,
        period=state.period + fresh,
        detail={
            "tier": str(model_tier),
            "attempts": list(attempts),
            "fresh": fresh,
            "thresholds": thresholds.as_json(),
        },
    )
    desk.state = tier_model.step(state, standings.event(row))


def turn(
    mandate: Mandate,
    *,
    actor: Actor,
    changed_by: User | None,
    reason: str,
    tier: str | None = None,
    reset: bool = False,
    cause: str = "hand",
    numbers: dict[str, Any] | None = None,
) -> TierChange | None:
    """Bring the standing of a locked mandate's current version to another tier, to a new attempt (`reset`), or to the
    thresholds that the mandate has by now. Returns the change of tier, if it was one.

    Thresholds that ask for less begin a new attempt: a lower bar chosen after seeing the evidence proves nothing."""
    subject = Subject(
        agent=mandate.agent,
        agent_version=mandate.agent.version,
        action_type=mandate.action_type,
        tier=tier or mandate.tier,
    )
    desk = opened(subject)
    desk.mandate = mandate
    thresholds = standings.thresholds_of(mandate, mandate.action_type)
    to = tier or mandate.tier
    moves = standings.model_tier(to) != desk.state.tier
    fresh = moves or reset or tier_model.loosens(desk.state.thresholds, thresholds)
    if fresh or thresholds != desk.state.thresholds:
        _turn(desk, tier=to, fresh=fresh, thresholds=thresholds)
    change = None
    if to != mandate.tier:
        change = transitions.set_tier(
            mandate, to, actor=actor, changed_by=changed_by, reason=reason, cause=cause, numbers=numbers or {}
        )
    standings.save(desk.row, desk.state, desk.at)
    _tell_mandate(mandate, desk.state, desk.row)
    return change


def state_of(standing: Standing) -> State | None:
    """The stored state, None before the first use."""
    return State.from_json(standing.state) if standing.state else None
