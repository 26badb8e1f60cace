"""Skip: pass over a proposal. "Next" offers it to the others, and to oneself only when nothing else waits."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from approvals import permissions, transitions
from approvals.exceptions import WrongState
from approvals.models import Proposal, Skip
from approvals.services import claim
from approvals.states import State
from audit import recording
from audit.events import Kind, Target


def skip(*, proposal_id: UUID, reviewer: User) -> Proposal:
    """Hand the proposal back if it is one's own, and remember that one has passed over it.

    Skipping twice is harmless: what is remembered is the latest time. Raises `NotFound`, `MayNotDecide`,
    `WrongState`."""
    with transaction.atomic(durable=True):
        proposal = transitions.locked(proposal_id)
        permissions.check_can_see(reviewer, proposal)
        permissions.check_can_decide(reviewer, proposal)
        if proposal.state != State.PENDING:
            raise WrongState(f"It is {State(proposal.state).label.lower()} and waits for nobody.")
        now = timezone.now()
        if proposal.claimed_by_id == reviewer.pk:
            claim.end_lease(proposal, at=now, by="skipped")
        Skip.objects.update_or_create(proposal=proposal, reviewer=reviewer, defaults={"skipped_at": now})
        recording.record(
            actor=reviewer.actor(), kind=Kind.PROPOSAL_SKIPPED, target=Target("proposal", str(proposal.pk))
        )
    return proposal
