"""What a state of the tier model says: alarms, how much is audited, what a promotion still lacks. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.tier_bounds import ESCALATION, corrected_log_evidence, needed, quiet_level, reaches
from agents.tier_events import MOST_REVIEWERS, ON, OUT, TARGETS
from agents.tier_state import BELOW, State

_MOST_TO_GO = 1_000_000


def level(state: State) -> float:
    """M, the detector's mean."""
    return sum(state.detector) / len(state.detector)


def alarm_at(state: State) -> float:
    """A, where the tier is taken back; below on the loop it is only where a bad record would be."""
    return state.thresholds.alarm_out if state.tier == OUT else state.thresholds.alarm_on


def is_alarmed(state: State) -> bool:
    """Back to T1: M ≥ A, or one critical error in this period."""
    return state.critical[1] > 0 or level(state) >= alarm_at(state)


def is_escalated(state: State) -> bool:
    """Audit everything and hold what cannot be undone."""
    return level(state) >= ESCALATION * quiet_level(state.reference)


def second_level(state: State) -> float:
    return sum(state.second_detector) / len(state.second_detector)


def is_second_alarmed(state: State) -> bool:
    """Second reviewers disagree with approvals far more often than is tolerated: collusion, or tired reviewers."""
    return second_level(state) >= alarm_at(state)


def audit_rate(state: State) -> float:
    """The probability with which the next action that nobody reviews beforehand is to be drawn for an audit."""
    if state.tier not in TARGETS:
        return 0.0
    if is_escalated(state) or is_alarmed(state):
        return 1.0
    limits = state.thresholds
    early = state.audits < limits.early_audits
    if state.tier == OUT:
        return limits.early_out if early else limits.audit_out
    return limits.early_on if early else limits.audit_on


@dataclass(frozen=True, slots=True)
class Hurdle:
    """One condition of a promotion. `have` and `need` are in the condition's own unit (log E, M, days, people,
    share), None where there is nothing to compare."""

    code: str
    met: bool
    have: float | None
    need: float | None
    words: str


def bar(state: State, target: str) -> float:
    """log(1/α_k) of the attempt that runs for this target."""
    return needed(state.thresholds.alpha, state.attempts[TARGETS.index(target)])


def reviews_to_go(state: State, target: str) -> int | None:
    """How many more flawless reviews until the corrected evidence suffices, if probes go on being served at the tier's
    rate and caught as often as so far (all of them, where none was served yet). None: not reachable that way."""
    if BELOW[target] != state.tier:
        return None
    q0, limit = state.thresholds.q0(target), bar(state, target)
    rate = state.thresholds.probe_audit if state.tier in TARGETS else state.thresholds.probe_in
    caught, missed = state.probes
    share = caught / (caught + missed) if caught + missed else 1.0

    def enough(more: int) -> bool:
        counts = (state.counts[0] + more, *state.counts[1:])
        served = more * rate
        return reaches(
            counts, caught=caught + served * share, missed=missed + served * (1 - share), q0=q0, bar=limit
        )

    if enough(0):
        return 0
    low, high = 0, 16
    while not enough(high):
        low, high = high, high * 2
        if high > _MOST_TO_GO:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def evidence(state: State, target: str) -> float:
    """The corrected log E that speaks for this target; 0 where evidence for it is gathered in another tier."""
    if BELOW[target] != state.tier:
        return 0.0
    caught, missed = state.probes
    return corrected_log_evidence(state.counts, caught=caught, missed=missed, q0=state.thresholds.q0(target))


def critical_counts(state: State) -> tuple[int, ...]:
    """Counts per loss level of the critical gate: a review is a full loss if its error was critical."""
    reviews, errors = state.critical
    return (max(reviews - errors, 0), 0, 0, 0, errors)


def may_promote(state: State, target: str, *, now: datetime, can_be_critical: bool) -> bool:
    """Rules 1 to 4 of TIERS.md, "Promotion"; the ceiling, the policy and the owner's consent are the caller's. The
    same as every hurdle being met, but cheap where the answer is no."""
    if BELOW[target] != state.tier or not all(hurdle.met for hurdle in _circumstances(state, now=now)):
        return False
    caught, missed = state.probes
    limit = bar(state, target)
    if can_be_critical and not reaches(
        critical_counts(state),
        caught=caught,
        missed=missed,
        q0=state.thresholds.critical_q0,
        bar=limit,
    ):
        return False
    q0 = state.thresholds.q0(target)
    return reaches(state.counts, caught=caught, missed=missed, q0=q0, bar=limit)


def hurdles(state: State, target: str, *, now: datetime, can_be_critical: bool) -> list[Hurdle]:
    """Every condition with what is there, what is needed, and words for the owner's page."""
    found = [_evidence_hurdle(state, target)]
    if can_be_critical:
        found.append(_critical_hurdle(state, target))
    return [*found, *_circumstances(state, now=now)]


def _evidence_hurdle(state: State, target: str) -> Hurdle:
    have, need = evidence(state, target), bar(state, target)
    met = BELOW[target] == state.tier and have >= need
    caught, missed = state.probes
    if met:
        words = "The evidence suffices."
    elif BELOW[target] != state.tier:
        words = f"Evidence for this is gathered {BELOW[target].replace('_', ' ')}."
    elif (more := reviews_to_go(state, target)) is not None:
        words = f"{more:,} more {'review' if more == 1 else 'reviews'} without an error."
    elif caught + missed:
        words = (
            f"Out of reach: of {caught + missed} probes {caught} were caught; an approval proves too little."
        )
    else:
        words = "Out of reach: without probes nobody knows what an approval proves."
    return Hurdle("evidence", met, have, need, words)


def _critical_hurdle(state: State, target: str) -> Hurdle:
    caught, missed = state.probes
    need = bar(state, target)
    have = 0.0
    if BELOW[target] == state.tier:
        have = corrected_log_evidence(
            critical_counts(state), caught=caught, missed=missed, q0=state.thresholds.critical_q0
        )
    reviews, errors = state.critical
    tolerated = f"{state.thresholds.critical_q0 * 100:g} %"
    words = (
        f"Critical errors are rarer than {tolerated}."
        if have >= need
        else f"{errors} critical errors in {reviews:,} reviews do not show yet that they are rarer than {tolerated}."
    )
    return Hurdle("critical_gate", have >= need, have, need, words)


def _circumstances(state: State, *, now: datetime) -> Iterator[Hurdle]:
    """Rules 3 and 4, and the second detector; those that most often say no come first."""
    limits = state.thresholds
    span = state.last_at - state.first_at if state.first_at and state.last_at else timedelta()
    yield _days_hurdle("cool_down", now - state.since, limits.cool_down_days, "since the tier began")
    yield _days_hurdle(
        "exposure", span, limits.exposure_days, "between the period's first and its last review"
    )
    yield _reviewers_hurdle(state)
    yield _completion_hurdle(state)
    yield _quiet_hurdle("detector", level(state), state.reference, "Errors", "come")
    yield _quiet_hurdle("second_reviews", second_level(state), limits.q0(ON), "Second reviewers", "differed")


def _quiet_hurdle(code: str, have: float, reference: float, who: str, did: str) -> Hurdle:
    need = ESCALATION * quiet_level(reference)
    met = have < need
    words = f"{who} have {'not ' if met else ''}{did} too often of late: {have:.1f}, the limit is {need:.1f}."
    return Hurdle(code, met, have, need, words)


def _days_hurdle(code: str, passed: timedelta, need: float, what: str) -> Hurdle:
    have = passed / timedelta(days=1)
    return Hurdle(code, have >= need, have, need, f"{have:.1f} of {need:g} days {what}.")


def _reviewers_hurdle(state: State) -> Hurdle:
    have, need = len(state.reviewers), state.thresholds.reviewers
    at_least = " or more" if have >= MOST_REVIEWERS else ""
    return Hurdle(
        "reviewers", have >= need, float(have), float(need), f"Reviewed by {have}{at_least} of {need} people."
    )


def _completion_hurdle(state: State) -> Hurdle:
    need = state.thresholds.completion
    if not state.audits:
        return Hurdle("completion", True, None, need, "No audits so far.")
    have = 1 - state.missed / state.audits
    return Hurdle(
        "completion",
        have >= need,
        have,
        need,
        f"{have:.0%} of audits were reviewed in time, {need:.0%} are asked for.",
    )
