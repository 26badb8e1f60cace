"""Evidence and standings on a real database: what counts when, what it costs at once, and that it can be rebuilt."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TransactionTestCase

from agents import authority, evidence, standings, tier_model
from agents.autonomy import Tier
from agents.evidence import Judgement
from agents.models import ActionType, Evidence, Mandate, Standing, TierChange
from agents.tier_model import State
from agents.turning import Subject
from approvals import judging
from approvals.models import Notification, Verdict
from approvals.services import promote
from audit.ids import uuid7
from audit.models import AuditEvent
from tests.factories import Desk, action_type, admin, desk
from tests.races.test_over_http import at_once

pytestmark = pytest.mark.django_db(transaction=True)

Basis = Evidence.Basis
SOON: dict[str, Any] = {"maturity_hours": 0}


def subject(the: Desk, tier: str = "") -> Subject:
    mandate = Mandate.objects.get(pk=the.mandate.pk)
    return Subject(
        agent=the.agent,
        agent_version=the.agent.version,
        action_type=the.action_type,
        tier=tier or mandate.tier,
        proposal_id=uuid7(),
        revision=1,
    )


def judge(
    the: Desk, loss: float, *, about: Subject | None = None, audit: bool = False, **extra: Any
) -> Evidence:
    with transaction.atomic():
        Mandate.objects.select_for_update().get(pk=the.mandate.pk)
        found = evidence.record(
            about or subject(the),
            Judgement(
                basis=Basis.AUDIT if audit else Basis.DECISION,
                verdict="wrong" if loss else "approve",
                loss=Decimal(str(loss)),
                audit=audit,
                **extra,
            ),
            judged_by=the.reviewer,
        )
    assert found.evidence is not None
    return found.evidence


def correct(the: Desk, first: Evidence, loss: float, *, critical: bool = False) -> None:
    with transaction.atomic():
        Mandate.objects.select_for_update().get(pk=the.mandate.pk)
        evidence.correct(
            first,
            basis=Basis.OUTCOME,
            verdict="failed",
            loss=Decimal(str(loss)),
            critical=critical,
            key=f"test:{uuid7()}",
            judged_by=None,
        )


def with_thresholds(the: Desk, **changed: Any) -> Desk:
    Mandate.objects.filter(pk=the.mandate.pk).update(thresholds=changed)
    the.mandate.refresh_from_db()
    return the


def undoable(the: Desk) -> None:
    """Let the action be reversible, so that doubts do not hold it."""
    ActionType.objects.filter(pk=the.action_type.pk).update(reversible_by=action_type())
    authority.bump()


def state_of(the: Desk) -> State:
    return State.from_json(Standing.objects.get(agent=the.agent).state)


def later(hours: float) -> None:
    """Let this much time have passed since everything was recorded."""
    by = timedelta(hours=hours)
    for row in Evidence.objects.all():
        Evidence.objects.filter(pk=row.pk).update(
            judged_at=row.judged_at - by, counts_at=row.counts_at and row.counts_at - by
        )
    for one in Standing.objects.exclude(initial={}):
        shifted = {}
        for name in ("initial", "state"):
            old = State.from_json(getattr(one, name))
            moved = {
                **old.as_json(),
                "since": (old.since - by).isoformat(),
                "first_at": old.first_at and (old.first_at - by).isoformat(),
                "last_at": old.last_at and (old.last_at - by).isoformat(),
            }
            shifted[name] = moved
        Standing.objects.filter(pk=one.pk).update(
            **shifted,
            folded_until=one.folded_until and one.folded_until - by,
            matures_at=one.matures_at and one.matures_at - by,
        )


def assert_rebuilds() -> None:
    for one in Standing.objects.exclude(initial={}):
        assert standings.differences(State.from_json(one.state), standings.rebuilt(one)) == []


# When it counts


def test_a_right_one_counts_when_it_has_matured_and_a_wrong_one_at_once() -> None:
    the = desk()
    judge(the, 0)
    assert state_of(the).reviews == 0
    judge(the, 1)
    assert state_of(the).counts == (0, 0, 0, 0, 1)
    later(25)
    assert promote.mature_due(now=timezone.now()) == 1
    assert state_of(the).counts == (1, 0, 0, 0, 1)
    assert Standing.objects.get().matures_at is None
    assert promote.mature_due(now=timezone.now()) == 0
    assert_rebuilds()


def test_a_failure_before_maturity_takes_the_place_of_what_was_judged() -> None:
    the = desk()
    first = judge(the, 0)
    correct(the, first, 1)
    assert state_of(the).counts == (0, 0, 0, 0, 1)
    later(25)
    promote.mature_due(now=timezone.now())
    judge(the, 1)
    assert state_of(the).counts == (0, 0, 0, 0, 2)
    assert_rebuilds()


def test_a_failure_after_maturity_moves_the_count_and_raises_the_detector() -> None:
    the = with_thresholds(desk(), **SOON)
    first = judge(the, 0)
    before = state_of(the)
    correct(the, first, 1)
    after = state_of(the)
    assert (before.counts, after.counts) == ((1, 0, 0, 0, 0), (0, 0, 0, 0, 1))
    assert tier_model.level(after) > tier_model.level(before)
    correct(the, first, 0)
    assert state_of(the).counts == (1, 0, 0, 0, 0)
    assert_rebuilds()


def test_the_same_judgement_twice_counts_once() -> None:
    the = with_thresholds(desk(), **SOON)
    about = subject(the)
    judge(the, 1, about=about)
    with transaction.atomic():
        found = evidence.record(
            about,
            Judgement(basis=Basis.DECISION, verdict="reject", loss=Decimal(1)),
            judged_by=the.second,
        )
    assert (found.evidence, state_of(the).reviews) == (None, 1)


def test_what_a_limit_sent_to_a_person_does_not_count_for_an_agent_that_runs_by_itself() -> None:
    the = with_thresholds(desk(Tier.ON_THE_LOOP), **SOON)
    judge(the, 1, about=subject(the, tier=Tier.IN_THE_LOOP))
    judge(the, 0, about=subject(the, tier=Tier.IN_THE_LOOP))
    assert (state_of(the).reviews, tier_model.level(state_of(the))) == (0, 0.0)
    assert Evidence.objects.filter(counts=False).count() == 2


def test_a_probe_of_an_earlier_attempt_counts_for_nothing() -> None:
    the = with_thresholds(desk(), **SOON)
    judge(the, 0)
    before = timezone.now()
    promote.reset(mandate_id=the.mandate.pk, actor=the.agent.owner, reason="A new prompt.")
    for served_at in (before, timezone.now()):
        with transaction.atomic():
            evidence.probe(
                subject(the),
                caught=True,
                served_at=served_at,
                key=f"probe:{served_at}",
                judged_by=the.reviewer,
            )
    found = state_of(the)
    assert (found.probes, found.counts, found.attempts) == ((1, 0), (0,) * 5, (2, 1))
    assert_rebuilds()


# What it costs at once


def test_an_agent_that_slips_is_back_in_the_loop_with_the_judgement_that_showed_it() -> None:
    the = with_thresholds(desk(Tier.ON_THE_LOOP), **SOON)
    count = 0
    while Mandate.objects.get(pk=the.mandate.pk).tier == Tier.ON_THE_LOOP:
        judge(the, 1, audit=True)
        count += 1
        assert count < 20
    change = TierChange.objects.get()
    assert (change.before, change.after, change.cause) == ("on_the_loop", "in_the_loop", "evidence")
    assert change.numbers["level"] >= change.numbers["alarm"] == 2000
    found = state_of(the)
    assert (found.tier, found.reviews, found.attempts, found.period) == ("in_the_loop", 0, (2, 2), 1)
    assert AuditEvent.objects.filter(kind="mandate.tier_changed", actor_kind="system").count() == 1
    assert_rebuilds()


def test_one_critical_error_is_enough() -> None:
    the = with_thresholds(desk(Tier.OUT_OF_THE_LOOP), **SOON)
    judge(the, 1, audit=True, critical=True)
    assert Mandate.objects.get(pk=the.mandate.pk).tier == Tier.IN_THE_LOOP
    assert "critical" in TierChange.objects.get().reason


def test_a_demotion_is_undone_with_the_judgement_that_caused_it() -> None:
    the = with_thresholds(desk(Tier.ON_THE_LOOP), **SOON)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Mandate.objects.select_for_update().get(pk=the.mandate.pk)
        evidence.record(
            subject(the),
            Judgement(basis=Basis.AUDIT, verdict="wrong", loss=Decimal(1), critical=True, audit=True),
            judged_by=the.reviewer,
        )
        raise ZeroDivisionError
    assert Mandate.objects.get(pk=the.mandate.pk).tier == Tier.ON_THE_LOOP
    assert not (TierChange.objects.exists() or Evidence.objects.exists())


def test_doubts_raise_the_audits_of_the_mandate_and_hold_what_cannot_be_undone() -> None:
    the = with_thresholds(desk(Tier.ON_THE_LOOP), **SOON)
    judge(the, 0, audit=True)
    mandate = Mandate.objects.get(pk=the.mandate.pk)
    assert (mandate.audit_rate, mandate.escalated) == (0.5, False)
    for _ in range(2):
        judge(the, 1, audit=True)
    mandate.refresh_from_db()
    assert (mandate.audit_rate, mandate.escalated, mandate.tier) == (1.0, True, "on_the_loop")
    held = the.propose()
    assert (held.state, held.reasons[0]["code"]) == ("pending", "escalated")
    undoable(the)
    assert the.propose().sampled


def test_owner_hears_of_a_demotion_by_a_veto_nobody_had_drawn() -> None:
    """A veto of what was not sampled may demote and never promote."""
    the = with_thresholds(desk(Tier.ON_THE_LOOP), early_on=0.01, audit_on=0.01, **SOON)
    undoable(the)
    while Mandate.objects.get(pk=the.mandate.pk).tier == Tier.ON_THE_LOOP:
        the.decide(the.propose(), Verdict.VETO)
        assert Evidence.objects.filter(basis=Basis.VETO).count() < 20
    assert Notification.objects.filter(recipient=the.agent.owner, kind="tier").count() == 1
    assert_rebuilds()


# Rebuilding


def test_a_standing_that_was_tampered_with_is_found_told_and_repaired(
    capsys: pytest.CaptureFixture[str],
) -> None:
    the = with_thresholds(desk(), **SOON)
    for loss in (0, 1, 0):
        judge(the, loss)
    call_command("rebuild_evidence")
    one = Standing.objects.get()
    good = dict(one.state)
    one.state["counts"] = [3, 0, 0, 0, 0]
    one.save(update_fields=["state"])
    with pytest.raises(CommandError, match="1 of 1"):
        call_command("rebuild_evidence")
    assert "counts: [3, 0, 0, 0, 0] stored, [2, 0, 0, 0, 1] found" in capsys.readouterr().err
    assert Notification.objects.filter(recipient=admin(), kind="tier").count() == 1
    assert AuditEvent.objects.filter(kind="standing.mismatch").count() == 1
    call_command("rebuild_evidence", "--repair")
    one.refresh_from_db()
    assert (one.state, one.mismatch) == (good, "")


def test_judgements_at_once_end_in_the_state_that_a_rebuild_finds() -> None:
    the = with_thresholds(desk(), **SOON)
    first = judge(the, 0)
    at_once(
        *[lambda: judge(the, 0)] * 6,
        *[lambda: judge(the, 1)] * 2,
        lambda: correct(the, first, 0.5),
        lambda: correct(the, first, 1),
    )
    found = state_of(the)
    assert found.reviews == 9
    assert sum(found.counts[3:]) == 3
    assert_rebuilds()


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("judge"), st.sampled_from([0, 0, 0, 0.1, 0.25, 0.5, 1])),
        st.tuples(st.just("again"), st.integers(0, 20)),
        st.tuples(st.just("correct"), st.tuples(st.integers(0, 20), st.sampled_from([0, 0.25, 1]))),
        st.tuples(st.just("incident"), st.sampled_from([0.5, 1])),
        st.tuples(st.just("probe"), st.booleans()),
        st.tuples(st.just("later"), st.sampled_from([1.0, 13.0, 30.0])),
        st.tuples(st.just("reset"), st.none()),
    ),
    max_size=25,
)


class Rebuilds(TransactionTestCase):
    """Whatever comes in, in whatever order, late, twice or corrected: the state is that of a rebuild."""

    @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(ACTS)
    def test_any_history(self, acts: list[tuple[str, Any]]) -> None:
        Evidence.objects.all().delete()
        Standing.objects.all().delete()
        the = desk()
        told: list[Evidence] = []
        for act, value in acts:
            if act == "judge":
                told.append(judge(the, value))
            elif act == "again" and told:
                row = told[value % len(told)]
                with transaction.atomic():
                    evidence.record(
                        Subject(
                            agent=row.agent,
                            agent_version=row.agent_version,
                            action_type=row.action_type,
                            tier=row.tier,
                            proposal_id=row.proposal_id,
                            revision=row.revision,
                        ),
                        Judgement(basis=Basis.DECISION, verdict="approve", loss=Decimal(0)),
                        judged_by=None,
                    )
            elif act == "correct" and told:
                correct(the, told[value[0] % len(told)], value[1])
            elif act == "incident":
                with transaction.atomic():
                    evidence.incident(
                        subject(the),
                        basis=Basis.INCIDENT,
                        verdict="major",
                        loss=Decimal(str(value)),
                        critical=False,
                        key=f"incident:{uuid7()}",
                        judged_by=None,
                    )
            elif act == "probe":
                with transaction.atomic():
                    evidence.probe(
                        subject(the),
                        caught=value,
                        served_at=timezone.now(),
                        key=f"probe:{uuid7()}",
                        judged_by=the.reviewer,
                    )
            elif act == "later":
                later(value)
                told = [
                    Evidence.objects.select_related("agent", "action_type").get(pk=one.pk) for one in told
                ]
            elif act == "reset":
                promote.reset(mandate_id=the.mandate.pk, actor=the.agent.owner, reason="Again.")
            promote.mature_due(now=timezone.now())
            assert_rebuilds()


def test_losses_are_those_of_the_tier_model() -> None:
    assert {float(loss) for loss in judging.LOSS.values()} == set(tier_model.LEVELS)
