"""How long a proposal is to be looked at before it is approved, and how many may be approved in a minute. Steps.

The rules are in `approvals.pacing`, pure; here they meet the queue, the votes and the audit log."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from approvals import notifications, pacing
from approvals.exceptions import TooFast
from approvals.models import HeldBallot, Proposal, Verdict, Vote
from approvals.notifications import Topic
from audit import recording
from audit.events import Kind, Target

APPROVING = (Verdict.APPROVE, Verdict.EDIT)
"""Verdicts that let something run."""


def check(proposal: Proposal, reviewer: User, *, opened_at: datetime | None, now: datetime) -> None:
    """Before an approval: nobody approves faster than he can read (A40), where the queue says how fast that is."""
    queue = proposal.queue
    if queue is None:
        return
    least = least_seconds(proposal)
    left = pacing.seconds_left(opened_at=opened_at, now=now, least=least) if least else 0
    if left:
        raise TooFast(
            f"Nothing was decided. This queue asks for {least} seconds of reading what this one says; "
            f"{left} are left.",
            seconds=left,
        )
    if not queue.approvals_per_minute:
        return
    votes = Vote.objects.filter(reviewer=reviewer, voted_at__gt=now - pacing.MINUTE, verdict__in=APPROVING)
    held = HeldBallot.objects.filter(reviewer=reviewer, verdict__in=APPROVING)
    moments = [*votes.values_list("voted_at", flat=True), *held.values_list("held_at", flat=True)]
    left = pacing.wait_for_room(approvals=moments, now=now, per_minute=queue.approvals_per_minute)
    if left:
        raise TooFast(
            f"Nothing was decided. You approved {len(moments)} in the last minute and this queue's pace is "
            f"{queue.approvals_per_minute}; look at this one for {left} seconds more.",
            seconds=left,
        )


def must_be_seen(proposal: Proposal) -> bool:
    """Whether approving it takes that all of it was in view."""
    kind = proposal.action_type
    return pacing.must_be_seen(risk=kind.risk, is_reversible=kind.reversible_by_id is not None)


def least_seconds(proposal: Proposal) -> int:
    """How long its queue wants a person to look at this proposal before approving it, in seconds."""
    queue = proposal.queue
    if queue is None or not (queue.reading_rate or queue.view_seconds):
        return 0
    written = len(bytes(proposal.current_revision.canonical).decode())
    return pacing.least_seconds(
        risk=proposal.action_type.risk,
        length=written + len(proposal.summary) + len(proposal.reasoning),
        view_seconds=queue.view_seconds,
        reading_rate=queue.reading_rate,
    )


def record_stop(proposal_id: UUID, reviewer: User, stop: TooFast) -> None:
    """The stop is an event of its own, outside the transaction that was rolled back; admins hear of it hourly."""
    with transaction.atomic(durable=True):
        recording.record(
            actor=reviewer.actor(),
            kind=Kind.PACING_STOPPED,
            target=Target("proposal", str(proposal_id)),
            detail={"why": stop.detail},
        )
        notifications.tell(
            User.objects.admins().values_list("pk", flat=True),
            topic=Topic.PACING,
            text=f"{reviewer} was stopped for approving faster than a person can read.",
            key=f"pacing:{reviewer.pk}:{timezone.now():%Y-%m-%dT%H}",
            link=f"/proposals/{proposal_id}/",
        )
