"""What waiting asks for: a reminder before the due time, one when it has passed, and the steps of the queue's chain.

Row by row in transactions of its own with SKIP LOCKED: two workers, a late run or a run after a crash remind and
escalate once, for `attended_at` says up to when everything has been done. Nothing here decides."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import User
from approvals import deadlines, escalation, notifications, permissions
from approvals.deadlines import Call
from approvals.models import HeldBallot, Proposal, Queue
from approvals.notifications import Topic
from approvals.states import State
from audit import recording
from audit.events import Kind, Target, system

log = structlog.get_logger(__name__)
BATCH = 50
"""So that a morning on which much is due at once leaves the clock's other steps their turn."""
_AN_INSTANT = timedelta(microseconds=1)


def attend(*, now: datetime) -> int:
    """How many were attended to. One that fails does not keep the others waiting; its error is raised at the end.

    What has a verdict in its undo window, or has expired, is left alone."""
    due = Proposal.objects.filter(
        ~Exists(HeldBallot.objects.filter(proposal=OuterRef("pk"))),
        state=State.PENDING,
        attention_at__lte=now,
        expires_at__gt=now,
    )
    count = 0
    failed: Exception | None = None
    for proposal_id in list(due.order_by("attention_at").values_list("pk", flat=True)[:BATCH]):
        try:
            count += _one(due, proposal_id, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row, the rest is reminded of
            log.error("attending_failed", proposal=str(proposal_id), error=repr(error)[:300])
            failed = failed or error
    if failed is not None:
        raise failed
    return count


def _one(due: QuerySet[Proposal], proposal_id: UUID, now: datetime) -> bool:
    with transaction.atomic(durable=True):
        proposal = (
            due.select_for_update(of=("self",), no_key=True, skip_locked=True)
            .select_related("agent", "action_type", "queue__calendar")
            .filter(pk=proposal_id)
            .first()
        )
        if proposal is None or proposal.queue is None:
            return False
        _attend(proposal, proposal.queue, now)
        return True


def _attend(proposal: Proposal, queue: Queue, now: datetime) -> None:
    since = proposal.queued_at or proposal.created_at
    passed = proposal.attended_at or since
    calls = [
        call for call in deadlines.calls(queue, since=since, due=proposal.due_at) if passed < call.at <= now
    ]
    waits = next((call for call in calls if _until(proposal, queue, call, now)), None)
    if waits is not None:
        calls = [call for call in calls if call.at < waits.at]
    for call in _without_stale(calls):
        if call.kind != "escalate":
            _remind(proposal, call, now)
        elif escalation.take_step(proposal, call.step, at=now):
            return
    proposal.attended_at = waits.at - _AN_INSTANT if waits else now
    proposal.attention_at = (
        _until(proposal, queue, waits, now)
        if waits
        else deadlines.attention_at(queue, since=since, due=proposal.due_at, attended=now)
    )
    proposal.save(update_fields=["attended_at", "attention_at"])


def _without_stale(calls: list[Call]) -> list[Call]:
    """A late run says that it is overdue, not that it will be due soon."""
    if any(call.kind == "overdue" for call in calls):
        return [call for call in calls if call.kind != "due_soon"]
    return calls


def _until(proposal: Proposal, queue: Queue, call: Call, now: datetime) -> datetime | None:
    """Until when a move waits for the reviewer who is on it: to the end of his lease, and no longer than one lease
    after the step's time, however often he renews it. None when it need not wait."""
    if call.kind != "escalate" or "queue" not in deadlines.step_of(queue, call.step):
        return None
    if proposal.claimed_by_id is None or proposal.claimed_until is None:
        return None
    until = min(proposal.claimed_until, call.at + timedelta(minutes=queue.lease_minutes))
    return until if until > now else None


def _remind(proposal: Proposal, call: Call, now: datetime) -> None:
    """Before it is due: who holds it, or was given it, or else all who may decide. Afterwards all of them; and where
    nobody may decide, the admins, since only they can change that."""
    may = permissions.without_who_know({person.pk for person in permissions.deciders(proposal)}, proposal)
    holder = proposal.claimed_by_id if _is_held(proposal, now) else proposal.assigned_to_id
    people = may if holder is None else {holder}
    words = f"Due soon in {proposal.queue}"
    if call.kind == "overdue":
        people = people | may
        words = f"Overdue in {proposal.queue}"
        if not people:
            people = set(User.objects.admins().values_list("pk", flat=True))
            words = f"Overdue, and nobody in {proposal.queue} may decide it"
    told = escalation.with_stand_ins(people, may=may, at=now)
    notifications.tell(
        told,
        topic=Topic.OVERDUE if call.kind == "overdue" else Topic.DUE_SOON,
        text=f"{words}: {proposal.title}",
        key=f"{call.kind}:{proposal.pk}:{proposal.queue_id}:{call.at.isoformat()}",
        proposal=proposal,
    )
    recording.record(
        actor=system("reminder"),
        kind=Kind.PROPOSAL_REMINDED,
        target=Target("proposal", str(proposal.pk)),
        detail={
            "what": call.kind,
            "due_at": proposal.due_at.isoformat() if proposal.due_at else None,
            "told": len(told),
        },
    )


def _is_held(proposal: Proposal, now: datetime) -> bool:
    return proposal.claimed_until is not None and proposal.claimed_until > now
