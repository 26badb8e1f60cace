"""Reviews after the fact: how one arises, who may do it, which one a person gets next.

All kinds take one path, so that whoever judges cannot tell an audit from a second review, a dispute or a probe: the
same due time, the same order, the same rule of who may. The rule stands here alone: lists, counts, the page and the
lock all ask `open_to`."""

from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.exceptions import NotFound
from accounts.models import User
from approvals import deadlines, permissions, separation
from approvals.models import BlindReview, Decision, Dispute, Incident, Proposal, Queue, Revision, Vote
from audit import recording
from audit.events import Kind, Target, system

WORKING_DAYS = 3
"""Undone after so many working days of its queue, a review is overdue."""
UNDONE = (BlindReview.State.OPEN, BlindReview.State.OVERDUE)
ORDER = ("state", "due_at", "id")
"""What can still be done in time comes before what is late already ("open" sorts before "overdue")."""
COUNTED = 100
_KEPT = 30
NOT_YOURS = "There is no such review, or it is not for you to do."


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


def open_to(user: User) -> QuerySet[BlindReview]:
    """The reviews this person may do now, held or not. A constant number of queries, the same for every kind.

    Reviewers of the queue (of the roles the policy asked for), without the agent's owner, managers and registrars,
    and without anybody who has already said something about the proposal: voted on it, decided or edited it, judged
    it after the fact, disputed a judgement of it, reported it; nor who would recognise a probe. Whom somebody stands in
    for counts like himself."""
    behind = separation.principals(user)
    own_agents = separation.conflicted_agent_ids(user)
    teams = list(user.groups.values_list("name", flat=True))
    return BlindReview.objects.filter(
        Q(proposal__roles=[]) | Q(proposal__roles__has_any_keys=teams or [""]),
        *(~Exists(said) for said in _said(OuterRef("proposal"), {"in": behind})),
        state__in=UNDONE,
        queue__in=permissions.reviewable_queue_ids(user),
    ).exclude(Q(proposal__agent__in=own_agents) | Q(proposal__in=permissions.kept_from(user)))


def _said(proposal: Any, people: dict[str, Any]) -> list[QuerySet[Any]]:
    """Everything by which people have already judged a proposal; `people` is a look-up such as {"in": ids}."""

    def by(field: str) -> dict[str, Any]:
        return {f"{field}__{lookup}": value for lookup, value in people.items()}

    return [
        Vote.objects.filter(proposal=proposal, **by("reviewer")),
        Decision.objects.filter(proposal=proposal, **by("decider")),
        Revision.objects.filter(proposal=proposal, **by("editor")),
        BlindReview.objects.filter(proposal=proposal, **by("reviewer")),
        Dispute.objects.filter(proposal=proposal, **by("raised_by")),
        Incident.objects.filter(proposals=proposal, **by("reported_by")),
    ]


_WHO = ("reviewer", "decider", "editor", "reviewer", "raised_by", "reported_by")


def who_may(review: BlindReview, *, at: datetime) -> list[User]:
    """Everybody to whom `open_to` would show it, by name. For reminders, and to see that nobody is left."""
    proposal = review.proposal
    entitled = User.objects.filter(permissions.reviewers_of(review.queue), is_active=True)
    if proposal.roles:
        entitled = entitled.filter(pk__in=User.objects.filter(groups__name__in=proposal.roles))
    out = separation.answerable(proposal.agent)
    for said, who in zip(_said(proposal, {"isnull": False}), _WHO, strict=True):
        out |= set(said.values_list(who, flat=True))
    out = separation.speaking_for({pk for pk in out if pk is not None}, at=at)
    left = entitled.exclude(pk__in=out).distinct().order_by("name", "pk")
    knows_nothing = permissions.without_who_know(set(left.values_list("pk", flat=True)), proposal)
    return [person for person in left if person.pk in knows_nothing]


def reviewers_of(queue: Queue) -> QuerySet[User]:
    """Who reviews this queue, whatever of it he may do."""
    return User.objects.filter(permissions.reviewers_of(queue), is_active=True)


def waiting_for(user: User, *, limit: int) -> list[BlindReview]:
    """The reviews this person may do, in the order in which he should."""
    rows = open_to(user).select_related("proposal__agent", "proposal__action_type", "revision", "queue")
    return list(rows.select_related("claimed_by").order_by(*ORDER)[:limit])


def review_for(user: User, review_id: int) -> BlindReview:
    """One of them with all its page needs. Raises `NotFound`."""
    rows = (
        open_to(user)
        .select_related(
            "proposal__agent", "proposal__action_type__reversible_by", "proposal__kept_context", "revision"
        )
        .select_related("queue", "claimed_by")
    )
    found = rows.filter(pk=review_id).first()
    if found is None:
        raise NotFound(NOT_YOURS)
    return found


def free_for(user: User, now: datetime) -> Q:
    """Not held by a colleague."""
    return Q(claimed_until=None) | Q(claimed_until__lte=now) | Q(claimed_by=user)


def count_for(user: User) -> int:
    """How many this person may do and nobody else holds, at most `COUNTED`: one look-up where his queues have none,
    else kept for `_KEPT` seconds."""
    queues = permissions.reviewable_queue_ids(user)
    if not queues or not BlindReview.objects.filter(queue__in=queues, state__in=UNDONE).exists():
        return 0
    key = f"blind:{user.pk}"
    known: int | None = cache.get(key)
    if known is None:
        rows = open_to(user).filter(free_for(user, timezone.now())).order_by()
        known = rows[:COUNTED].count()
        cache.set(key, known, _KEPT)
    return known


def recount(user: User) -> None:
    """He has just done or taken one."""
    cache.delete(f"blind:{user.pk}")


def note_peek(user: User, proposal: Proposal) -> None:
    """Record that somebody opens the proposal's own page, where its record and its decision stand, while he holds its
    blind review: once for each lease. It prevents nothing, and whoever reads the audit log sees it."""
    now = timezone.now()
    held = BlindReview.objects.filter(
        proposal=proposal, claimed_by=user, claimed_until__gt=now, state__in=UNDONE
    ).first()
    if held is None or not cache.add(f"peeked:{held.pk}:{user.pk}", 1, held.queue.lease_minutes * 60):
        return
    with transaction.atomic():
        recording.record(
            actor=user.actor(),
            kind=Kind.REVIEW_PEEKED,
            target=Target("review", str(held.pk)),
            detail={"proposal": str(proposal.pk)},
        )
