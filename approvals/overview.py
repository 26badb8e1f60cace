"""What owners and admins see: agents with their figures, mandates with what is left, people with their rights."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import (
    Count,
    DateTimeField,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Abs, Now
from django.utils import timezone

from accounts.carried import carried
from accounts.models import User
from accounts.roles import Duty, Scope
from agents.autonomy import LADDER, Tier, rank
from agents.models import Agent, Mandate
from approvals import permissions, states
from approvals.models import Policy, PolicyVersion, Proposal, Queue
from approvals.states import State

RECENTLY = timedelta(days=7)
PASSED = frozenset(
    {
        State.APPROVED,
        State.EXECUTING,
        State.SUCCEEDED,
        State.FAILED,
        State.UNKNOWN,
        State.ROLLED_BACK,
        State.LAPSED,
        State.REVOKED,
    }
)
"""States behind an approval, whatever became of it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """An agent's proposals: what is open now, and what became of those of the last seven days."""

    pending: int = 0
    scheduled: int = 0
    executing: int = 0
    unknown: int = 0
    proposed: int = 0
    approved: int = 0
    rejected: int = 0
    denied: int = 0


@dataclass(frozen=True, slots=True)
class AgentLine:
    """One agent in the list, with how many mandates it has at each tier, highest first."""

    agent: Agent
    figures: Figures
    tiers: list[tuple[Tier, int]]


def figures(agent_ids: list[int]) -> dict[int, Figures]:
    """The figures of several agents. One query for each open state, so that each can go by its partial index."""
    found: dict[int, dict[str, int]] = {pk: {} for pk in agent_ids}
    proposals = Proposal.objects.filter(agent_id__in=agent_ids, planted=False).order_by()
    for state in (State.PENDING, State.SCHEDULED, State.EXECUTING, State.UNKNOWN):
        for row in proposals.filter(state=state).values("agent_id").annotate(number=Count("pk")):
            found[row["agent_id"]][str(state)] = row["number"]
    lately = (
        proposals.filter(created_at__gt=timezone.now() - RECENTLY)
        .values("agent_id")
        .annotate(
            proposed=Count("pk"),
            approved=Count("pk", filter=Q(state__in=PASSED)),
            rejected=Count("pk", filter=Q(state=State.REJECTED)),
            denied=Count("pk", filter=Q(state=State.DENIED)),
        )
    )
    for counts in lately:
        names = ("proposed", "approved", "rejected", "denied")
        found[counts["agent_id"]].update({name: counts[name] for name in names})  # type: ignore[literal-required]
    return {pk: Figures(**values) for pk, values in found.items()}


def agent_lines(agents: list[Agent]) -> list[AgentLine]:
    """A constant number of queries for any number of agents."""
    ids = [agent.pk for agent in agents]
    numbers = figures(ids)
    tiers: dict[int, list[tuple[Tier, int]]] = {pk: [] for pk in ids}
    rows = (
        Mandate.objects.filter(agent_id__in=ids, active=True)
        .values("agent_id", "tier")
        .annotate(number=Count("pk"))
        .order_by()
    )
    for row in sorted(rows, key=lambda row: -rank(row["tier"])):
        tiers[row["agent_id"]].append((LADDER[rank(row["tier"])], row["number"]))
    return [AgentLine(agent, numbers[agent.pk], tiers[agent.pk]) for agent in agents]


@dataclass(frozen=True, slots=True)
class MandateLine:
    """One mandate with its window's use; `left_…` is None where there is no limit."""

    mandate: Mandate
    used_count: int
    used_amount: Decimal
    left_count: int | None
    left_amount: Decimal | None


def mandate_lines(agent: Agent) -> list[MandateLine]:
    """One query, whatever the number of mandates."""
    start = ExpressionWrapper(
        Now() - OuterRef("window_hours") * Value(timedelta(hours=1)), output_field=DateTimeField()
    )
    window: QuerySet[Any] = (
        Proposal.objects.filter(
            agent_id=OuterRef("agent_id"),
            action_type_id=OuterRef("action_type_id"),
            state__in=states.LIVE,
            created_at__gt=start,
            planted=False,
        )
        .order_by()
        .values("agent_id")
    )
    in_its_currency = window.filter(currency=OuterRef("action_type__currency"))
    mandates = (
        Mandate.objects.filter(agent=agent)
        .select_related("action_type")
        .annotate(
            used_count=Subquery(window.annotate(n=Count("pk")).values("n")),
            used_amount=Subquery(in_its_currency.annotate(n=Sum(Abs("amount"))).values("n")),
        )
        .order_by("-active", "action_type__label")
    )
    lines = []
    for mandate in mandates:
        count = getattr(mandate, "used_count", None) or 0
        amount = getattr(mandate, "used_amount", None) or Decimal(0)
        lines.append(
            MandateLine(
                mandate,
                count,
                amount,
                None if mandate.window_count is None else max(0, mandate.window_count - count),
                None if mandate.window_amount is None else max(Decimal(0), mandate.window_amount - amount),
            )
        )
    return lines


@dataclass(frozen=True, slots=True)
class Stopping:
    """What stopping an agent would do now."""

    grants: int
    scheduled: int
    pending: int
    executing: int


def stopping(agent: Agent, now: Figures) -> Stopping:
    """What stands open and is known from the figures, and the grants not yet redeemed."""
    grants = Proposal.objects.filter(agent=agent, state=State.APPROVED, grant__isnull=False).count()
    return Stopping(grants, now.scheduled, now.pending, now.executing)


@dataclass(slots=True)
class QueueLine:
    """One queue with who reviews it and what is open in it."""

    queue: Queue
    people: list[User] = field(default_factory=list)
    teams: list[Group] = field(default_factory=list)
    open: int = 0


def queue_lines(queues: list[Queue]) -> list[QueueLine]:
    """A constant number of queries for any number of queues."""
    lines = {str(queue.pk): QueueLine(queue) for queue in queues}
    held = carried(duties=[Duty.REVIEW])
    for line in lines.values():
        on = [one for one in held if one.holds_for(Scope.QUEUE, line.queue.pk, line.queue.domain)]
        line.people += list(dict.fromkeys(one.person for one in on if one.person))
        line.teams += list(dict.fromkeys(one.team for one in on if one.team))
    counts = (
        Proposal.objects.filter(queue__in=queues, state__in=[State.PENDING, State.SCHEDULED])
        .order_by()
        .values("queue_id")
        .annotate(number=Count("pk"))
    )
    for row in counts:
        lines[str(row["queue_id"])].open = row["number"]
    return list(lines.values())


def policies() -> list[Policy]:
    return list(
        Policy.objects.select_related("current__default_queue", "current__published_by").order_by("domain")
    )


def versions(policy: Policy, limit: int = 30) -> list[PolicyVersion]:
    """Latest first."""
    return list(
        policy.versions.select_related("published_by", "default_queue").order_by("-number")[: limit + 1]
    )


def unknown_outcomes(user: User) -> QuerySet[Proposal]:
    """Actions whose end nobody knows, of what this person may see, the longest-waiting first."""
    return (
        Proposal.objects.filter(permissions.visible_to(user), state=State.UNKNOWN)
        .select_related("agent__owner", "action_type", "outcome", "executor_call", "grant")
        .defer("plain_context", "reasoning", "current_state", "metadata")
        .order_by(F("changed_at").asc())
    )


def settleable_by(user: User) -> Callable[[Proposal], bool]:
    """The rule of `permissions.check_can_settle` for many rows, its look-ups done once."""
    queues, managed = set(permissions.reviewable_queue_ids(user)), permissions.managed_agent_ids(user)

    def may(proposal: Proposal) -> bool:
        return (
            user.is_admin
            or proposal.queue_id in queues
            or proposal.agent.owner_id == user.pk
            or proposal.agent_id in managed
        )

    return may
