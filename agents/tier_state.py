"""The state of the tier model: a fold over one key's evidence. Pure: no clock, no chance, no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from agents.tier_bounds import (
    FLOOR_SHARE,
    LEVELS,
    REFUTED,
    advance,
    detector_factors,
    pairs,
    raise_only,
    upper_bound,
)
from agents.tier_events import (
    MOST_REVIEWERS,
    ON,
    OUT,
    TARGETS,
    Correction,
    Event,
    Incident,
    Probe,
    Review,
    Second,
    Thresholds,
    Turn,
)

RECKONED_EVERY = 20
"""The reference is reckoned anew after every so many reviews of a period: fixed beforehand, so it is known before the
reviews it is applied to, which is all that the detector's promise asks of it."""

IN = "in_the_loop"
BELOW = {ON: IN, OUT: ON}
"""Where the evidence for a tier is gathered: one tier below it."""

_INDEX = {loss: index for index, loss in enumerate(LEVELS)}
_FULL = _INDEX[1.0]
_ZERO = (0.0,) * 6

Six = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What the evidence of one key adds up to. `attempts` are those for on the loop and out of the loop; `critical`
    counts (reviews, critical errors), `probes` (caught, missed), `seconds` (agreed, differed); all of the period that
    began at `since`. `reviewers` are the first few different ones, sorted."""

    tier: str
    period: int
    attempts: tuple[int, int]
    thresholds: Thresholds
    counts: tuple[int, ...]
    critical: tuple[int, int]
    probes: tuple[int, int]
    seconds: tuple[int, int]
    detector: Six
    second_detector: Six
    reference: float
    audits: int
    missed: int
    reviewers: tuple[int, ...]
    first_at: datetime | None
    last_at: datetime | None
    since: datetime
    last_id: int

    @property
    def reviews(self) -> int:
        return sum(self.counts)

    @property
    def q0(self) -> float:
        """The error rate tolerated in this tier."""
        return self.thresholds.q0(self.tier)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; floats come back bit for bit."""
        return {
            "tier": self.tier,
            "period": self.period,
            "attempts": list(self.attempts),
            "thresholds": self.thresholds.as_json(),
            "counts": list(self.counts),
            "critical": list(self.critical),
            "probes": list(self.probes),
            "seconds": list(self.seconds),
            "detector": list(self.detector),
            "second_detector": list(self.second_detector),
            "reference": self.reference,
            "audits": self.audits,
            "missed": self.missed,
            "reviewers": list(self.reviewers),
            "first_at": self.first_at.isoformat() if self.first_at else None,
            "last_at": self.last_at.isoformat() if self.last_at else None,
            "since": self.since.isoformat(),
            "last_id": self.last_id,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "State":
        """The inverse of `as_json`. A database may give back a whole float as an integer."""
        values = dict(stored)
        for name in ("attempts", "counts", "critical", "probes", "seconds", "reviewers"):
            values[name] = tuple(values[name])
        for name in ("detector", "second_detector"):
            values[name] = tuple(float(part) for part in values[name])
        for name in ("first_at", "last_at", "since"):
            values[name] = datetime.fromisoformat(values[name]) if values[name] else None
        values["thresholds"] = Thresholds(**values["thresholds"])
        values["reference"] = float(values["reference"])
        return cls(**values)


def start(*, tier: str, thresholds: Thresholds, at: datetime) -> State:
    """A key of which nothing is known."""
    return State(
        tier=tier,
        period=0,
        attempts=(1, 1),
        thresholds=thresholds,
        counts=(0,) * len(LEVELS),
        critical=(0, 0),
        probes=(0, 0),
        seconds=(0, 0),
        detector=_ZERO,
        second_detector=_ZERO,
        reference=thresholds.q0(tier),
        audits=0,
        missed=0,
        reviewers=(),
        first_at=None,
        last_at=None,
        since=at,
        last_id=0,
    )


def attempts_after(state: State, tier: str) -> tuple[int, int]:
    """The attempts that run after a fresh period in `tier` begins: whatever ends a period without the promotion it
    was gathering evidence for ends that attempt, so that each attempt has its own share of α."""
    on, out = state.attempts
    left_audits = state.tier in TARGETS and tier != OUT
    return (on + 1 if tier not in TARGETS else on, out + 1 if left_audits else out)


def loosens(old: Thresholds, new: Thresholds) -> bool:
    """Whether evidence gathered under `old` may not go on counting under `new`: a lower bar chosen after seeing the
    evidence is worth nothing. Such thresholds need a fresh period."""
    return (
        new.on_p0 < old.on_p0
        or new.out_p0 < old.out_p0
        or new.alpha > old.alpha
        or new.critical_q0 > old.critical_q0
    )


def counts_at(state: State, *, loss: float, critical: bool, audit: bool, judged_at: datetime) -> datetime:
    """When a first judgement counts. Losses above q0 count at once, smaller ones when they have matured, since a
    failure may still turn up; that only keeps a promotion back. Audits all count at once: were approvals to wait while
    errors do not, the detector would see the errors of a busy morning in a row, without the approvals among which they
    occurred. An agent of .99 with 1,000 actions a day, in T2 at a reference of .015, was then demoted on its first day
    in 58 runs of 60; with audits at once, in 1."""
    if audit or critical or loss > state.q0:
        return judged_at
    return judged_at + timedelta(hours=state.thresholds.maturity_hours)


# ── The fold ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def fold(state: State, events: Iterable[Event]) -> State:
    for event in events:
        state = step(state, event)
    return state


def step(state: State, event: Event) -> State:
    """The state after one more event; O(1). The caller sorts by (`at`, `id`) and gives each event once."""
    if isinstance(event, Review):
        if event.period != state.period:
            return _of_earlier(state, event, event.loss, event.critical)
        return _counted(state, event, event.loss, event.critical, event.reviewer, event.audit, event.missed)
    if isinstance(event, Correction):
        return _corrected(state, event)
    if isinstance(event, Incident):
        return _of_earlier(state, event, event.loss, event.critical)
    if isinstance(event, Probe):
        return _probed(state, event)
    if isinstance(event, Second):
        return _seconded(state, event)
    return _turned(state, event)


def _place(loss: float) -> int:
    try:
        return _INDEX[loss]
    except KeyError:
        raise ValueError(f"a loss of {loss} is not one of {', '.join(map(str, LEVELS))}") from None


def _counted(
    state: State,
    event: Event,
    loss: float,
    critical: bool,
    reviewer: int | None,
    audit: bool,
    missed: bool,
) -> State:
    """One review of this period. Built in one call: a million rows are rebuilt through here."""
    index = _place(loss)
    counts = state.counts
    counts = (*counts[:index], counts[index] + 1, *counts[index + 1 :])
    reference = state.reference
    detector = advance(state.detector, detector_factors(reference)[index])
    reviews, errors = state.critical
    if (reviews + 1) % RECKONED_EVERY == 0:
        reference = _reckoned(state, counts)
    reviewers = state.reviewers
    if reviewer is not None and reviewer not in reviewers and len(reviewers) < MOST_REVIEWERS:
        reviewers = tuple(sorted((*reviewers, reviewer)))
    return State(
        state.tier,
        state.period,
        state.attempts,
        state.thresholds,
        counts,
        (reviews + 1, errors + critical),
        state.probes,
        state.seconds,
        detector,
        state.second_detector,
        reference,
        state.audits + audit,
        state.missed + missed,
        reviewers,
        state.first_at or event.at,
        event.at,
        state.since,
        event.id,
    )


def _reckoned(state: State, counts: Sequence[int]) -> float:
    """The anytime 80 % upper bound of the agent's own error rate, at least q0/5, never above what stood."""
    floor = state.q0 * FLOOR_SHARE
    if state.reference <= floor:
        return state.reference
    return upper_bound(pairs(counts), REFUTED, low=floor, high=state.reference)


def _of_earlier(state: State, event: Event, loss: float, critical: bool) -> State:
    """What may only speak against the agent: an incident, or what belongs to an attempt that is over."""
    factors = detector_factors(state.reference)[_place(loss)]
    reviews, errors = state.critical
    return replace(
        state,
        detector=raise_only(state.detector, factors),
        critical=(reviews, errors + critical),
        last_id=event.id,
    )


def _corrected(state: State, event: Correction) -> State:
    """Counts move exactly. The detector takes a higher loss as one further observation without the restart; a lower
    one leaves it as it is: what it multiplied in cannot be divided out once later reviews followed, and an alarm that
    comes too early errs on the safe side."""
    if event.before is None and event.period == state.period:
        return _counted(state, event, event.after, event.critical, event.reviewer, event.audit, missed=False)
    worse = event.before is None or event.after > event.before
    newly = event.critical and not event.was_critical
    if event.period != state.period:
        if worse or newly:
            return _of_earlier(state, event, event.after if worse else 0.0, newly)
        return replace(state, last_id=event.id)
    assert event.before is not None
    counts = list(state.counts)
    counts[_place(event.before)] -= 1
    counts[_place(event.after)] += 1
    reviews, errors = state.critical
    detector = state.detector
    if worse:
        detector = raise_only(detector, detector_factors(state.reference)[_place(event.after)])
    return replace(
        state,
        counts=tuple(counts),
        critical=(reviews, errors + event.critical - event.was_critical),
        detector=detector,
        last_id=event.id,
    )


def _probed(state: State, event: Probe) -> State:
    if event.period != state.period:
        return replace(state, last_id=event.id)
    caught, missed = state.probes
    return replace(state, probes=(caught + event.caught, missed + (not event.caught)), last_id=event.id)


def _seconded(state: State, event: Second) -> State:
    """The second detector watches how often a blind second reviewer would not have approved. Its reference is the
    error rate tolerated on the loop, always: approvals that are wrong more often than that are what nobody wants."""
    factors = detector_factors(state.thresholds.q0(ON))[0 if event.agreed else _FULL]
    if event.period != state.period:
        return replace(state, second_detector=raise_only(state.second_detector, factors), last_id=event.id)
    agreed, differed = state.seconds
    return replace(
        state,
        seconds=(agreed + event.agreed, differed + (not event.agreed)),
        second_detector=advance(state.second_detector, factors),
        last_id=event.id,
    )


def _turned(state: State, event: Turn) -> State:
    """A fresh period starts from nothing, but an agent that rises keeps its reference: it is the same agent, it was
    measured at that error rate a moment ago, and it must be watched for doing worse once it is trusted. From .998 in T1
    to .90 in T2, 8 wrong actions are executed before the fall instead of 32 with the reference back at q0
    (bench/tier_model.py, 10). The detector's promise speaks of whatever reference stands, so it is not touched. After
    a fall or a reset the reference is q0 again."""
    q0 = event.thresholds.q0(event.tier)
    rises = BELOW.get(event.tier) == state.tier
    if not event.fresh:
        return replace(
            state,
            tier=event.tier,
            attempts=event.attempts,
            thresholds=event.thresholds,
            reference=min(state.reference, q0),
            last_id=event.id,
        )
    begun = start(tier=event.tier, thresholds=event.thresholds, at=event.at)
    return replace(
        begun,
        period=event.period,
        attempts=event.attempts,
        reference=max(min(state.reference, q0), q0 * FLOOR_SHARE) if rises else q0,
        last_id=event.id,
    )
