"""How right an agent has been, with what can be promised of it. Pure.

The bound is a confidence sequence by betting (Waudby-Smith & Ramdas 2024): for an error rate q the capital
E(q) = Σ w_k Π (1 + λ_k (q − x)), λ_k = (1 − r_k)/(1 − q), is a non-negative supermartingale as long as the mean loss
is at least q, so it reaches 1/α with a probability of at most α, ever (Ville 1939). The upper bound of the error rate
is the largest q whose capital has not reached 1/α; E rises with q, so bisection finds it. Unlike Clopper-Pearson or
Wilson it
holds however often somebody looks, which on a page that is looked at after every review is what counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log, log1p

FACTORS = (0.02, 0.1, 0.2, 0.35, 0.55, 0.8)
WEIGHTS = (2, 3, 3, 2, 2, 1)
ALPHA = 0.05
FEWEST = 10
"""Below so many judgements a bound says nothing that a person would not overread."""

_STEPS = 60


@dataclass(frozen=True, slots=True)
class Accuracy:
    """`judged` results with a summed loss of `loss` (one for a wrong one, less for what an edit mended); `wrong` of
    them lost all. `at_least` is the lower bound of the accuracy, 0 to 1; None where there are too few to say."""

    judged: int
    wrong: int
    edited: int
    loss: float
    at_least: float | None

    @property
    def right(self) -> int:
        return self.judged - self.wrong - self.edited


def accuracy(losses: Mapping[float, int], *, alpha: float = ALPHA) -> Accuracy:
    """From counts per loss level (0 right, 1 wrong, between them edited)."""
    judged = sum(losses.values())
    wrong = sum(count for loss, count in losses.items() if loss >= 1)
    edited = sum(count for loss, count in losses.items() if 0 < loss < 1)
    total = sum(loss * count for loss, count in losses.items())
    bound = lower_bound(losses, alpha=alpha) if judged >= FEWEST else None
    return Accuracy(judged, wrong, edited, total, bound)


def log_evidence(losses: Mapping[float, int], q: float) -> float:
    """log E(q): how strongly the losses speak against an error rate of q or more. In logs: 10^6 factors must not
    underflow."""
    total = sum(WEIGHTS)
    terms = []
    for factor, weight in zip(FACTORS, WEIGHTS, strict=True):
        bet = (1 - factor) / (1 - q)
        terms.append(
            log(weight / total) + sum(count * log1p(bet * (q - loss)) for loss, count in losses.items())
        )
    most = max(terms)
    return most + log(sum(exp(term - most) for term in terms))


def lower_bound(losses: Mapping[float, int], *, alpha: float = ALPHA) -> float:
    """The accuracy that is not refuted at level alpha, by all that was seen so far; 0 where nothing is known."""
    needed = log(1 / alpha)
    low, high = 0.0, 1 - 1e-9
    if log_evidence(losses, high) < needed:
        return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if log_evidence(losses, middle) < needed:
            low = middle
        else:
            high = middle
    return 1 - high
