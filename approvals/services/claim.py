"""Claims: one reviewer's lease on a proposal. Two people never get the same one."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Case, Exists, OuterRef, Value, When
from django.utils import timezone

from accounts.models import User
from approvals import news, notifications, permissions, selectors, transitions
from approvals.exceptions import AlreadyClaimed, NothingToClaim, WrongState
from approvals.models import Claim, HeldBallot, Proposal
from approvals.notifications import Topic
from approvals.states import State
from audit import recording
from audit.events import Kind, Target, system

_CANDIDATES = 32
_ROUNDS = 8
_REMEMBERED = timedelta(hours=1)
"""How long after a lease ran out its holder is still told that somebody took over."""


def claim(*, proposal_id: UUID, reviewer: User) -> Proposal:
    """Take the lease, or renew one's own. A lease that has run out is taken over.

    Raises `NotFound`, `MayNotDecide`, `WrongState`, `AlreadyClaimed`."""
    with transaction.atomic(durable=True):
        proposal = transitions.locked(proposal_id)
        permissions.check_can_see(reviewer, proposal)
        permissions.check_can_decide(reviewer, proposal)
        if proposal.state != State.PENDING:
            raise WrongState(f"It is {State(proposal.state).label.lower()} and waits for nobody.")
        permissions.check_has_not_voted(reviewer, proposal)
        _check_not_held(proposal)
        if proposal.is_claimed and proposal.claimed_by_id != reviewer.pk:
            raise AlreadyClaimed(f"{proposal.claimed_by} is on it until {proposal.claimed_until:%H:%M} UTC.")
        take(proposal, reviewer, at=timezone.now())
    return proposal


def _check_not_held(proposal: Proposal) -> None:
    held = HeldBallot.objects.filter(proposal=proposal).select_related("reviewer").first()
    if held is not None:
        raise AlreadyClaimed(f"{held.reviewer} has just decided it; it may still be undone.")


def claim_next(*, reviewer: User, queue_id: int | None = None) -> Proposal:
    """Claim the most urgent proposal that this person may decide and nobody holds, in one or all of his queues.

    Candidates are read without locks, then the first that no colleague is just taking is locked and taken.
    Raises `NothingToClaim`."""
    queue_ids = permissions.reviewable_queue_ids(reviewer)
    if queue_id is not None:
        queue_ids = [pk for pk in queue_ids if pk == queue_id]
    for _ in range(_ROUNDS):
        candidates = selectors.waiting_ids(reviewer=reviewer, queue_ids=queue_ids, limit=_CANDIDATES)
        if not candidates:
            break
        taken = _take_first_free(candidates, queue_ids, reviewer)
        if taken is not None:
            return taken
    raise NothingToClaim("Nothing is waiting for you right now.")


def _take_first_free(candidates: list[UUID], queue_ids: list[int], reviewer: User) -> Proposal | None:
    """The candidates come in the order in which this person should get them."""
    places = [When(pk=pk, then=Value(place)) for place, pk in enumerate(candidates)]
    with transaction.atomic(durable=True):
        proposal = (
            Proposal.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
            .select_related("queue", "agent", "action_type")
            .filter(
                ~Exists(HeldBallot.objects.filter(proposal=OuterRef("pk"))),
                pk__in=candidates,
                queue__in=queue_ids,
                state=State.PENDING,
                claimed_by=None,
            )
            .order_by(Case(*places, default=Value(len(candidates))))
            .first()
        )
        if proposal is not None:
            take(transitions.with_its_queue(proposal), reviewer, at=timezone.now())
        return proposal


def take(proposal: Proposal, reviewer: User, *, at: datetime) -> None:
    """A step: put the lease on a locked pending proposal, ending a lease that has run out."""
    assert proposal.queue is not None
    until = at + timedelta(minutes=proposal.queue.lease_minutes)
    renewal = proposal.claimed_by_id == reviewer.pk
    if not renewal:
        _tell_of_take_over(proposal, reviewer, at)
        Claim.objects.filter(proposal=proposal, ended_at=None).update(ended_at=at, ended_by="taken_over")
        Claim.objects.create(proposal=proposal, reviewer=reviewer)
        recording.record(
            actor=reviewer.actor(), kind=Kind.PROPOSAL_CLAIMED, target=Target("proposal", str(proposal.pk))
        )
        news.proposal_changed(proposal)
    proposal.claimed_by = reviewer
    proposal.claimed_until = until
    proposal.save(update_fields=["claimed_by", "claimed_until"])


def _tell_of_take_over(proposal: Proposal, reviewer: User, at: datetime) -> None:
    """Whose lease ran out on it learns who has it now, and the new holder whom he took it over from."""
    latest = Claim.objects.filter(proposal=proposal).select_related("reviewer").order_by("-pk").first()
    if latest is None or latest.reviewer_id == reviewer.pk or latest.ended_by not in ("", "run_out"):
        return
    if latest.ended_at is not None and latest.ended_at < at - _REMEMBERED:
        return
    for person, text in (
        (latest.reviewer_id, f"{reviewer} took over “{proposal.title}”: your claim had run out."),
        (reviewer.pk, f"You took over “{proposal.title}” from {latest.reviewer}, whose claim had run out."),
    ):
        notifications.tell(
            [person],
            topic=Topic.TAKEN_OVER,
            text=text,
            key=f"taken_over:{proposal.pk}:{latest.pk}",
            proposal=proposal,
        )


def release(*, proposal_id: UUID, reviewer: User) -> Proposal:
    """Hand the proposal back. Releasing what one does not hold changes nothing. Raises `NotFound`."""
    with transaction.atomic(durable=True):
        proposal = transitions.locked(proposal_id)
        if proposal.claimed_by_id == reviewer.pk:
            end_lease(proposal, at=timezone.now(), by="released")
            recording.record(
                actor=reviewer.actor(),
                kind=Kind.PROPOSAL_RELEASED,
                target=Target("proposal", str(proposal.pk)),
            )
        else:
            permissions.check_can_see(reviewer, proposal)
    return proposal


def release_run_out(*, now: datetime, limit: int = 200) -> int:
    """End leases that have run out, so that "next" offers them again. Repeating or being late is harmless."""
    overdue = Proposal.objects.filter(claimed_by__isnull=False, claimed_until__lte=now)
    count = 0
    for proposal_id in list(overdue.values_list("pk", flat=True)[:limit]):
        with transaction.atomic(durable=True):
            proposal = (
                overdue.select_for_update(of=("self",), no_key=True, skip_locked=True)
                .filter(pk=proposal_id)
                .first()
            )
            if proposal is None:
                continue
            end_lease(proposal, at=now, by="run_out")
            recording.record(
                actor=system("lease"),
                kind=Kind.PROPOSAL_RELEASED,
                target=Target("proposal", str(proposal.pk)),
            )
            count += 1
    return count


def end_lease(proposal: Proposal, *, at: datetime, by: str) -> None:
    """A step: take the lease from a locked proposal; `by` says what ended it."""
    Claim.objects.filter(proposal=proposal, ended_at=None).update(ended_at=at, ended_by=by)
    proposal.claimed_by = None
    proposal.claimed_until = None
    proposal.save(update_fields=["claimed_by", "claimed_until"])
    news.proposal_changed(proposal)
