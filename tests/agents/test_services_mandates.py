"""Agents, action types and mandates: who may set what, what is refused, and that nothing is half-saved."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from accounts.exceptions import Conflict, Invalid, NotAllowed, NotFound
from agents.autonomy import Tier
from agents.exceptions import SchemaRefused
from agents.models import ActionType, Agent, Mandate, TierChange
from agents.services import action_types, mandates, register
from agents.services.action_types import Definition
from agents.services.mandates import Terms
from audit.models import AuditEvent
from tests.factories import REFUND_SCHEMA, Desk, admin, auditor, desk, earned, person, saved

pytestmark = pytest.mark.django_db


def save(the: Desk, terms: Terms, actor: Any = None) -> Mandate:
    saved = mandates.save(
        agent_id=the.agent.pk, action_type=the.action_type.name, terms=terms, actor=actor or admin()
    )
    assert isinstance(saved, Mandate)
    return saved


def test_nobody_raises_a_tier_by_hand() -> None:
    """I12: not the owner, not an admin, not with a new mandate."""
    the = desk()
    save(the, Terms(ceiling=Tier.OUT_OF_THE_LOOP))
    for actor in (the.agent.owner, admin()):
        with pytest.raises(Invalid):
            save(the, Terms(tier=Tier.ON_THE_LOOP, ceiling=Tier.OUT_OF_THE_LOOP), actor)
    assert Mandate.objects.get().tier == Tier.IN_THE_LOOP


def test_an_owner_lowers_the_tier_and_does_not_move_the_ceiling() -> None:
    the = desk()
    with pytest.raises(NotAllowed):
        save(the, Terms(tier=Tier.ON_THE_LOOP, ceiling=Tier.ON_THE_LOOP), the.agent.owner)
    save(the, Terms(ceiling=Tier.OUT_OF_THE_LOOP))
    earned(the.mandate, Tier.ON_THE_LOOP)
    save(the, Terms(tier=Tier.ADVISORY, ceiling=Tier.ADVISORY), the.agent.owner)
    with pytest.raises(NotAllowed):
        save(the, Terms(ceiling=Tier.IN_THE_LOOP), the.agent.owner)
    assert list(TierChange.objects.order_by("id").values_list("before", "after")) == [
        ("on_the_loop", "advisory"),
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"tier": "root"},
        {"ceiling": "root"},
        {"tier": "out_of_the_loop"},
        {"max_amount": Decimal(-1)},
        {"max_amount": Decimal("NaN")},
        {"window_amount": Decimal(10) ** 16},
        {"window_hours": 0},
        {"window_hours": 8785},
        {"window_count": -1},
        {"window_count": 2**31},
        {"veto_seconds": -1},
        {"veto_seconds": 604_801},
    ],
    ids=str,
)
def test_terms_that_make_no_sense_are_refused(changed: dict[str, Any]) -> None:
    the = desk()
    before = Mandate.objects.values().get()
    with pytest.raises(Invalid) as refusal:
        save(the, replace(Terms(), **changed))
    assert refusal.value.extra["errors"]
    assert Mandate.objects.values().get() == before


def test_a_stranger_gives_no_mandate() -> None:
    the = desk()
    for one in (the.reviewer, person(), desk().agent.owner):
        with pytest.raises(NotAllowed):
            save(the, Terms(active=False), one)
    with pytest.raises(NotFound):
        mandates.save(agent_id=0, action_type="x", terms=Terms(), actor=admin())
    with pytest.raises(NotFound):
        mandates.save(agent_id=the.agent.pk, action_type="x", terms=Terms(), actor=admin())


def test_the_same_terms_again_are_no_event() -> None:
    the = desk()
    save(the, Terms(window_count=3))
    before = AuditEvent.objects.count()
    save(the, Terms(window_count=3))
    assert AuditEvent.objects.count() == before


DEFINITION = Definition(
    name="pay",
    domain="payables",
    label="Pay",
    schema=REFUND_SCHEMA,
    title_template="Pay {amount}",
    amount_pointer="/amount",
    currency="EUR",
)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "Pay"},
        {"name": "pay\n"},
        {"name": "p" * 81},
        {"label": " "},
        {"risk": "huge"},
        {"currency": "eur"},
        {"currency": ""},
        {"grant_seconds": 4},
        {"grant_seconds": 86_401},
        {"outcome_minutes": 0},
        {"amount_pointer": "amount"},
        {"amount_pointer": "/amuont"},
        {"material": ["/nothing"]},
        {"title_template": "Pay {amuont}"},
        {"title_template": " "},
        {"schema": {"type": "array"}},
        {"schema": {"type": "object", "$schema": "http://127.0.0.1:9/x"}},
        {"schema": {"type": "object", "properties": {"amount": {"maximum": 2**64}}}},
        {"reversible_by": "nothing"},
    ],
    ids=str,
)
def test_action_types_that_would_not_work_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(SchemaRefused):
        action_types.save(definition=replace(DEFINITION, **changed), actor=admin())
    assert not ActionType.objects.exists()


def test_only_admins_save_action_types() -> None:
    for one in (person(), auditor()):
        with pytest.raises(NotAllowed):
            action_types.save(definition=DEFINITION, actor=one)
    former = admin()
    former.is_active = False
    with pytest.raises(NotAllowed):
        action_types.save(definition=DEFINITION, actor=former)


def test_an_action_type_has_a_version_and_the_same_again_has_none() -> None:
    assert saved(DEFINITION).version == 1
    assert saved(DEFINITION).version == 1
    assert saved(replace(DEFINITION, label="Pay!")).version == 2
    assert AuditEvent.objects.filter(kind="action_type.saved").count() == 2


@pytest.mark.parametrize("slug", ["", "A", "a b", "a/b", "ä", "-a", "a" * 81, "a\n"])
def test_an_agents_slug_is_plain(slug: str) -> None:
    with pytest.raises(Invalid):
        register.register(slug=slug, name="A", owner=admin(), actor=admin())
    assert not Agent.objects.exists()


def test_two_agents_of_one_slug_are_a_conflict() -> None:
    register.register(slug="a", name="A", owner=admin(), actor=admin())
    with pytest.raises(Conflict):
        register.register(slug="a", name="B", owner=admin(), actor=admin())
    assert Agent.objects.get().name == "A"


def test_nobody_makes_another_person_an_owner_but_an_admin() -> None:
    one, other = person(), person()
    with pytest.raises(NotAllowed):
        register.register(slug="a", name="A", owner=other, actor=one)
    agent = register.register(slug="a", name="A", owner=one, actor=one)
    with pytest.raises(NotAllowed):
        register.change(
            agent_id=agent.pk, actor=one, name="A", purpose="", version="2", team=None, owner=other
        )
    with pytest.raises(NotAllowed):
        register.change(agent_id=agent.pk, actor=other, name="X", purpose="", version="2", team=None)
    assert Agent.objects.get().owner == one
