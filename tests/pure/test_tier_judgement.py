"""Turns, thresholds, and what a state of the tier model says."""

import json
from dataclasses import fields, replace
from datetime import timedelta
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import tier_model as model
from agents.tier_model import Second, Thresholds
from tests.pure.test_tier_model import (
    IN,
    ON,
    OUT,
    PLAIN,
    SOON,
    T0,
    after,
    begin,
    correction,
    flawless,
    probe,
    review,
    turn,
)

# ── Turns ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fresh_turn_begins_from_nothing() -> None:
    state = model.fold(after(*[0.0] * 50, 1.0), [probe(True), Second(id=1, at=T0, period=0, agreed=False)])
    fresh = model.step(state, turn(IN, attempts=(2, 1)))
    begun = model.start(tier=IN, thresholds=SOON, at=T0 + timedelta(days=30))
    assert fresh == replace(begun, period=1, attempts=(2, 1), last_id=1)


def test_an_agent_that_rises_keeps_its_reference_and_one_that_falls_does_not() -> None:
    good = after(*[0.0] * 200)
    assert good.reference < 0.02
    risen = model.step(good, turn(ON))
    assert risen.reference == good.reference
    assert model.step(risen, turn(IN, period=2)).reference == 0.05
    assert model.step(good, turn(IN)).reference == 0.05
    assert model.step(risen, turn(OUT, period=2)).reference == 0.01


def test_thresholds_without_a_fresh_start_keep_the_counts() -> None:
    state = after(*[0.0] * 50)
    stricter = Thresholds.of({"on_p0": 0.99}, risk="low")
    changed = model.step(state, turn(IN, period=0, fresh=False, thresholds=stricter, attempts=(1, 1)))
    assert changed.counts == state.counts
    assert changed.reference == min(state.reference, 0.01)


@pytest.mark.parametrize(
    ("tier", "to", "attempts"),
    [
        (IN, ON, (1, 1)),
        (ON, OUT, (1, 1)),
        (IN, IN, (2, 1)),
        (ON, ON, (1, 2)),
        (ON, IN, (2, 2)),
        (OUT, ON, (1, 2)),
        (OUT, IN, (2, 2)),
    ],
)
def test_each_attempt_ends_once(tier: str, to: str, attempts: tuple[int, int]) -> None:
    assert model.attempts_after(begin(tier), to) == attempts


@pytest.mark.parametrize(
    ("changes", "loosened"),
    [
        ({}, False),
        ({"on_p0": 0.96, "alpha": 0.01}, False),
        ({"on_p0": 0.94}, True),
        ({"out_p0": 0.98}, True),
        ({"alpha": 0.06}, True),
        ({"critical_q0": 0.01}, True),
    ],
)
def test_a_lower_bar_needs_a_fresh_start(changes: dict[str, object], loosened: bool) -> None:
    assert model.loosens(PLAIN, Thresholds.of(changes, risk="low")) is loosened


# ── Thresholds ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_high_risk_asks_for_a_smaller_alpha_unless_told() -> None:
    assert [Thresholds.of({}, risk=risk).alpha for risk in ("low", "medium", "high", "critical")] == [
        0.05, 0.05, 0.01, 0.01
    ]  # fmt: skip
    assert Thresholds.of({"alpha": 0.02}, risk="high").alpha == 0.02


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"p0": 0.9}, "p0: there is no such threshold"),
        ({"alpha": 1.5}, "alpha: 1.5 is out of range; give a number from 0.0001 to 0.2"),
        ({"alpha": "0.05"}, "alpha: '0.05' is not a number"),
        ({"alpha": True}, "alpha: True is not a number"),
        ({"alpha": inf}, "alpha: inf is not a number"),
        ({"reviewers": 2.5}, "reviewers: 2.5 is not a whole number"),
        ({"out_p0": 0.9}, "out_p0: more autonomy needs no less accuracy"),
        ({"early_on": 0.1}, "early_on: first audits are no rarer than later"),
        ({"on_p0": 0.999, "out_p0": 0.999}, "alarm_on: an agent without an error would be demoted by it"),
    ],
)
def test_absurd_thresholds_are_refused_by_name(overrides: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError) as refused:
        Thresholds.of(overrides, risk="low")
    assert str(refused.value).startswith(said)


def test_thresholds_come_back_from_json() -> None:
    stored = json.loads(json.dumps(PLAIN.as_json()))
    assert Thresholds.of(stored, risk="low") == PLAIN
    assert stored.keys() == {field.name for field in fields(Thresholds)}


# ── What the state says ───────────────────────────────────────────────────────────────────────────────────────────────


def test_reviews_to_go_is_what_it_takes() -> None:
    state = flawless(40, 2)
    more = model.reviews_to_go(state, ON)
    assert more is not None
    later = model.fold(state, [review(n) for n in range(more)] + [probe(True)] * -(-more // 20))
    assert model.may_promote(later, ON, now=T0, can_be_critical=False)
    assert model.reviews_to_go(later, ON) == 0
    assert not model.may_promote(
        model.fold(state, [review(n) for n in range(more // 2)]), ON, now=T0, can_be_critical=False
    )


def test_reviews_to_go_is_none_where_reviewers_are_blind_or_the_tier_is_another() -> None:
    blind = model.fold(after(*[0.0] * 100), [probe(False)] * 10)
    assert model.reviews_to_go(blind, ON) is None
    assert model.reviews_to_go(begin(), OUT) is None
    assert not model.may_promote(flawless(5000, 500), OUT, now=T0, can_be_critical=False)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"since": T0 + timedelta(days=6)}, "cool_down"),
        ({"last_at": T0 + timedelta(days=6)}, "exposure"),
        ({"reviewers": (1,)}, "reviewers"),
        ({"audits": 100, "missed": 6}, "completion"),
        ({"detector": (100.0,) * 6}, "detector"),
        ({"second_detector": (100.0,) * 6}, "second_reviews"),
        ({"counts": (390, 0, 0, 0, 10)}, "evidence"),
        ({"counts": (80, 0, 0, 0, 0)}, "evidence"),
        ({"critical": (3000, 0)}, "critical_gate"),
        ({"critical": (10_000, 6)}, "critical_gate"),
    ],
)
def test_each_hurdle_alone_holds_a_promotion_up(changed: dict[str, Any], code: str) -> None:
    ready = flawless(
        400, 60, thresholds=PLAIN, first_at=T0, last_at=T0 + timedelta(days=7), reviewers=(1, 2),
        critical=(10_000, 0),
    )  # fmt: skip
    now = T0 + timedelta(days=8)
    assert model.may_promote(ready, ON, now=now, can_be_critical=True)
    state = replace(ready, **changed)
    unmet = [h.code for h in model.hurdles(state, ON, now=now, can_be_critical=True) if not h.met]
    assert unmet == [code]
    assert not model.may_promote(state, ON, now=now, can_be_critical=True)


def test_probes_that_are_missed_and_more_attempts_ask_for_more() -> None:
    ready = flawless(400, 60)
    for changed in (replace(ready, probes=(3, 9)), replace(ready, attempts=(10**9, 1))):
        assert not model.may_promote(changed, ON, now=T0, can_be_critical=False)


def test_the_critical_gate_is_asked_only_where_critical_harm_is_possible() -> None:
    state = flawless(400, 60)
    assert model.may_promote(state, ON, now=T0, can_be_critical=False)
    assert not model.may_promote(state, ON, now=T0, can_be_critical=True)


def test_one_critical_error_alarms() -> None:
    state = flawless(300, 20, tier=ON)
    assert not model.is_alarmed(state)
    struck = model.step(state, review(301, loss=1.0, critical=True))
    assert model.is_alarmed(struck)
    assert model.audit_rate(struck) == 1.0
    late = correction(0.0, 1.0, critical=True)
    assert model.is_alarmed(model.step(state, late))
    assert model.is_alarmed(model.step(state, replace(late, period=-1)))


def test_audits_are_frequent_at_first_then_rarer_and_all_while_escalated() -> None:
    assert model.audit_rate(begin(IN)) == 0.0
    for tier, early, later in ((ON, 0.5, 0.2), (OUT, 0.2, 0.05)):
        assert model.audit_rate(after(*[0.0] * 199, tier=tier)) == early
        settled = after(*[0.0] * 200, tier=tier)
        assert model.audit_rate(settled) == later
        escalated = model.fold(settled, [review(n, loss=1.0, audit=True) for n in range(2)])
        assert model.is_escalated(escalated)
        assert not model.is_alarmed(escalated)
        assert model.audit_rate(escalated) == 1.0


def test_errors_alarm_and_quiet_work_does_not() -> None:
    assert not model.is_escalated(after(*[0.0] * 2000, tier=OUT))
    assert model.is_alarmed(after(*[0.0] * 200, *[1.0] * 8, tier=ON))


def test_the_quiet_level_is_where_flawless_work_leaves_the_detector() -> None:
    state = begin(ON)
    for _ in range(400):
        state = replace(model.step(state, review()), reference=0.05)
    assert model.level(state) == pytest.approx(model.quiet_level(0.05), rel=1e-6)


def test_the_reference_is_reckoned_every_twenty_reviews_and_never_raised() -> None:
    state = begin()
    references = [state.reference]
    for number in range(1, 401):
        state = model.step(state, review(number))
        references.append(state.reference)
    changes = [n for n in range(1, 401) if references[n] != references[n - 1]]
    assert all(n % 20 == 0 for n in changes)
    assert references == sorted(references, reverse=True)
    assert references[-1] == pytest.approx(0.01)
    bad = model.fold(after(*[0.0] * 400), [review(n, loss=1.0) for n in range(100)])
    assert bad.reference == references[-1]


def test_second_reviewers_who_differ_alarm_by_themselves() -> None:
    differs = [Second(id=n, at=T0, period=0, agreed=n % 3 > 0) for n in range(60)]
    state = model.fold(begin(ON), differs)
    assert state.seconds == (40, 20)
    assert model.is_second_alarmed(state)
    assert not model.is_alarmed(state)
    agrees = model.fold(begin(ON), [replace(second, agreed=True) for second in differs])
    assert not model.is_second_alarmed(agrees)


@settings(max_examples=20)
@given(st.floats(0.0101, 0.05), st.sampled_from([ON, OUT]))
def test_the_alarm_is_above_what_flawless_work_reaches(reference: float, tier: str) -> None:
    state = replace(begin(tier), reference=reference)
    assert 3 * model.quiet_level(reference) < model.alarm_at(state)
