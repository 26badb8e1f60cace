"""What other limits, or one more rule, would have sent to people lately. Reads only, bounded, few queries.

"With a cap of 500 EUR, 12 of the last 30 days' 318 proposals would have gone to review; 2 of those were rejected." The
limits are held by the very function that routes (`approvals.routing.limit_reasons`); the windows are rolled over the
stored proposals in the order of time, counting those that ran or still may. Left out, and said: the agent's budget over
all its mandates, what its other mandates do about the same subject, and grants saved up from before a window."""

import itertools
from collections import deque
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone

from agents.autonomy import Tier, rank
from agents.models import Evidence, Mandate
from approvals import facts, policy, routing, states, subjects
from approvals.facts import DomainPolicy, Subjects
from approvals.models import Proposal, Revision
from approvals.policy import Findings, Rule
from approvals.routing import Facts, Usage
from approvals.states import State

MOST = 20_000
MOST_RULED = 3_000
"""A condition is evaluated on the arguments themselves, which cost more than a row."""
DAYS = (30, 90)
LIMITS = ("max_amount", "window_count", "window_amount", "subject_count", "subject_amount")
_BY_RULE = frozenset({"rule", "rule_error", "rule_denies", "cap"})
_WRONG = Decimal("0.5")
RULE = "tried"


@dataclass(frozen=True, slots=True)
class Asked:
    """Limits by name (None: no such limit), and a rule as the policy's reader takes it, or none."""

    limits: Mapping[str, Decimal | int | None]
    window_hours: int
    rule: dict[str, Any] | None
    days: int


@dataclass(slots=True)
class Ends:
    """How proposals ended: rejected or found wrong, edited, right as proposed, not known."""

    number: int = 0
    rejected: int = 0
    edited: int = 0
    fine: int = 0
    unknown: int = 0

    def add(self, end: str) -> None:
        self.number += 1
        setattr(self, end, getattr(self, end) + 1)


@dataclass(slots=True)
class Line:
    """One reason for review, how many it would have reached and how those ended; `examples` are the latest."""

    words: str
    ends: Ends = field(default_factory=Ends)
    examples: list[UUID] = field(default_factory=list)
    shown: list[Proposal] = field(default_factory=list)


@dataclass(slots=True)
class Answer:
    """`held` would have gone to people by the limits and the rule tried, `now` by the limits in force; `by_rule` of
    those held went there by a rule anyway; `denied` by the rule tried."""

    days: int
    total: int = 0
    held: Ends = field(default_factory=Ends)
    now: int = 0
    by_rule: int = 0
    denied: int = 0
    lines: dict[str, Line] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    is_cut: bool = False
    since: datetime | None = None
    sentences: list[str] = field(default_factory=list)


_WORDS = {
    "limit_amount": "the amount per action",
    "limit_currency": "an amount in another currency",
    "limit_window_count": "the number within the window",
    "limit_window_amount": "the sum within the window",
    "limit_subject_count": "the number about one subject",
    "limit_subject_amount": "the sum about one subject",
    "limit_split": "amounts about one subject that add up to more than one action may be",
    "rule": "the rule",
    "rule_error": "the rule could not be evaluated",
    "cap": "the rule's cap of the tier",
}


def compile_rule(rule: dict[str, Any] | None) -> list[Rule]:
    """The rule tried, compiled. ValueError with a sentence where it cannot be, or where it asks for `history`."""
    rules = policy.compile_rules([rule] if rule else [])
    if policy.needs_history(rules):
        raise ValueError("a condition on history cannot be tried here: history then was another")
    return rules


def ask(mandate: Mandate, asked: Asked) -> Answer:
    """Hold the limits and the rule against what was proposed in the last days."""
    now = timezone.now()
    rules = compile_rule(asked.rule)
    tried = copy(mandate)
    for name in LIMITS:
        setattr(tried, name, asked.limits.get(name))
    tried.window_hours = asked.window_hours
    begin = now - timedelta(days=asked.days)
    most = MOST_RULED if rules else MOST
    rows = _rows(mandate, begin - timedelta(hours=max(mandate.window_hours, asked.window_hours)), most)
    answer = Answer(asked.days, is_cut=len(rows) > most)
    rows = rows[-most:]
    ends = _ends(mandate, begin)
    arguments = _arguments(rows) if rules else itertools.repeat({})
    in_force, wanted = _Windows(mandate), _Windows(tried)
    ruled = DomainPolicy(None, rules, None, {})
    for row, given in zip(rows, arguments, strict=False):
        limits_now, limits_then = in_force.reasons(row), wanted.reasons(row)
        if row.created_at < begin:
            continue
        answer.since = answer.since or row.created_at
        answer.total += 1
        answer.now += bool(limits_now)
        findings = _findings(row, tried, given, ruled) if rules else Findings()
        if findings.denied_by is not None:
            answer.denied += 1
            continue
        for _, message in findings.errors:
            answer.errors[message] = answer.errors.get(message, 0) + 1
        _hold(answer, row, limits_then + _codes(findings), ends.get(row.pk))
    _show(answer)
    answer.sentences = _sentences(answer, mandate, asked)
    return answer


def _rows(mandate: Mandate, since: datetime, most: int) -> list[Proposal]:
    """The latest, in the order of time; one more than `most` where there are more."""
    found = (
        Proposal.objects.filter(
            agent=mandate.agent, action_type=mandate.action_type, created_at__gte=since, planted=False
        )
        .only(
            *("id", "created_at", "state", "tier", "amount", "currency", "subject_type", "subject_id"),
            *("subject_key", "reasons", "revision", "title", "agent_id", "action_type_id"),
        )
        .order_by("-created_at", "-id")[: most + 1]
    )
    return list(found)[::-1]


def _arguments(rows: list[Proposal]) -> Iterator[dict[str, Any]]:
    """The arguments as the agent first sent them, which is what rules saw; in the order of `rows`, a few at a time."""
    first = Revision.objects.filter(proposal__in=[row.pk for row in rows], number=1)
    for revision in first.order_by("proposal__created_at", "proposal_id").iterator(chunk_size=100):
        yield revision.arguments


def _findings(row: Proposal, tried: Mandate, arguments: dict[str, Any], rules: DomainPolicy) -> Findings:
    """What the rule says, by the function that routes."""
    about = Subjects(row.amount, row.currency, row.subject_type, row.subject_id)
    gathered = facts.collect(
        agent=tried.agent,
        action_type=tried.action_type,
        mandate=tried,
        arguments=arguments,
        subjects=about,
        rules=rules,
        now=row.created_at,
        with_windows=False,
    )
    return gathered.findings


def _codes(findings: Findings) -> list[str]:
    """What the rule would do, as codes of reasons."""
    lowers = [
        rule for rule in findings.caps if rule.cap is not None and rank(rule.cap) < rank(Tier.ON_THE_LOOP)
    ]
    return [
        *(["rule_error"] if findings.errors else []),
        *(["rule"] if findings.reviews else []),
        *(["cap"] if lowers else []),
    ]


def _hold(answer: Answer, row: Proposal, codes: list[str], end: tuple[str, Decimal] | None) -> None:
    if not codes:
        return
    ended = _end(row, end)
    answer.held.add(ended)
    answer.by_rule += any(reason.get("code") in _BY_RULE for reason in row.reasons)
    for code in dict.fromkeys(codes):
        line = answer.lines.setdefault(code, Line(_WORDS.get(code, code.replace("_", " "))))
        line.ends.add(ended)
        line.examples = [*line.examples[-2:], row.pk]


def _ends(mandate: Mandate, since: datetime) -> dict[UUID, tuple[str, Decimal]]:
    """(verdict, loss) that stands by now, by proposal."""
    rows = (
        Evidence.objects.filter(
            agent=mandate.agent,
            action_type=mandate.action_type,
            judged_at__gte=since,
            proposal_id__isnull=False,
            basis__in=["decision", "veto", "audit", "second", "outcome", "incident", "dispute"],
        )
        .exclude(basis="second", corrects=None)
        .order_by("-id")
        .values_list("proposal_id", "verdict", "loss")[: 2 * MOST]
    )
    return {proposal: (verdict, loss) for proposal, verdict, loss in reversed(list(rows)) if proposal}


def _end(row: Proposal, judged: tuple[str, Decimal] | None) -> str:
    if row.state == State.REJECTED:
        return "rejected"
    if judged is None or judged[0] == "missed":
        return "unknown"
    verdict, loss = judged
    if verdict == "edit":
        return "edited"
    if loss >= _WRONG:
        return "rejected"
    return "edited" if loss > 0 else "fine"


# ── Windows, rolled over the record ───────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Held:
    """What one window holds: when, how much of the limit's currency, whether it has such an amount at all."""

    rows: deque[tuple[datetime, Decimal, bool]] = field(default_factory=deque)
    amount: Decimal = Decimal(0)
    paid: int = 0

    def add(self, at: datetime, amount: Decimal | None) -> None:
        self.rows.append((at, amount or Decimal(0), amount is not None))
        self.amount += amount or 0
        self.paid += amount is not None

    def until(self, since: datetime) -> Usage:
        while self.rows and self.rows[0][0] <= since:
            _, amount, paid = self.rows.popleft()
            self.amount -= amount
            self.paid -= paid
        return Usage(len(self.rows), self.amount, self.paid)


class _Windows:
    """One mandate's limits, asked for one proposal after the other in the order of time."""

    def __init__(self, mandate: Mandate) -> None:
        self.limits = facts.limits_of(mandate, mandate.action_type)
        self.moves_money = bool(mandate.action_type.amount_pointer)
        self.whole = _Held()
        self.nobody = _Held()
        self.about: dict[str, _Held] = {}

    def reasons(self, row: Proposal) -> list[str]:
        """The codes of the limits it would have passed, then it counts itself if it ran or still may."""
        since = row.created_at - timedelta(hours=self.limits.window_hours)
        whole = self.whole.until(since)
        found = routing.limit_reasons(
            Facts(
                agent_state="live",
                tier=None,
                limits=self.limits,
                usage=whole,
                amount=row.amount,
                currency=row.currency,
                findings=Findings(),
                default_queue=None,
                queue_quorum={},
                subject=subjects.words(row.subject_type, row.subject_id),
                subject_usage=self._about(row.subject_key, since, whole),
                moves_money=self.moves_money,
            )
        )
        if row.state in states.LIVE:
            self._count(row)
        return [reason.code for reason in found]

    def _about(self, key: str, since: datetime, whole: Usage) -> Usage:
        """What names no subject may be about any; who names none is compared with all (approvals.usage)."""
        if not key:
            return whole
        nobody = self.nobody.until(since)
        own = self.about[key].until(since) if key in self.about else Usage(0, Decimal(0))
        return replace(
            own,
            count=own.count + nobody.count,
            amount=own.amount + nobody.amount,
            paid=own.paid + nobody.paid,
        )

    def _count(self, row: Proposal) -> None:
        has_amount = row.amount is not None and row.currency == self.limits.currency
        amount = abs(row.amount) if has_amount and row.amount is not None else None
        self.whole.add(row.created_at, amount)
        held = self.about.setdefault(row.subject_key, _Held()) if row.subject_key else self.nobody
        held.add(row.created_at, amount)


# ── In words ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _show(answer: Answer) -> None:
    """The examples, by one query."""
    wanted = [pk for line in answer.lines.values() for pk in line.examples]
    found = {row.pk: row for row in Proposal.objects.filter(pk__in=wanted).only("id", "title")}
    for line in answer.lines.values():
        line.shown = [found[pk] for pk in reversed(line.examples) if pk in found]


def _sentences(answer: Answer, mandate: Mandate, asked: Asked) -> list[str]:
    lead = _lead(mandate, asked)
    total = (
        f"the last {answer.days} days' {answer.total:,} {'proposal' if answer.total == 1 else 'proposals'}"
    )
    if not answer.total:
        return [f"Nothing was proposed in the last {answer.days} days."]
    held = answer.held
    found = [
        f"With {lead}, {held.number:,} of {total} would have gone to review"
        + (f"; {_ended(held)}." if held.number else ".")
    ]
    found.append(f"By the limits in force it is {answer.now:,}.")
    if answer.by_rule:
        found.append(
            f"{answer.by_rule:,} of the {held.number:,} went to review by a rule of the policy anyway."
        )
    if answer.denied:
        found.append(f"The rule would have denied {answer.denied:,}.")
    if rank(mandate.tier) < rank(Tier.ON_THE_LOOP):
        found.append(
            f"The mandate is {Tier(mandate.tier).label.lower()}, so a person looks at all of them today; these would "
            "go to one even with more autonomy."
        )
    return found


def _ended(held: Ends) -> str:
    parts = [f"{held.rejected:,} of those {'was' if held.rejected == 1 else 'were'} rejected or found wrong"]
    if held.edited:
        parts.append(f"{held.edited:,} edited")
    parts.append(f"{held.fine:,} right as proposed")
    if held.unknown:
        parts.append(f"of {held.unknown:,} nobody has judged")
    return ", ".join(parts)


def _lead(mandate: Mandate, asked: Asked) -> str:
    """What is tried, in words."""
    unit = f" {mandate.action_type.currency}".rstrip()
    window = f"within {asked.window_hours} h"
    forms = {
        "max_amount": f"a cap of {{}}{unit}",
        "window_count": f"at most {{}} {window}",
        "window_amount": f"at most {{}}{unit} {window}",
        "subject_count": f"at most {{}} about one subject {window}",
        "subject_amount": f"at most {{}}{unit} about one subject {window}",
    }
    given = {name: asked.limits.get(name) for name in forms}
    parts = [forms[name].format(_plain(value)) for name, value in given.items() if value is not None]
    if asked.rule:
        parts.append("the rule")
    return " and ".join(parts) or "no limits"


def _plain(value: Decimal | int) -> str:
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return f"{value:.0f}"
    return str(value)
