"""What people and agents may see: one place that selects and authorises together."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.exceptions import NotFound
from accounts.models import User
from agents.models import Agent
from approvals import permissions, separation
from approvals.models import Proposal, Queue

DUE_SOON = timedelta(minutes=30)
PASSED_OVER = timedelta(minutes=30)
"""How long "next" leaves out what its reviewer has skipped, while anything else waits."""
COUNTED_EACH_TIME = 2000
"""Rows whose counting is cheap; the counts of more are kept for `KEPT` seconds."""
KEPT = 10


@dataclass(frozen=True, slots=True)
class Tally:
    """What is open in one queue. `oldest` is when its longest-waiting pending proposal was made; `kinds` are the pairs
    of agent and action type that occur, as primary keys."""

    waiting: int = 0
    claimed: int = 0
    overdue: int = 0
    due_soon: int = 0
    scheduled: int = 0
    returned: int = 0
    oldest: datetime | None = None
    kinds: frozenset[tuple[int, int]] = frozenset()


_TALLY = " UNION ALL ".join(
    f"""
SELECT p.queue_id, '{name}', p.agent_id, p.action_type_id, count(*),
    count(*) FILTER (WHERE p.due_at < %(now)s),
    count(*) FILTER (WHERE p.due_at >= %(now)s AND p.due_at < %(soon)s), min(p.created_at)
FROM approvals_proposal p WHERE p.queue_id = ANY (%(queues)s::bigint[]) AND {condition}
GROUP BY p.queue_id, p.agent_id, p.action_type_id"""  # noqa: S608 our own words
    for name, condition in (
        ("waiting", "p.state = 'pending' AND p.claimed_by_id IS NULL"),
        ("claimed", "p.state = 'pending' AND p.claimed_by_id IS NOT NULL"),
        ("scheduled", "p.state = 'scheduled'"),
        ("returned", "p.state = 'returned'"),
    )
)


def tallies(queue_ids: list[int]) -> dict[int, Tally]:
    """What is open in each of these queues: one query, or none where many rows were counted a moment ago."""
    keys = {f"tally:{pk}": pk for pk in queue_ids}
    found: dict[int, Tally] = {keys[key]: value for key, value in cache.get_many(keys).items()}
    missing = [pk for pk in queue_ids if pk not in found]
    if missing:
        counted = _count(missing)
        found |= counted
        if sum(one.waiting + one.scheduled + one.returned for one in counted.values()) > COUNTED_EACH_TIME:
            for pk, value in counted.items():
                cache.set(f"tally:{pk}", value, KEPT)
    return found


def _count(queue_ids: list[int]) -> dict[int, Tally]:
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_TALLY, {"queues": queue_ids, "now": now, "soon": now + DUE_SOON})
        rows = cursor.fetchall()
    numbers: dict[int, dict[str, int]] = {pk: {} for pk in queue_ids}
    oldest: dict[int, datetime] = {}
    kinds: dict[int, set[tuple[int, int]]] = {pk: set() for pk in queue_ids}
    for queue, name, agent, action_type, number, overdue, due_soon, first in rows:
        of_queue = numbers[queue]
        of_queue[name] = of_queue.get(name, 0) + number
        kinds[queue].add((agent, action_type))
        if name in ("waiting", "claimed"):
            of_queue["overdue"] = of_queue.get("overdue", 0) + overdue
            of_queue["due_soon"] = of_queue.get("due_soon", 0) + due_soon
            oldest[queue] = min(first, oldest.get(queue, first))
    return {pk: Tally(**numbers[pk], oldest=oldest.get(pk), kinds=frozenset(kinds[pk])) for pk in queue_ids}


def my_queues(user: User) -> list[tuple[Queue, Tally]]:
    """The queues this person reviews, with what is open in each; a constant number of queries."""
    queues = queues_of(user)
    found = tallies([queue.pk for queue in queues])
    return [(queue, found[queue.pk]) for queue in queues]


def queues_of(user: User) -> list[Queue]:
    """The queues this person reviews."""
    return list(Queue.objects.filter(pk__in=permissions.readable_queue_ids(user)).order_by("domain", "name"))


def queue_for(user: User, slug: str) -> Queue:
    """A queue this person reviews. Raises `NotFound`."""
    queue = Queue.objects.filter(slug=slug, pk__in=permissions.readable_queue_ids(user)).first()
    if queue is None:
        raise NotFound("There is no such queue, or you do not review it.")
    return queue


def _for_list() -> Any:
    """Rows for a list: without the long texts."""
    return Proposal.objects.select_related("agent", "action_type", "claimed_by").defer(
        "plain_context", "reasoning", "current_state", "metadata"
    )


_FREE = """
    p.state = 'pending' AND p.claimed_by_id IS NULL
    AND p.agent_id <> ALL (%(agents)s::bigint[])
    AND p.id <> ALL (%(kept_from)s::uuid[])
    AND (p.roles = '[]'::jsonb OR p.roles ?| %(teams)s::text[])
    AND (p.expires_at IS NULL OR p.expires_at > now())
    AND NOT EXISTS (SELECT FROM approvals_heldballot h WHERE h.proposal_id = p.id)
    AND (p.quorum = 1 OR NOT EXISTS (
        SELECT FROM approvals_vote v JOIN approvals_revision r ON r.id = v.revision_id
        WHERE v.proposal_id = p.id AND r.number = p.revision AND v.reviewer_id = ANY (%(behind)s::bigint[])))
"""
_SKIPPED = """SELECT FROM approvals_skip s
    WHERE s.proposal_id = p.id AND s.reviewer_id = %(reviewer)s AND s.skipped_at > %(passed_over)s"""
_WAITING = f"""
WITH mine AS (
    SELECT p.id, p.priority, p.due_at FROM approvals_proposal p
    WHERE p.assigned_to_id = %(reviewer)s AND p.queue_id = ANY (%(queues)s::bigint[]) AND {_FREE}
      AND NOT EXISTS ({_SKIPPED})
    ORDER BY p.priority, p.due_at, p.id LIMIT %(limit)s
),
fresh AS (
    SELECT candidate.* FROM unnest(%(queues)s::bigint[]) AS queue (id)
    CROSS JOIN LATERAL (
        SELECT p.id, p.priority, p.due_at FROM approvals_proposal p
        WHERE p.queue_id = queue.id AND {_FREE}
          AND (p.assigned_to_id IS NULL OR p.due_at < now())
          AND NOT EXISTS ({_SKIPPED})
        ORDER BY p.priority, p.due_at, p.id LIMIT %(limit)s
    ) AS candidate
    WHERE NOT EXISTS (SELECT FROM mine)
    ORDER BY candidate.priority, candidate.due_at, candidate.id LIMIT %(limit)s
),
skipped AS (
    SELECT p.id, p.priority, p.due_at FROM approvals_skip s JOIN approvals_proposal p ON p.id = s.proposal_id
    WHERE s.reviewer_id = %(reviewer)s AND s.skipped_at > %(passed_over)s
      AND p.queue_id = ANY (%(queues)s::bigint[]) AND {_FREE}
      AND (p.assigned_to_id IS NULL OR p.assigned_to_id = %(reviewer)s OR p.due_at < now())
      AND NOT EXISTS (SELECT FROM mine) AND NOT EXISTS (SELECT FROM fresh)
    ORDER BY p.priority, p.due_at, p.id LIMIT %(limit)s
)
SELECT id FROM (SELECT * FROM mine UNION ALL SELECT * FROM fresh UNION ALL SELECT * FROM skipped) AS found
ORDER BY priority, due_at, id
"""  # noqa: S608 our own words
"""At most one of the three has rows: what is assigned to me, else what nobody is meant for in particular (or what is
overdue, whoever was meant), else what I have just passed over. Each goes by its own index."""


def waiting_ids(*, reviewer: User, queue_ids: list[int], limit: int) -> list[UUID]:
    """The proposals that this person should get next, best first: he may decide them and nobody holds them."""
    if not queue_ids:
        return []
    values: dict[str, Any] = {
        "queues": queue_ids,
        "agents": separation.conflicted_agent_ids(reviewer),
        "kept_from": permissions.kept_from(reviewer),
        "teams": list(reviewer.groups.values_list("name", flat=True)),
        "reviewer": reviewer.pk,
        "behind": separation.principals(reviewer),
        "passed_over": timezone.now() - PASSED_OVER,
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
        .select_related("kept_context")
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
        proposals = proposals.filter(agent=agent, planted=False)
    return list(proposals[:limit])


def own_proposal(agent_id: int, proposal_id: UUID) -> Proposal:
    """An agent's own proposal, with what its representation needs. Raises `NotFound` for everything else (I9)."""
    found = (
        Proposal.objects.select_related("action_type", "queue", "agent", "grant", "outcome")
        .defer("plain_context", "reasoning", "summary", "current_state", "metadata")
        .filter(pk=proposal_id, agent_id=agent_id, planted=False)
        .first()
    )
    if found is None:
        raise NotFound("There is no such proposal of this agent.")
    return found


def own_of_each(asked: Iterable[tuple[int, UUID]]) -> dict[tuple[int, UUID], Proposal]:
    """Each proposal that is the own one of the agent who asks for it; what is not, or was planted, is left out (I9)."""
    pairs = set(asked)
    found = _representable().filter(pk__in={pk for _, pk in pairs}, planted=False)
    return {pair: one for one in found if (pair := (one.agent_id, one.pk)) in pairs}


def own_by_key(agent_id: int, key: str) -> Proposal | None:
    """The agent's own proposal under this idempotency key, as `own_proposals` has them."""
    return _own(agent_id).filter(idempotency_key=key).first()


def versions(proposal_ids: list[UUID]) -> dict[UUID, int]:
    """What version each of them is at, by one query. For who holds them already: it says nothing of whose they are."""
    return dict(Proposal.objects.filter(pk__in=proposal_ids).values_list("pk", "version"))


def own_by_id(agent_id: int, proposal_ids: list[UUID]) -> list[Proposal]:
    """Those of them that are this agent's own, as `own_proposals` has them."""
    return list(_own(agent_id).filter(pk__in=proposal_ids)) if proposal_ids else []


def own_proposals(
    agent_id: int, *, before: UUID | None, state: str, limit: int, also: Q | None = None
) -> list[Proposal]:
    """An agent's own proposals, newest first, by keyset; `also` narrows them further."""
    found = _own(agent_id).order_by("-id")
    if before is not None:
        found = found.filter(pk__lt=before)
    if state:
        found = found.filter(state=state)
    if also is not None:
        found = found.filter(also)
    return list(found[:limit])


def _own(agent_id: int) -> QuerySet[Proposal]:
    """What an agent may know of, with all that its representation needs."""
    return _representable().filter(agent_id=agent_id, planted=False)


def _representable() -> QuerySet[Proposal]:
    return (
        Proposal.objects.select_related("action_type__reversible_by", "queue", "agent", "grant", "outcome")
        .select_related("rollback_request__asked_by")
        .defer("plain_context", "reasoning", "summary", "current_state", "metadata")
    )
