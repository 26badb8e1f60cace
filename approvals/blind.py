"""Reviews after the fact: how one arises, who may do it, which one a person gets next.

All kinds take one path, so that whoever judges cannot tell an audit from a second review, a dispute or a probe: the
same due time, the same order, the same rule of who may. The rule stands here alone: lists, counts, the page and the
lock all ask `open_to`."""

from datetime import datetime

from approvals import deadlines
from approvals.models import BlindReview, Proposal, Queue, Revision
from audit import recording
from audit.events import Kind, Target, system

WORKING_DAYS = 3
"""Undone after so many working days of its queue, a review is overdue."""


def arise(
    proposal: Proposal, revision: Revision, *, kind: str, probability: float, at: datetime
) -> BlindReview | None:
    """A step: ask for a judgement of what was acted on. None where no queue is set up whose reviewers could give it.

    `probability` is the chance with which it came to this, stored before anything is known about the outcome. One
    for each proposal and kind, however often it is called; a dispute has one each time."""
    queue = _queue_of(proposal)
    if queue is None:
        return None
    values = {
        "revision": revision,
        "queue": queue,
        "probability": probability,
        "created_at": at,
        "due_at": deadlines.working_days_after(queue, at, WORKING_DAYS),
    }
    if kind == BlindReview.Kind.DISPUTE:
        review, is_new = BlindReview.objects.create(proposal=proposal, kind=kind, **values), True
    else:
        review, is_new = BlindReview.objects.get_or_create(proposal=proposal, kind=kind, defaults=values)
    if is_new:
        recording.record(
            actor=system("blind_reviews"),
            kind=Kind.REVIEW_ASKED,
            target=Target("review", str(review.pk)),
            after={
                "proposal": str(proposal.pk),
                "revision": revision.number,
                "kind": str(kind),
                "queue": queue.slug,
                "probability": probability,
                "due_at": review.due_at.isoformat(),
            },
        )
    return review


def _queue_of(proposal: Proposal) -> Queue | None:
    """Its own, or the default one of the policy that let it through."""
    if proposal.queue is not None:
        return proposal.queue
    version = proposal.policy_version
    return None if version is None else version.default_queue
