"""Limits per subject and per agent: one large action does not pass as many small ones, by no way of writing it."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.exceptions import Invalid, NotAllowed
from agents.autonomy import Tier
from agents.models import Agent, Mandate
from agents.services import action_types, budgets, mandates
from agents.services.budgets import Budget
from approvals import subjects
from approvals.exceptions import GrantRefused, LimitReached
from approvals.models import Proposal
from approvals.requests import Subject
from approvals.services import expire
from approvals.services.redeem import redeem
from approvals.states import State
from audit.models import AuditEvent
from tests.factories import Desk, action_type, admin, desk, earned, person, policy

pytestmark = pytest.mark.django_db
OUT = Tier.OUT_OF_THE_LOOP


def pay(the: Desk, amount: Any = 200, subject: str | None = "c-17", kind: str = "customer") -> Proposal:
    about = None if subject is None else Subject(type=kind, id=subject)
    return the.propose({"order_id": "A", "amount": amount}, subject=about)


def use(the: Desk, proposal: Proposal) -> Proposal:
    return redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=proposal.digest)


def code(proposal: Proposal) -> str:
    return str(proposal.reasons[0]["code"])


def budget(the: Desk, **values: Any) -> Desk:
    """The desk with this budget; its agent as the database has it."""
    saved = budgets.save(agent_id=the.agent.pk, budget=Budget(**values), actor=admin(), reason="")
    return replace(the, agent=saved)


def terms(the: Desk, **changed: Any) -> None:
    values = {**mandates.as_terms(Mandate.objects.get(pk=the.mandate.pk)).__dict__, **changed}
    mandates.save(
        agent_id=the.agent.pk, action_type=the.action_type.name, terms=mandates.Terms(**values), actor=admin()
    )


def another_type(the: Desk, **extra: Any) -> Desk:
    """The same agent with a mandate for one more action type."""
    kind = action_type(**extra)
    mandate = mandates.save(
        agent_id=the.agent.pk, action_type=kind.name, terms=mandates.Terms(ceiling=OUT), actor=admin()
    )
    assert isinstance(mandate, Mandate)
    earned(mandate, OUT)
    return replace(the, action_type=kind, mandate=mandate)


def test_many_small_ones_about_one_subject_are_one_large_one() -> None:
    the = desk(OUT, max_amount=500)
    states = [pay(the, amount).state for amount in (200, 220, 80)]
    third = pay(the, 0.01)
    assert states == ["approved", "approved", "approved"]
    assert (third.state, code(third)) == ("pending", "limit_split")
    assert third.reasons[0]["detail"] == (
        "4 about customer c-17 within 24 h add up to 500.01 EUR, more than 500 per action."
    )
    assert pay(the, 500, "c-18").state == "approved"


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        ("C-17", "customer"),
        (" c 17", "customer"),
        ("c\u200b-17", "customer"),
        ("\u0441-17", "customer"),
        ("\uff43-\uff11\uff17", "customer"),
        ("c-17", "client"),
        ("c-17", ""),
        (None, ""),
        ("-", "customer"),
    ],
    ids=ascii,
)
def test_no_way_of_writing_the_subject_splits_it(subject: str | None, kind: str) -> None:
    for first in (True, False):
        the = desk(OUT, max_amount=500)
        one, other = ("c-17", "customer"), (subject, kind)
        assert pay(the, 300, *(one if first else other)).state == "approved"
        last = pay(the, 300, *(other if first else one))
        assert (last.state, code(last)) == ("pending", "limit_split"), first


def test_another_action_type_and_a_negative_amount_add_up_too() -> None:
    the = desk(OUT, max_amount=500)
    voucher = another_type(the)
    assert pay(voucher, 300).state == "approved"
    schema = {
        **the.action_type.schema,
        "properties": {"order_id": {"type": "string"}, "amount": {"type": "number"}},
    }
    action_types.save(
        definition=replace(action_types.as_definition(the.action_type), schema=schema, material=["/amount"]),
        actor=admin(),
    )
    last = pay(the, -300)
    assert (last.state, code(last)) == ("pending", "limit_split")


def test_a_limit_of_its_own_for_the_sum_takes_the_place_of_the_most_per_action() -> None:
    the = desk(OUT, max_amount=500, subject_amount=700)
    assert [pay(the, 350).state, pay(the, 350).state] == ["approved", "approved"]
    over = pay(the, 1)
    assert (over.state, code(over)) == ("pending", "limit_subject_amount")


def test_actions_about_one_subject_are_counted_by_type() -> None:
    the = desk(OUT, subject_count=2)
    other = another_type(the)
    assert [pay(other, 1).state for _ in range(3)] == ["approved"] * 3
    found = [pay(the, 1) for _ in range(3)]
    assert [one.state for one in found] == ["approved", "approved", "pending"]
    assert code(found[2]) == "limit_subject_count"
    assert pay(the, 1, "c-18").state == "approved"


def test_only_one_currency_adds_up_and_another_goes_to_a_person() -> None:
    """Ten in dollars someone approved do not fill a window in euros; a proposal in dollars is never let through."""
    the = desk(OUT, window_amount=1000)
    definition = action_types.as_definition(the.action_type)
    properties = {**the.action_type.schema["properties"], "currency": {"type": "string"}}
    schema = {**the.action_type.schema, "properties": properties}
    action_types.save(
        definition=replace(definition, schema=schema, currency_pointer="/currency"), actor=admin()
    )

    def pay_in(currency: str, amount: int) -> Proposal:
        return the.propose({"order_id": "A", "amount": amount, "currency": currency})

    foreign = pay_in("USD", 900)
    assert (foreign.state, code(foreign)) == ("pending", "limit_currency")
    assert pay_in("EUR", 900).state == "approved"
    assert pay_in("EUR", 101).state == "pending"
    assert pay_in("eur", 1).state == "pending"


def test_the_window_ends_and_what_begins_late_counts_when_it_begins() -> None:
    """Grants saved up for the next window do not give two windows' worth at once."""
    the = desk(OUT, max_amount=500)
    kind = action_types.as_definition(the.action_type)
    action_types.save(definition=replace(kind, grant_seconds=86_400), actor=admin())
    start = timezone.now()
    with time_machine.travel(start, tick=False):
        saved = pay(the, 400)
    with time_machine.travel(start + timedelta(hours=23, minutes=59), tick=False):
        assert use(the, saved).state == State.EXECUTING
    with time_machine.travel(start + timedelta(hours=24, minutes=1), tick=False):
        later = pay(the, 400)
    assert (later.state, code(later)) == ("pending", "limit_split")
    with time_machine.travel(start + timedelta(hours=47, minutes=59, seconds=1), tick=False):
        assert pay(the, 400, "c-18").state == "approved"
        assert pay(the, 400, "C-17").state == "pending"  # the one that waits may still run
    with time_machine.travel(start + timedelta(hours=73), tick=False):
        assert pay(the, 400).state == "approved"


def test_a_budget_holds_over_all_mandates_of_the_agent() -> None:
    the = budget(desk(OUT), amount=Decimal(500), currency="EUR")
    voucher = another_type(the)
    ticket = another_type(the, amount_pointer="", currency="", title_template="Close {order_id}", material=[])
    assert [pay(the, 300, "a").state, pay(voucher, 200, "b").state] == ["approved", "approved"]
    over = pay(voucher, 1, "c")
    assert (over.state, code(over)) == ("pending", "limit_agent_amount")
    assert pay(ticket, 1, "d").state == "approved"  # it moves no money
    assert pay(desk(OUT), 300).state == "approved"


def test_a_budget_counts_actions_and_is_read_again_at_redemption() -> None:
    the = budget(desk(OUT), count=2)
    voucher = another_type(the)
    found = [pay(the, 1, "a"), pay(voucher, 1, "b"), pay(the, 1, "c")]
    assert [one.state for one in found] == ["approved", "approved", "pending"]
    budget(the, count=1)
    assert use(the, found[0]).state == State.EXECUTING
    with pytest.raises(LimitReached, match="its budget is 1"):
        use(voucher, found[1])


@pytest.mark.parametrize(
    "lowered", [{"subject_amount": Decimal(300)}, {"subject_count": 1}, {"max_amount": Decimal(300)}], ids=str
)
def test_redemption_reads_the_limits_about_a_subject_again(lowered: dict[str, Any]) -> None:
    the = desk(OUT)
    first, second = pay(the), pay(the)
    terms(the, **lowered)
    assert use(the, first).state == State.EXECUTING
    with pytest.raises(LimitReached):
        use(the, second)
    assert use(the, pay(the, 1, "c-18")).state == State.EXECUTING


def test_what_a_person_approved_may_run_and_counts_for_what_follows() -> None:
    the = desk(OUT, max_amount=500)
    large = pay(the, 600)
    the.decide(large, verdict="approve")  # type: ignore[arg-type]
    assert use(the, Proposal.objects.get(pk=large.pk)).state == State.EXECUTING
    assert code(pay(the, 1)) == "limit_split"


def test_probes_fill_no_window() -> None:
    the = desk(OUT, max_amount=500, window_count=1)
    pay(the, 400)
    Proposal.objects.update(planted=True)
    assert pay(the, 400).state == "approved"


def test_rules_see_the_sums() -> None:
    the = desk(OUT)
    voucher = another_type(the)
    when = "history.subject_total_amount + amount > 500.0 || history.agent_count > 2"
    policy([{"name": "sums", "when": when, "review": {}}], the.queue)
    assert [pay(the, 300).state, pay(voucher, 200, "C17").state] == ["approved", "approved"]
    assert pay(the, 1).state == "pending"
    assert pay(the, 1, "c-18").state == "pending"


# Under closer watch


def test_closer_watch_holds_what_cannot_be_undone() -> None:
    the = desk(OUT)
    window = desk(Tier.ON_THE_LOOP)
    granted, scheduled = the.propose(), window.propose()
    Mandate.objects.update(escalated=True)
    terms(the, window_count=99)  # authority has changed: caches are thrown away
    held = the.propose()
    assert (held.state, code(held)) == ("pending", "escalated")
    with pytest.raises(GrantRefused, match="more frequent"):
        use(the, granted)
    expire.close_veto_windows(now=timezone.now() + timedelta(days=1))
    assert Proposal.objects.get(pk=scheduled.pk).state == "rejected"
    undoing = action_type()
    kind = action_types.as_definition(the.action_type)
    action_types.save(definition=replace(kind, reversible_by=undoing.name), actor=admin())
    assert the.propose().state == "approved"


# What owners set and agents read


def test_an_agent_reads_what_is_left(client: Client) -> None:
    the = budget(desk(OUT, max_amount=500, subject_count=3), count=5, amount=Decimal(1000), currency="EUR")
    pay(the, 300)
    found = client.get("/api/v1/me", headers=the.headers).json()
    assert found["budget"] == {
        "hours": 24,
        "count": 5,
        "amount": "1000.00",
        "currency": "EUR",
        "left_count": 4,
        "left_amount": "700.00",
    }
    limits = found["mandates"][0]["limits"]
    assert (limits["subject_count"], limits["subject_amount"], found["mandates"][0]["stopped"]) == (
        3,
        "500.00",
        None,
    )


def test_the_owner_sets_a_budget_and_a_stranger_does_not(client: Client) -> None:
    the = desk()
    address = f"/agents/{the.agent.slug}/budget/"
    sent = {"count": "", "amount": "250.50", "currency": "EUR", "hours": "12", "reason": "carefully"}
    client.force_login(the.agent.owner)
    refused = client.post(address, {**sent, "currency": ""})
    assert (refused.status_code, "must be named" in refused.content.decode()) == (422, True)
    assert client.post(address, {**sent, "currency": "eur"}).status_code == 422
    assert client.post(address, sent).status_code == 302
    agent = Agent.objects.get(pk=the.agent.pk)
    assert budgets.of(agent) == Budget(hours=12, amount=Decimal("250.50"), currency="EUR")
    assert "250.50" in client.get(f"/agents/{the.agent.slug}/").content.decode()
    client.post(address, sent)
    event = AuditEvent.objects.get(kind="agent.budget_saved")
    assert event.data["detail"] == {"reason": "carefully"}
    client.force_login(person())
    assert client.post(address, sent).status_code == 404
    with pytest.raises(NotAllowed):
        budgets.save(agent_id=agent.pk, budget=Budget(), actor=person(), reason="")
    with pytest.raises(Invalid):
        budgets.save(agent_id=agent.pk, budget=Budget(hours=0), actor=admin(), reason="")


def test_the_form_of_a_mandate_has_the_limits_about_a_subject(client: Client) -> None:
    the = desk(max_amount=500)
    client.force_login(the.agent.owner)
    address = f"/agents/{the.agent.slug}/mandates/{the.action_type.name}/edit/"
    sent = {
        "tier": "in_the_loop",
        "ceiling": "in_the_loop",
        "window_hours": "24",
        "veto_seconds": "60",
        "active": "on",
    }
    client.post(address, {**sent, "subject_count": "2", "subject_amount": "700", "reason": "why"})
    mandate = Mandate.objects.get(pk=the.mandate.pk)
    assert (mandate.subject_count, mandate.subject_amount, mandate.max_amount) == (2, Decimal(700), None)


@pytest.mark.parametrize(
    "subject", ["c-17", "C 17", "cl-0rn|vv", "10-iI", "a.b/c_d", "rrnn", "--", "x" * 200]
)
def test_what_an_update_brings_is_what_a_new_proposal_gets(subject: str) -> None:
    the = desk()
    proposal = pay(the, 1, subject)
    assert proposal.subject_key == subjects.key(subject)
    Proposal.objects.update(subject_key="")
    migration = import_module("approvals.migrations.0008_subject_key")
    with connection.cursor() as cursor:
        cursor.execute(migration.PLAIN)
    assert Proposal.objects.get().subject_key == subjects.key(subject)
