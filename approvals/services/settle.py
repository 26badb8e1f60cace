"""The undo window: a held verdict is taken back by its reviewer, or settles when the window has passed.

Repeating and being late are harmless: a ballot settles once, under the proposal's lock, and is checked again as if it
were given now, apart from the time that had run out meanwhile."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from django.db import transaction
from django.utils import timezone

from accounts.exceptions import DomainError
from accounts.models import User
from approvals import ballots, judging, news, notifications, permissions, signing, transitions
from approvals.ballots import Ballot
from approvals.exceptions import WrongState
from approvals.models import HeldBallot, Proposal, Verdict
from approvals.notifications import Topic
from approvals.services import decide
from approvals.services.decide import Decided
from audit import recording
from audit import selectors as trail
from audit.events import Kind, Target, system

log = structlog.get_logger(__name__)
BATCH = 200


def undo(*, proposal_id: UUID, reviewer: User) -> Proposal:
    """Take one's own verdict back while it is held; the agent never hears of it. Raises `NotFound`, and
    `WrongState` when it is sent."""
    with transaction.atomic(durable=True):
        proposal = transitions.locked(proposal_id)
        deleted, _ = HeldBallot.objects.filter(proposal=proposal, reviewer=reviewer).delete()
        if not deleted:
            permissions.check_can_see(reviewer, proposal)
            raise WrongState("There is nothing to undo: the decision has been sent, or it was another's.")
        recording.record(
            actor=reviewer.actor(), kind=Kind.PROPOSAL_UNDONE, target=Target("proposal", str(proposal.pk))
        )
        news.proposal_changed(proposal)
    return proposal


def settle_due(*, now: datetime, limit: int = BATCH) -> int:
    """Send every verdict whose undo window has passed. How many were."""
    due = HeldBallot.objects.filter(settles_at__lte=now).order_by("settles_at")
    return sum(_settle(proposal_id) for proposal_id in list(due.values_list("proposal", flat=True)[:limit]))


def _settle(proposal_id: UUID) -> bool:
    """One ballot in a transaction of its own. One that cannot be counted any more is dropped, and its reviewer told."""
    with transaction.atomic(durable=True):
        judging.lock(proposal_id)
        held = _locked(proposal_id)
        if held is None:
            return False
        proposal = transitions.locked(proposal_id)
        held.delete()
        try:
            with transaction.atomic():
                _count(proposal, held)
        except DomainError as error:
            _drop(transitions.locked(proposal_id), held, error)
            return False
    return True


def _locked(proposal_id: UUID) -> HeldBallot | None:
    """The ballot, if nobody else is at its proposal; otherwise the next tick has it."""
    free = Proposal.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
    if not free.filter(pk=proposal_id).exists():
        return None
    return HeldBallot.objects.select_related("reviewer", "signature").filter(proposal=proposal_id).first()


def _count(proposal: Proposal, held: HeldBallot) -> Decided:
    permissions.check_can_decide(held.reviewer, proposal)
    ballot = Ballot(
        verdict=Verdict(held.verdict),
        revision=held.revision,
        version=held.version,
        reason=held.reason,
        comment=held.comment,
        arguments=None if held.arguments is None else msgspec.json.decode(bytes(held.arguments)),
    )
    ballots.check(proposal, held.reviewer, ballot, at=held.held_at)
    if held.signature is not None:
        signing.check_is_registered(held.signature)
    now, sheet = timezone.now(), _sheet_of(held)
    return decide.cast(proposal, held.reviewer, ballot, at=now, sheet=sheet, signature=held.signature)


def _sheet_of(held: HeldBallot) -> dict[str, Any] | None:
    """What its reviewer was shown when he gave the verdict: it stands in the event of that moment."""
    told = trail.timeline("proposal", str(held.proposal_id)).filter(kind=Kind.PROPOSAL_HELD)
    event = told.filter(actor_kind="human", actor_id=str(held.reviewer_id)).last()
    sheet: dict[str, Any] | None = (event.data.get("detail") or {}).get("sheet") if event else None
    return sheet


def _drop(proposal: Proposal, held: HeldBallot, error: DomainError) -> None:
    log.info("held_ballot_dropped", proposal=str(proposal.pk), code=error.code)
    recording.record(
        actor=system("undo_window"),
        kind=Kind.PROPOSAL_DROPPED,
        target=Target("proposal", str(proposal.pk)),
        detail={"verdict": held.verdict, "reviewer": str(held.reviewer), "why": error.detail},
    )
    notifications.tell(
        [held.reviewer_id],
        topic=Topic.DROPPED,
        text=f"Your decision on “{proposal.title}” was not sent: {error.detail}",
        key=f"dropped:{proposal.pk}:{held.held_at.isoformat()}",
        proposal=proposal,
    )
