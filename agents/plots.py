"""What the tier model's numbers look like: from states to small plots. Pure.

A plot holds a bounded number of points whatever the number of reviews behind it, so a page costs the same at a million
of them. Boundaries and bounds are the model's own functions, never a second calculation."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import exp, floor, log10

from agents.plot_frame import (
    BOTTOM,
    Box,
    Line,
    Plot,
    Tick,
    round_steps,
    several,
    share,
    short,
    x_ticks,
)
from agents.plot_path import MOST_POINTS, Path, lost, thin
from agents.tier_bounds import (
    ESCALATION,
    HIGHEST,
    catch_band,
    log_evidence,
    pairs,
    quiet_level,
    reaches,
    upper_bound,
)
from agents.tier_events import ON
from agents.tier_judgement import alarm_at, bar, level
from agents.tier_state import State

MOST_STEPS = 16
ROWS = 12
_MOST_REVIEWS = 1_000_000


# ── The staircase: errors against reviews ─────────────────────────────────────────────────────────────────────────────


Faults = tuple[int, ...]
"""Counts of the loss levels above 0, in their order."""


@lru_cache(maxsize=4096)
def _needed(
    faults: Faults, q0: float, limit: float, probes: tuple[int, int] | None, rate: float
) -> int | None:
    """Reviews until the evidence suffices with these faults among them: as if every error were caught where `probes` is
    None, corrected otherwise, probes going on at this rate and caught as often as so far."""
    caught, missed = probes or (0, 0)
    part = caught / (caught + missed) if caught + missed else 1.0
    others = sum(faults)

    def enough(reviews: int) -> bool:
        counts = (reviews - others, *faults)
        if probes is None:
            return log_evidence(counts, q0) >= limit
        served = max(reviews * rate, caught + missed)
        return reaches(counts, caught=served * part, missed=served * (1 - part), q0=q0, bar=limit)

    low, high = others - 1, max(2 * others, 16)
    while not enough(high):
        low, high = high, 2 * high
        if high > _MOST_REVIEWS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def needed_if_caught(state: State, target: str, faults: Faults) -> int | None:
    """Reviews needed with these faults if reviewers catch every one: TIERS.md's boundary at α_k."""
    return _needed(faults, state.thresholds.q0(target), bar(state, target), None, 0.0)


def needed_as_probed(state: State, target: str, faults: Faults) -> int | None:
    """Reviews needed with these faults if probes go on being served at their rate and caught as often as so far."""
    limits = state.thresholds
    rate = limits.probe_in if target == ON else limits.probe_audit
    return _needed(faults, limits.q0(target), bar(state, target), state.probes, rate)


def full(errors: int) -> Faults:
    """So many full errors and no smaller fault."""
    return (0, 0, 0, errors)


def staircase(path: Path, target: str | None) -> Plot:
    """Errors against reviews with the boundary that has to be crossed; without one where there is no higher tier."""
    now = path.now
    reviews, errors = now.reviews, lost(now)
    start, base = (0.0, 0.0) if path.whole else (path.states[0].reviews, lost(path.states[0]))
    top = max(errors + 2, base + 4)
    steps = _levels(floor(base), floor(top))
    caught = _boundary(steps, lambda f: needed_if_caught(now, target, full(f)) if target else None)
    probed = _boundary(steps, lambda f: needed_as_probed(now, target, full(f)) if target else None)
    here = floor(errors + 0.999)
    within = [x for x, f in (*caught, *probed) if f <= here + 1]
    end = max([reviews * 1.06, start + 20, *(x * 1.06 for x in within if x < 20 * max(reviews, 400))])
    box = Box(start, end, base - 0.35 * (top - base) / 4, top)
    lines = [Line("own", "this agent", box.path([(start, base), *_walk(path)], stairs=True))]
    areas: list[Line] = []
    rows: list[tuple[str, ...]] = []
    if target:
        q0 = now.thresholds.q0(target)
        for kind, name, found in (
            ("bound", "needed if reviewers catch every error", caught),
            ("guess", "needed as probes show so far", probed),
        ):
            if drawn := [(x, f) for x, f in found if x <= end]:
                last = (end, drawn[-1][1])
                lines.append(Line(kind, name, box.path([*drawn, last], stairs=True)))
                if kind == "guess":
                    floor_y = short(box.y(box.y0))
                    d = f"{lines[-1].d}V{floor_y}H{short(box.x(drawn[0][0]))}Z"
                    areas.append(Line("earned", "earned", d))
        by_probes = {f: x for x, f in probed}
        rows = [(several(f, "error"), f"{x:,}", _reviews(by_probes.get(f))) for x, f in caught[:ROWS]]
    else:
        q0 = now.q0
        lines.append(
            Line(
                "limit",
                f"tolerated: {share(q0, 1)}",
                box.path([(start, base), (end, base + q0 * (end - start))]),
            )
        )
    mark = box.mark(reviews, errors, f"{reviews:,} reviews, {several(errors, 'error')}")
    return Plot(
        code="staircase",
        title="Errors against reviews",
        says=f"{_staircase_words(now, target)}{_begins(path)}",
        x_name="reviews in this attempt",
        y_name="errors",
        x_ticks=x_ticks(box),
        y_ticks=tuple(
            Tick(round(box.y(value), 1), f"{value:,.0f}")
            for value in round_steps(base, top, 5)
            if value == int(value)
        ),
        lines=tuple(lines),
        areas=tuple(areas),
        marks=(mark,),
        head=("With", "reviews needed, every error caught", "as probes show"),
        rows=tuple(rows),
    )


def staircase_words(state: State, target: str | None) -> str:
    """One sentence: what is there and what is needed with as many errors as there are."""
    return _staircase_words(state, target)


def _staircase_words(state: State, target: str | None) -> str:
    errors, reviews = lost(state), state.reviews
    have = f"{several(errors, 'error')} in {reviews:,} {'review' if reviews == 1 else 'reviews'}."
    if not target:
        return f"{have} There is no higher tier to be earned from here."
    faults = state.counts[1:]
    caught, probed = needed_if_caught(state, target, faults), needed_as_probed(state, target, faults)
    if caught is None:
        return f"{have} No number of reviews would outweigh them in this attempt."
    words = f"{several(errors, 'error')}: {caught:,} reviews needed, you have {reviews:,}."
    shown = (
        "With what probes show of the reviewers" if sum(state.probes) else "With probes that are all caught"
    )
    if probed is None:
        return f"{words} {shown}, it is out of reach."
    if probed > caught:
        return f"{words} {shown}, {probed:,} are needed."
    return words


def _levels(low: int, high: int) -> list[int]:
    """Whole numbers of errors from low to high, at most MOST_STEPS of them."""
    step = max(1, -(-(high - low) // MOST_STEPS))
    return list(range(low, high + 1, step))


def _boundary(steps: Sequence[int], needed: Callable[[int], int | None]) -> list[tuple[int, int]]:
    """(reviews, errors) along the boundary, as far as it can be reached at all."""
    found = []
    for errors in steps:
        reviews = needed(errors)
        if reviews is None:
            break
        found.append((reviews, errors))
    return found


def _walk(path: Path) -> list[tuple[float, float]]:
    """Where errors rose, thinned, and the present."""
    states = path.states
    turns = [now for before, now in pairwise(states) if before.counts[1:] != now.counts[1:]]
    return [(state.reviews, lost(state)) for state in [*thin(turns), states[-1]]]


def _reviews(value: int | None) -> str:
    return "out of reach" if value is None else f"{value:,}"


def _begins(path: Path) -> str:
    if path.whole:
        return ""
    return f" Drawn are the last {path.now.reviews - path.states[0].reviews:,} reviews; earlier ones are counted."


# ── Accuracy: the lower confidence sequence against p0 ────────────────────────────────────────────────────────────────


def lower_accuracy(state: State, alpha: float) -> float:
    """What the agent's mean accuracy over this attempt is at least, at any time with 1 − alpha, as reviewers saw it."""
    most = upper_bound(pairs(state.counts), alpha)
    return 0.0 if most >= HIGHEST else 1 - most


def accuracy(path: Path, target: str | None) -> Plot:
    """The lower bound of the accuracy, and what was observed, against the accuracy that is asked for."""
    now = path.now
    asked = 1 - (now.thresholds.q0(target) if target else now.q0)
    alpha = exp(-bar(now, target)) if target else now.thresholds.alpha
    states = [state for state in thin(path.states, 80) if state.reviews]
    bounds = [(state.reviews, lower_accuracy(state, alpha)) for state in states]
    seen = [(state.reviews, 1 - lost(state) / state.reviews) for state in states]
    low, observed = (bounds[-1][1], seen[-1][1]) if states else (0.0, 0.0)
    lowest = min([asked, *(y for _, y in (*bounds[len(bounds) // 3 :], *seen[len(seen) // 3 :]))])
    bottom = max(0.0, floor((lowest - 0.15 * (1 - lowest) - 0.002) * 100) / 100)
    start = 0.0 if path.whole or not states else float(states[0].reviews)
    box = Box(start, max(now.reviews * 1.04, start + 20), bottom, 1.0)
    lines = [
        Line("own", f"lower bound, true with {share(1 - alpha, 1)}", box.path(_from(bounds, bottom))),
        Line("guess", "observed", box.path(seen)),
        Line("limit", f"asked for: {share(asked, 2)}", box.across(asked)),
    ]
    if states:
        says = (
            f"Observed is an accuracy of {share(observed, 2)}. At any time and with a certainty of "
            f"{share(1 - alpha, 1)} it is at least {share(low, 2)} as reviewers saw it; asked for is "
            f"{share(asked, 2)}.{_begins(path)}"
        )
    else:
        says = f"No review has counted yet; asked for is an accuracy of {share(asked, 2)}."
    table = thin(states, ROWS)
    return Plot(
        code="accuracy",
        title="Accuracy, at least",
        says=says,
        x_name="reviews in this attempt",
        y_name="accuracy",
        x_ticks=x_ticks(box),
        y_ticks=tuple(
            Tick(round(box.y(value), 1), f"{value * 100:g} %") for value in round_steps(bottom, 1.0, 5)
        ),
        lines=tuple(line for line in lines if line.d),
        areas=(),
        marks=(box.mark(now.reviews, low, f"at least {share(low, 1)}"),) if states else (),
        head=("Reviews", "observed", "at least"),
        rows=tuple(
            (
                f"{state.reviews:,}",
                f"{share(1 - lost(state) / state.reviews, 2)}",
                f"{share(lower_accuracy(state, alpha), 2)}",
            )
            for state in table
        ),
    )


def _from(points: Sequence[tuple[float, float]], bottom: float) -> Sequence[tuple[float, float]]:
    """Without what lies below the plot at its beginning, but for the last such point."""
    low = [index for index, (_, y) in enumerate(points) if y < bottom]
    return points[low[-1] :] if low else points


# ── The detector: M on a log scale ────────────────────────────────────────────────────────────────────────────────────


def detector(path: Path) -> Plot:
    """M with its quiet level, where everything is audited, and where the tier is taken back."""
    now = path.now
    quiet, alarm, height = quiet_level(now.reference), alarm_at(now), level(now)
    escalated = ESCALATION * quiet
    states = _peaks(path.states)
    lowest = max(min(quiet, height or quiet) / 4, 0.01)
    start = 0.0 if path.whole else float(path.states[0].reviews)
    box = Box(start, max(now.reviews * 1.04, start + 20), log10(lowest), log10(max(alarm, height) * 1.6))

    def at(value: float) -> float:
        return log10(max(value, lowest))

    lines = (
        Line("own", "M, the detector", box.path([(s.reviews, at(level(s))) for s in states])),
        Line("quiet", f"quiet: {quiet:,.1f}", box.across(at(quiet))),
        Line("guess", f"escalated from {escalated:,.1f}", box.across(at(escalated))),
        Line("alarm", f"alarm at {alarm:,.0f}", box.across(at(alarm))),
    )
    powers = range(floor(log10(lowest)) + 1, floor(box.y1) + 1)
    return Plot(
        code="detector",
        title="Has it become worse?",
        says=(
            f"The detector M stands at {height:,.1f}. Without errors it rests at {quiet:,.1f}; from {escalated:,.1f} "
            f"on everything is audited and what cannot be undone is held; at {alarm:,.0f} the tier is taken back. "
            f"Errors more frequent than {share(now.reference, 2)} drive it up.{_begins(path)}"
        ),
        x_name="reviews in this attempt",
        y_name="M, log scale",
        x_ticks=x_ticks(box),
        y_ticks=tuple(Tick(round(box.y(power), 1), f"{10.0**power:,g}") for power in powers),
        lines=tuple(line for line in lines if line.d),
        areas=(),
        marks=(box.mark(now.reviews, at(height), f"M = {height:,.1f}"),),
        head=("Reviews", "M"),
        rows=tuple((f"{state.reviews:,}", f"{level(state):,.1f}") for state in thin(path.states, ROWS)),
    )


def _peaks(states: Sequence[State]) -> list[State]:
    """At most MOST_POINTS states that keep the highest of each stretch: thinning must not hide a peak."""
    if len(states) <= MOST_POINTS:
        return list(states)
    size = len(states) / (MOST_POINTS - 1)
    found = [
        max(states[floor(n * size) : max(floor((n + 1) * size), floor(n * size) + 1)], key=level)
        for n in range(MOST_POINTS - 1)
    ]
    return [*found, states[-1]]


# ── The reviewers: their catch rate ───────────────────────────────────────────────────────────────────────────────────

BAND_HEIGHT = 86


def catch_rate(state: State) -> Plot:
    """How often reviewers catch planted errors: what was seen, and between which bounds it lies at any time."""
    caught, missed = state.probes
    low, high = catch_band(caught, missed)
    served = caught + missed
    box = Box(0.0, 1.0, 0.0, 1.0)
    middle, thick = 30, 9
    left, right = short(box.x(low)), short(box.x(high))
    band = f"M{left} {middle - thick}H{right}V{middle + thick}H{left}Z"
    seen = f"M{short(box.x(caught / served))} {middle - thick - 5}V{middle + thick + 5}" if served else ""
    lines = (Line("own", "caught so far", seen),) if served else ()
    if served:
        says = (
            f"Of {served:,} {'probe' if served == 1 else 'probes'} in this attempt {caught:,} were caught, "
            f"{share(caught / served)}. The true rate lies between {share(low)} and {share(high)} "
            "with a certainty of 95 %."
        )
    else:
        says = "No probe has been decided in this attempt, so nothing is known of how often reviewers catch an error."
    return Plot(
        code="catch",
        title="Do the reviewers catch errors?",
        says=says,
        x_name="share of probes that reviewers caught",
        y_name="",
        x_ticks=tuple(Tick(round(box.x(part), 1), share(part)) for part in (0.0, 0.25, 0.5, 0.75, 1.0)),
        y_ticks=(),
        lines=lines,
        areas=(Line("band", "where the true rate lies, with 95 %", band),),
        marks=(),
        head=("Probes", "caught", "passed", "true rate"),
        rows=((f"{served:,}", f"{caught:,}", f"{missed:,}", f"{share(low)} to {share(high)}"),),
        height=BAND_HEIGHT,
        bottom=BAND_HEIGHT - BOTTOM,
    )
