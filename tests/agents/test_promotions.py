"""Promotions on a real database: proposed with their numbers, confirmed, declined, withdrawn."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Conflict
from agents import evidence, turning
from agents.autonomy import Tier
from agents.evidence import Judgement
from agents.models import Mandate, Standing, TierChange
from approvals.models import Notification
from approvals.services import promote
from audit.ids import uuid7
from tests.agents.test_evidence import (
    SOON,
    Basis,
    assert_rebuilds,
    judge,
    later,
    state_of,
    subject,
    with_thresholds,
)
from tests.factories import Desk, admin, desk

pytestmark = pytest.mark.django_db(transaction=True)


# Promotion


def earn(the: Desk, reviews: int = 60, probes: int = 30) -> None:
    for number in range(probes):
        with transaction.atomic():
            evidence.probe(
                subject(the),
                caught=True,
                served_at=timezone.now(),
                key=f"probe:{uuid7()}",
                judged_by=(the.reviewer, the.second)[number % 2],
            )
    for number in range(reviews):
        with transaction.atomic():
            evidence.record(
                subject(the),
                Judgement(basis=Basis.DECISION, verdict="approve", loss=Decimal(0)),
                judged_by=(the.reviewer, the.second)[number % 2],
            )


EASY: dict[str, Any] = {"on_p0": 0.8, "cool_down_days": 0, "exposure_days": 0, **SOON}


def rising(**terms: Any) -> Desk:
    the = with_thresholds(desk(), **EASY)
    Mandate.objects.filter(pk=the.mandate.pk).update(
        **{"ceiling": Tier.OUT_OF_THE_LOOP, "may_earn": True, **terms}
    )
    return the


def test_a_promotion_is_proposed_with_its_numbers_and_confirmed_by_the_owner() -> None:
    the = rising()
    earn(the)
    assert promote.assess_due(now=timezone.now()) == 1
    [promotion] = the.mandate.promotions.all()
    assert promotion.numbers["evidence"] >= promotion.numbers["bar"] > 0
    assert (promotion.numbers["reviews"], promotion.numbers["probes"]) == (60, [30, 0])
    assert Notification.objects.filter(recipient=the.agent.owner, kind="tier").count() == 1
    assert promote.assess_due(now=timezone.now()) == 0
    assert the.propose().tier == Tier.IN_THE_LOOP
    promote.confirm(promotion_id=promotion.pk, actor=the.agent.owner, reason="Seen and agreed.")
    assert the.propose().tier == Tier.ON_THE_LOOP
    found = state_of(the)
    assert (found.tier, found.reviews, found.period, found.attempts) == ("on_the_loop", 0, 1, (1, 1))
    assert TierChange.objects.get().numbers == promotion.numbers
    assert_rebuilds()


def test_an_automatic_mandate_rises_by_itself() -> None:
    the = rising(automatic=True)
    earn(the)
    promote.assess_due(now=timezone.now())
    assert Mandate.objects.get(pk=the.mandate.pk).tier == Tier.ON_THE_LOOP
    assert the.mandate.promotions.get().state == "confirmed"


@pytest.mark.parametrize("without", [{"ceiling": Tier.IN_THE_LOOP}, {"may_earn": False}, {"active": False}])
def test_ceiling_and_consent_hold_whatever_the_evidence_says(without: dict[str, Any]) -> None:
    the = rising(automatic=True, **without)
    earn(the)
    promote.assess_due(now=timezone.now())
    assert Mandate.objects.get(pk=the.mandate.pk).tier == Tier.IN_THE_LOOP
    assert not the.mandate.promotions.exists()


def test_without_probes_nothing_is_earned() -> None:
    the = rising(automatic=True)
    earn(the, reviews=300, probes=0)
    promote.assess_due(now=timezone.now())
    assert Mandate.objects.get(pk=the.mandate.pk).tier == Tier.IN_THE_LOOP


def test_what_is_no_longer_earned_is_withdrawn_and_cannot_be_confirmed() -> None:
    the = rising()
    earn(the)
    promote.assess_due(now=timezone.now())
    promotion = the.mandate.promotions.get()
    for _ in range(12):
        judge(the, 1)
    with pytest.raises(Conflict):
        promote.confirm(promotion_id=promotion.pk, actor=the.agent.owner, reason="Quickly.")
    promote.assess_due(now=timezone.now())
    promotion.refresh_from_db()
    assert promotion.state == "withdrawn"


def test_who_declines_is_not_asked_again_with_every_review() -> None:
    the = rising()
    Mandate.objects.update(thresholds={**EASY, "cool_down_days": 7})
    earn(the)
    later(24 * 8)
    Standing.objects.update(assessed_at=None)
    promote.assess_due(now=timezone.now())
    promotion = the.mandate.promotions.get()
    promote.decline(promotion_id=promotion.pk, actor=the.agent.owner, reason="After the holidays.")
    judge(the, 0)
    promote.assess_due(now=timezone.now())
    assert the.mandate.promotions.count() == 1


def test_a_lower_bar_chosen_afterwards_begins_a_new_attempt() -> None:
    the = rising()
    earn(the, reviews=40)
    with transaction.atomic():
        mandate = Mandate.objects.select_for_update().select_related("agent", "action_type").get()
        mandate.thresholds = {**EASY, "on_p0": 0.7}
        mandate.save()
        turning.turn(mandate, actor=admin().actor(), changed_by=admin(), reason="Cheap errors.")
    found = state_of(the)
    assert (found.reviews, found.attempts, found.thresholds.on_p0) == (0, (2, 1), 0.7)
    assert_rebuilds()
