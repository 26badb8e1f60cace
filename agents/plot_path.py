"""How a state came about: the states of one period, retraced from the last events before it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isclose

from agents.tier_bounds import LEVELS, REFUTED, pairs, quiet_level, upper_bound
from agents.tier_events import Correction, Event, Probe, Review, Second, Turn
from agents.tier_state import State, step

MOST_POINTS = 120
_ZERO = (0.0,) * 6
_FORGOTTEN = 1e-3
"""Where less than this share is left of what the detector stood at, that cannot be told any more and does not show."""


@dataclass(frozen=True, slots=True)
class Path:
    """States of one period in order, the last one the present. `whole`: the first is the period's beginning;
    otherwise earlier reviews are not drawn."""

    states: tuple[State, ...]
    whole: bool = True

    @property
    def now(self) -> State:
        return self.states[-1]


def thin(values: Sequence[State], most: int = MOST_POINTS) -> list[State]:
    """At most so many of them, the first and the last always among them."""
    if len(values) <= most:
        return list(values)
    step = (len(values) - 1) / (most - 1)
    return [values[round(index * step)] for index in range(most)]


def lost(state: State) -> float:
    """Errors so far, a small fault counting as the share of one that it is."""
    return sum(loss * count for loss, count in zip(LEVELS, state.counts, strict=True))


def retrace(now: State, events: Sequence[Event], *, whole: bool) -> Path:
    """The states after each of these events, which are the last of the period that ended in `now`.

    Counts are exact: they stood at what is there now, less what these events brought. So is the detector of a whole
    period. Of a part, the first third is not drawn: in it the detector forgets where it was assumed to begin, or, where
    it forgets slowly, that is solved for. The last state is always `now` itself."""
    events = [event for event in events if not isinstance(event, Turn)]
    begin = replace(_before(now, events), reference=now.q0, detector=_ZERO, second_detector=_ZERO)
    if whole:
        states = _states(begin, events)
        if not _ends_like(states[-1], now):  # an agent that rises keeps the reference it had
            states = _states(replace(begin, reference=min(now.reference, now.q0)), events)
    else:
        states = _part(begin, events, now, _reference(begin, now))
        if not _ends_like(states[-1], now, within=0.01):
            states = _part(begin, events, now, min(now.reference, now.q0))
        states = states[len(events) // 3 :]
    return Path((*states[:-1], now), whole)


def _reference(begin: State, now: State) -> float:
    """About what the reference was: it never rises, and follows the bound of what was counted by then."""
    return upper_bound(pairs(begin.counts), REFUTED, low=min(now.reference, now.q0), high=now.q0)


def _before(now: State, events: Sequence[Event]) -> State:
    """What is counted now, without what these events added."""
    counts = list(now.counts)
    reviews, errors = now.critical
    probes, seconds = list(now.probes), list(now.seconds)
    for event in events:
        if event.period != now.period:
            continue
        if isinstance(event, Review) or (isinstance(event, Correction) and event.before is None):
            loss = event.loss if isinstance(event, Review) else event.after
            counts[LEVELS.index(loss)] -= 1
            reviews, errors = reviews - 1, errors - event.critical
        elif isinstance(event, Correction):
            assert event.before is not None
            counts[LEVELS.index(event.before)] += 1
            counts[LEVELS.index(event.after)] -= 1
            errors -= event.critical - event.was_critical
        elif isinstance(event, Probe):
            probes[0 if event.caught else 1] -= 1
        elif isinstance(event, Second):
            seconds[0 if event.agreed else 1] -= 1
    return replace(
        now,
        counts=tuple(max(count, 0) for count in counts),
        critical=(max(reviews, 0), max(errors, 0)),
        probes=(max(probes[0], 0), max(probes[1], 0)),
        seconds=(max(seconds[0], 0), max(seconds[1], 0)),
    )


def _states(begin: State, events: Sequence[Event]) -> list[State]:
    states = [begin]
    for event in events:
        states.append(step(states[-1], event))
    return states


def _part(begin: State, events: Sequence[Event], now: State, reference: float) -> list[State]:
    begin = replace(begin, reference=reference)
    return _states(replace(begin, detector=_solved(begin, events, now)), events)


def _ends_like(found: State, now: State, within: float = 1e-6) -> bool:
    return all(
        isclose(one, other, rel_tol=within, abs_tol=1e-9)
        for one, other in zip(found.detector, now.detector, strict=True)
    )


def _solved(begin: State, events: Sequence[Event], now: State) -> tuple[float, ...]:
    """Where each part of the detector began so that it ends where it is: R_end = kept · R_begin + rest."""
    rest = _states(begin, events)[-1].detector
    kept = [
        end - none
        for end, none in zip(
            _states(replace(begin, detector=(1.0,) * 6), events)[-1].detector, rest, strict=True
        )
    ]
    quiet = quiet_level(begin.reference)
    return tuple(
        max((end - none) / share, 0.0) if share > _FORGOTTEN else quiet
        for end, none, share in zip(now.detector, rest, kept, strict=True)
    )
