"""From what is known about a proposal to where it goes (DESIGN.md §5). Pure.

Order: agent live, mandate, limits, rules, tier. Only a mandate's tier above in-the-loop, uncapped by any rule and
within every limit, lets a proposal pass without a person."""

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
    """What the mandate's window already holds: proposals that ran or still may, and their amounts."""

    count: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Limits:
    """A mandate's limits; None is no limit. Amounts in `currency`."""

    max_amount: Decimal | None
    window_hours: int
    window_count: int | None
    window_amount: Decimal | None
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
        return _denied(tier, Reason("agent_not_live", "", f"The agent is {facts.agent_state}."))
    if facts.tier is None:
        return _denied(tier, Reason("no_mandate", "", "The agent has no mandate for this action type."))
    if facts.findings.denied_by is not None:
        rule = facts.findings.denied_by
        return _denied(tier, Reason("rule_denies", rule.name, rule.deny or ""))

    reasons = limit_reasons(facts)
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


def limit_reasons(facts: Facts) -> list[Reason]:
    """The limits that this proposal would pass, as reasons for a person to look."""
    limits, usage = facts.limits, facts.usage
    if limits is None:
        return []
    reasons = []
    has_amounts = limits.max_amount is not None or limits.window_amount is not None
    if has_amounts and facts.amount is None:
        reasons.append(
            Reason("limit_amount", "", "The mandate limits amounts and this one has none that can be read.")
        )
    if has_amounts and facts.amount is not None and facts.currency != limits.currency:
        words = f"The limits are in {limits.currency or 'no currency'}, the amount is in {facts.currency or 'none'}."
        reasons.append(Reason("limit_currency", "", words))
    size = abs(facts.amount or Decimal(0))
    if limits.max_amount is not None and size > limits.max_amount:
        reasons.append(Reason("limit_amount", "", f"More than the mandate's {limits.max_amount} per action."))
    if usage is not None and limits.window_count is not None and usage.count + 1 > limits.window_count:
        reasons.append(
            Reason(
                "limit_window_count",
                "",
                f"{usage.count} in the last {limits.window_hours} h; the limit is {limits.window_count}.",
            )
        )
    if usage is not None and limits.window_amount is not None and usage.amount + size > limits.window_amount:
        reasons.append(
            Reason(
                "limit_window_amount",
                "",
                f"{usage.amount} in the last {limits.window_hours} h; the limit is {limits.window_amount}.",
            )
        )
    return reasons


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
