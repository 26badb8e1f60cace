"""The tier model's own arithmetic: what it was told it keeps, and nothing helps an agent that should not."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf, isfinite, log
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import tier_model as model
from agents.tier_model import LEVELS, Correction, Incident, Probe, Review, Second, Thresholds, Turn

IN, ON, OUT = "in_the_loop", "on_the_loop", "out_of_the_loop"
T0 = datetime(2026, 1, 5, 9, tzinfo=UTC)
PLAIN = Thresholds.of({}, risk="low")
SOON = Thresholds.of({"cool_down_days": 0, "exposure_days": 0, "reviewers": 1}, risk="low")


def begin(tier: str = IN, thresholds: Thresholds = SOON) -> model.State:
    return model.start(tier=tier, thresholds=thresholds, at=T0)


def review(number: int = 1, *, loss: float = 0.0, period: int = 0, **other: Any) -> Review:
    base: dict[str, Any] = {"critical": False, "reviewer": 1, **other}
    return Review(id=number, at=T0 + timedelta(minutes=number), period=period, loss=loss, **base)


def correction(before: float | None, after: float, *, period: int = 0, **other: Any) -> Correction:
    base: dict[str, Any] = {"critical": False, "was_critical": False, **other}
    return Correction(id=9, at=T0 + timedelta(days=1), period=period, before=before, after=after, **base)


def probe(caught: bool, *, period: int = 0) -> Probe:
    return Probe(id=1, at=T0, period=period, caught=caught, reviewer=1)


def turn(tier: str, *, period: int = 1, fresh: bool = True, **other: Any) -> Turn:
    base: dict[str, Any] = {"attempts": (1, 1), "thresholds": SOON, **other}
    return Turn(id=1, at=T0 + timedelta(days=30), period=period, tier=tier, fresh=fresh, **base)


def after(*losses: float, tier: str = IN, thresholds: Thresholds = SOON) -> model.State:
    """A state after reviews of these losses."""
    state = begin(tier, thresholds)
    for number, loss in enumerate(losses, 1):
        state = model.step(state, review(number, loss=loss, audit=tier != IN))
    return state


def flawless(reviews: int, probes: int, tier: str = IN, **other: Any) -> model.State:
    state = after(*[0.0] * reviews, tier=tier)
    return replace(model.fold(state, [probe(True)] * probes), **other)


# ── Evidence ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("reviews", "errors", "q0", "expected"),
    [(100, 0, 0.05, 4.2144), (200, 2, 0.05, 4.3269), (1000, 30, 0.05, 3.0487), (1000, 5, 0.01, 0.5175)],
)
def test_evidence_has_its_golden_values(reviews: int, errors: int, q0: float, expected: float) -> None:
    found = model.log_evidence((reviews - errors, 0, 0, 0, errors), q0)
    assert found == pytest.approx(expected, abs=5e-5)


def test_evidence_is_the_sum_that_the_model_says() -> None:
    """Multiplied out the slow way, with every loss level in it."""
    counts, q0 = (30, 4, 3, 2, 1), 0.05
    total = 0.0
    for kept, weight in zip((0.02, 0.1, 0.2, 0.35, 0.55, 0.8), (2, 3, 3, 2, 2, 1), strict=True):
        capital = weight / 13
        for loss, count in zip((0, 0.1, 0.25, 0.5, 1), counts, strict=True):
            capital *= (1 + (1 - kept) / (1 - q0) * (q0 - loss)) ** count
        total += capital
    assert model.log_evidence(counts, q0) == pytest.approx(log(total), rel=1e-12)


@pytest.mark.parametrize(("q0", "never_before", "by"), [(0.05, 59, 77), (0.01, 299, 390)])
def test_a_flawless_agent_is_promoted_neither_too_soon_nor_too_late(
    q0: float, never_before: int, by: int
) -> None:
    needed = model.reviews_needed(0, q0, 0.05)
    assert needed is not None
    assert never_before <= needed <= by
    assert model.log_evidence((needed - 1, 0, 0, 0, 0), q0) < log(20)
    assert model.log_evidence((needed, 0, 0, 0, 0), q0) >= log(20)


@given(st.integers(0, 60), st.sampled_from([0.1, 0.05, 0.02, 0.01]), st.sampled_from([0.05, 0.01, 0.001]))
def test_reviews_needed_is_the_first_number_that_suffices(errors: int, q0: float, alpha: float) -> None:
    needed = model.reviews_needed(errors, q0, alpha)
    assert needed is not None
    assert needed > (model.reviews_needed(errors - 1, q0, alpha) or 0) if errors else needed > 0
    assert model.log_evidence((needed - errors, 0, 0, 0, errors), q0) >= log(1 / alpha)
    assert model.log_evidence((needed - 1 - errors, 0, 0, 0, errors), q0) < log(1 / alpha)


def test_more_reviews_than_the_most_are_none() -> None:
    assert model.reviews_needed(5, 0.05, 0.05, most=100) is None
    assert model.reviews_needed(200, 0.05, 0.05, most=100) is None


def test_attempts_together_spend_no_more_than_alpha() -> None:
    spent = sum(1 / (k * (k + 1)) * 0.05 for k in range(1, 1001))
    assert sum(2.718281828459045 ** -model.needed(0.05, k) for k in range(1, 1001)) == pytest.approx(spent)
    assert spent < 0.05


Counts = st.tuples(*[st.integers(0, 400)] * 5)
Q0 = st.floats(0.001, 0.4)


@given(Counts, Q0, st.integers(0, 4), st.integers(0, 4))
def test_a_greater_loss_never_adds_evidence(counts: tuple[int, ...], q0: float, one: int, two: int) -> None:
    less, more = sorted((one, two))
    better = [count + (index == less) for index, count in enumerate(counts)]
    worse = [count + (index == more) for index, count in enumerate(counts)]
    assert model.log_evidence(worse, q0) <= model.log_evidence(better, q0) + 1e-9


@given(Counts, Q0)
def test_a_loss_above_the_tolerated_rate_lowers_evidence_and_one_below_raises_it(
    counts: tuple[int, ...], q0: float
) -> None:
    before = model.log_evidence(counts, q0)
    for index, loss in enumerate(LEVELS):
        now = model.log_evidence([n + (i == index) for i, n in enumerate(counts)], q0)
        if abs(loss - q0) > 1e-6:
            assert (now > before) == (loss < q0)


@given(Counts, Q0, st.integers(0, 60), st.integers(0, 20))
def test_the_correction_takes_away_and_a_missed_probe_never_helps(
    counts: tuple[int, ...], q0: float, caught: int, missed: int
) -> None:
    plain = model.log_evidence(counts, q0)
    corrected = model.corrected_log_evidence(counts, caught=caught, missed=missed, q0=q0)
    assert corrected <= max(plain, 0.0) + 1e-9
    worse = model.corrected_log_evidence(counts, caught=caught, missed=missed + 1, q0=q0)
    assert worse <= corrected + 1e-9


def test_without_probes_nothing_is_ever_proved() -> None:
    assert model.corrected_log_evidence((10**6, 0, 0, 0, 0), caught=0, missed=0, q0=0.05) < 1e-9


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_band_of_the_catch_rate_holds_what_was_seen(caught: int, missed: int) -> None:
    low, high = model.catch_band(caught, missed)
    assert 0 <= low <= high <= 1
    if caught + missed:
        assert low <= caught / (caught + missed) <= high
    else:
        assert (low, high) == (0.0, 1.0)


def test_the_band_narrows() -> None:
    widths = [high - low for low, high in (model.catch_band(9 * n, n) for n in (1, 10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.1


# ── The fold ──────────────────────────────────────────────────────────────────────────────────────────────────────────

Loss = st.sampled_from(LEVELS)
Period = st.sampled_from([0, 0, 0, 0, 1])
Numbered = {"id": st.integers(1, 10**9), "at": st.just(T0), "period": Period}
Moment = st.integers(0, 10**6).map(lambda minutes: T0 + timedelta(minutes=minutes))
REVIEWS = st.builds(
    Review, **Numbered, loss=Loss, critical=st.booleans(), reviewer=st.none() | st.integers(1, 9),
    audit=st.booleans(), missed=st.booleans(),
)  # fmt: skip
CORRECTIONS = st.builds(
    Correction, **Numbered, before=st.none() | Loss, after=Loss, critical=st.booleans(),
    was_critical=st.booleans(), reviewer=st.none() | st.integers(1, 9), audit=st.booleans(),
)  # fmt: skip
INCIDENTS = st.builds(Incident, **Numbered, loss=Loss, critical=st.booleans())
PROBES = st.builds(Probe, **Numbered, caught=st.booleans(), reviewer=st.none() | st.integers(1, 9))
SECONDS = st.builds(Second, **Numbered, agreed=st.booleans())
TURNS = st.builds(
    Turn, **Numbered, tier=st.sampled_from([IN, ON, OUT]), fresh=st.booleans(),
    attempts=st.tuples(st.integers(1, 9), st.integers(1, 9)), thresholds=st.sampled_from([SOON, PLAIN]),
)  # fmt: skip
EVENTS = REVIEWS | REVIEWS | CORRECTIONS | INCIDENTS | PROBES | SECONDS | TURNS
WITHOUT_TURNS = REVIEWS | REVIEWS | INCIDENTS | PROBES | SECONDS
HISTORIES = st.lists(EVENTS, max_size=60)


@given(HISTORIES, st.integers(0, 60))
def test_a_state_stored_as_json_anywhere_goes_on_as_if_it_had_not_been(
    events: list[model.Event], cut: int
) -> None:
    whole = model.fold(begin(), events)
    stored = json.loads(json.dumps(model.fold(begin(), events[:cut]).as_json()))
    assert model.fold(model.State.from_json(stored), events[cut:]) == whole


def test_whole_floats_may_come_back_as_integers() -> None:
    stored = {**begin().as_json(), "detector": [0, 1, 2, 3, 4, 5]}
    assert [type(part) for part in model.State.from_json(stored).detector] == [float] * 6


@given(st.lists(WITHOUT_TURNS, max_size=50), st.randoms(use_true_random=False))
def test_counts_do_not_depend_on_the_order_within_a_period(events: list[model.Event], rng: Random) -> None:
    one = model.fold(begin(), events)
    mixed = list(events)
    rng.shuffle(mixed)
    other = model.fold(begin(), mixed)
    for name in ("counts", "critical", "probes", "seconds", "audits", "missed"):
        assert getattr(one, name) == getattr(other, name)


@given(HISTORIES)
def test_every_history_leaves_numbers_that_are_numbers(events: list[model.Event]) -> None:
    state = model.fold(begin(), events)
    assert all(isfinite(part) and part >= 0 for part in (*state.detector, *state.second_detector))
    assert 0.2 * state.q0 - 1e-12 <= state.reference <= state.q0
    assert 0 <= model.audit_rate(state) <= 1
    for target in model.TARGETS:
        found = model.hurdles(state, target, now=T0, can_be_critical=True)
        assert all(hurdle.words and hurdle.code for hurdle in found)
        assert model.may_promote(state, target, now=T0, can_be_critical=True) == all(
            hurdle.met for hurdle in found
        )


@given(st.lists(REVIEWS | PROBES | SECONDS, max_size=60), INCIDENTS)
def test_an_incident_never_helps(events: list[model.Event], incident: Incident) -> None:
    before = model.fold(begin(), events)
    now = model.step(before, incident)
    assert now.counts == before.counts
    assert now.probes == before.probes
    assert model.level(now) >= model.level(before)
    assert model.evidence(now, ON) == model.evidence(before, ON)
    assert now.critical[1] >= before.critical[1]
    assert model.is_alarmed(now) or not (model.is_alarmed(before) or incident.critical)


@given(st.lists(REVIEWS, max_size=60), st.integers(0, 59))
def test_a_rejection_instead_of_an_approval_never_helps(events: list[Review], where: int) -> None:
    flawless = [replace(event, loss=0.0) if n == where else event for n, event in enumerate(events)]
    rejected = [replace(event, loss=1.0) if n == where else event for n, event in enumerate(events)]
    good, bad = model.fold(begin(), flawless), model.fold(begin(), rejected)
    probes = {"caught": 30, "missed": 1, "q0": 0.05}
    assert model.corrected_log_evidence(bad.counts, **probes) <= (
        model.corrected_log_evidence(good.counts, **probes) + 1e-9
    )
    assert bad.reference >= good.reference


@given(st.lists(REVIEWS, max_size=60))
def test_a_rejection_never_lowers_the_detector(events: list[Review]) -> None:
    state = model.fold(begin(), events)
    rejected = model.step(state, review(1, loss=1.0))
    assert model.level(rejected) > model.level(state) or model.level(state) > 1e5


@given(st.lists(REVIEWS | PROBES | SECONDS, max_size=60))
def test_what_belongs_to_an_earlier_attempt_only_speaks_against(events: list[model.Event]) -> None:
    """Approvals, caught probes and agreement of before count for nothing; errors reach the detector."""
    state = model.step(begin(), turn(IN, attempts=(2, 1)))
    old = model.fold(state, [replace(event, period=0) for event in events])
    assert (old.counts, old.probes, old.seconds, old.audits, old.reviewers) == (
        state.counts, state.probes, state.seconds, 0, ()
    )  # fmt: skip
    assert model.level(old) >= model.level(state)


def test_a_correction_moves_the_counts_and_only_a_worse_one_the_detector() -> None:
    state = after(0.0, 0.0, 1.0, 0.0)
    worse = model.step(state, correction(0.0, 1.0))
    better = model.step(state, correction(1.0, 0.25))
    assert worse.counts == (2, 0, 0, 0, 2)
    assert better.counts == (3, 0, 1, 0, 0)
    assert model.level(worse) > model.level(state) == model.level(better)
    assert worse.critical[0] == better.critical[0] == 4


def test_a_correction_of_what_had_not_counted_yet_is_the_review() -> None:
    state = model.step(after(0.0), correction(None, 0.5, reviewer=7, audit=True))
    assert state.counts == (1, 0, 0, 1, 0)
    assert (state.reviewers, state.audits, state.critical) == ((1, 7), 1, (2, 0))


def test_counts_after_corrections_are_those_of_the_final_losses() -> None:
    rng = Random(3)
    losses = [rng.choice(LEVELS) for _ in range(200)]
    state = after(*losses)
    for index in rng.sample(range(200), 80):
        changed = rng.choice(LEVELS)
        state = model.step(state, correction(losses[index], changed))
        losses[index] = changed
    assert state.counts == tuple(losses.count(level) for level in LEVELS)


@pytest.mark.parametrize(
    ("loss", "critical", "audit", "hours"),
    [
        (0.0, False, False, 24),
        (0.1, False, False, 0),
        (1.0, False, False, 0),
        (0.0, True, False, 0),
        (0.0, False, True, 0),
        (1.0, False, True, 0),
    ],
)
def test_approvals_mature_unless_they_are_audits(
    loss: float, critical: bool, audit: bool, hours: int
) -> None:
    """The detector would otherwise see errors without the approvals among which they occurred."""
    state = begin(ON if audit else IN, PLAIN)
    found = model.counts_at(state, loss=loss, critical=critical, audit=audit, judged_at=T0)
    assert found == T0 + timedelta(hours=hours)


def test_a_loss_between_the_levels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.3 is not one of"):
        after(0.3)


def test_a_million_reviews_neither_overflow_nor_underflow() -> None:
    counts = (990_000, 0, 0, 0, 10_000)
    assert model.log_evidence(counts, 0.05) > 10_000
    assert model.log_evidence(counts[::-1], 0.05) < -100_000
    assert model.corrected_log_evidence(counts, caught=10**6, missed=10**6, q0=0.05) < inf
    assert model.upper_bound(((0.0, 990_000.0), (1.0, 10_000.0)), 0.05) == pytest.approx(0.0112, abs=1e-4)
    hopeless = after(*[1.0] * 5000)
    assert all(part <= 1e6 for part in hopeless.detector)
    assert model.is_alarmed(hopeless)
    forgiven = model.fold(hopeless, [review(n) for n in range(1000)])
    assert not model.is_alarmed(forgiven)
