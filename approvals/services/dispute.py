"""Dispute: somebody says that a judgement was wrong. Until a third person has judged, the higher loss counts."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotAllowed, NotFound
from accounts.models import User
from agents.models import Evidence
from agents.permissions import can_manage
from approvals import blind, judging, notifications, permissions, transitions
from approvals.models import BlindReview, Dispute, Judgement, Proposal, Revision
from approvals.notifications import Topic
from audit import recording
from audit.events import Kind, Target

WITHIN = timedelta(days=14)
"""So long after a judgement it can be disputed."""
MAX_TEXT = 4000


def may_dispute(user: User, proposal: Proposal) -> bool:
    """The agent's owner and managers, admins, and reviewers of the proposal's queue."""
    in_queue = proposal.queue_id is not None and proposal.queue_id in permissions.reviewable_queue_ids(user)
    return user.is_active and (in_queue or can_manage(user, proposal.agent))


def dispute(*, evidence_id: int, actor: User, claim: str, text: str) -> Dispute:
    """Raise it, ask a third person, and count the higher loss from now on.

    A second click is answered with the first dispute. Raises `NotFound`, `NotAllowed`, `Invalid`, `Conflict`."""
    text = text.strip()
    _check(claim, text)
    key = Evidence.judgements().filter(pk=evidence_id).values_list("proposal_id", flat=True).first()
    if key is None:
        raise NotFound("There is no such judgement.")
    with transaction.atomic(durable=True):
        judging.lock(key)
        proposal = transitions.locked(key)
        permissions.check_can_see(actor, proposal)
        if not may_dispute(actor, proposal):
            raise NotAllowed("The agent's people and the reviewers of its queue dispute a judgement.")
        row = Evidence.objects.select_related("judged_by", "standing").get(pk=evidence_id)
        earlier = Dispute.objects.filter(evidence=row).order_by("-pk").first()
        if earlier is not None:
            return _again(earlier, actor, claim, text)
        now = timezone.now()
        if now > row.judged_at + WITHIN:
            raise Conflict(f"A judgement can be disputed for {WITHIN.days} days; that time has passed.")
        raised = Dispute(
            evidence=row, proposal=proposal, raised_by=actor, raised_at=now, claim=claim, text=text
        )
        revision = Revision.objects.get(proposal=proposal, number=row.revision or proposal.revision)
        raised.review = blind.arise(
            proposal, revision, kind=BlindReview.Kind.DISPUTE, probability=1.0, at=now
        )
        if raised.review is None:
            raise Conflict("No queue is set up whose reviewers could settle it.")
        raised.save()
        recording.record(
            actor=actor.actor(),
            kind=Kind.DISPUTE_RAISED,
            target=Target("dispute", str(raised.pk)),
            after={"proposal": str(proposal.pk), "evidence": row.pk, "claim": claim},
            detail={"text": proposal.said(text), "verdict": row.verdict, "loss": str(row.loss)},
        )
        judging.disputed(raised, at=now)
        _tell(raised, row)
    return raised


def _check(claim: str, text: str) -> None:
    if claim not in Judgement.values:
        raise Invalid(
            "Say what it should have been.", errors=[{"field": "claim", "message": "must be one of the six"}]
        )
    if not text or len(text) > MAX_TEXT or "\x00" in text:
        message = f"must have 1 to {MAX_TEXT} characters, and no NUL"
        raise Invalid("Say why.", errors=[{"field": "text", "message": message}])


def _again(earlier: Dispute, actor: User, claim: str, text: str) -> Dispute:
    """One dispute for each judgement: while it is open it waits, and once settled it is settled."""
    if (earlier.raised_by_id, earlier.claim, earlier.text) == (actor.pk, claim, text):
        return earlier
    if earlier.settled_at is None:
        raise Conflict(f"{earlier.raised_by} disputes it already; a third person has been asked.")
    raise Conflict("It was in dispute, and a third person has settled it.")


def _tell(raised: Dispute, row: Evidence) -> None:
    """Whoever judged and the agent's owner; admins too, where nobody is left who could settle it."""
    told: set[Any] = {row.judged_by_id, raised.proposal.agent.owner_id} - {None, raised.raised_by_id}
    notifications.tell(
        told,
        topic=Topic.DISPUTE,
        text=f"{raised.raised_by} disputes the judgement of “{raised.proposal.title}”",
        key=f"dispute:{raised.pk}",
        proposal=raised.proposal,
    )
    assert raised.review is not None
    if not blind.who_may(raised.review, at=raised.raised_at):
        notifications.tell(
            User.objects.admins().values_list("pk", flat=True),
            topic=Topic.DISPUTE,
            text=f"Nobody in {raised.review.queue} is left who could settle the dispute of “{raised.proposal.title}”",
            key=f"dispute_stuck:{raised.pk}",
            proposal=raised.proposal,
        )
