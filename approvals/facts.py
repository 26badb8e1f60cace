"""Gathers what routing needs to know, from this process's cache and, where a rule or limit asks, the database."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypedDict

from django.db.models import Count, Q

from agents import pointers, stops
from agents.autonomy import Tier, lower, rank
from agents.models import ActionType, Agent, Mandate, Stop
from approvals import policy, states, usage
from approvals import subjects as naming
from approvals.models import Policy, Proposal, Queue
from approvals.policy import Findings, Rule
from approvals.routing import Budget, Facts, Limits, Usage
from approvals.states import State

HISTORY_DAYS = 30
_CURRENCY = re.compile(r"[A-Za-z]{3}")


@dataclass(frozen=True, slots=True)
class DomainPolicy:
    """The current policy of one domain, compiled; without one every proposal goes to the domain's first queue.

    `stops` are the stop switches pulled at that authority number; a rehearsal has none."""

    version_id: int | None
    rules: list[Rule]
    default_queue: str | None
    queues: dict[str, Queue]
    stops: tuple[Stop, ...] = ()

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
    pulled = tuple(stops.live())
    found = Policy.objects.filter(domain=domain).select_related("current__default_queue").first()
    if found is None or found.current is None:
        first = next((slug for slug, queue in queues.items() if queue.domain == domain), None)
        return DomainPolicy(None, [], first, queues, pulled)
    current = found.current
    rules = policy.compile_rules(current.rules)
    return DomainPolicy(current.pk, rules, current.default_queue.slug, queues, pulled)


@dataclass(frozen=True, slots=True)
class Subjects:
    """What the arguments and the request say about amount and subject."""

    amount: Decimal | None
    currency: str
    subject_type: str
    subject_id: str

    @property
    def key(self) -> str:
        return naming.key(self.subject_id)

    @property
    def words(self) -> str:
        return naming.words(self.subject_type, self.subject_id)


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
    with_windows: bool = True,
) -> Facts:
    """Everything `routing.route` needs. `exclude` leaves a proposal out of its own window.

    Without windows, no limit but the most per action is looked at: what they hold belongs to the moment."""
    context = _context(agent, action_type, arguments, subjects)
    if policy.needs_history(rules.rules):
        context["history"] = _history(agent, action_type, subjects, now)
    findings: Findings = policy.evaluate(rules.rules, context)
    stop = stops.first_over(rules.stops, agent_id=agent.pk, action_type_id=action_type.pk)
    weighed = Weighed(agent, action_type, mandate, subjects)
    return Facts(
        agent_state=agent.state,
        tier=None if mandate is None else _tier(mandate),
        **weigh(weighed, now=now, exclude=exclude, with_windows=with_windows),
        findings=findings,
        default_queue=rules.default_queue,
        queue_quorum=rules.queue_quorum,
        veto_seconds=mandate.veto_seconds if mandate else 0,
        amount_unreadable=_is_unreadable(action_type, arguments, subjects.amount),
        held=is_held(mandate, action_type),
        ownerless=is_ownerless(agent, mandate),
        stopped=stops.words(stop) if stop else "",
    )


def is_ownerless(agent: Agent, mandate: Mandate | None) -> bool:
    """Whether nobody answers for what the mandate would let pass a person by. Below that it is not asked."""
    if mandate is None or rank(_tier(mandate)) <= rank(Tier.IN_THE_LOOP):
        return False
    return not agent.has_live_owner


@dataclass(frozen=True, slots=True)
class Weighed:
    """What is held against the limits: who would do what, by which mandate, about whom and for how much."""

    agent: Agent
    action_type: ActionType
    mandate: Mandate | None
    subjects: Subjects


def looks_back(agent: Agent, action_type: ActionType, mandate: Mandate | None, rules: DomainPolicy) -> bool:
    """Whether the way of one proposal depends on what the agent proposed before it: a window, a budget, a rule about
    history. Such ones are routed one after the other and never together."""
    if policy.needs_history(rules.rules) or budget_of(agent) is not None:
        return True
    return mandate is not None and (mandate.has_window or limits_of(mandate, action_type).concern_subjects)


class Weights(TypedDict):
    """The part of `routing.Facts` that limits depend on."""

    limits: Limits | None
    usage: Usage | None
    amount: Decimal | None
    currency: str
    subject: str
    subject_usage: Usage | None
    moves_money: bool
    budget: Budget | None
    budget_usage: Usage | None


def weigh(
    it: Weighed,
    *,
    now: datetime,
    exclude: Proposal | None = None,
    counted: frozenset[State] = states.LIVE,
    with_windows: bool = True,
) -> Weights:
    """The limits and what their windows hold, reading only the windows that some limit asks for."""
    about, mandate = it.subjects, it.mandate
    limits = None if mandate is None else limits_of(mandate, it.action_type)
    budget = budget_of(it.agent)
    own = of_subject = of_agent = None
    if with_windows and mandate is not None and limits is not None and mandate.has_window:
        own = usage.of_mandate(mandate, limits.currency, now=now, exclude=exclude, counted=counted)
    if with_windows and mandate is not None and limits is not None and limits.concern_subjects:
        of_subject = usage.of_subject(
            mandate, limits.currency, about.key, now=now, exclude=exclude, counted=counted
        )
    if with_windows and budget is not None:
        of_agent = usage.of_agent(it.agent, now=now, exclude=exclude, counted=counted)
    return Weights(
        limits=limits,
        usage=own,
        amount=about.amount,
        currency=about.currency,
        subject=about.words,
        subject_usage=of_subject,
        moves_money=bool(it.action_type.amount_pointer),
        budget=budget,
        budget_usage=of_agent,
    )


def again(proposal: Proposal, mandate: Mandate, agent: Agent, *, now: datetime) -> Facts:
    """What stands in the way of running a proposal that nobody looked at, now: its limits and the closer watch (I10).

    Only what has begun counts: two grants beyond a lowered limit would else block each other for good, and a later
    proposal that waits for a person would block an earlier one that does not."""
    about = Subjects(proposal.amount, proposal.currency, proposal.subject_type, proposal.subject_id)
    weighed = Weighed(agent, proposal.action_type, mandate, about)
    return Facts(
        agent_state=agent.state,
        tier=_tier(mandate),
        **weigh(weighed, now=now, exclude=proposal, counted=states.RAN),
        findings=Findings(),
        default_queue=None,
        queue_quorum={},
        held=is_held(mandate, proposal.action_type),
    )


def is_held(mandate: Mandate | None, action_type: ActionType) -> bool:
    """Whether the closer watch on the agent reaches this: what cannot be undone waits for a person."""
    return mandate is not None and mandate.escalated and action_type.reversible_by_id is None


def limits_of(mandate: Mandate, action_type: ActionType) -> Limits:
    return Limits(
        mandate.max_amount,
        mandate.window_hours,
        mandate.window_count,
        mandate.window_amount,
        action_type.currency,
        mandate.subject_count,
        mandate.subject_amount,
    )


def budget_of(agent: Agent) -> Budget | None:
    if agent.budget_count is None and agent.budget_amount is None:
        return None
    return Budget(agent.budget_hours, agent.budget_count, agent.budget_amount, agent.budget_currency)


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
    """Counts over the last 30 days of this agent and action type; sums over the last day about the subject and of all
    the agent does. Sums are of what ran or still may, in this proposal's currency."""
    mine = Proposal.objects.filter(
        agent=agent, action_type=action_type, created_at__gt=now - timedelta(days=HISTORY_DAYS), planted=False
    )
    counts = mine.aggregate(
        proposed=Count("pk"),
        rejected=Count("pk", filter=Q(state=State.REJECTED)),
        succeeded=Count("pk", filter=Q(state=State.SUCCEEDED)),
    )
    alike = about = Usage(0, Decimal(0))
    if subjects.key:
        alike = usage.day_about(agent.pk, action_type.pk, subjects.currency, subjects.key, now=now)
        about = usage.day_about(agent.pk, None, subjects.currency, subjects.key, now=now)
    everything = usage.day_of_agent(agent.pk, subjects.currency, now=now)
    return {
        **counts,
        "subject_count": alike.count,
        "subject_amount": float(alike.amount),
        "subject_total_count": about.count,
        "subject_total_amount": float(about.amount),
        "agent_count": everything.count,
        "agent_amount": float(everything.amount),
    }
