"""Routing: total, safe by default. Only an earned tier, uncapped and within every limit, passes without a person."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.autonomy import Tier, rank
from approvals import routing
from approvals.policy import Findings, Rule
from approvals.routing import Budget, Facts, Limits, Usage
from approvals.states import INITIAL, State

PROGRAM = cel.compile("true")


def rule(name: str = "r", **effect: Any) -> Rule:
    return Rule(name=name, when="true", program=PROGRAM, **effect)


def limits(**values: Any) -> Limits:
    return Limits(
        **{
            "max_amount": None,
            "window_hours": 24,
            "window_count": None,
            "window_amount": None,
            "currency": "EUR",
            **values,
        }
    )


def budget(**values: Any) -> Budget:
    return Budget(**{"hours": 24, "count": None, "amount": None, "currency": "EUR", **values})


def facts(**values: Any) -> Facts:
    defaults: dict[str, Any] = {
        "agent_state": "live",
        "tier": Tier.IN_THE_LOOP,
        "limits": limits(),
        "usage": None,
        "amount": Decimal(10),
        "currency": "EUR",
        "findings": Findings(),
        "default_queue": "desk",
        "queue_quorum": {"desk": 1, "finance": 2},
        "veto_seconds": 300,
    }
    return Facts(**{**defaults, **values})


ADVISORY, IN, ON, OUT = Tier.ADVISORY, Tier.IN_THE_LOOP, Tier.ON_THE_LOOP, Tier.OUT_OF_THE_LOOP
ELEVEN = Usage(1, Decimal(11))
ABOUT, NOTHING = Usage(2, Decimal(11), 2), Usage(0, Decimal(0))
WINDOW_AMOUNT, SUBJECT_AMOUNT = "limit_window_amount", "limit_subject_amount"
DENIED, PENDING, SCHEDULED, APPROVED = State.DENIED, State.PENDING, State.SCHEDULED, State.APPROVED
HIGH = {"tier": OUT}


@pytest.mark.parametrize(
    ("values", "state", "tier", "code"),
    [
        ({"agent_state": "suspended"}, DENIED, IN, "agent_not_live"),
        ({"agent_state": "retired", **HIGH}, DENIED, OUT, "agent_not_live"),
        ({"tier": None}, DENIED, IN, "no_mandate"),
        ({"findings": Findings(rule(deny="No."))}, DENIED, IN, "rule_denies"),
        ({"findings": Findings(rule(deny="No.")), **HIGH}, DENIED, OUT, "rule_denies"),
        ({"tier": ADVISORY}, PENDING, ADVISORY, "tier"),
        ({}, PENDING, IN, "tier"),
        ({"tier": ON}, SCHEDULED, ON, "tier"),
        ({"tier": ON, "veto_seconds": 0}, APPROVED, ON, "tier"),
        (HIGH, APPROVED, OUT, "tier"),
        ({"findings": Findings(caps=[rule(cap=ON)]), **HIGH}, SCHEDULED, ON, "cap"),
        ({"findings": Findings(caps=[rule(cap=IN)]), **HIGH}, PENDING, IN, "cap"),
        ({"findings": Findings(caps=[rule(cap=ADVISORY)]), **HIGH}, PENDING, ADVISORY, "cap"),
        ({"findings": Findings(caps=[rule(cap=OUT)])}, PENDING, IN, "tier"),
        ({"findings": Findings(reviews=[rule(review={})]), **HIGH}, PENDING, IN, "rule"),
        ({"findings": Findings(errors=[(rule(cap=ADVISORY), "boom")]), **HIGH}, PENDING, IN, "rule_error"),
        ({"limits": limits(max_amount=Decimal("9.99")), **HIGH}, PENDING, IN, "limit_amount"),
        ({"limits": limits(max_amount=Decimal(10)), **HIGH}, APPROVED, OUT, "tier"),
        ({"limits": limits(max_amount=Decimal(10)), "amount": Decimal(-11), **HIGH}, PENDING, IN, "limit_amount"),
        ({"limits": limits(max_amount=Decimal(10)), "amount": None, **HIGH}, PENDING, IN, "limit_amount"),
        ({"limits": limits(max_amount=Decimal(99)), "currency": "KWD", **HIGH}, PENDING, IN, "limit_currency"),
        ({"limits": limits(max_amount=Decimal(99)), "currency": "", **HIGH}, PENDING, IN, "limit_currency"),
        ({"limits": replace(limits(max_amount=Decimal(99)), currency=""), **HIGH}, PENDING, IN, "limit_currency"),
        ({"limits": limits(window_count=3), "usage": Usage(3, Decimal(0)), **HIGH}, PENDING, IN, "limit_window_count"),
        ({"limits": limits(window_count=3), "usage": Usage(2, Decimal(0)), **HIGH}, APPROVED, OUT, "tier"),
        ({"limits": limits(window_count=0), "usage": Usage(0, Decimal(0)), **HIGH}, PENDING, IN, "limit_window_count"),
        ({"limits": limits(window_amount=Decimal(20)), "usage": ELEVEN, **HIGH}, PENDING, IN, WINDOW_AMOUNT),
        ({"amount": None, "amount_unreadable": True, **HIGH}, PENDING, IN, "amount_unreadable"),
        ({"stopped": "Everything is stopped: odd.", **HIGH}, DENIED, OUT, "stopped"),
        ({"stopped": "Everything is stopped: odd."}, DENIED, IN, "stopped"),
        ({"held": True, **HIGH}, PENDING, IN, "escalated"),
        ({"held": True, "tier": ON}, PENDING, IN, "escalated"),
        ({"held": True}, PENDING, IN, "tier"),
        ({"limits": limits(max_amount=Decimal(20)), "subject_usage": ABOUT, **HIGH}, PENDING, IN, "limit_split"),
        ({"limits": limits(max_amount=Decimal(21)), "subject_usage": ABOUT, **HIGH}, APPROVED, OUT, "tier"),
        ({"limits": limits(subject_amount=Decimal(20)), "subject_usage": ABOUT, **HIGH}, PENDING, IN, SUBJECT_AMOUNT),
        ({"limits": limits(subject_amount=Decimal(9)), "subject_usage": NOTHING, **HIGH}, PENDING, IN, SUBJECT_AMOUNT),
        ({"limits": limits(max_amount=Decimal(20), subject_amount=Decimal(99)), "subject_usage": ABOUT, **HIGH},
         APPROVED, OUT, "tier"),
        ({"limits": limits(subject_amount=Decimal(99)), "currency": "USD", "subject_usage": NOTHING, **HIGH},
         PENDING, IN, "limit_currency"),
        ({"limits": limits(subject_amount=Decimal(99)), "amount": None, "subject_usage": NOTHING, **HIGH},
         PENDING, IN, "limit_amount"),
        ({"limits": limits(subject_count=2), "subject_usage": ABOUT, **HIGH}, PENDING, IN, "limit_subject_count"),
        ({"limits": limits(subject_count=3), "subject_usage": ABOUT, **HIGH}, APPROVED, OUT, "tier"),
        ({"budget": budget(count=2), "budget_usage": ABOUT, **HIGH}, PENDING, IN, "limit_agent_count"),
        ({"budget": budget(amount=Decimal(20)), "budget_usage": ABOUT, **HIGH}, PENDING, IN, "limit_agent_amount"),
        ({"budget": budget(amount=Decimal(21)), "budget_usage": ABOUT, **HIGH}, APPROVED, OUT, "tier"),
        ({"budget": budget(amount=Decimal(99)), "budget_usage": ABOUT, "currency": "USD", **HIGH},
         PENDING, IN, "limit_agent_currency"),
        ({"budget": budget(amount=Decimal(99)), "budget_usage": ABOUT, "amount": None, **HIGH},
         PENDING, IN, "limit_agent_amount"),
        ({"budget": budget(amount=Decimal(99)), "budget_usage": ABOUT, "amount": None, "moves_money": False, **HIGH},
         APPROVED, OUT, "tier"),
        ({"default_queue": None}, DENIED, IN, "no_queue"),
        ({"default_queue": None, "limits": limits(max_amount=Decimal(1)), **HIGH}, DENIED, IN, "limit_amount"),
        ({"default_queue": None, "tier": ON}, DENIED, ON, "no_queue"),
        ({"default_queue": None, "tier": ON, "veto_seconds": 0}, APPROVED, ON, "tier"),
    ],
    ids=str,
)  # fmt: skip
def test_route(values: dict[str, Any], state: State, tier: Tier, code: str) -> None:
    found = routing.route(facts(**values))
    assert (found.state, found.tier, found.reasons[0].code) == (state, tier, code)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"limits": limits(max_amount=Decimal(500)), "subject_usage": Usage(2, Decimal(610), 2)},
            "3 about customer c-17 within 24 h add up to 620 EUR, more than 500 per action.",
        ),
        (
            {
                "limits": limits(subject_amount=Decimal("99.50")),
                "subject_usage": Usage(1, Decimal("90.25"), 1),
            },
            "2 about customer c-17 within 24 h add up to 100.25 EUR; the limit is 99.50.",
        ),
        (
            {
                "limits": limits(max_amount=Decimal(15)),
                "subject_usage": Usage(1, Decimal(10), 1),
                "subject": "",
            },
            "2 that may be about the same subject, since none is named, within 24 h add up to 20 EUR, more than 15 "
            "per action.",
        ),
        (
            {"limits": limits(subject_count=2), "subject_usage": Usage(2, Decimal(0))},
            "3 of these about customer c-17 within 24 h; the limit is 2.",
        ),
        (
            {"budget": budget(amount=Decimal(1000)), "budget_usage": Usage(4, Decimal(995), 4)},
            "995 EUR in the last 24 h by all mandates of this agent; its budget is 1000.",
        ),
    ],
    ids=["split", "sum", "nobody", "count", "budget"],
)
def test_what_a_limit_says(values: dict[str, Any], words: str) -> None:
    found = routing.limit_reasons(facts(**{"subject": "customer c-17", **values}))
    assert [one.detail for one in found] == [words]
    assert found[0].code in routing.LIMIT_CODES


def test_queue_quorum_and_roles_add_up() -> None:
    found = routing.route(
        facts(
            findings=Findings(
                reviews=[
                    rule("one", review={"roles": ["Legal"]}),
                    rule("two", review={"queue": "finance", "quorum": 3, "roles": ["Finance", "Legal"]}),
                    rule("three", review={"queue": "desk"}),
                ]
            )
        )
    )
    assert (found.queue, found.quorum, found.roles) == ("finance", 3, ["Legal", "Finance"])


def test_the_queues_own_quorum_is_the_least() -> None:
    found = routing.route(facts(findings=Findings(reviews=[rule(review={"queue": "finance", "quorum": 1})])))
    assert found.quorum == 2


EFFECTS = st.sampled_from(
    [rule(cap=tier) for tier in Tier] + [rule(review={}), rule(review={"queue": "finance", "quorum": 2})]
)
FINDINGS = st.builds(
    Findings,
    st.none() | st.just(rule(deny="No.")),
    st.lists(EFFECTS.filter(lambda one: one.review is not None), max_size=2),
    st.lists(EFFECTS.filter(lambda one: one.cap is not None), max_size=2),
    st.lists(st.tuples(EFFECTS, st.just("boom")), max_size=1),
)
AMOUNTS = st.none() | st.decimals(-1000, 1000, places=2)
USAGES = st.builds(Usage, st.integers(0, 6), st.decimals(0, 1000, places=2), st.integers(0, 6))
ALL_FACTS = st.builds(
    Facts,
    agent_state=st.sampled_from(["live", "suspended", "retired", "", "LIVE"]),
    tier=st.none() | st.sampled_from(Tier),
    limits=st.builds(
        Limits,
        st.none() | st.decimals(0, 1000, places=2),
        st.integers(1, 100),
        st.none() | st.integers(0, 5),
        st.none() | st.decimals(0, 1000, places=2),
        st.sampled_from(["", "EUR"]),
        st.none() | st.integers(0, 5),
        st.none() | st.decimals(0, 1000, places=2),
    ),
    usage=USAGES,
    amount=AMOUNTS,
    currency=st.sampled_from(["", "EUR", "USD"]),
    findings=FINDINGS,
    default_queue=st.none() | st.just("desk"),
    queue_quorum=st.just({"desk": 1, "finance": 2}),
    veto_seconds=st.integers(0, 5),
    amount_unreadable=st.booleans(),
    subject=st.sampled_from(["", "customer c-17"]),
    subject_usage=USAGES,
    moves_money=st.booleans(),
    budget=st.none()
    | st.builds(
        Budget,
        st.integers(1, 100),
        st.none() | st.integers(0, 5),
        st.none() | st.decimals(0, 1000, places=2),
        st.just("EUR"),
    ),
    budget_usage=USAGES,
    held=st.booleans(),
    stopped=st.sampled_from(["", "Everything is stopped: odd."]),
)


@given(ALL_FACTS)
def test_nothing_passes_without_a_person_unless_all_allows_it(known: Facts) -> None:
    found = routing.route(known)
    assert found.state in INITIAL
    assert found.reasons
    assert known.tier is None or rank(found.tier) <= rank(known.tier)
    if found.state == State.PENDING:
        assert found.queue is not None
        assert rank(found.tier) <= rank(Tier.IN_THE_LOOP)
    if found.state in (State.SCHEDULED, State.APPROVED):
        assert known.agent_state == "live"
        assert known.tier is not None
        assert rank(found.tier) >= rank(Tier.ON_THE_LOOP)
        assert known.findings.denied_by is None
        assert not known.findings.reviews
        assert not known.findings.errors
        assert not known.amount_unreadable
        assert not known.held
        assert not known.stopped
        _is_within_every_limit(known)
        assert routing.limit_reasons(known) == []
        assert all(one.cap is None or rank(one.cap) >= rank(found.tier) for one in known.findings.caps)
    if found.state == State.SCHEDULED:
        assert found.queue is not None


def _is_within_every_limit(known: Facts) -> None:
    """Said once more in other words than the code's: what passes leaves every sum within its limit."""
    size, limits, budget = abs(known.amount or Decimal(0)), known.limits, known.budget
    assert limits is not None and known.usage is not None and known.subject_usage is not None
    for most, used in (
        (limits.max_amount, Decimal(0)),
        (limits.window_amount, known.usage.amount),
        (limits.subject_amount, known.subject_usage.amount),
    ):
        if most is not None:
            assert known.amount is not None and known.currency == limits.currency
            assert used + size <= most
    if limits.max_amount is not None and limits.subject_amount is None and known.subject_usage.paid:
        assert known.subject_usage.amount + size <= limits.max_amount
    for count, already in (
        (limits.window_count, known.usage.count),
        (limits.subject_count, known.subject_usage.count),
        (budget.count if budget else None, known.budget_usage.count if known.budget_usage else 0),
    ):
        assert count is None or already < count
    if budget is not None and budget.amount is not None and known.moves_money:
        assert known.amount is not None and known.currency == budget.currency
        assert known.budget_usage is not None and known.budget_usage.amount + size <= budget.amount
