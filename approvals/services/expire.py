"""Time's own transitions: expiry, veto windows, grants that lapse, outcomes that never came.

Each works row by row in transactions of its own with SKIP LOCKED, so that two workers, a late run or a run after a
crash do no harm. Silence never approves, except a veto window that an earned tier has opened (DESIGN.md §2)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import DateTimeField, Exists, ExpressionWrapper, F, OuterRef, QuerySet, Value

from agents import stops
from agents.autonomy import Tier
from agents.models import AgentState, Mandate
from approvals import deadlines, facts, revising, routing, transitions
from approvals.models import Decision, ExecutorCall, Grant, HeldBallot, Outcome, Proposal, Verdict
from approvals.routing import Reason
from approvals.services.submit import approve_by_policy
from approvals.states import State
from audit.events import system

log = structlog.get_logger(__name__)
BATCH = 200
OVERDUE = timedelta(minutes=5)
"""After its grant has expired, a call of ours that has not ended is nobody's any more."""


def expire_undecided(*, now: datetime) -> int:
    """Pending and returned proposals whose time to decide has run out. A verdict that was given in time and is still
    held back comes first."""
    due = Proposal.objects.filter(
        ~Exists(HeldBallot.objects.filter(proposal=OuterRef("pk"))),
        state__in=[State.PENDING, State.RETURNED],
        expires_at__lte=now,
    )

    def one(proposal: Proposal) -> None:
        transitions.apply(proposal, State.EXPIRED, actor=system("expiry"), at=now)

    return _each(due, one)


def close_veto_windows(*, now: datetime) -> int:
    """Scheduled proposals whose window has passed: approved if the authority that scheduled them still stands.

    A stop, suspension, a withdrawn mandate, a lower tier or a closer watch (on what cannot be undone) meanwhile turn
    it into a rejection by policy; where nobody answers for the agent any more, a person decides instead."""
    due = Proposal.objects.filter(state=State.SCHEDULED, effective_at__lte=now)

    def one(proposal: Proposal) -> None:
        refusal = _no_longer(proposal)
        if refusal:
            reject_by_policy(proposal, at=now, reason=refusal)
            return
        if not proposal.agent.has_live_owner:
            return_to_review(proposal, at=now)
            return
        approve_by_policy(proposal, at=now)
        transitions.apply(proposal, State.APPROVED, actor=system("veto_window"), at=now)

    return _each(due, one, hold_stops_off=True)


def lapse_grants(*, now: datetime) -> int:
    """Approved proposals whose grant was not redeemed in time."""
    due = Proposal.objects.filter(state=State.APPROVED, grant__expires_at__lte=now)

    def one(proposal: Proposal) -> None:
        transitions.apply(proposal, State.LAPSED, actor=system("grant_expiry"), at=now)

    return _each(due, one)


def mark_unknown(*, now: datetime) -> int:
    """Redeemed proposals without a report in time: a person has to find out what happened. What Countersign itself is
    calling has an end of its own, soon after its grant's, and its answer is worth more than the clock."""
    under_way = ExecutorCall.objects.filter(
        proposal=OuterRef("pk"), ended_at=None, proposal__grant__expires_at__gt=now - OVERDUE
    )
    due = Proposal.objects.filter(
        ~Exists(under_way),
        state=State.EXECUTING,
        changed_at__lte=ExpressionWrapper(
            Value(now) - F("action_type__outcome_minutes") * Value(timedelta(minutes=1)),
            output_field=DateTimeField(),
        ),
    )

    def one(proposal: Proposal) -> None:
        Outcome.objects.create(proposal=proposal, status=Outcome.Status.UNKNOWN, reported_at=now)
        transitions.apply(proposal, State.UNKNOWN, actor=system("outcome_deadline"), at=now)

    return _each(due, one)


def reject_by_policy(proposal: Proposal, *, at: datetime, reason: str) -> None:
    """A step: end a scheduled proposal without a person. It is no judgement, so it is no evidence."""
    revision = proposal.current_revision
    Decision.objects.create(
        proposal=proposal,
        revision=revision,
        verdict=Verdict.REJECT,
        reason=reason,
        label="policy",
        decided_at=at,
    )
    transitions.apply(proposal, State.REJECTED, actor=system(reason), at=at, detail={"reason": reason})


def return_to_review(proposal: Proposal, *, at: datetime) -> None:
    """A step: nobody answers for the agent, so what would have run unless somebody objected waits for a person.

    Limits and policy are asked again for his part: quorum, roles and queue."""
    route = revising.route_again(proposal, proposal.current_revision.arguments, at)
    if route.state == State.DENIED:
        reject_by_policy(proposal, at=at, reason="no_owner")
        return
    reasons = [reason for reason in route.reasons if reason.code != "tier"]
    missing = Reason("no_owner", "", routing.OWNERLESS)
    revising.apply_route(proposal, replace(route, reasons=[missing, *reasons]), at=at)
    assert proposal.queue is not None
    deadlines.enter(proposal, proposal.queue, at=at)
    proposal.effective_at = None
    transitions.apply(
        proposal,
        State.PENDING,
        actor=system("no_owner"),
        at=at,
        detail={"reason": "no_owner"},
        fields=("effective_at", *revising.ROUTED_FIELDS, *deadlines.ENTERED),
    )


def revoke_approved(proposal: Proposal, *, at: datetime, reason: str) -> None:
    """A step: take back the unredeemed grant of a locked approved proposal."""
    Grant.objects.filter(proposal=proposal, redeemed_at=None).update(revoked_at=at)
    transitions.apply(proposal, State.REVOKED, actor=system(reason), at=at, detail={"reason": reason})


def _no_longer(proposal: Proposal) -> str:
    """Why a scheduled proposal may not run by now; empty when it may."""
    if proposal.agent.state != AgentState.LIVE:
        return f"agent_{proposal.agent.state}"
    about = {"agent_id": proposal.agent_id, "action_type_id": proposal.action_type_id}
    if stops.over(**about, since=proposal.created_at) is not None:
        return "stopped"
    mandate = Mandate.objects.filter(
        agent_id=proposal.agent_id, action_type_id=proposal.action_type_id, active=True
    ).first()
    if mandate is None:
        return "mandate_withdrawn"
    if Tier.IN_THE_LOOP in (mandate.tier, mandate.ceiling) or Tier.ADVISORY in (
        mandate.tier,
        mandate.ceiling,
    ):
        return "tier_lowered"
    if facts.is_held(mandate, proposal.action_type):
        return "escalated"
    return ""


def _each(due: QuerySet[Proposal], one: Callable[[Proposal], None], *, hold_stops_off: bool = False) -> int:
    """How many were changed. One that fails does not keep the others waiting; its error is raised at the end."""
    count = 0
    failed: Exception | None = None
    for proposal_id in list(due.order_by().values_list("pk", flat=True)[:BATCH]):
        try:
            count += _one(due, proposal_id, one, hold_stops_off)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row, the clock runs for the rest
            log.error("time_transition_failed", proposal=str(proposal_id), error=repr(error)[:300])
            failed = failed or error
    if failed is not None:
        raise failed
    return count


def _one(
    due: QuerySet[Proposal], proposal_id: UUID, one: Callable[[Proposal], None], hold_stops_off: bool
) -> bool:
    with transaction.atomic(durable=True):
        if hold_stops_off:
            stops.share()
        proposal = (
            due.select_for_update(of=("self",), no_key=True, skip_locked=True)
            .select_related("agent__owner", "action_type", "queue")
            .filter(pk=proposal_id)
            .first()
        )
        if proposal is None:
            return False
        one(transitions.with_its_queue(proposal))
        return True
