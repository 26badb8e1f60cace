"""Gathers what routing needs to know, from this process's cache and, where a rule or limit asks, the database."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, Sum
from django.db.models.functions import Abs

from agents import pointers
from agents.autonomy import Tier, lower
from agents.models import ActionType, Agent, Mandate
from approvals import policy, states
from approvals.models import Policy, Proposal, Queue
from approvals.policy import Findings, Rule
from approvals.routing import Facts, Limits, Usage
from approvals.states import State

HISTORY_DAYS = 30
_CURRENCY = re.compile(r"[A-Za-z]{3}")


@dataclass(frozen=True, slots=True)
class DomainPolicy:
    """The current policy of one domain, compiled; without one every proposal goes to the domain's first queue."""

    version_id: int | None
    rules: list[Rule]
    default_queue: str | None
    queues: dict[str, Queue]

    @property
    def queue_quorum(self) -> dict[str, int]:
        return {slug: queue.quorum for slug, queue in self.queues.items()}


_policies: tuple[int, dict[str, DomainPolicy]] = (0, {})


def domain_policy(domain: str, authority_number: int) -> DomainPolicy:
    """The compiled policy, kept per process for one authority number."""
    global _policies
    number, known = _policies
    if number != authority_number:
        known = {}
        _policies = (authority_number, known)
    if domain not in known:
        known[domain] = _load(domain)
    return known[domain]


def _load(domain: str) -> DomainPolicy:
    queues = {queue.slug: queue for queue in Queue.objects.select_related("calendar").order_by("id")}
    found = Policy.objects.filter(domain=domain).select_related("current__default_queue").first()
    if found is None or found.current is None:
        first = next((slug for slug, queue in queues.items() if queue.domain == domain), None)
        return DomainPolicy(None, [], first, queues)
    current = found.current
    return DomainPolicy(current.pk, policy.compile_rules(current.rules), current.default_queue.slug, queues)


@dataclass(frozen=True, slots=True)
class Subjects:
    """What the arguments and the request say about amount and subject."""

    amount: Decimal | None
    currency: str
    subject_type: str
    subject_id: str


def money(action_type: ActionType, arguments: Mapping[str, Any]) -> tuple[Decimal | None, str]:
    """(amount, currency) of the arguments, rounded to cents for display and limits alike.

    A currency that is given and cannot be read is none, never the action type's: limits would compare pears."""
    amount = pointers.amount_at(arguments, action_type.amount_pointer)
    if amount is None:
        return None, ""
    given = pointers.MISSING
    if action_type.currency_pointer:
        given = pointers.resolve(arguments, action_type.currency_pointer)
    if given is pointers.MISSING or given is None:
        return amount, action_type.currency
    return amount, given if isinstance(given, str) and _CURRENCY.fullmatch(given) else ""


def _is_unreadable(action_type: ActionType, arguments: Mapping[str, Any], amount: Decimal | None) -> bool:
    """Whether there is something where the amount should be, and it is not one."""
    if amount is not None or not action_type.amount_pointer:
        return False
    return pointers.resolve(arguments, action_type.amount_pointer) not in (pointers.MISSING, None)


def collect(
    *,
    agent: Agent,
    action_type: ActionType,
    mandate: Mandate | None,
    arguments: dict[str, Any],
    subjects: Subjects,
    rules: DomainPolicy,
    now: datetime,
    exclude: Proposal | None = None,
) -> Facts:
    """Everything `routing.route` needs. `exclude` leaves a proposal out of its own window."""
    usage = window_usage(mandate, now=now, exclude=exclude) if mandate and mandate.has_window else None
    context = _context(agent, action_type, arguments, subjects)
    if policy.needs_history(rules.rules):
        context["history"] = _history(agent, action_type, subjects, now)
    findings: Findings = policy.evaluate(rules.rules, context)
    return Facts(
        agent_state=agent.state,
        tier=None if mandate is None else _tier(mandate),
        limits=None if mandate is None else limits_of(mandate, action_type),
        usage=usage,
        amount=subjects.amount,
        currency=subjects.currency,
        findings=findings,
        default_queue=rules.default_queue,
        queue_quorum=rules.queue_quorum,
        veto_seconds=mandate.veto_seconds if mandate else 0,
        amount_unreadable=_is_unreadable(action_type, arguments, subjects.amount),
    )


def limits_of(mandate: Mandate, action_type: ActionType) -> Limits:
    return Limits(
        mandate.max_amount,
        mandate.window_hours,
        mandate.window_count,
        mandate.window_amount,
        action_type.currency,
    )


def window_usage(
    mandate: Mandate,
    *,
    now: datetime,
    exclude: Proposal | None = None,
    counted: frozenset[State] = states.LIVE,
) -> Usage:
    """Count and summed absolute amount of the mandate's proposals in its rolling window that ran or still may."""
    proposals = Proposal.objects.filter(
        agent_id=mandate.agent_id,
        action_type_id=mandate.action_type_id,
        created_at__gt=now - timedelta(hours=mandate.window_hours),
        state__in=counted,
    )
    if exclude is not None:
        proposals = proposals.exclude(pk=exclude.pk)
    found = proposals.aggregate(count=Count("pk"), amount=Sum(Abs("amount")))
    return Usage(found["count"], found["amount"] or Decimal(0))


def _tier(mandate: Mandate) -> Tier:
    return lower(mandate.tier, mandate.ceiling)


def _context(
    agent: Agent, action_type: ActionType, arguments: dict[str, Any], subjects: Subjects
) -> dict[str, Any]:
    return {
        "args": arguments,
        "amount": None if subjects.amount is None else float(subjects.amount),
        "agent": {
            "name": agent.slug,
            "version": agent.version,
            "team": agent.team.name if agent.team else "",
        },
        "action": {
            "name": action_type.name,
            "domain": action_type.domain,
            "risk": action_type.risk,
            "reversible": action_type.reversible_by_id is not None,
        },
        "subject": {"type": subjects.subject_type, "id": subjects.subject_id},
        "history": {},
    }


def _history(
    agent: Agent, action_type: ActionType, subjects: Subjects, now: datetime
) -> dict[str, int | float]:
    """Counts over the last 30 days of this agent and action type, and over the last day of the subject."""
    mine = Proposal.objects.filter(
        agent=agent, action_type=action_type, created_at__gt=now - timedelta(days=HISTORY_DAYS)
    )
    counts = mine.aggregate(
        proposed=Count("pk"),
        rejected=Count("pk", filter=Q(state=State.REJECTED)),
        succeeded=Count("pk", filter=Q(state=State.SUCCEEDED)),
    )
    subject: dict[str, Any] = {"subject_count": 0, "subject_amount": None}
    if subjects.subject_id:
        subject = mine.filter(
            subject_type=subjects.subject_type,
            subject_id=subjects.subject_id,
            created_at__gt=now - timedelta(days=1),
            state__in=states.LIVE,
        ).aggregate(subject_count=Count("pk"), subject_amount=Sum(Abs("amount")))
    return {
        **counts,
        "subject_count": subject["subject_count"],
        "subject_amount": float(subject["subject_amount"] or 0),
    }
