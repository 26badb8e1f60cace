"""What people and agents may see: one place that selects and authorises together."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Min, Q
from django.utils import timezone

from accounts.exceptions import NotFound
from accounts.models import User
from agents.models import Agent
from approvals import permissions
from approvals.models import Proposal, Queue
from approvals.states import State

DUE_SOON = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class QueueSummary:
    """One of my queues with what waits in it; `oldest` is when its longest-waiting proposal was made."""

    queue: Queue
    waiting: int
    claimed: int
    overdue: int
    due_soon: int
    scheduled: int
    oldest: datetime | None


def my_queues(user: User) -> list[QueueSummary]:
    """The queues this person reviews, with counts; a constant number of queries."""
    ids = permissions.reviewable_queue_ids(user)
    now = timezone.now()
    pending = Q(state=State.PENDING)
    counts = {
        row["queue_id"]: row
        for row in Proposal.objects.filter(queue_id__in=ids, state__in=[State.PENDING, State.SCHEDULED])
        .values("queue_id")
        .annotate(
            waiting=Count("pk", filter=pending & Q(claimed_by=None)),
            claimed=Count("pk", filter=pending & Q(claimed_by__isnull=False)),
            overdue=Count("pk", filter=pending & Q(due_at__lt=now)),
            due_soon=Count("pk", filter=pending & Q(due_at__gte=now, due_at__lt=now + DUE_SOON)),
            scheduled=Count("pk", filter=Q(state=State.SCHEDULED)),
            oldest=Min("created_at", filter=pending),
        )
    }
    empty: dict[str, Any] = {}
    return [
        QueueSummary(
            queue,
            counts.get(queue.pk, empty).get("waiting", 0),
            counts.get(queue.pk, empty).get("claimed", 0),
            counts.get(queue.pk, empty).get("overdue", 0),
            counts.get(queue.pk, empty).get("due_soon", 0),
            counts.get(queue.pk, empty).get("scheduled", 0),
            counts.get(queue.pk, empty).get("oldest"),
        )
        for queue in Queue.objects.filter(pk__in=ids).order_by("domain", "name")
    ]


def queue_for(user: User, slug: str) -> Queue:
    """A queue this person reviews. Raises `NotFound`."""
    queue = Queue.objects.filter(slug=slug, pk__in=permissions.reviewable_queue_ids(user)).first()
    if queue is None:
        raise NotFound("There is no such queue, or you do not review it.")
    return queue


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page of a queue ends: the sort key of its last row."""

    priority: int
    due_at: datetime
    id: UUID


_PAGE = """
SELECT id FROM approvals_proposal
WHERE queue_id = %(queue)s AND state = 'pending' AND claimed_by_id IS NULL
  AND (priority, due_at, id) > (%(priority)s, %(due_at)s, %(id)s)
ORDER BY priority, due_at, id
LIMIT %(limit)s
"""
_BEGINNING = Cursor(-1, datetime.fromisoformat("1970-01-01T00:00:00+00:00"), UUID(int=0))


def waiting_page(queue: Queue, *, after: Cursor | None = None, limit: int = 50) -> list[Proposal]:
    """One page of what waits unclaimed, most urgent first, by the partial index (keyset, any depth costs the same)."""
    start = after or _BEGINNING
    values: dict[str, Any] = {
        "queue": queue.pk,
        "priority": start.priority,
        "due_at": start.due_at,
        "id": start.id,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PAGE, values)
        ids = [row[0] for row in cursor.fetchall()]
    rows = _for_list().in_bulk(ids)
    return [rows[pk] for pk in ids if pk in rows]


def claimed_page(queue: Queue, *, limit: int = 50) -> list[Proposal]:
    """What colleagues hold right now."""
    return list(
        _for_list()
        .filter(queue=queue, state=State.PENDING, claimed_by__isnull=False)
        .order_by("claimed_until")[:limit]
    )


def scheduled_page(queue: Queue, *, limit: int = 50) -> list[Proposal]:
    """What will run unless somebody vetoes it, the next one first."""
    return list(_for_list().filter(queue=queue, state=State.SCHEDULED).order_by("effective_at")[:limit])


def held_by(user: User, *, limit: int = 20) -> list[Proposal]:
    """What this person holds in all of his queues, the lease that ends first first."""
    return list(
        _for_list()
        .select_related("queue")
        .filter(claimed_by=user, claimed_until__gt=timezone.now(), state=State.PENDING)
        .order_by("claimed_until")[:limit]
    )


def states_of(queue: Queue, ids: list[UUID]) -> list[Proposal]:
    """State and holder of rows that are on somebody's screen."""
    return list(
        Proposal.objects.filter(pk__in=ids, queue=queue)
        .select_related("claimed_by")
        .only("state", "claimed_by__name", "claimed_by__email", "claimed_until")
    )


def _for_list() -> Any:
    """Rows for a list: without the long texts."""
    return Proposal.objects.select_related("agent", "action_type", "claimed_by").defer(
        "context", "reasoning", "current_state", "metadata"
    )


_WAITING = """
SELECT candidate.id FROM unnest(%(queues)s::bigint[]) AS queue (id)
CROSS JOIN LATERAL (
    SELECT p.id, p.priority, p.due_at FROM approvals_proposal p
    WHERE p.queue_id = queue.id AND p.state = 'pending' AND p.claimed_by_id IS NULL
      AND p.agent_id <> ALL (%(agents)s::bigint[])
      AND (p.roles = '[]'::jsonb OR p.roles ?| %(teams)s::text[])
      AND (p.expires_at IS NULL OR p.expires_at > now())
      AND (p.quorum = 1 OR NOT EXISTS (
          SELECT FROM approvals_vote v JOIN approvals_revision r ON r.id = v.revision_id
          WHERE v.proposal_id = p.id AND r.number = p.revision AND v.reviewer_id = %(reviewer)s))
    ORDER BY p.priority, p.due_at, p.id
    LIMIT %(limit)s
) AS candidate
ORDER BY candidate.priority, candidate.due_at, candidate.id
LIMIT %(limit)s
"""


def waiting_ids(*, reviewer: User, queue_ids: list[int], limit: int) -> list[UUID]:
    """The most urgent proposals that this person may decide and nobody holds, over several queues."""
    if not queue_ids:
        return []
    values: dict[str, Any] = {
        "queues": queue_ids,
        "agents": permissions.conflicted_agent_ids(reviewer),
        "teams": list(reviewer.groups.values_list("name", flat=True)),
        "reviewer": reviewer.pk,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, values)
        return [row[0] for row in cursor.fetchall()]


def proposal_for(user: User, proposal_id: UUID) -> Proposal:
    """The proposal with all it needs on its page, if this person may see it. Raises `NotFound`."""
    found = (
        Proposal.objects.select_related(
            "agent__owner", "agent__team", "action_type", "queue", "claimed_by", "policy_version__policy"
        )
        .prefetch_related("revisions__editor", "votes__reviewer", "votes__revision", "decisions")
        .filter(pk=proposal_id)
        .first()
    )
    if found is None:
        raise NotFound("There is no such proposal, or it is not for you to see.")
    permissions.check_can_see(user, found)
    return found


def recent_for(user: User, *, agent: Agent | None = None, limit: int = 25) -> list[Proposal]:
    """The latest proposals this person may see, newest first."""
    proposals = _for_list().filter(permissions.visible_to(user)).order_by("-id")
    if agent is not None:
        proposals = proposals.filter(agent=agent)
    return list(proposals[:limit])


def own_proposal(agent_id: int, proposal_id: UUID) -> Proposal:
    """An agent's own proposal, with what its representation needs. Raises `NotFound` for everything else (I9)."""
    found = (
        Proposal.objects.select_related("action_type", "queue", "agent", "grant", "outcome")
        .defer("context", "reasoning", "summary", "current_state", "metadata")
        .filter(pk=proposal_id, agent_id=agent_id)
        .first()
    )
    if found is None:
        raise NotFound("There is no such proposal of this agent.")
    return found


def own_proposals(agent_id: int, *, before: UUID | None, state: str, limit: int) -> list[Proposal]:
    """An agent's own proposals, newest first, by keyset."""
    found = (
        Proposal.objects.select_related("action_type", "queue", "agent", "grant", "outcome")
        .defer("context", "reasoning", "summary", "current_state", "metadata")
        .filter(agent_id=agent_id)
        .order_by("-id")
    )
    if before is not None:
        found = found.filter(pk__lt=before)
    if state:
        found = found.filter(state=state)
    return list(found[:limit])
