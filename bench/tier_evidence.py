"""Points 1 to 6, 9 and 11 of TIERS.md: who is promoted, and when."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from math import log
from random import Random
from typing import Any

from agents import tier_model as model
from bench.tier_figures import Check, Figure, Part, chance_bound, size
from bench.tier_streams import (
    BEGAN,
    IN,
    NO_WAITING,
    ON,
    OUT,
    RIGHT,
    WRONG,
    Life,
    alpha_at,
    begin,
    crossings,
    kl,
    mean_and_error,
    promoted_after,
)

ALPHA = 0.05


def exact_false_promotion(q0: float, share: float, seed: int) -> list[Figure]:
    horizon = round((1500 if share > 0.5 else 300) / q0)
    return [
        Figure(
            f"p0 {1 - q0:g}, α_k {alpha:.3g}: ever promoted at p = p0, ÷ α_k, {horizon:,} reviews",
            sum(chance for _, chance in crossings(q0, alpha, q0, horizon)) / alpha,
            0.85,
            1.0,
        )
        for alpha in (ALPHA, alpha_at(1))
    ]


def streams_at_the_null(share: float, seed: int) -> list[Figure]:
    found = []
    streams, reviews = size(2000, share, 500), 5000
    for q0 in (0.05, 0.01):
        for attempt in (1, 2, 5):
            rng, alpha = Random(f"{seed}/{q0}/{attempt}"), alpha_at(attempt)
            hits = sum(promoted_after(rng, q0, q0, alpha, reviews) is not None for _ in range(streams))
            what = f"p = p0 = {1 - q0:g}, attempt {attempt}: promoted, of {streams:,} streams"
            found.append(Figure(what, hits / streams, None, chance_bound(alpha, streams)))
    return found


def streams_that_adapt(share: float, seed: int) -> list[Figure]:
    """Not one of the eleven: the guarantee speaks of any agent, so here are two that know the rule."""
    streams, reviews, q0, alpha = size(2000, share, 100), 2000, 0.05, alpha_at(1)

    def drifts(at: int, errors: int, sum_of_rates: float) -> float:
        return 0.09 if at // 100 % 2 == 0 else 0.01

    def gambles(at: int, errors: int, sum_of_rates: float) -> float:
        return 0.0 if sum_of_rates >= (at + 1) * q0 else 0.5 if errors > 0.04 * at else 0.12

    found = []
    for name, errs in (("drifting in blocks of 100", drifts), ("choosing by its own record", gambles)):
        rng = Random(f"{seed}/{name}")
        hits = 0
        for _ in range(streams):
            errors, sum_of_rates = 0, 0.0
            for at in range(reviews):
                rate = errs(at, errors, sum_of_rates)
                sum_of_rates += rate
                errors += rng.random() < rate
                boundary = model.reviews_needed(errors, q0, alpha)
                if boundary is not None and at + 1 >= boundary and sum_of_rates >= (at + 1) * q0:
                    hits += 1
                    break
        what = f"agent {name}: promoted while its mean accuracy is ≤ .95, of {streams:,}"
        found.append(Figure(what, hits / streams, None, chance_bound(alpha, streams)))
    return found


def reviews_to_promotion(q0: float, share: float, seed: int) -> list[Figure]:
    found = []
    alpha = alpha_at(1)
    for part in (0.2, 0.3, 0.5):
        q = part * q0
        bound = log(1 / alpha) / kl(q, q0)
        reached = mean = 0.0
        median = None
        for at, chance in crossings(q0, alpha, q, round(5000 / q0)):
            reached += chance
            mean += at * chance
            median = at if median is None and reached >= 0.5 else median
        assert median is not None and reached > 1 - 1e-6
        what = f"p0 {1 - q0:g}, q = {part:g}·q0: reviews ÷ log(1/α_k)/KL ({bound:,.0f})"
        found.append(Figure(f"{what}, mean", mean / bound, 0.97, 1.25))
        found.append(Figure(f"{what}, median", median / bound, None, 1.15))
    return found


def flawless(share: float, seed: int) -> list[Figure]:
    found = []
    for p0, least, most in ((0.95, 59, 77), (0.99, 299, 390)):
        needed = model.reviews_needed(0, round(1 - p0, 12), ALPHA)
        assert needed is not None
        found.append(Figure(f"p0 {p0:g}, α .05: flawless reviews needed", needed, least, most))
    for tier, target, least in ((IN, ON, 59), (ON, OUT, 299)):
        whole = _first_promotion(tier, target)
        what = f"to {target.replace('_', ' ')} through may_promote (attempt 1, 5 % probes all caught)"
        found.append(Figure(what, whole, least))
    return found


def _first_promotion(tier: str, target: str) -> int:
    state, reviews = begin(tier), 0
    while not model.may_promote(state, target, now=BEGAN, can_be_critical=False):
        state = model.step(state, RIGHT)
        reviews += 1
        if reviews % 20 == 0:
            state = model.step(state, model.Probe(id=1, at=BEGAN, period=0, caught=True, reviewer=1))
    return reviews


def golden(share: float, seed: int) -> list[Figure]:
    known = (
        (100, 0, 0.05, 4.2144),
        (200, 2, 0.05, 4.3269),
        (1000, 30, 0.05, 3.0487),
        (1000, 5, 0.01, 0.5175),
    )
    found = []
    for n, errors, q0, value in known:
        off = abs(model.log_evidence((n - errors, 0, 0, 0, errors), q0) - value)
        found.append(
            Figure(f"|log E − {value}| of {n:,} reviews, {errors} errors, q0 {q0:g}", off, None, 5e-5)
        )
    return found


# ── 6: the same state from any delivery ───────────────────────────────────────────────────────────────────────────────


def history(rng: Random, length: int) -> list[model.Event]:
    """A key's recorded evidence with everything in it, in order; several events may share a moment."""
    found: list[model.Event] = []
    period, attempts, tier = 0, (1, 1), IN
    open_losses: list[float] = []
    for number in range(1, length + 1):
        at = BEGAN + timedelta(minutes=rng.randrange(2) + 2 * (number // 3))
        late = rng.random() < 0.03 and period > 0
        base: Any = {"id": number, "at": at, "period": period - late}
        kind = rng.random()
        if kind < 0.75 or not open_losses:
            loss = rng.choices(model.LEVELS, (90, 2, 3, 2, 3))[0]
            found.append(
                model.Review(
                    **base, loss=loss, critical=loss == 1 and rng.random() < 0.1, reviewer=rng.randrange(4),
                    audit=tier != IN, missed=tier != IN and loss == 1 and rng.random() < 0.2,
                )
            )  # fmt: skip
            if not late:
                open_losses.append(loss)
        elif kind < 0.80:
            before = open_losses.pop(rng.randrange(len(open_losses)))
            after = rng.choice(model.LEVELS)
            found.append(
                model.Correction(**base, before=before, after=after, critical=False, was_critical=False)
            )
            if not late:
                open_losses.append(after)
        elif kind < 0.88:
            found.append(model.Probe(**base, caught=rng.random() < 0.9, reviewer=1))
        elif kind < 0.96:
            found.append(model.Second(**base, agreed=rng.random() < 0.95))
        elif kind < 0.985:
            found.append(model.Incident(**base, loss=1.0, critical=False))
        else:
            period, tier = period + 1, rng.choice((IN, ON, OUT))
            attempts = (attempts[0] + 1, attempts[1])
            open_losses = []
            found.append(
                model.Turn(
                    id=number, at=at, period=period, tier=tier, attempts=attempts, fresh=True,
                    thresholds=NO_WAITING,
                )
            )  # fmt: skip
    return sorted(found, key=_order)


def _order(event: model.Event) -> tuple[datetime, int]:
    return (event.at, event.id)


def deliver(rng: Random, events: list[model.Event]) -> model.State:
    """What a desk does with events that come late, twice and out of order: whatever comes after the last is stepped,
    anything earlier means a rebuild, what is known is left out; the state is stored as JSON in between."""
    arriving = events + rng.sample(events, len(events) // 5)
    for start in range(0, len(arriving), 8):
        window = arriving[start : start + 16]
        rng.shuffle(window)
        arriving[start : start + 16] = window
    known: dict[int, model.Event] = {}
    state, last = begin(IN), (BEGAN - timedelta(1), 0)
    for event in arriving:
        if event.id in known:
            continue
        known[event.id] = event
        if _order(event) > last:
            state, last = model.step(state, event), (event.at, event.id)
        else:
            state = model.fold(begin(IN), sorted(known.values(), key=_order))
        if rng.random() < 0.05:
            state = model.State.from_json(state.as_json())
    return state


def same_from_any_delivery(share: float, seed: int) -> list[Figure]:
    rng = Random(seed)
    histories = size(200, share)
    differing = reordered = 0
    for _ in range(histories):
        events = history(rng, 150)
        differing += deliver(rng, events) != model.fold(begin(IN), events)
        one_period = [e for e in events if not isinstance(e, model.Turn) and e.period == 0]
        mixed = rng.sample(one_period, len(one_period))
        a, b = model.fold(begin(IN), one_period), model.fold(begin(IN), mixed)
        reordered += any(
            getattr(a, name) != getattr(b, name)
            for name in ("counts", "critical", "probes", "seconds", "audits", "missed", "reviewers")
        )
    return [
        Figure(f"histories of 150 events whose delivery changed the state, of {histories}", differing, 0, 0),
        Figure(
            f"histories whose counts depend on the order within a period, of {histories}", reordered, 0, 0
        ),
    ]


# ── 9: reviewers who miss errors ──────────────────────────────────────────────────────────────────────────────────────


def reviewed_until_promoted(
    rng: Random, q: float, catch: float, reviews: int, state: model.State
) -> tuple[int | None, model.State]:
    """At which review an agent is promoted whose errors, and probes, are seen with the chance `catch`. It is not asked
    below the uncorrected number of reviews needed, which the corrected evidence cannot undercut."""
    period, rate = state.period, state.thresholds.probe_in
    alpha, errors = alpha_at(state.attempts[0]), 0
    right, wrong = replace(RIGHT, period=period), replace(WRONG, period=period)
    least = model.reviews_needed(0, 0.05, alpha)
    for at in range(1, reviews + 1):
        if rng.random() < q * catch:
            state = model.step(state, wrong)
            errors += 1
            least = model.reviews_needed(errors, 0.05, alpha)
        else:
            state = model.step(state, right)
        if rng.random() < rate:
            caught = rng.random() < catch
            state = model.step(state, model.Probe(id=1, at=BEGAN, period=period, caught=caught, reviewer=1))
        if (
            least is not None
            and at >= least
            and model.may_promote(state, ON, now=BEGAN, can_be_critical=False)
        ):
            return at, state
    return None, state


def tired_reviewers_at_the_null(catch: float, share: float, seed: int) -> list[Figure]:
    rng, streams, reviews = Random(f"{seed}/{catch}"), size(700, share), 1500
    hits = sum(
        reviewed_until_promoted(rng, 0.05, catch, reviews, begin(IN))[0] is not None for _ in range(streams)
    )
    what = f"p .95, catch rate {catch:g}: promoted within {reviews:,} reviews, of {streams}"
    return [Figure(what, hits / streams, None, chance_bound(ALPHA, streams))]


def vigilance_that_fell(share: float, seed: int) -> list[Figure]:
    """Catch rate .95 for 1,000 reviews, then a reset, then .3: what the banked probes would promote."""
    rng, streams, hits = Random(seed), size(150, share), 0
    for _ in range(streams):
        promoted, state = reviewed_until_promoted(rng, 0.05, 0.95, 1000, begin(IN))
        if promoted is not None:
            continue
        state = model.step(
            state,
            model.Turn(
                id=1, at=BEGAN, period=1, tier=IN, attempts=model.attempts_after(state, IN), fresh=True,
                thresholds=NO_WAITING,
            ),
        )  # fmt: skip
        hits += reviewed_until_promoted(rng, 0.05, 0.3, 1000, state)[0] is not None
    what = f"p .95, catch rate .95, then .3 after a reset: promoted in attempt 2, of {streams}"
    return [Figure(what, hits / streams, None, chance_bound(ALPHA, streams))]


def good_agent_tired_reviewers(share: float, seed: int) -> list[Figure]:
    rng, streams = Random(seed), size(1000, share, 100)
    waits = [reviewed_until_promoted(rng, 0.01, 0.9, 5000, begin(IN))[0] or 5000 for _ in range(streams)]
    mean, error = mean_and_error(waits)
    what = f"p .99, catch rate .9: mean reviews to promotion, of {streams} (± {error:.1f})"
    return [Figure(what, mean, None, 300)]


# ── 11: an owner who resets ───────────────────────────────────────────────────────────────────────────────────────────

RESETS = 50


def fifty_resets(share: float, seed: int) -> list[Figure]:
    lives = size(2000, share, 150)
    found = [
        Figure(
            f"Σ α_k over {RESETS} attempts",
            sum(alpha_at(attempt) for attempt in range(1, RESETS + 1)),
            None,
            ALPHA,
        )
    ]
    for name, reviews in (("after 1,000 reviews each", 1000), ("after 200 reviews each", 200)):
        rng, hits = Random(f"{seed}/{name}"), 0
        for _ in range(lives):
            hits += any(
                promoted_after(rng, 0.05, 0.05, alpha_at(attempt), reviews) is not None
                for attempt in range(1, RESETS + 1)
            )
        what = f"p = p0 = .95, a reset {name}: ever promoted, of {lives:,}"
        found.append(Figure(what, hits / lives, None, chance_bound(ALPHA, lives)))
    return found


def resets_through_the_model(share: float, seed: int) -> list[Figure]:
    """The same through events, by an owner who resets as soon as the record is hopeless: at the third error."""
    lives, hits = size(60, share), 0
    thresholds = replace(NO_WAITING, probe_in=0.1, second=0.0)
    for number in range(lives):
        life = Life(Random(f"{seed}/{number}"), errs=lambda life: 0.05, catch=1.0, thresholds=thresholds)
        for _ in range(RESETS):
            life.run(300, until=lambda life: life.tier != IN or life.state.counts[4] >= 3)
            if life.tier != IN:
                break
            life.turn(IN)
        hits += life.tier != IN
    what = f"through Turn and may_promote, a reset at each third error: ever promoted, of {lives}"
    return [Figure(what, hits / lives, None, chance_bound(ALPHA, lives))]


def _each(part: Callable[..., list[Figure]], values: tuple[float, ...]) -> list[Part]:
    return [partial(part, value) for value in values]


CHECKS = (
    Check(
        1,
        "Exact recursion of false promotion",
        "Everything but the boundary: probes, time, people, and any agent whose error rate is not constant.",
        _each(exact_false_promotion, (0.1, 0.05, 0.02, 0.01)),
    ),
    Check(
        2,
        "Streams at the null",
        "What comes after 5,000 reviews, and agents cleverer than the two adaptive ones tried here.",
        [streams_at_the_null, streams_that_adapt],
    ),
    Check(
        3,
        "Reviews a good agent needs",
        "The price of the correction for reviewers, which point 9 measures, and of cool-downs.",
        _each(reviews_to_promotion, (0.1, 0.05, 0.02, 0.01)),
    ),
    Check(
        4,
        "A flawless agent",
        "Every agent that ever errs.",
        [flawless],
    ),
    Check(
        5,
        "Golden evidence",
        "A wrong formula that agrees at these four places; losses between 0 and 1.",
        [golden],
    ),
    Check(
        6,
        "One state from any delivery",
        "The database: two transactions at once are raced on PostgreSQL in tests/agents/test_evidence.py, not here.",
        [same_from_any_delivery],
    ),
    Check(
        9,
        "Reviewers who miss errors",
        "Collusion, reviewers who know a probe when they see one, errors that come when reviewers are tired.",
        [
            *_each(tired_reviewers_at_the_null, (0.7, 1.0, 0.5)),
            vigilance_that_fell,
            good_agent_tired_reviewers,
        ],
    ),
    Check(
        11,
        "Fifty resets by the owner",
        "A version announced anew instead of a reset: a new key has an α of its own.",
        [fifty_resets, resets_through_the_model],
    ),
)
