"""What an agent did on its way to a proposal, for the people who may see that proposal.

Planted proposals have no activity, and an agent that is instrumented has some for every real one: whoever could look
before the verdict would know the probes (I11). So where probes are in use for the agent's kind of action, a reviewer is
shown what led to a proposal only once it cannot be one that he has not been told of: it has run, the policy denied it,
or he voted and it is decided. The rule asks of the proposal nothing that a planted one would answer differently.
The agent's own people, to whom planted ones are never shown, and who may read the log, which names them, always see
it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.core.cache import cache
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.exceptions import NotFound
from accounts.models import User
from agents.models import Activity, ActivityKind
from approvals import permissions, traces
from approvals.models import Decision, Probe, ProbeServing, Proposal, Vote
from approvals.reading import transcript
from approvals.reading.transcript import Said, Shown
from approvals.states import RAN, State
from audit import content, recording
from audit.content import Gone
from audit.events import Kind, Target

PAGE = 25
BUDGET = 40_000
"""Characters of content on one page; once they are spent, each further step has `LEAST`."""
LEAST = 300
COUNTED = 1000
DEEPEST = 6
NOTED_EVERY = 3600
"""Seconds in which one person's looking at one proposal's activity is one event."""
Place = tuple[datetime, int, UUID]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline. `depth` is how many known spans it happened inside of, at most `DEEPEST`; `repeated`
    is how many messages at the beginning of a prompt are those of the prompt before."""

    row: Activity
    depth: int
    pieces: list[Shown]
    repeated: list[Shown]
    gone: Gone | None

    @property
    def left(self) -> int:
        """Characters that are shown on the entry's own page only."""
        return sum(piece.left for piece in (*self.repeated, *self.pieces))


@dataclass(frozen=True, slots=True)
class Page:
    entries: list[Entry]
    after: Place | None
    """Where the next page begins."""


def is_withheld(user: User, proposal: Proposal) -> bool:
    """Whether this person, who may see the proposal, has to wait before he sees what led to it.

    An admin or auditor who also reviews the queue is a reviewer here: probes measure him too."""
    is_theirs = proposal.agent.owner_id == user.pk or proposal.agent_id in permissions.managed_agent_ids(user)
    if is_theirs or proposal.queue_id not in permissions.reviewable_queue_ids(user):
        return False
    if proposal.state in RAN or proposal.state == State.DENIED or not _are_probed(proposal):
        return False
    decided = Decision.objects.filter(proposal=proposal, decider__isnull=False)
    return not (decided.exists() and Vote.objects.filter(proposal=proposal, reviewer=user).exists())


def _are_probed(proposal: Proposal) -> bool:
    """Whether probes can come among proposals of this agent and kind, or one is out among them still."""
    suiting = Q(agent=None) | Q(agent=proposal.agent_id)
    if Probe.objects.filter(suiting, action_type=proposal.action_type_id, active=True).exists():
        return True
    out = ProbeServing.objects.filter(
        agent=proposal.agent_id, probe__action_type=proposal.action_type_id, decided_at=None
    )
    return out.exists()


def _of(proposal: Proposal) -> QuerySet[Activity]:
    """Of this agent alone: another one that sends the same trace id says nothing here (I9)."""
    if not proposal.trace_id or proposal.planted:
        return Activity.objects.none()
    return Activity.objects.filter(agent=proposal.agent_id, trace_id=traces.key(proposal.trace_id))


def count(proposal: Proposal) -> int:
    """How many items there are, at most `COUNTED`."""
    return _of(proposal).order_by()[:COUNTED].count()


def page(proposal: Proposal, *, after: Place | None, limit: int = PAGE) -> Page:
    """Items in the order in which they happened; a constant number of queries for any number of them."""
    rows = _of(proposal).select_related("content").order_by("started_at", "position", "id")
    if after is not None:
        at, position, pk = after
        rows = rows.filter(
            Q(started_at__gt=at)
            | Q(started_at=at, position__gt=position)
            | Q(started_at=at, position=position, pk__gt=pk)
        )
    found = list(rows[: limit + 1])
    here = found[:limit]
    last = here[-1] if len(found) > limit else None
    return Page(_entries(here), (last.started_at, last.position, last.pk) if last else None)


def one(proposal: Proposal, activity_id: UUID) -> tuple[Activity, str | Gone | None]:
    """One item with all that was sent of it, to the letter. Raises `NotFound`."""
    row = _of(proposal).select_related("content").filter(pk=activity_id).first()
    if row is None:
        raise NotFound("There is no such step of the agent, or it is not for you to see.")
    if row.content is None:
        return row, None
    body = content.open_all([row.content])[row.content.pk]
    return row, body if isinstance(body, Gone) else body.decode("utf-8", "replace")


def note_reading(user: User, proposal: Proposal) -> None:
    """What was said to and by a model may tell of people, so that who reads it is recorded: once an hour for each
    person and proposal, whatever he opens of it."""
    if not cache.add(f"activity:{proposal.pk}:{user.pk}", 1, NOTED_EVERY):
        return
    with transaction.atomic():
        recording.record(
            actor=user.actor(),
            kind=Kind.ACTIVITY_READ,
            target=Target("proposal", str(proposal.pk)),
            detail={"trace": proposal.trace_id},
        )


def _entries(rows: list[Activity]) -> list[Entry]:
    bodies = content.open_all(row.content for row in rows if row.content is not None)
    depths = _depths(rows)
    found: list[Entry] = []
    before: list[Said] = []
    budget = BUDGET
    for row in rows:
        body = bodies.get(row.content_id) if row.content_id else None
        pieces = transcript.read(body) if isinstance(body, bytes) else []
        known = 0
        if row.kind == ActivityKind.PROMPT and pieces:
            known, before = _common(before, pieces), pieces
        most = max(LEAST, min(transcript.MOST, budget))
        cut = transcript.shown(pieces[known:], most=most)
        repeated = transcript.shown(pieces[:known], most=most // 4)
        budget -= sum(len(piece.head) + len(piece.rest) for piece in (*cut, *repeated))
        found.append(Entry(row, depths[row.span_id], cut, repeated, body if isinstance(body, Gone) else None))
    return found


def _common(before: list[Said], pieces: list[Said]) -> int:
    """How many pieces at the beginning are the same; one is always left to be shown."""
    count = 0
    for old, new in zip(before, pieces[:-1], strict=False):
        if old != new:
            break
        count += 1
    return count


def _depths(rows: list[Activity]) -> dict[str, int]:
    """How many recorded spans each span on the page lies in. Parents that are not on it are looked up level by level;
    one that was never sent ends the line."""
    parents = {row.span_id: row.parent_span_id for row in rows}
    asked = {""}
    for _ in range(DEEPEST):
        missing = set(parents.values()) - parents.keys() - asked
        if not missing:
            break
        asked |= missing
        found = Activity.objects.filter(
            agent=rows[0].agent_id, trace_id=rows[0].trace_id, span_id__in=missing
        )
        parents |= dict(found.values_list("span_id", "parent_span_id"))
    return {row.span_id: _depth(row.span_id, parents) for row in rows}


def _depth(span: str, parents: Mapping[str, str]) -> int:
    seen = {span}
    while (span := parents[span]) in parents and span not in seen and len(seen) <= DEEPEST:
        seen.add(span)
    return len(seen) - 1
