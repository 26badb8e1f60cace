"""A reviewer's own history: what he decided, newest first."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from accounts.models import User
from approvals import permissions
from approvals.models import HeldBallot, Proposal, Vote


@dataclass(frozen=True, slots=True)
class Entry:
    """One vote of his. `proposal` is None where he may no longer see it: his verdict is his, its content is not."""

    vote: Vote
    proposal: Proposal | None


@dataclass(frozen=True, slots=True)
class Past:
    """One page; `after` names the last vote where there are more."""

    entries: list[Entry]
    after: tuple[datetime, int] | None


def page(
    user: User,
    *,
    verdict: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    after: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> Past:
    """His votes from `since` to before `until`, by keyset; a constant number of queries."""
    votes = Vote.objects.filter(reviewer=user)
    if verdict:
        votes = votes.filter(verdict=verdict)
    if since is not None:
        votes = votes.filter(voted_at__gte=since)
    if until is not None:
        votes = votes.filter(voted_at__lt=until)
    if after is not None:
        moment, pk = after
        votes = votes.filter(Q(voted_at__lt=moment) | Q(voted_at=moment, pk__lt=pk), voted_at__lte=moment)
    found = list(
        votes.select_related("revision", "proposal__agent", "proposal__action_type", "proposal__queue")
        .select_related("proposal__serving")
        .defer(*_LONG)
        .order_by("-voted_at", "-pk")[: limit + 1]
    )
    may_see = _sight(user)
    entries = [Entry(vote, vote.proposal if may_see(vote.proposal) else None) for vote in found[:limit]]
    last = entries[-1].vote if len(found) > limit else None
    return Past(entries, (last.voted_at, last.pk) if last else None)


def unsent(user: User) -> list[HeldBallot]:
    """His verdicts that may still be undone, the next to be sent first."""
    held = HeldBallot.objects.filter(reviewer=user).select_related(
        "proposal__agent", "proposal__action_type", "proposal__queue"
    )
    may_see = _sight(user)
    return [ballot for ballot in held.order_by("settles_at")[:20] if may_see(ballot.proposal)]


_LONG = (
    "revision__canonical",
    "revision__document",
    *(f"proposal__{name}" for name in ("plain_context", "reasoning", "summary", "current_state", "metadata")),
    "proposal__action_type__schema",
)


def _sight(user: User) -> Callable[[Proposal], bool]:
    """`permissions.check_can_see` for many proposals at once."""
    if user.reads_everything:
        return lambda proposal: True
    queues = set(permissions.readable_queue_ids(user))
    managed = permissions.readable_agent_ids(user)
    return lambda proposal: (
        proposal.queue_id in queues or proposal.agent_id in managed or proposal.agent.owner_id == user.pk
    )
