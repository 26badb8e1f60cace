"""Assign: give a proposal to a named colleague who may decide it, or take the assignment back."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Invalid
from accounts.models import User
from approvals import news, notifications, permissions, transitions
from approvals.exceptions import AlreadyClaimed, WrongState
from approvals.models import HeldBallot, Proposal
from approvals.notifications import Topic
from approvals.services import claim
from approvals.states import State
from audit import recording
from audit.events import Kind, Target


def assign(*, proposal_id: UUID, to_id: int | None, actor: User) -> Proposal:
    """Set whose it is (None: anybody's again). The actor's own claim ends, and the colleague is told.

    It gives no right: only who may decide anyway can be named. Assigning to the same person again changes nothing.
    Raises `MayNotDecide`, `WrongState`, `AlreadyClaimed`, `Invalid`."""
    with transaction.atomic(durable=True):
        proposal = transitions.locked(proposal_id)
        permissions.check_can_decide(actor, proposal)
        _check_free(proposal, actor, leads=permissions.leads(actor, proposal.queue))
        to = _colleague(proposal, to_id)
        if proposal.assigned_to_id == to_id:
            return proposal
        before = proposal.assigned_to
        proposal.assigned_to = to
        proposal.save(update_fields=["assigned_to"])
        now = timezone.now()
        if proposal.claimed_by_id is not None and proposal.claimed_by_id != to_id:
            claim.end_lease(proposal, at=now, by="assigned")
        recording.record(
            actor=actor.actor(),
            kind=Kind.PROPOSAL_ASSIGNED,
            target=Target("proposal", str(proposal.pk)),
            before={"assigned_to": _named(before)},
            after={"assigned_to": _named(to)},
        )
        if to is not None and to.pk != actor.pk:
            notifications.tell(
                [to.pk],
                topic=Topic.ASSIGNED,
                text=f"{actor} gave you “{proposal.title}” to decide.",
                key=f"assigned:{proposal.pk}:{now.isoformat()}",
                proposal=proposal,
            )
        news.proposal_changed(proposal)
    return proposal


def _check_free(proposal: Proposal, actor: User, *, leads: bool) -> None:
    """A senior reviewer of the queue also takes what a colleague holds, and that colleague's lease ends."""
    if proposal.state != State.PENDING:
        raise WrongState(f"It is {State(proposal.state).label.lower()} and waits for nobody.")
    if HeldBallot.objects.filter(proposal=proposal).exists():
        raise WrongState("It has just been decided. Undo that first.")
    if proposal.is_claimed and proposal.claimed_by_id != actor.pk and not leads:
        raise AlreadyClaimed(f"{proposal.claimed_by} is on it until {proposal.claimed_until:%H:%M} UTC.")


def _colleague(proposal: Proposal, to_id: int | None) -> User | None:
    if to_id is None:
        return None
    found = next((one for one in permissions.deciders(proposal) if one.pk == to_id), None)
    if found is None:
        raise Invalid(
            "That person may not decide this proposal.",
            errors=[{"field": "to", "message": "must be somebody who may decide it"}],
        )
    return found


def _named(person: User | None) -> dict[str, str] | None:
    return None if person is None else {"id": str(person.pk), "name": str(person)}
