"""Escalate by hand: a reviewer gives a proposal to the next queue of the chain and says why."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Invalid
from accounts.models import User
from approvals import escalation, permissions, transitions
from approvals.exceptions import AlreadyClaimed, NowhereToEscalate, ProposalChanged, WrongState
from approvals.models import Comment, HeldBallot, Proposal
from approvals.states import State

MAX_NOTE = 2000


def escalate(*, proposal_id: UUID, reviewer: User, note: str, version: int | None = None) -> Proposal:
    """Hand it to the next queue. A note stays with it as a comment; the agent never sees it.

    Sending it again (a double click) answers as the first time did, however many queues the reviewer is in. With
    `version`, that of the page he looked at, a changed proposal is refused. Raises `Invalid`, `NotFound`,
    `MayNotDecide`, `WrongState`, `AlreadyClaimed`, `ProposalChanged`, `NowhereToEscalate`."""
    note = _checked(note)
    with transaction.atomic(durable=True):
        proposal = transitions.locked(proposal_id)
        if _is_repeat(proposal, reviewer, note):
            return proposal
        permissions.check_can_see(reviewer, proposal)
        permissions.check_can_decide(reviewer, proposal)
        now = timezone.now()
        if proposal.state != State.PENDING or (proposal.expires_at and proposal.expires_at <= now):
            label = State(proposal.state).label.lower() if proposal.state != State.PENDING else "out of time"
            raise WrongState(f"It was not escalated: it is {label} by now.", current=proposal.state)
        if version is not None and version != proposal.version:
            raise ProposalChanged(
                "It was not escalated: it has changed since the page was opened. Read it again.",
                current={"revision": proposal.revision, "version": proposal.version},
            )
        _check_free(proposal, reviewer)
        to = escalation.next_queue(proposal)
        if to is None:
            raise NowhereToEscalate("This queue hands on to no other in which somebody may decide it.")
        words = note or f"Escalated to {to}."
        Comment.objects.create(proposal=proposal, author=reviewer, text=words, written_at=now)
        escalation.move(proposal, to, actor=reviewer.actor(), at=now, detail={"note": proposal.said(note)})
    return proposal


def _checked(note: str) -> str:
    note = note.strip()
    if len(note) > MAX_NOTE or "\x00" in note:
        words = f"must have at most {MAX_NOTE} characters, and no NUL"
        raise Invalid("Write it shorter.", errors=[{"field": "note", "message": words}])
    return note


def _is_repeat(proposal: Proposal, reviewer: User, note: str) -> bool:
    """The comment of an escalation bears the very moment at which the proposal came into its queue."""
    if proposal.queued_at is None:
        return False
    made = Comment.objects.filter(proposal=proposal, author=reviewer, written_at=proposal.queued_at).first()
    return made is not None and note in ("", made.text)


def _check_free(proposal: Proposal, reviewer: User) -> None:
    """It stays with whoever is on it, or has just decided and may still undo that."""
    if proposal.is_claimed and proposal.claimed_by_id != reviewer.pk:
        raise AlreadyClaimed(f"It was not escalated: {proposal.claimed_by} is on it.")
    held = HeldBallot.objects.select_related("reviewer").filter(proposal=proposal).first()
    if held is not None:
        raise AlreadyClaimed(f"It was not escalated: {held.reviewer} has just decided it.")
