"""Lists of open proposals: by urgency, narrowed by filters, a page at a time, at a cost that has a bound.

Two ways lead to a page. Usually the rows of each queue are walked in the list's order, by the index of their state, and
at most `SCAN` of them are looked at: a page that ends there says so and goes on from there. Words that are rare enough,
and what is assigned to me, are found by their own index first. Queues are joined one by one (LATERAL), never by IN
(STACK.md). Authorisation is in the queues: callers pass those that the person reviews."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from agents.models import ActionType, Agent
from approvals import permissions, routing, words
from approvals.filters import RULE, Filters
from approvals.models import Policy, Proposal, Queue
from approvals.selectors import DUE_SOON, Tally
from approvals.words import Search

SCAN = 20_000
"""Rows that one page may look at, over all queues."""
CANDIDATES = 20_000
"""Rows that the index of words may bring."""
PATIENCE = 1500
"""Milliseconds after which the index of words is given up for the other way."""


class Cursor(NamedTuple):
    """Where a page ends: the sort key of its last row. `moment` is when it is due, or will run."""

    priority: int
    moment: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the list's order, with their keys. `after` is where the next page begins, None at the end.

    `looked_at` is set where the page ends because enough rows were looked at, `too_many` where the words match more
    than can be sorted."""

    rows: list[Proposal]
    keys: list[Cursor]
    after: Cursor | None = None
    looked_at: int | None = None
    too_many: bool = False


_FREE = ("p.state = 'pending' AND p.claimed_by_id IS NULL", "p.due_at")
_HELD = ("p.state = 'pending' AND p.claimed_by_id IS NOT NULL", "p.due_at")
_SCHEDULED = ("p.state = 'scheduled'", "p.effective_at")
_RETURNED = ("p.state = 'returned'", "p.due_at")
_SOURCES = {
    "waiting": (_FREE, _HELD),
    "scheduled": (_SCHEDULED,),
    "returned": (_RETURNED,),
    "open": (_FREE, _HELD, _SCHEDULED, _RETURNED),
}
_BEGINNING = Cursor(-1, datetime.fromisoformat("1970-01-01T00:00:00+00:00"), UUID(int=0))
_Source = tuple[str, str]

_WALK = """
SELECT row.id, row.priority, row.moment FROM unnest(%(queues)s::bigint[]) AS queue (id)
CROSS JOIN LATERAL (
    SELECT p.id, p.priority, {moment} AS moment FROM (
        SELECT * FROM approvals_proposal p
        WHERE p.queue_id = queue.id AND {state} AND (p.priority, {moment}, p.id) > {start}
        ORDER BY p.priority, {moment}, p.id LIMIT %(scan)s
    ) p WHERE {conditions}
    ORDER BY p.priority, {moment}, p.id LIMIT %(limit)s
) row
"""
_EDGE = """
SELECT edge.priority, edge.moment, edge.id FROM unnest(%(queues)s::bigint[]) AS queue (id)
CROSS JOIN LATERAL (
    SELECT p.id, p.priority, {moment} AS moment FROM approvals_proposal p
    WHERE p.queue_id = queue.id AND {state} AND (p.priority, {moment}, p.id) > {start}
    ORDER BY p.priority, {moment}, p.id OFFSET %(scan)s - 1 LIMIT 1
) edge
"""
_START = "(%(priority)s, %(moment)s, %(id)s)"
_PICK = """
WITH found AS MATERIALIZED ({candidates} LIMIT %(candidates)s),
matching AS (
    SELECT p.id, p.priority, CASE p.state WHEN 'scheduled' THEN p.effective_at ELSE p.due_at END AS moment
    FROM found JOIN approvals_proposal p ON p.id = found.proposal_id AND p.revision = found.revision
    WHERE p.queue_id = ANY (%(queues)s::bigint[]) AND ({states}) AND {conditions}
)
SELECT (SELECT count(*) FROM found), m.id, m.priority, m.moment FROM (SELECT 1) AS one
LEFT JOIN (
    SELECT * FROM matching WHERE (priority, moment, id) > {start} ORDER BY priority, moment, id LIMIT %(limit)s
) m ON true
ORDER BY m.priority, m.moment, m.id
"""
_BY_WORDS = """
SELECT r.proposal_id, r.number AS revision FROM approvals_revision r
WHERE r.document @@ %(rare)s::tsquery
"""
_BY_ASSIGNMENT = """
SELECT p.id AS proposal_id, p.revision FROM approvals_proposal p
WHERE p.assigned_to_id = %(me)s AND p.state = 'pending'
"""


def page(
    user: User, queues: Sequence[Queue], filters: Filters, *, after: Cursor | None = None, limit: int = 50
) -> Page:
    """One page of these queues' open proposals. The number of queries does not depend on the number of rows."""
    search = words.search(filters.q) if filters.q else None
    sources = _sources(filters)
    if not queues or not sources or (search is not None and search.is_empty):
        return Page([], [])
    conditions, values = _conditions(user, filters, search)
    start = after or _BEGINNING
    values |= start._asdict() | {"queues": [queue.pk for queue in queues], "limit": limit + 1}
    if filters.assigned == "me" or (search is not None and search.rare):
        picked = _pick(filters, sources, conditions, values, limit)
        if picked is not None:
            return picked
    return _walk(filters, sources, conditions, values, limit)


def mine_in(user: User, queues: Sequence[Queue], *, limit: int = 20) -> list[Proposal]:
    """What this person holds in these queues, the lease that ends first first."""
    held = rows().filter(
        claimed_by=user, claimed_until__gt=timezone.now(), state="pending", queue__in=list(queues)
    )
    return list(held.order_by("claimed_until")[:limit])


def rows() -> QuerySet[Proposal]:
    """Proposals with what a list shows of each, without the long texts."""
    return Proposal.objects.select_related(
        "agent", "action_type", "queue", "claimed_by", "assigned_to", "held_ballot__reviewer"
    ).defer("plain_context", "reasoning", "summary", "current_state", "metadata", "action_type__schema")


def _sources(filters: Filters) -> tuple[_Source, ...]:
    """Which kinds of row can match at all."""
    sources = _SOURCES[filters.state]
    if filters.held == "nobody":
        return tuple(source for source in sources if source is not _HELD)
    if filters.held:
        return tuple(source for source in sources if source is _HELD)
    return sources


def _walk(
    filters: Filters, sources: Sequence[_Source], conditions: str, values: dict[str, Any], limit: int
) -> Page:
    """In the list's order, queue by queue, at most `SCAN` rows in all."""
    scan = max(limit + 1, SCAN // (len(values["queues"]) * len(sources)))
    values = values | {"scan": scan}
    parts = [
        _WALK.format(state=state, moment=moment, start=_START, conditions=conditions)
        for state, moment in sources
    ]
    statement = " UNION ALL ".join(parts) + " ORDER BY priority, moment, id LIMIT %(limit)s"
    keys = [Cursor(priority, moment, pk) for pk, priority, moment in _run(statement, values)]
    edge = None
    if filters.narrows:
        edges = [_EDGE.format(state=state, moment=moment, start=_START) for state, moment in sources]
        found = _run(" UNION ALL ".join(edges) + " ORDER BY priority, moment, id LIMIT 1", values)
        edge = Cursor(*found[0]) if found else None
        keys = [key for key in keys if edge is None or key <= edge]
    if len(keys) > limit:
        return _page(keys[:limit], after=keys[limit - 1])
    if edge is not None:
        return _page(keys, after=edge, looked_at=scan * len(values["queues"]) * len(sources))
    return _page(keys)


def _pick(
    filters: Filters, sources: Sequence[_Source], conditions: str, values: dict[str, Any], limit: int
) -> Page | None:
    """By an index that brings few rows of any state, which are then sorted. None where that takes too long."""
    statement = _PICK.format(
        candidates=_BY_ASSIGNMENT if filters.assigned == "me" else _BY_WORDS,
        states=" OR ".join(f"({state})" for state, _ in sources),
        conditions=conditions,
        start=_START,
    )
    try:
        with transaction.atomic():
            _run(f"SET LOCAL statement_timeout = {PATIENCE}", {})
            found = _run(statement, values | {"candidates": CANDIDATES})
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != "57014":  # query_canceled
            raise
        return None
    keys = [Cursor(priority, moment, pk) for _, pk, priority, moment in found if pk is not None]
    after = keys[limit - 1] if len(keys) > limit else None
    return _page(keys[:limit], after=after, too_many=found[0][0] >= CANDIDATES)


def _page(keys: list[Cursor], **how: Any) -> Page:
    found = rows().in_bulk([key.id for key in keys])
    keys = [key for key in keys if key.id in found]
    return Page([found[key.id] for key in keys], keys, **how)


def _run(statement: str, values: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


_LIMITS = routing.LIMIT_CODES
_HELD_BY = {"me": "p.claimed_by_id = %(me)s", "others": "p.claimed_by_id <> %(me)s"}
_ASSIGNED = {
    "me": "p.assigned_to_id = %(me)s",
    "others": "p.assigned_to_id <> %(me)s",
    "nobody": "p.assigned_to_id IS NULL",
}


def _conditions(user: User, filters: Filters, search: Search | None) -> tuple[str, dict[str, Any]]:
    """What a row `p` must fulfil, as SQL without any of the values, and the values."""
    now = timezone.now()
    values: dict[str, Any] = {"me": user.pk, "now": now, "soon": now + DUE_SOON}
    parts = []
    if search is not None:
        parts.append(
            "EXISTS (SELECT FROM approvals_revision r WHERE r.proposal_id = p.id AND r.number = p.revision"
            " AND ts_match_vq(r.document, %(words)s::tsquery))"
        )
        values |= {"words": search.query, "rare": search.rare}
    if filters.agent:
        parts.append("p.agent_id = ANY (%(agents)s::bigint[])")
        values["agents"] = list(Agent.objects.filter(slug__in=filters.agent).values_list("pk", flat=True))
    if filters.action or filters.domain or filters.risk:
        parts.append("p.action_type_id = ANY (%(kinds)s::bigint[])")
        values["kinds"] = _action_type_ids(filters)
    for name, comparison in (("min", ">="), ("max", "<=")):
        if getattr(filters, name) is not None:
            parts.append(f"abs(p.amount) {comparison} %({name})s")
            values[name] = getattr(filters, name)
    if filters.currency:
        parts.append("p.currency = %(currency)s")
        values["currency"] = filters.currency
    if filters.tier:
        parts.append("p.tier = ANY (%(tiers)s::text[])")
        values["tiers"] = list(filters.tier)
    if filters.older_than is not None:
        parts.append("p.created_at <= %(before)s")
        values["before"] = now - filters.older_than
    moment = "CASE p.state WHEN 'scheduled' THEN p.effective_at ELSE p.due_at END"
    if filters.due == "overdue":
        parts.append(f"{moment} < %(now)s")
    if filters.due == "soon":
        parts.append(f"{moment} >= %(now)s AND {moment} < %(soon)s")
    if filters.held.isdigit():
        parts.append("p.claimed_by_id = %(holder)s")
        values["holder"] = int(filters.held)
    elif filters.held in _HELD_BY:
        parts.append(_HELD_BY[filters.held])
    if filters.assigned:
        parts.append(_ASSIGNED[filters.assigned])
    if filters.why:
        parts.append("(" + " OR ".join(_why(filters.why, values)) + ")")
    if kept := permissions.kept_from(user):
        parts.append("p.id <> ALL (%(kept_from)s::uuid[])")
        values["kept_from"] = kept
    return " AND ".join(parts) or "true", values


def _action_type_ids(filters: Filters) -> list[int]:
    kinds = ActionType.objects.all()
    if filters.action:
        kinds = kinds.filter(name__in=filters.action)
    if filters.domain:
        kinds = kinds.filter(domain__in=filters.domain)
    if filters.risk:
        kinds = kinds.filter(risk__in=filters.risk)
    return list(kinds.values_list("pk", flat=True))


def _why(reasons: Sequence[str], values: dict[str, Any]) -> list[str]:
    """One condition per reason; `reasons` of a proposal are a list of {"code", "rule", "detail"}."""
    parts = []
    for number, reason in enumerate(reasons):
        if reason == "limit":
            wanted: list[dict[str, str]] = [{"code": code} for code in _LIMITS]
        elif reason.startswith(RULE):
            wanted = [{"rule": reason.removeprefix(RULE)}]
        else:
            wanted = [{"code": reason}]
        for part, one in enumerate(wanted):
            name = f"why_{number}_{part}"
            parts.append(f"p.reasons @> %({name})s::jsonb")
            values[name] = json.dumps([one])
    return parts


@dataclass(frozen=True, slots=True)
class Choices:
    """What a list's filters offer: (value of the address, name) of what occurs in the queues at the moment."""

    queues: list[tuple[str, str]]
    agents: list[tuple[str, str]]
    actions: list[tuple[str, str]]
    domains: list[str]
    rules: list[str]
    holders: list[tuple[str, str]]


def choices(queues: Sequence[Queue], tallies: Iterable[Tally]) -> Choices:
    """From the counts, which know what occurs, and a handful of small queries."""
    kinds = frozenset[tuple[int, int]]().union(*(tally.kinds for tally in tallies))
    agents = Agent.objects.filter(pk__in={agent for agent, _ in kinds}).order_by("name")
    action_types = list(
        ActionType.objects.filter(pk__in={kind for _, kind in kinds})
        .order_by("label")
        .only("name", "label", "domain")
    )
    domains = {kind.domain for kind in action_types}
    versions = Policy.objects.filter(domain__in=domains, current__isnull=False).select_related("current")
    rules = {str(rule.get("name")) for policy in versions if policy.current for rule in policy.current.rules}
    holding = Proposal.objects.filter(
        queue__in=list(queues), state="pending", claimed_by__isnull=False
    ).order_by()
    people = User.objects.filter(pk__in=holding.values("claimed_by")).order_by("name", "pk")
    return Choices(
        queues=[(queue.slug, queue.name) for queue in queues],
        agents=[(agent.slug, agent.name) for agent in agents],
        actions=[(kind.name, kind.label) for kind in action_types],
        domains=sorted(domains),
        rules=sorted(rules),
        holders=[(str(holder.pk), str(holder)) for holder in people],
    )


def mark_of(row: Proposal) -> str:
    """What a row shows of itself that can change while it is on a screen; its state first."""
    ballot = getattr(row, "held_ballot", None)
    parts = (row.state, row.claimed_by_id, row.assigned_to_id, ballot and ballot.reviewer_id, row.revision)
    return "~".join(str(part or "") for part in parts)
