"""Probes that end without a decision, and probes among audits."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.autonomy import Tier
from agents.models import Evidence, Mandate
from approvals import blind, probe_records
from approvals.models import (
    BlindReview,
    Grant,
    Notification,
    ProbeServing,
    Proposal,
)
from approvals.services import blind_review, probe_serve
from approvals.states import State
from tests import factories
from tests.approvals.test_probes import last_word, main_of, model_of, planned, planted, probe_of, signed_in
from tests.factories import Desk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_drawn")]


# What ends without a decision


def suspended(desk: Desk) -> None:
    from approvals.services import suspend

    suspend.suspend(agent_id=desk.agent.pk, actor=factories.admin(), reason="odd")


def without_mandate(desk: Desk) -> None:
    Mandate.objects.filter(pk=desk.mandate.pk).update(active=False)


def of_another_version(desk: Desk) -> None:
    type(desk.agent).objects.filter(pk=desk.agent.pk).update(version="2")


@pytest.mark.parametrize("end", [suspended, without_mandate, of_another_version])
def test_without_an_occasion_it_is_withdrawn_quietly(desk: Desk, end: Any) -> None:
    probe_of(desk)
    proposal = planted(desk)
    end(desk)
    probe_serve.run(now=timezone.now())
    proposal.refresh_from_db()
    serving = ProbeServing.objects.get()
    assert (proposal.state, serving.caught) == (State.WITHDRAWN, None)
    assert serving.decided_at is not None
    assert not Notification.objects.filter(kind="probe").exists()
    assert not Evidence.objects.filter(basis="probe").exists()


@pytest.mark.parametrize("end", [suspended, without_mandate, of_another_version])
def test_without_an_occasion_a_planned_one_is_dropped(desk: Desk, end: Any) -> None:
    probe_of(desk)
    serving = planned(desk)
    end(desk)
    assert probe_serve.serve_due(now=serving.serve_at + timedelta(seconds=1)) == 0
    assert not ProbeServing.objects.exists()


def test_one_that_expires_says_nothing(desk: Desk) -> None:
    from approvals.services import expire

    probe_of(desk)
    proposal = planted(desk)
    later = timezone.now() + timedelta(days=30)
    expire.expire_undecided(now=later)
    probe_serve.clear(now=later)
    proposal.refresh_from_db()
    assert (proposal.state, ProbeServing.objects.get().caught) == (State.EXPIRED, None)
    assert not Evidence.objects.filter(basis="probe").exists()


def test_after_a_standstill_they_do_not_come_all_at_once(desk: Desk) -> None:
    probe_of(desk)
    serving = planned(desk)
    much_later = serving.serve_at + timedelta(hours=3)
    assert probe_serve.serve_due(now=much_later) == 0
    serving.refresh_from_db()
    assert serving.serve_at > much_later


def test_each_is_planted_at_its_own_moment(desk: Desk) -> None:
    probe_of(desk)
    serving = planned(desk)
    now = timezone.now()
    ProbeServing.objects.filter(pk=serving.pk).update(serve_at=now + timedelta(seconds=1.5))
    waited: list[float] = []
    assert probe_serve.serve_due(now=now, wait=waited.append) == 1
    assert waited == [pytest.approx(1.5, abs=0.5)]


# Among audits


def audited(tier: Tier = Tier.OUT_OF_THE_LOOP) -> tuple[Desk, ProbeServing]:
    desk = factories.desk(tier)
    probe_of(desk)
    probe_serve.plan(now=timezone.now() - timedelta(minutes=10))
    ran = desk.propose()
    revision = ran.current_revision
    blind.arise(ran, revision, kind=BlindReview.Kind.AUDIT, probability=0.2, at=timezone.now())
    probe_serve.plan(now=timezone.now() + timedelta(minutes=1))
    serving = ProbeServing.objects.get()
    assert serving.for_review and serving.probability == 0.03
    assert probe_serve.serve_due(now=serving.serve_at + timedelta(seconds=1)) == 1
    serving.refresh_from_db()
    return desk, serving


@pytest.mark.parametrize("tier", [Tier.ON_THE_LOOP, Tier.OUT_OF_THE_LOOP])
def test_an_audit_may_bring_a_probe_into_the_blind_queue(tier: Tier) -> None:
    desk, serving = audited(tier)
    review, proposal = serving.review, serving.proposal
    assert review is not None and proposal is not None
    assert (review.kind, proposal.state, proposal.planted) == ("probe", State.APPROVED, True)
    assert not Grant.objects.filter(proposal=proposal).exists()
    client = signed_in(desk.reviewer)
    real = BlindReview.objects.get(kind=BlindReview.Kind.AUDIT)
    pages = [client.get(f"/reviews/{one.pk}/") for one in (review, real)]
    assert [page.status_code for page in pages] == [200, 200]
    assert "robe" not in main_of(pages[0].content.decode())


@pytest.mark.parametrize(
    ("judgement", "caught"),
    [("wrong", True), ("substantial", True), ("not_at_fault", True), ("minor", False), ("right", False)],
)
def test_a_blind_answer_catches_it_or_not(judgement: str, caught: bool) -> None:
    desk, serving = audited()
    assert serving.review_id is not None and serving.proposal is not None
    blind_review.judge(
        review_id=serving.review_id, reviewer=desk.reviewer, judgement=judgement, comment="No damage."
    )
    serving.refresh_from_db()
    assert (serving.caught, serving.reviewer) == (caught, desk.reviewer)
    assert Proposal.objects.get(pk=serving.proposal.pk).state == State.REVOKED
    assert ("caught it" in last_word(desk.reviewer)) == caught
    assert model_of(desk).probes == ((1, 0) if caught else (0, 1))
    assert probe_records.own_record(desk.reviewer).served == 1
