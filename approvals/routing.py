"""From what is known about a proposal to where it goes (DESIGN.md §5). Pure.

Order: agent live, stops, mandate, limits, rules, tier. Only a mandate's tier above in-the-loop, uncapped by any rule
and within every limit, lets a proposal pass without a person."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from agents.autonomy import Tier, lower, rank
from approvals.policy import Findings
from approvals.states import State


@dataclass(frozen=True, slots=True)
class Reason:
    """Why it went where it went: `code` is stable, `rule` names a policy rule or is empty, `detail` is a sentence."""

    code: str
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a rolling window already holds of what ran or still may: `count` actions, and `amount`, the sum of the
    `paid` ones whose amount is in the limit's currency. Amounts count by their size, whatever their sign."""

    count: int
    amount: Decimal
    paid: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """A mandate's limits; None is no limit. Amounts in `currency`, counts and sums within `window_hours`."""

    max_amount: Decimal | None
    window_hours: int
    window_count: int | None
    window_amount: Decimal | None
    currency: str
    subject_count: int | None = None
    subject_amount: Decimal | None = None

    @property
    def have_amounts(self) -> bool:
        return any(most is not None for most in (self.max_amount, self.window_amount, self.subject_amount))

    @property
    def concern_subjects(self) -> bool:
        """Also the most per action does: the same limit holds for the sum about one subject."""
        return any(most is not None for most in (self.max_amount, self.subject_count, self.subject_amount))


@dataclass(frozen=True, slots=True)
class Budget:
    """What all mandates of one agent may do together within `hours`; None is no limit."""

    hours: int
    count: int | None
    amount: Decimal | None
    currency: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the route depends on. `tier` is None where there is no mandate."""

    agent_state: str
    tier: Tier | None
    limits: Limits | None
    usage: Usage | None
    amount: Decimal | None
    currency: str
    findings: Findings
    default_queue: str | None
    queue_quorum: dict[str, int]
    veto_seconds: int = 0
    amount_unreadable: bool = False
    """Something stands where the amount should be and is not one: rules and limits could not judge it."""
    subject: str = ""
    """Whom it is about, in words; empty where the agent did not say."""
    subject_usage: Usage | None = None
    """`count` of this action type; `paid` and `amount` of all the agent's about the same subject."""
    moves_money: bool = True
    """Whether its action type has a place for an amount."""
    budget: Budget | None = None
    budget_usage: Usage | None = None
    held: bool = False
    """The agent is under closer watch and this cannot be undone (TIERS.md, Demotion: "escalated")."""
    ownerless: bool = False
    """Its owner has left and nobody answers for it: a person decides everything until somebody does."""
    stopped: str = ""
    """Which stop switch covers it and why, in words."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where it goes. `state` is one of `states.INITIAL`; `queue` is also set for what may be vetoed there."""

    state: State
    tier: Tier
    queue: str | None
    quorum: int
    roles: list[str]
    reasons: list[Reason] = field(default_factory=list)
    required: list[dict[str, Any]] = field(default_factory=list)


def route(facts: Facts) -> Route:
    """The one routing decision; total, and safe by default: what is not known to be allowed is reviewed or denied."""
    tier = facts.tier or Tier.IN_THE_LOOP
    if facts.agent_state != "live":
        return _denied(tier, Reason("agent_not_live", "", not_live(facts.agent_state)))
    if facts.stopped:
        return _denied(tier, Reason("stopped", "", facts.stopped))
    if facts.tier is None:
        return _denied(tier, Reason("no_mandate", "", "The agent has no mandate for this action type."))
    if facts.findings.denied_by is not None:
        rule = facts.findings.denied_by
        return _denied(tier, Reason("rule_denies", rule.name, rule.deny or ""))

    reasons = limit_reasons(facts)
    if facts.held and rank(tier) > rank(Tier.IN_THE_LOOP):
        reasons.append(Reason("escalated", "", HELD))
    if facts.ownerless and rank(tier) > rank(Tier.IN_THE_LOOP):
        reasons.append(Reason("no_owner", "", OWNERLESS))
    if facts.amount_unreadable and not reasons:
        reasons.append(Reason("amount_unreadable", "", "Its amount is not a number that can be read."))
    for rule, message in facts.findings.errors:
        reasons.append(Reason("rule_error", rule.name, f"The rule could not be evaluated: {message}"))
    for rule in facts.findings.reviews:
        reasons.append(Reason("rule", rule.name, rule.when))
    capped = lower(tier, *(rule.cap for rule in facts.findings.caps if rule.cap is not None))
    for rule in facts.findings.caps:
        if rule.cap is not None and rank(rule.cap) < rank(tier):
            reasons.append(
                Reason("cap", rule.name, f"The rule caps the tier at {Tier(rule.cap).label.lower()}.")
            )
    for_review = [reason for reason in reasons if reason.code != "cap"]
    if for_review:
        capped = lower(capped, Tier.IN_THE_LOOP)

    queue, quorum, roles, required = _reviewers(facts)
    if rank(capped) >= rank(Tier.ON_THE_LOOP):
        scheduled = capped == Tier.ON_THE_LOOP and facts.veto_seconds > 0
        if scheduled and queue is None:
            return _denied(
                capped, Reason("no_queue", "", "It may be vetoed and no queue is set up in which to do so.")
            )
        reasons.append(Reason("tier", "", _TIER_WORDS[capped]))
        return Route(State.SCHEDULED if scheduled else State.APPROVED, capped, queue, 1, [], reasons)
    if queue is None:
        return _denied(
            capped, *reasons, Reason("no_queue", "", "It needs a review and no queue is set up for it.")
        )
    if not reasons:
        reasons.append(Reason("tier", "", _TIER_WORDS[capped]))
    return Route(State.PENDING, capped, queue, quorum, roles, reasons, required)


_TIER_WORDS = {
    Tier.ADVISORY: "The mandate is advisory: a person decides and acts.",
    Tier.IN_THE_LOOP: "The mandate asks for a person's approval of every action.",
    Tier.ON_THE_LOOP: "The mandate lets it run unless a person objects.",
    Tier.OUT_OF_THE_LOOP: "The mandate lets it run without a person.",
}


LIMIT_CODES = ("limit_amount", "limit_currency", "limit_window_count", "limit_window_amount", "limit_subject_count",
               "limit_subject_amount", "limit_split", "limit_agent_count", "limit_agent_amount",
               "limit_agent_currency")  # fmt: skip
"""Every code under which a limit sends to a person."""

HELD = "Its errors have grown more frequent lately; until that is cleared up, a person decides what cannot be undone."

OWNERLESS = "The agent has no live owner; until somebody answers for it, a person decides what it does."


def not_live(state: str) -> str:
    """Why an agent that is not live may not act, as a sentence."""
    if state == "preparing":
        return "The agent is in preparation: nobody has set it live yet."
    return f"The agent is {state}."


def limit_reasons(facts: Facts) -> list[Reason]:
    """The limits that this proposal would pass, as reasons for a person to look."""
    if facts.limits is None:
        return []
    return [
        *_mandate_reasons(facts, facts.limits),
        *_subject_reasons(facts, facts.limits),
        *_budget_reasons(facts),
    ]


def _mandate_reasons(facts: Facts, limits: Limits) -> list[Reason]:
    usage = facts.usage
    reasons = []
    if limits.have_amounts and facts.amount is None:
        reasons.append(
            Reason("limit_amount", "", "The mandate limits amounts and this one has none that can be read.")
        )
    if limits.have_amounts and facts.amount is not None and facts.currency != limits.currency:
        words = f"The limits are in {limits.currency or 'no currency'}, the amount is in {facts.currency or 'none'}."
        reasons.append(Reason("limit_currency", "", words))
    size = abs(facts.amount or Decimal(0))
    if limits.max_amount is not None and size > limits.max_amount:
        reasons.append(Reason("limit_amount", "", f"More than the mandate's {limits.max_amount} per action."))
    window = f"in the last {limits.window_hours} h"
    if usage is not None and limits.window_count is not None and usage.count + 1 > limits.window_count:
        words = f"{usage.count} {window}; the limit is {limits.window_count}."
        reasons.append(Reason("limit_window_count", "", words))
    if usage is not None and limits.window_amount is not None and usage.amount + size > limits.window_amount:
        words = f"{usage.amount} {window}; the limit is {limits.window_amount}."
        reasons.append(Reason("limit_window_amount", "", words))
    return reasons


def _subject_reasons(facts: Facts, limits: Limits) -> list[Reason]:
    """What is about one subject, added up: one large action must not pass as many small ones.

    Without a limit of its own for the sum, the most per action holds for the sum too."""
    usage = facts.subject_usage
    if usage is None:
        return []
    about = (
        f"about {facts.subject}"
        if facts.subject
        else "that may be about the same subject, since none is named,"
    )
    within = f"within {limits.window_hours} h"
    reasons = []
    if limits.subject_count is not None and usage.count + 1 > limits.subject_count:
        words = f"{usage.count + 1} of these {about} {within}; the limit is {limits.subject_count}."
        reasons.append(Reason("limit_subject_count", "", words))
    if facts.amount is None or facts.currency != limits.currency:
        return reasons  # said already, as a reason of the mandate
    total = usage.amount + abs(facts.amount)
    words = f"{usage.paid + 1} {about} {within} add up to {plain(total)} {limits.currency}".rstrip()
    if limits.subject_amount is not None and total > limits.subject_amount:
        words += f"; the limit is {plain(limits.subject_amount)}."
        reasons.append(Reason("limit_subject_amount", "", words))
    may_be_split = limits.subject_amount is None and limits.max_amount is not None and usage.paid > 0
    if may_be_split and limits.max_amount is not None and total > limits.max_amount:
        words += f", more than {plain(limits.max_amount)} per action."
        reasons.append(Reason("limit_split", "", words))
    return reasons


def _budget_reasons(facts: Facts) -> list[Reason]:
    """What all mandates of the agent do together."""
    budget, usage = facts.budget, facts.budget_usage
    if budget is None or usage is None:
        return []
    reasons = []
    within = f"in the last {budget.hours} h by all mandates of this agent"
    if budget.count is not None and usage.count + 1 > budget.count:
        words = f"{usage.count} {within}; its budget is {budget.count}."
        reasons.append(Reason("limit_agent_count", "", words))
    if budget.amount is None or not facts.moves_money:
        return reasons
    if facts.amount is None:
        words = "The agent's budget limits amounts and this one has none that can be read."
        reasons.append(Reason("limit_agent_amount", "", words))
    elif facts.currency != budget.currency:
        words = f"The agent's budget is in {budget.currency}, the amount is in {facts.currency or 'none'}."
        reasons.append(Reason("limit_agent_currency", "", words))
    elif usage.amount + abs(facts.amount) > budget.amount:
        words = f"{plain(usage.amount)} {budget.currency} {within}; its budget is {plain(budget.amount)}."
        reasons.append(Reason("limit_agent_amount", "", words))
    return reasons


def plain(amount: Decimal) -> str:
    """`620` for 620.00, `620.50` as it is."""
    return f"{amount:.0f}" if amount == amount.to_integral_value() else f"{amount:.2f}"


def _reviewers(facts: Facts) -> tuple[str | None, int, list[str], list[dict[str, Any]]]:
    """Queue, quorum, roles and votes required by team: the first rule that names a queue, the largest numbers, all
    roles together. Where teams are required, only their members decide, so roles give way to them."""
    queue, quorum = facts.default_queue, 1
    roles: list[str] = []
    required: dict[str, int] = {}
    named = [
        rule.review["queue"] for rule in facts.findings.reviews if rule.review and rule.review.get("queue")
    ]
    if named:
        queue = named[0]
    for rule in facts.findings.reviews:
        assert rule.review is not None
        quorum = max(quorum, int(rule.review.get("quorum", 1)))
        roles += [role for role in rule.review.get("roles", []) if role not in roles]
        for seat in rule.review.get("required", []):
            required[seat["team"]] = max(required.get(seat["team"], 0), seat["votes"])
    if queue is not None:
        quorum = max(quorum, facts.queue_quorum.get(queue, 1))
    if required:
        roles = list(required)
        quorum = max(quorum, sum(required.values()))
    return queue, quorum, roles, [{"team": team, "votes": votes} for team, votes in required.items()]


def _denied(tier: Tier, *reasons: Reason) -> Route:
    return Route(State.DENIED, tier, None, 1, [], list(reasons))


def as_json(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    return [{"code": reason.code, "rule": reason.rule, "detail": reason.detail} for reason in reasons]
