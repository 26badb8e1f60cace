"""How right an agent has been, with what can be promised of it. Pure.

The bound is a confidence sequence by betting (Waudby-Smith & Ramdas 2024), on the evidence of the tier model: for an
error rate q the capital E(q) reaches 1/α with a probability of at most α, ever, as long as the mean loss is at least q.
The upper bound of the error rate is the largest q whose capital has not reached 1/α. Unlike Clopper-Pearson or Wilson
it holds however often somebody looks, which on a page that is looked at after every review is what counts."""

from collections.abc import Mapping
from dataclasses import dataclass

from agents.tier_model import HIGHEST, log_capital, upper_bound

ALPHA = 0.05
FEWEST = 10
"""Below so many judgements a bound says nothing that a person would not overread."""


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
    """log E(q): how strongly the losses speak against an error rate of q or more."""
    return log_capital(tuple(losses.items()), q)


def lower_bound(losses: Mapping[float, int], *, alpha: float = ALPHA) -> float:
    """The accuracy that is not refuted at level alpha, by all that was seen so far; 0 where nothing is known."""
    highest = upper_bound(tuple(losses.items()), alpha)
    return 0.0 if highest >= HIGHEST else 1 - highest
