"""Submitting: tiers, caps, limits, the audit draw, and what a repeat answers."""

import random
import secrets
from decimal import Decimal
from typing import Any

import pytest

from agents import authority
from agents.autonomy import Tier
from agents.exceptions import ArgumentsInvalid, BadCredential
from agents.models import ActionType, Mandate
from agents.services import action_types, credentials
from agents.services.action_types import Definition
from approvals import representation
from approvals.exceptions import IdempotencyConflict
from approvals.models import Decision, Grant, PolicyVersion, Proposal, Queue
from approvals.requests import Subject
from approvals.services import amend, submit
from approvals.states import State
from audit import chain
from audit.models import AuditEvent
from tests.factories import ARGUMENTS, REFUND_SCHEMA, Desk, admin, desk, earned, policy, queue

pytestmark = pytest.mark.django_db


def codes(proposal: Proposal) -> list[str]:
    return [reason["code"] for reason in proposal.reasons]


@pytest.mark.parametrize(
    ("tier", "veto", "state", "granted"),
    [
        (Tier.ADVISORY, 300, State.PENDING, False),
        (Tier.IN_THE_LOOP, 300, State.PENDING, False),
        (Tier.ON_THE_LOOP, 300, State.SCHEDULED, False),
        (Tier.ON_THE_LOOP, 0, State.APPROVED, True),
        (Tier.OUT_OF_THE_LOOP, 300, State.APPROVED, True),
    ],
)
def test_the_tier_says_who_is_asked(tier: Tier, veto: int, state: State, granted: bool) -> None:
    the = desk(tier, veto_seconds=veto)
    proposal = the.propose()
    assert (proposal.state, proposal.tier, codes(proposal)) == (state, tier, ["tier"])
    assert Grant.objects.exists() is granted
    assert Decision.objects.exists() is granted
    assert (proposal.effective_at is not None) is (state == State.SCHEDULED)
    if granted:
        assert (Decision.objects.get().decider, Decision.objects.get().label) == (None, "policy")


def test_a_tier_above_its_ceiling_is_not_used() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    Mandate.objects.update(ceiling=Tier.IN_THE_LOOP)
    authority.bump()
    assert the.propose().state == State.PENDING


@pytest.mark.parametrize(
    ("rule", "state", "tier", "code"),
    [
        ({"when": "true", "cap": "in_the_loop"}, "pending", "in_the_loop", "cap"),
        ({"when": "true", "cap": "on_the_loop"}, "scheduled", "on_the_loop", "cap"),
        ({"when": "true", "cap": "advisory"}, "pending", "advisory", "cap"),
        ({"when": "true", "review": {}}, "pending", "in_the_loop", "rule"),
        ({"when": "true", "deny": "No."}, "denied", "out_of_the_loop", "rule_denies"),
        ({"when": "args.missing > 1", "cap": "advisory"}, "pending", "in_the_loop", "rule_error"),
        ({"when": "args.missing > 1", "deny": "No."}, "pending", "in_the_loop", "rule_error"),
        ({"when": "args.order_id", "review": {}}, "pending", "in_the_loop", "rule_error"),
        ({"when": "amount > 100.0", "deny": "No."}, "approved", "out_of_the_loop", "tier"),
        ({"when": "amount == 42.5", "deny": "No."}, "denied", "out_of_the_loop", "rule_denies"),
        ({"when": "history.proposed == 0", "deny": "No."}, "denied", "out_of_the_loop", "rule_denies"),
        ({"when": "action.risk == 'medium'", "deny": "No."}, "denied", "out_of_the_loop", "rule_denies"),
    ],
    ids=str,
)  # fmt: skip
def test_rules_hold_the_tier_back(rule: dict[str, Any], state: str, tier: str, code: str) -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    policy([{"name": "r", **rule}], the.queue)
    proposal = the.propose()
    assert (proposal.state, proposal.tier, codes(proposal)[0]) == (state, tier, code)
    assert proposal.policy_version == PolicyVersion.objects.latest("id")


def test_a39_nine_small_ones_meet_the_aggregate_rule() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    policy(
        [
            {
                "name": "aggregate",
                "when": "history.subject_amount + amount > 100.0",
                "review": {"quorum": 2},
            }
        ],
        the.queue,
    )
    found = [
        the.propose({**ARGUMENTS, "amount": 30}, subject=Subject("customer", "c-17")).state for _ in range(5)
    ]
    assert found == ["approved", "approved", "approved", "pending", "pending"]


@pytest.mark.parametrize(
    ("terms", "states"),
    [
        ({"window_count": 2}, ["approved", "approved", "pending"]),
        ({"window_amount": 100}, ["approved", "approved", "pending"]),
        ({"max_amount": 42}, ["pending", "pending", "pending"]),
        ({"max_amount": "42.5"}, ["approved", "pending", "pending"]),  # no subject: they may be one split
        ({"window_count": 0}, ["pending", "pending", "pending"]),
    ],
    ids=str,
)
def test_limits_send_to_review(terms: dict[str, Any], states: list[str]) -> None:
    the = desk(Tier.OUT_OF_THE_LOOP, **terms)
    assert [the.propose().state for _ in range(3)] == states


def money_desk(**extra: Any) -> Desk:
    the = desk(Tier.OUT_OF_THE_LOOP, max_amount=100)
    schema = {
        "type": "object",
        "properties": {"amount": {}, "currency": {}, "order_id": {"type": "string"}},
    }
    action_types.save(
        definition=Definition(
            name=the.action_type.name,
            domain="customer_operations",
            label="Pay",
            schema=schema,
            title_template="Pay {amount}",
            amount_pointer="/amount",
            currency="EUR",
            currency_pointer="/currency",
            **extra,
        ),
        actor=admin(),
    )
    return the


@pytest.mark.parametrize(
    ("arguments", "state", "amount"),
    [
        ({"amount": 99}, "approved", Decimal(99)),
        ({"amount": "99", "currency": "EUR"}, "approved", Decimal(99)),
        ({"amount": 99, "currency": "KWD"}, "pending", Decimal(99)),
        ({"amount": 99, "currency": "KWD "}, "pending", Decimal(99)),
        ({"amount": 99, "currency": "Kuwaiti dinar"}, "pending", Decimal(99)),
        ({"amount": 99, "currency": 5}, "pending", Decimal(99)),
        ({"amount": "9999999999999999.999"}, "pending", None),
        ({"amount": "1e400"}, "pending", None),
        ({"amount": "99 EUR"}, "pending", None),
        ({"amount": [99]}, "pending", None),
        ({"amount": -101}, "pending", Decimal(-101)),
        ({}, "pending", None),
    ],
    ids=str,
)
def test_amounts_that_limits_cannot_judge_are_reviewed(
    arguments: dict[str, Any], state: str, amount: Decimal | None
) -> None:
    proposal = money_desk().propose(arguments)
    assert (proposal.state, proposal.amount) == (state, amount)


def test_an_unreadable_amount_is_reviewed_even_where_no_limit_asks() -> None:
    """A rule `amount != null && amount > 1000` would let it through."""
    the = money_desk()
    Mandate.objects.update(max_amount=None)
    authority.bump()
    assert codes(the.propose({"amount": "9" * 30})) == ["amount_unreadable"]


def test_no_queue_means_denied_where_somebody_must_look() -> None:
    the = desk(Tier.ON_THE_LOOP, window_count=1)
    ActionType.objects.update(domain="nobodys")
    authority.bump()
    assert [codes(the.propose())[-1] for _ in range(2)] == ["no_queue", "no_queue"]
    Mandate.objects.update(ceiling=Tier.OUT_OF_THE_LOOP, window_count=None)
    earned(the.mandate, Tier.OUT_OF_THE_LOOP)
    assert the.propose().state == State.APPROVED


def test_without_a_mandate_it_is_denied_and_said_why() -> None:
    the = desk()
    Mandate.objects.update(active=False)
    authority.bump()
    proposal = the.propose()
    assert (proposal.state, codes(proposal), proposal.queue) == ("denied", ["no_mandate"], None)


# The audit draw (I11)


@pytest.mark.parametrize(
    ("tier", "probability"),
    [(Tier.IN_THE_LOOP, 0.10), (Tier.ON_THE_LOOP, 0.50), (Tier.OUT_OF_THE_LOOP, 0.20)],
)
@pytest.mark.parametrize("drawn", [True, False])
def test_the_draw_is_recorded_and_not_to_be_seen(
    monkeypatch: pytest.MonkeyPatch, tier: Tier, probability: float | None, drawn: bool
) -> None:
    monkeypatch.setattr(submit._random, "random", lambda: 0.0 if drawn else 0.999)
    the = desk(tier)
    proposal = the.propose()
    assert (proposal.sample_probability, proposal.sampled) == (probability, drawn)
    told = representation.of(proposal).decode()
    content = AuditEvent.objects.filter(object_id=str(proposal.pk)).values_list("content", flat=True)
    for text in (told, *content):
        assert "sampl" not in text
        assert "probab" not in text


def test_the_representation_is_the_same_drawn_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    the = desk(Tier.ON_THE_LOOP)
    shapes = []
    for chance in (0.0, 0.999):
        monkeypatch.setattr(submit._random, "random", lambda value=chance: value)
        shown = representation.as_dict(the.propose())
        shapes.append(
            {name: shown[name] for name in shown if name not in ("id", "arguments") and "_at" not in name}
        )
    assert shapes[0] == shapes[1]


def test_the_draw_comes_from_the_operating_systems_chance() -> None:
    assert type(submit._random) is random.SystemRandom is secrets.SystemRandom


# Repeats


def test_a_repeat_after_the_schema_has_changed_is_answered() -> None:
    the = desk()
    first = the.propose(key="k")
    stricter = {**REFUND_SCHEMA, "required": ["order_id", "amount", "iban"]}
    action_types.save(
        definition=Definition(
            name=the.action_type.name,
            domain="customer_operations",
            label="Refund",
            schema=stricter,
            title_template="Refund {amount}",
            amount_pointer="/amount",
            currency="EUR",
        ),
        actor=admin(),
    )
    assert the.propose(key="k").pk == first.pk
    with pytest.raises(IdempotencyConflict):
        the.propose({**ARGUMENTS, "amount": 1}, key="k")
    with pytest.raises(ArgumentsInvalid):
        the.propose(key="other")


def test_a_repeat_after_the_mandate_has_gone_is_answered() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    first = the.propose(key="k")
    Mandate.objects.update(active=False)
    authority.bump()
    assert the.propose(key="k").pk == first.pk
    assert Proposal.objects.count() == 1


def test_the_same_key_of_another_agent_is_another_proposal() -> None:
    other, the = desk(), desk()
    assert other.propose(key="k").pk != the.propose(key="k").pk


def test_a_withdrawn_proposals_key_stays_taken() -> None:
    the = desk()
    first = the.propose(key="k")
    amend.withdraw(proposal_id=first.pk, agent=the.agent, reason="")
    assert (the.propose(key="k").pk, the.propose(key="k").state) == (first.pk, "withdrawn")


def test_a_parent_is_a_proposal_of_ones_own() -> None:
    other, the = desk(), desk()
    first = the.propose()
    assert the.propose(parent_id=first.pk).parent == first
    with pytest.raises(ArgumentsInvalid):
        the.propose(parent_id=other.propose().pk)


def test_a_revoked_credential_is_refused_whatever_this_process_remembers() -> None:
    the = desk()
    the.propose()
    stale = authority.cache()
    credentials.revoke(credential_id=the.credential.pk, actor=admin())
    authority._cache = stale
    with pytest.raises(BadCredential):
        the.propose()


def test_a_schema_that_was_tightened_holds_whatever_this_process_remembers() -> None:
    the = desk()
    the.propose()
    stale = authority.cache()
    ActionType.objects.filter(pk=the.action_type.pk).update(schema={"type": "object", "maxProperties": 0})
    authority.bump()
    authority._cache = stale
    with pytest.raises(ArgumentsInvalid):
        the.propose()


def test_a_policy_published_meanwhile_routes_whatever_this_process_remembers() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    the.propose()
    stale = authority.cache()
    policy([{"name": "stop", "when": "true", "deny": "Stop."}], the.queue)
    authority._cache = stale
    assert the.propose().state == State.DENIED


def test_stored_audit_content_is_the_committed_content() -> None:
    """The row travels as JSON inside SQL: escapes of escapes must come out as they went in."""
    the = desk()
    policy([{"name": "odd", "when": 'args.order_id != "\\\\ \\" {} %s é 😀"', "review": {}}], the.queue)
    the.propose({**ARGUMENTS, "order_id": "\\u0041 \" ' é 😀 %s {0} \u2028\x7f"})
    for event in AuditEvent.objects.all():
        assert chain.commitment(bytes(event.salt), event.content.encode()) == bytes(event.commitment)
        assert chain.canonical(event.data) == event.content.encode()


def test_the_queue_that_is_named_is_the_queue() -> None:
    the = desk()
    finance = queue()
    policy(
        [{"name": "f", "when": "true", "review": {"queue": finance.slug, "quorum": 2, "roles": ["X"]}}],
        the.queue,
    )
    proposal = the.propose()
    assert (proposal.queue, proposal.quorum, proposal.roles) == (finance, 2, ["X"])
    assert Queue.objects.count() == 2
