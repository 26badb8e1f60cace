"""Recall: a grant that was not redeemed yet is taken back by a person, with a reason.

It is no judgement and no evidence: who recalls may be the agent's owner, who judges nothing (I8). What was drawn for an
audit is still judged there."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Invalid
from accounts.models import User
from approvals import permissions, transitions
from approvals.exceptions import WrongState
from approvals.models import Grant, Proposal
from approvals.states import State

MAX_REASON = 300


def recall(*, proposal_id: UUID, person: User, reason: str) -> Proposal:
    """Approved → revoked. Redemption locks the same row first, so exactly one of the two wins (I4).

    Recalling twice is answered as the first time. Raises `NotFound`, `NotAllowed`, `Invalid`, `WrongState`."""
    with transaction.atomic(durable=True):
        proposal = transitions.locked(proposal_id)
        permissions.check_can_intervene(person, proposal)
        reason = checked_reason(reason)
        if proposal.state == State.REVOKED:
            return proposal
        if proposal.state != State.APPROVED:
            label = State(proposal.state).label.lower()
            raise WrongState(
                f"Nothing was recalled: the proposal is {label} by now.", current=str(proposal.state)
            )
        now = timezone.now()
        grant = Grant.objects.select_for_update(of=("self",), no_key=True).filter(proposal=proposal).first()
        if grant is None:
            raise WrongState("Nothing was recalled: it was approved without a grant, a person acts.")
        grant.revoked_at = now
        grant.save(update_fields=["revoked_at"])
        transitions.apply(
            proposal,
            State.REVOKED,
            actor=person.actor(),
            at=now,
            detail={"reason": proposal.said(reason), "grant": str(grant.pk)},
        )
    return proposal


def checked_reason(text: str) -> str:
    """A reason in words. Raises `Invalid`."""
    text = text.strip()
    if not text or len(text) > MAX_REASON or "\x00" in text:
        raise Invalid(
            "Say why in a few words.",
            errors=[{"field": "reason", "message": f"must have 1 to {MAX_REASON} characters, and no NUL"}],
        )
    return text
