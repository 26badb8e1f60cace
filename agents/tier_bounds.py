"""The statistics of the tier model (TIERS.md): evidence, its correction for reviewers, the detector. Pure.

Evidence against "the error rate is at least q0" is a capital won by betting (Robbins 1970; Waudby-Smith & Ramdas 2024):

    E = Σ_k w_k Π_levels (1 + λ_k (q0 − x))^count,   λ_k = (1 − r_k)/(1 − q0)

While the conditional mean loss is at least q0 every factor has a mean of at most 1, so E is a non-negative
supermartingale that starts at 1: it ever reaches 1/α with a probability of at most α (Ville 1939), however often
somebody looks, for any agent, drifting or adaptive. r_k is what one full error leaves of part k; the six parts suit
error rates from far below q0 (small r) to just below it. All in logs: 10^6 factors must not underflow."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import exp, log, log1p

LEVELS = (0.0, 0.1, 0.25, 0.5, 1.0)
"""The loss levels of a review; counts are 5-tuples in this order."""

FACTORS = (0.02, 0.1, 0.2, 0.35, 0.55, 0.8)
WEIGHTS = (2, 3, 3, 2, 2, 1)
_LOG_WEIGHTS = tuple(log(weight / sum(WEIGHTS)) for weight in WEIGHTS)

CELLS = (0.0, *(step / 40 for step in range(4, 41)))
"""Edges of the cells of the catch rate: 0, 0.1, then every 0.025 up to 1. Fixed beforehand, so whatever the true catch
rate is, it lies in a cell that nobody chose after seeing evidence, and the smallest of all cells' products is at most
that cell's. A finer grid is never weaker (a cell's product is at most that of a cell within it) and costs time: to be
promoted, an agent of accuracy .99 whose reviewers catch .9 needs 311 reviews on average with cells of a tenth, 277 of a
twentieth, 265 with these, 256 of a hundredth (300 streams, 5 % probes)."""

REFUTED = 0.2
"""The detector's reference is what the agent's own error rate exceeds with at most this probability, at any time."""

MULTIPLES = (2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
"""The detector's six parts are made for so many times more errors than the reference."""

CAP = 1e6
"""No part of the detector grows beyond it, and no alarm is set above a tenth of it. It then says nothing more; an agent
that was bad for long in T1 could otherwise not show in a lifetime that it is good now, and floats would overflow. The
cap only lowers the detector, so the promise about false demotions stands."""

FLOOR_SHARE = 0.2
"""The reference is never below this share of q0: nobody is demoted for two errors in a thousand instead of one."""

ESCALATION = 3.0
"""Escalated from so many times the detector's quiet level on."""

_BISECTIONS = 40
HIGHEST = 1 - 1e-9
"""The highest error rate there is a bet against."""


def log_capital(losses: Sequence[tuple[float, float]], q0: float) -> float:
    """log E from (loss, count) pairs; 0 ≤ q0 < 1. Falls with every loss above q0, rises with every one below, and
    rises with q0: what speaks against an error rate speaks against every higher one."""
    terms = []
    for kept, start in zip(FACTORS, _LOG_WEIGHTS, strict=True):
        bet = (1 - kept) / (1 - q0)
        for loss, count in losses:
            start += count * log1p(bet * (q0 - loss))
        terms.append(start)
    return _log_sum(terms)


def log_evidence(counts: Sequence[float], q0: float) -> float:
    """log E from counts per loss level."""
    logs = _log_factors(q0)
    terms = list(_LOG_WEIGHTS)
    for index, count in enumerate(counts):
        if count:
            terms = [term + count * factor for term, factor in zip(terms, logs[index], strict=True)]
    return _log_sum(terms)


@lru_cache(maxsize=4096)
def _log_factors(q0: float) -> tuple[tuple[float, ...], ...]:
    """log(1 + λ_k (q0 − x)) per loss level and part: a cell of the catch rate is asked for again and again."""
    return tuple(tuple(log1p((1 - kept) / (1 - q0) * (q0 - loss)) for kept in FACTORS) for loss in LEVELS)


def pairs(counts: Sequence[float]) -> list[tuple[float, float]]:
    """Counts per loss level as (loss, count); levels that never occurred cost nothing."""
    return [(loss, count) for loss, count in zip(LEVELS, counts, strict=True) if count]


def _log_sum(terms: Sequence[float]) -> float:
    most = max(terms)
    return most + log(sum([exp(term - most) for term in terms]))


def needed(alpha: float, attempt: int) -> float:
    """log(1/α_k): what attempt k = 1, 2, … needs. α_k = α/(k(k+1)) sums to α over all attempts."""
    return log(attempt * (attempt + 1) / alpha)


def log_seeds(caught: float, missed: float, rate: float) -> float:
    """log E against "the catch rate is at most `rate`": the same bet with a miss as the loss; 0 < rate ≤ 1."""
    return log_evidence((caught, 0, 0, 0, missed), 1 - rate)


def _log_mix(stake: float, log_e: float) -> float:
    """log(1 − stake + stake·E): what is not staked cannot be lost."""
    return _log_sum((log(1 - stake), log(stake) + log_e))


def corrected_log_evidence(counts: Sequence[float], *, caught: float, missed: float, q0: float) -> float:
    """log min_i P_i: evidence that the true error rate is below q0 though reviewers miss errors (Rogan & Gladen 1978).

    An agent with an error rate of q0 whose errors are caught at a rate c in [c_i, c_i+1] is rejected at a rate of at
    least q0·c_i, and its reviewers catch probes at a rate of at most c_i+1. Rejections and probes are different
    observations, so P_i = (0.1 + 0.9 E_rej)(0.5 + 0.5 E_seed) is one supermartingale for the cell c lies in, and
    min_i P_i is at most that one."""
    return min(_cell(counts, caught, missed, q0, low, high) for low, high in pairwise(CELLS))


def reaches(counts: Sequence[float], *, caught: float, missed: float, q0: float, bar: float) -> bool:
    """Whether the corrected evidence is at least `bar` (in logs). Stops at the first cell that says no, and asks first
    the two that mostly do: that of the catch rate seen, and the highest."""
    cells = list(pairwise(CELLS))
    seen = caught / (caught + missed) if caught + missed else 0.0
    likely = (next((cell for cell in cells if cell[1] >= seen), cells[-1]), cells[-1])
    return all(
        _cell(counts, caught, missed, q0, low, high) >= bar for low, high in (*likely, *reversed(cells))
    )


def _cell(counts: Sequence[float], caught: float, missed: float, q0: float, low: float, high: float) -> float:
    return _log_mix(0.9, log_evidence(counts, q0 * low)) + _log_mix(0.5, log_seeds(caught, missed, high))


def upper_bound(
    losses: Sequence[tuple[float, float]], alpha: float, *, low: float = 0.0, high: float = HIGHEST
) -> float:
    """The largest error rate in [low, high] that (loss, count) pairs do not refute at level alpha, at any time; `low`
    if they refute all."""
    limit = log(1 / alpha)
    if log_capital(losses, high) < limit:
        return high
    if log_capital(losses, low) >= limit:
        return low
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if log_capital(losses, middle) < limit:
            low = middle
        else:
            high = middle
    return high


def catch_band(caught: int, missed: int, alpha: float = 0.05) -> tuple[float, float]:
    """Lower and upper bound of the reviewers' catch rate, which holds at every time with 1 − alpha."""
    most_missed = upper_bound(((0.0, caught), (1.0, missed)), alpha / 2)
    most_caught = upper_bound(((0.0, missed), (1.0, caught)), alpha / 2)
    return (
        0.0 if most_missed >= HIGHEST else 1 - most_missed,
        1.0 if most_caught >= HIGHEST else most_caught,
    )


@lru_cache(maxsize=4096)
def reviews_needed(errors: int, q0: float, alpha: float, *, most: int = 1_000_000) -> int | None:
    """The smallest number of reviews at which an agent with so many full errors among them has its evidence at level
    alpha (α_k of the attempt); None where `most` are not enough. Flawless reviews only add, so halving finds it."""
    bar = log(1 / alpha)

    def enough(reviews: int) -> bool:
        return log_evidence((reviews - errors, 0, 0, 0, errors), q0) >= bar

    if most < errors or not enough(most):
        return None
    low, high = errors - 1, max(errors, 1)
    while high < most and not enough(high):
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


def bet(multiple: float, reference: float) -> float:
    """λ_j of the detector's part for `multiple` times the reference."""
    return (min(multiple, 0.5 / reference) - 1) / (1 - reference)


@lru_cache(maxsize=4096)
def detector_factors(reference: float) -> tuple[tuple[float, ...], ...]:
    """1 + λ_j (x − reference), per loss level and part: each has mean ≤ 1 while the conditional loss is ≤ reference."""
    return tuple(
        tuple(1 + bet(multiple, reference) * (loss - reference) for multiple in MULTIPLES) for loss in LEVELS
    )


def advance(detector: Sequence[float], factors: Sequence[float]) -> tuple[float, ...]:
    """One observation: R_j ← (R_j + 1)·factor. The sum of all capitals that began at any review so far (Lorden 1971;
    Shin, Ramdas & Rinaldo 2024): M − n is a supermartingale under the reference, so M ≥ A takes A reviews or more on
    average."""
    return tuple([min((part + 1) * factor, CAP) for part, factor in zip(detector, factors, strict=True)])


def raise_only(detector: Sequence[float], factors: Sequence[float]) -> tuple[float, ...]:
    """What was not a drawn observation of its own: R_j ← max(R_j, 1)·factor, never down. At least 1, or incidents alone
    could not demote an agent of whom no draw has told anything yet."""
    return tuple(
        [
            min(max(part, 1.0) * factor, CAP) if factor > 1 else part
            for part, factor in zip(detector, factors, strict=True)
        ]
    )


@lru_cache(maxsize=4096)
def quiet_level(reference: float) -> float:
    """Where M settles when there are no errors at all: each part at f/(1 − f), f being its factor of a loss of 0."""
    flawless = detector_factors(reference)[0]
    return sum(factor / (1 - factor) for factor in flawless) / len(flawless)
